"""The curves of a figure: straight arrows, and shortcuts around boxes."""

from __future__ import annotations

from archc.backends.figure.scene import Point

_CIRCLE = 0.5522847498
"""Control points at this part of the radius make a cubic Bezier piece a quarter of a circle."""


def line(start: Point, end: Point) -> tuple[Point, ...]:
    """A straight Bezier piece."""
    x, y = (end.x - start.x) / 3, (end.y - start.y) / 3
    return start, Point(start.x + x, start.y + y), Point(end.x - x, end.y - y), end


def around(start: Point, end: Point, edge: float, reach: float) -> tuple[Point, ...]:
    """A way from ``start`` down to ``end`` that bulges to the right, a D.

    It runs level as far as the x of ``edge``, where the boxes end, then in half an ellipse to
    ``reach`` beyond, and level back: so it touches no box, however near above or below it starts.
    """
    radius = (end.y - start.y) / 2
    far, middle = edge + reach, start.y + radius
    bend_x, bend_y = edge + _CIRCLE * reach, _CIRCLE * radius
    return (
        *line(start, Point(edge, start.y)),
        *(Point(bend_x, start.y), Point(far, middle - bend_y), Point(far, middle)),
        *(Point(far, middle + bend_y), Point(bend_x, end.y), Point(edge, end.y)),
        *line(Point(edge, end.y), end)[1:],
    )


CORNER = 9.0
"""The radius of the corners of a shortcut around others."""


def around_others(start: Point, end: Point, edge: float, reach: float) -> tuple[Point, ...]:
    """Such a way around others and the words beside them: straight down at ``reach`` beyond
    ``edge``, so that what lies between is inside however near its ends."""
    far = edge + reach
    radius = min(CORNER, reach, (end.y - start.y) / 2)
    bend = radius * (1 - _CIRCLE)
    left, top, bottom = far - radius, start.y + radius, end.y - radius
    return (
        *line(start, Point(left, start.y)),
        *(Point(far - bend, start.y), Point(far, start.y + bend)),
        *line(Point(far, top), Point(far, bottom)),
        *(Point(far, end.y - bend), Point(far - bend, end.y)),
        *line(Point(left, end.y), end),
    )
