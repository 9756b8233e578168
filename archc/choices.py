"""What some options may be, by name: so it is offered without importing what it is for."""

from __future__ import annotations

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
