"""What some options may be, by name: so it is offered without importing what it is for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, TypeAlias, get_args

Level: TypeAlias = Literal["network", "stage", "block", "layer"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""Parts of a network that counts have rows of."""

ConventionName: TypeAlias = Literal[
    "multiply-adds", "torch", "fvcore", "ptflops", "thop", "torchinfo", "calflops", "pycls"
]
CONVENTIONS: tuple[ConventionName, ...] = get_args(ConventionName)
"""Whose FLOPs may be counted."""

Dtype: TypeAlias = Literal["float32", "bfloat16", "float16", "float64"]
BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
"""Bytes of an element, by the dtype's name."""

OptimizerName: TypeAlias = Literal["sgd", "momentum", "adam"]
OPTIMIZERS: dict[str, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""How many tensors the size of the parameters an optimizer keeps between steps: SGD none, with
momentum its velocity, Adam and AdamW the averages of gradients and of their squares (Kingma and Ba
2014)."""

TimedDtype: TypeAlias = Literal["float32", "bfloat16", "float16"]
TIMED_DTYPES: tuple[TimedDtype, ...] = get_args(TimedDtype)
"""The types that a module is timed in, by torch's names."""

Backend: TypeAlias = Literal["inductor", "aot_eager", "eager"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""What torch.compile may compile with. Inductor is torch's default and needs a C++ compiler; the
others only take the module apart and put it together again."""

ExportFormat: TypeAlias = Literal["onnx", "pt2"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
"""What modules are exported as."""

FigureFormat: TypeAlias = Literal["svg", "png", "pdf", "tex", "dot"]
FORMATS: tuple[FigureFormat, ...] = get_args(FigureFormat)
"""What figures are drawn as."""

ThemeName: TypeAlias = Literal["light", "dark", "grey"]
THEMES: tuple[ThemeName, ...] = get_args(ThemeName)
"""The colours of figures."""

DPI = 144
"""Pixels per inch of a PNG by default: two for a point, which stays legible on paper."""

Detail: TypeAlias = Literal["norms"]
DETAILS: tuple[Detail, ...] = get_args(Detail)
"""What columns may show besides boxes."""

Heat: TypeAlias = Literal["params", "multiply_adds", "memory"]
HEATS: tuple[Heat, ...] = get_args(Heat)
"""What the boxes of a figure may be shaded by."""


def wrong_choice(name: str, value: object, choices: Collection[str]) -> str | None:
    """What to say of an argument that is none of its choices; None for one that is.

    >>> wrong_choice("heat", "parms", HEATS)
    "`heat` must be one of params, multiply_adds, memory, not 'parms'; did you mean 'params'?"
    """
    if isinstance(value, str) and value in choices:
        return None
    from archc.source.suggest import nearest

    words = f"one of {', '.join(choices)}" if len(choices) > 1 else repr(next(iter(choices)))
    meant = nearest(value, choices) if isinstance(value, str) else None
    more = f"; did you mean {meant!r}?" if meant else ""
    return f"`{name}` must be {words}, not {value!r}{more}"


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise ValueError, with the choices, for an argument that is none of them."""
    if trouble := wrong_choice(name, value, choices):
        raise ValueError(trouble)


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
