"""The colours that figures are drawn in.

A width has the colour of its octave in every figure: 8, 16, and so on up to 4096. In light, wider
is darker; in dark, lighter. The colours differ with every kind of colour-blindness, and
their lightness falls from octave to octave, so that prints in grey keep the order.
"""

from __future__ import annotations

import math

from archc.backends.figure.scene import Rect
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
    """Colours; ``fills`` are those of the octaves of widths, narrowest first; ``heat`` are those of
    shares, from none to the largest, with even steps between them."""

    paper: str
    stripe: str
    ink: str
    outline: str
    fills: tuple[str, ...]
    heat: tuple[str, ...]

    def warmth(self, share: float) -> str:
        """The colour of a share, from 0 to 1: between the two of ``heat`` that are nearest."""
        place = min(max(share, 0.0), 1.0) * (len(self.heat) - 1)
        below = min(int(place), len(self.heat) - 2)
        pairs = zip(_channels(self.heat[below]), _channels(self.heat[below + 1]), strict=True)
        mixed = [round(low + (high - low) * (place - below)) for low, high in pairs]
        return "#" + "".join([f"{channel:02x}" for channel in mixed])


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def fill_of(rect: Rect, theme: Theme) -> str:
    """What a box is filled with: its share's colour, or its width's, or the paper's."""
    if rect.heat is not None:
        return theme.warmth(rect.heat)
    return theme.paper if rect.shade is None else theme.fills[rect.shade]


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
        heat=("#fffdf5", "#fbd9a0", "#e07a3f"),
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
            "#32795e",
        ),
        heat=("#22252c", "#5a3a2c", "#b05028"),
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
        heat=("#fbfbfb", "#8f8f8f"),
    ),
}
"""Backgrounds and colours by name."""
