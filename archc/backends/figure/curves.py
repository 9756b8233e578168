"""The curves of a figure: straight arrows, and shortcuts around boxes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from archc.backends.figure.columns import Shortcut
from archc.backends.figure.scene import Point
from archc.dataclassing import dataclass

BELOW_BOX, ABOVE_BOX, APART = 2.9, 6.0, 3.1
"""Points from a box to where shortcuts meet an arrow, and between two of them.

Above a box there is more, for the arrow's head.
"""

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


def lanes(shortcuts: Sequence[Shortcut]) -> list[int]:
    """For each shortcut, one more than the highest lane of those that it goes around, else 0."""
    found = [0] * len(shortcuts)
    order = sorted(range(len(shortcuts)), key=lambda index: _inner_first(shortcuts[index], index))
    open_: list[int] = []
    for index in order:
        while open_ and shortcuts[open_[-1]].leaves >= shortcuts[index].leaves:
            found[index] = max(found[index], found[open_.pop()] + 1)
        open_.append(index)
    return found


def _inner_first(shortcut: Shortcut, index: int) -> tuple[int, int, int]:
    return shortcut.arrives.rank, -shortcut.leaves.rank, -index


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    """A shortcut leaves or ends; sorted, they come from above, none crossing another."""

    arrow: int
    rank: int
    leaves: bool
    inner_first: int
    tie: int
    index: int


def meetings(
    shortcuts: Sequence[Shortcut], arrows: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """For each shortcut, the y at which it leaves an arrow and the y at which it comes back.

    ``arrows`` has the upper and lower y of each arrow. What ends on an arrow does so near the box
    above, what begins there does so near the box below; all points of an arrow are distinct, and
    in the order that keeps the shortcuts from crossing: in the network's, around each other.
    """
    events: list[_Event] = []
    for index, shortcut in enumerate(shortcuts):
        start, end = shortcut.leaves, shortcut.arrives
        events.append(_Event(start.arrow, start.rank, True, -end.rank, index, index))
        events.append(_Event(end.arrow, end.rank, False, -start.rank, -index, index))
    heights: dict[tuple[int, bool], float] = {}
    for arrow, group in groupby(sorted(events), key=lambda event: event.arrow):
        met = [(event.index, event.leaves) for event in group]
        places = _spread([leaves for _, leaves in met], *arrows[arrow])
        heights.update(zip(met, places, strict=True))
    return [(heights[index, True], heights[index, False]) for index in range(len(shortcuts))]


def _spread(leaves: Sequence[bool], top: float, bottom: float) -> list[float]:
    """The heights of points on an arrow, given which of them are beginnings, from above."""
    count = len(leaves)
    room = bottom - top - BELOW_BOX - ABOVE_BOX
    step = min(APART, room / (count - 1)) if count > 1 else 0
    first = leaves.index(True) if True in leaves else count
    ends = [top + BELOW_BOX + place * step for place in range(first)]
    return ends + [bottom - ABOVE_BOX - (count - 1 - place) * step for place in range(first, count)]
