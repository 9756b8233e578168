"""What some options may be, by name: so it is offered without importing what it is for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["network", "stage", "block", "layer"]
LEVELS: tuple[Level, ...] = ("network", "stage", "block", "layer")
"""Parts of a network that counts have rows of."""

CONVENTIONS = (
    "multiply-adds",
    "torch",
    "fvcore",
    "ptflops",
    "thop",
    "torchinfo",
    "calflops",
    "pycls",
)
"""Whose FLOPs may be counted."""

BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
"""Bytes of an element, by the dtype's name."""

FORMATS = ("svg", "png", "pdf", "tex", "dot")
"""What figures are drawn as."""

THEMES = ("light", "dark", "grey")
"""The colours of figures."""

DPI = 144
"""Pixels per inch of a PNG by default: two for a point, which stays legible on paper."""

DETAILS = ("norms",)
"""What columns may show besides boxes."""

HEATS = ("params", "multiply_adds", "memory")
"""What the boxes of a figure may be shaded by."""

_APART = (
    ("fold", "blocks", ", which draws each block once"),
    ("fold", "block", ", which draws each block once"),
    ("fold", "overview", ", which draws each stage as one box"),
    ("overview", "blocks", ""),
    ("overview", "block", ""),
    ("overview", "diff", ""),
    ("overview", "heat", ""),
    ("overview", "detail", ""),
    ("blocks", "diff", ""),
    ("block", "diff", ""),
    ("blocks", "heat", ""),
    ("block", "heat", ""),
    ("diff", "heat", ""),
)


def figure_conflict(chosen: Collection[str], written: Callable[[str], str]) -> str | None:
    """Why not all of these options of a figure can be used together; None if they can.

    >>> figure_conflict(["diff", "overview"], "--{}".format)
    '--overview cannot be used with --diff'
    """
    for option, other, why in _APART:
        if option in chosen and other in chosen:
            return f"{written(option)} cannot be used with {written(other)}{why}"
    return None


def diff_conflict(count: int, written: str) -> str | None:
    """Why the differences of so many networks cannot be drawn; None if they can."""
    return None if count == 2 else f"{written} needs exactly two specs, not {count}"
