"""The colours that figures are drawn in.

A width has the colour of its octave in every figure: 8, 16, and so on up to 4096. In light, wider
is darker; in dark, lighter. The colours can be told apart with every kind of colour-blindness, and
their lightness falls from octave to octave, so that prints in grey keep the order.
"""

from __future__ import annotations

import math

from archc.dataclassing import dataclass

OCTAVES = 10
"""How many octaves have a colour: those of 8 to 4096."""


def octave(width: int) -> int:
    """Which colour a width has, from 0: that of the nearest octave.

    >>> [octave(width) for width in (3, 8, 64, 96, 4096, 8192)]
    [0, 0, 3, 4, 9, 9]
    """
    return min(max(round(math.log2(max(width, 1) / 8)), 0), OCTAVES - 1)


def is_between_octaves(width: int) -> bool:
    """Whether a width is no power of two, so that its colour says only about what it is."""
    return width & (width - 1) != 0


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours; ``fills`` are those of the octaves of widths, narrowest first."""

    paper: str
    stripe: str
    ink: str
    outline: str
    fills: tuple[str, ...]


THEMES: dict[str, Theme] = {
    "light": Theme(
        paper="#ffffff",
        stripe="#f6f6f7",
        ink="#1c1c1c",
        outline="#4d4d4d",
        fills=(
            "#f5fcef",
            "#f8efce",
            "#cce6e7",
            "#e2d1f4",
            "#c2d2a3",
            "#eab2b7",
            "#a2b6e5",
            "#c6a47a",
            "#a996bf",
            "#5d9571",
        ),
    ),
    "dark": Theme(
        paper="#16181d",
        stripe="#1e2128",
        ink="#f2f2f4",
        outline="#9aa0ab",
        fills=(
            "#272919",
            "#3c2c00",
            "#003c49",
            "#3f3765",
            "#344b22",
            "#793945",
            "#005793",
            "#795541",
            "#6e5d88",
            "#31795c",
        ),
    ),
    "grey": Theme(
        paper="#ffffff",
        stripe="#f6f6f7",
        ink="#1c1c1c",
        outline="#1c1c1c",
        fills=(
            "#f6f6f6",
            "#ebebeb",
            "#e0e0e0",
            "#d4d4d4",
            "#c9c9c9",
            "#bebebe",
            "#b3b3b3",
            "#a8a8a8",
            "#9e9e9e",
            "#939393",
        ),
    ),
}
"""Backgrounds and colours by name."""
