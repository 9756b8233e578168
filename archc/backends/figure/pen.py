"""How strokes, type and arrowheads look: the same in every format. Lengths are in points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from archc.backends.figure.scene import Curve, Point, Rect

OUTLINE, ODD = 0.7, 1.4
"""Widths of a box's outline; of one whose width lies between the octaves."""
LINE, DOTTED, BUS = 0.9, 1.3, 2.4
"""Widths of lines."""
DOT_GAP = 3.0
"""From one dot of a dotted line to the next. A dot is a dash of no length with round ends: a disc
as wide as the line, in all formats alike and visible in print."""
BASELINE = 0.35
"""Of the size of the type, from the middle of capital letters down to the baseline."""
HEAD = 0.4
"""Half the width of an arrowhead, as a part of its length."""
VEIL = 0.04
"""How opaque a stripe is on a transparent ground, where it is of ink: on a theme's paper it then
looks like the theme's own."""
ARC = 0.5522847498
"""Control points at this part of the radius make a cubic Bezier piece a quarter of a circle."""


def outline_width(rect: Rect, scale: float) -> float:
    """The width of a box's outline in a figure of this scale."""
    return scale * (ODD if rect.is_odd else OUTLINE)


def is_dotted(curve: Curve) -> bool:
    """Whether a curve is drawn as dots."""
    return "dotted" in curve.role


def line_width(curve: Curve, scale: float) -> float:
    """The width of a curve in a figure of this scale."""
    if is_dotted(curve):
        return scale * DOTTED
    return scale * (BUS if "bus" in curve.role else LINE)


Piece: TypeAlias = tuple[Point, tuple[Point, Point] | None, Point]


def pieces(points: Sequence[Point]) -> Iterator[Piece]:
    """The start, control points and end of each Bezier piece of a curve; one that runs straight
    down or across has no control points."""
    start = points[0]
    for first, second, end in zip(points[1::3], points[2::3], points[3::3], strict=True):
        xs, ys = {start.x, first.x, second.x, end.x}, {start.y, first.y, second.y, end.y}
        yield start, None if len(xs) == 1 or len(ys) == 1 else (first, second), end
        start = end


def head(base: Point, tip: Point) -> tuple[Point, Point, Point]:
    """The corners of an arrowhead, its tip second."""
    x, y = HEAD * (tip.x - base.x), HEAD * (tip.y - base.y)
    return Point(base.x - y, base.y + x), tip, Point(base.x + y, base.y - x)


def escape(text: str) -> str:
    """Text as XML has it, also in an attribute between double quotes.

    The library's own takes several modules, which start slower than a figure is written.
    """
    if text.isalnum():
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;")


@lru_cache(maxsize=1 << 14)
def number(value: float) -> str:
    """A length as SVG, PDF and TeX read it, to a hundredth of a point.

    >>> [number(value) for value in (14.0, 0.125, 10.5, -0.001)]
    ['14', '0.12', '10.5', '0']
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
