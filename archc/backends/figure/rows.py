"""Rows of columns and blocks as shapes: boxes, circles, pills, arrows, level lines and curves."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from archc.backends.figure.arrows import FORK, Event, Spacing, events_of
from archc.backends.figure.curves import around, around_others, line
from archc.backends.figure.font import text_width
from archc.backends.figure.grid import PILL, Grid, Plan
from archc.backends.figure.measures import Measures, has_lanes
from archc.backends.figure.model import Column
from archc.backends.figure.scene import Curve, Point, Rect, Text, element_id
from archc.backends.figure.theme import is_between_octaves, octave
from archc.backends.figure.tree import Bus, Gate, Item, Join, Row

PILL_ID = "-pill"
"""What is appended to the id of a gate's circle for its pill."""


class Stop(NamedTuple):
    """What arrows run between: the y of its upper and its lower edge."""

    id: str
    top: float
    bottom: float


class End(NamedTuple):
    """A line that leads out of a row: where, from what, and what is on it."""

    x: float
    stop: Stop
    events: Sequence[Event]
    row: _Drawn


class _Drawn:
    """A row while it is drawn: what is above and below it, and where its ways leave and end."""

    def __init__(self, row: Row, x: float, half: float, above: str):
        self.row, self.x, self.half = row, x, half
        self.above = self.below = above
        self.leaves: dict[int, float] = {}
        self.ends: dict[int, float] = {}
        self.stops: list[tuple[int, Stop]] = []


class Drawing:
    """The shapes of one column."""

    def __init__(self, column: Column, measures: Measures, prefix: str, grid: Grid, plan: Plan):
        self.column, self.measures, self.prefix = column, measures, prefix
        self.grid, self.plan, self.metrics = grid, plan, grid.metrics
        self.spacing = Spacing(grid.metrics)
        self.boxes: list[Rect] = []
        self.curves: list[Curve] = []
        self.texts: list[Text] = []
        self.spine: list[tuple[Stop, float]] = []
        """The arrows of the main path: the thing above, and where it ends."""
        self.sides: dict[int, float] = {}
        """Where side heads leave the main path, by their place."""
        self._number = 0

    def column_from(self, x: float, half: float, above: Stop, foot: Stop | None) -> None:
        """Draw the main path below a thing, down to another if there is one."""
        row = self.column.row
        (end,) = self._row(row, x, half, above, spine=True)
        if foot is not None:
            end.row.below = foot.id
            self._arrow(end.row, end.stop, foot.top, foot.id, end.events)
        self.spine.append((end.stop, end.stop.bottom if foot is None else foot.top))
        self._shortcuts(end.row)

    # A row

    def _row(
        self, row: Row, x: float, half: float, above: Stop, *, spine: bool = False
    ) -> list[End]:
        """Draw the items of a row. Its curves are drawn once its last arrow is in place."""
        drawn = _Drawn(row, x, half, above.id)
        events = events_of(self.column, row)
        arrow = 0
        stop = above
        for place, item in enumerate(row.items):
            if not self.column.is_stop(item):
                continue
            if spine:
                self.spine.append((stop, self._top(item)))
            found = self._item(drawn, place, item, stop, events[arrow])
            arrow += 1
            if isinstance(found, list):
                return found
            stop = found
            drawn.stops.append((place, stop))
        return [End(x, stop, events[arrow], drawn)]

    def _item(
        self, drawn: _Drawn, place: int, item: Item, above: Stop, events: Sequence[Event]
    ) -> Stop | list[End]:
        if isinstance(item, Bus):
            return self._bus(drawn, item, above, events)
        if isinstance(item, Gate):
            return self._gate(drawn, item, above, events)
        if isinstance(item, Join) and item.lanes:
            return self._fan(drawn, place, item, above, events)
        stop = self._mouth(drawn, place, item.id)
        self._arrow(drawn, above, stop.top, stop.id, events)
        return stop

    def _mouth(self, drawn: _Drawn, place: int, id: str) -> Stop:
        """A box, or a circle with words beside it."""
        y = self.grid.middle(self.plan.spots[id])
        if box := self.column.box_of.get(id):
            return self._put(
                Rect(
                    id=element_id(self.prefix, id),
                    role=box.kind,
                    centre=Point(drawn.x, y),
                    width=2 * drawn.half,
                    height=self.metrics.box,
                    shade=None if box.width is None else octave(box.width),
                    label=box.label,
                    tooltip=box.tooltip,
                    size=self.metrics.label,
                    is_odd=box.channels is not None and is_between_octaves(box.channels),
                    within=self._within(box.place),
                    ops=tuple(sorted(box.holds or {box.id})) + tuple(sorted(box.like)),
                )
            )
        left = self.measures.words_on_left(drawn.row, place)
        arriving = sum(way.arrives == place for way in drawn.row.ways)
        return self._circle(id, Point(drawn.x, y), words_on_left=left, arriving=arriving)

    def _circle(
        self, id: str, at: Point, *, words_on_left: bool = False, arriving: int = 0
    ) -> Stop:
        glyph = self.column.glyph_of[id]
        metrics = self.metrics
        height = metrics.glyph_height(arriving)
        name = element_id(self.prefix, id)
        if glyph.words:
            width = text_width(glyph.words, metrics.small)
            x = at.x + metrics.glyph / 2 + self.metrics.beside
            if words_on_left:
                x = at.x - metrics.glyph / 2 - self.metrics.beside - width
            place = Point(x, at.y)
            self.texts.append(
                Text(
                    f"{name}-words",
                    "words",
                    glyph.words,
                    place,
                    metrics.small,
                    left=True,
                    within=self._within(glyph.place),
                )
            )
        return self._put(
            Rect(
                id=name,
                role="plus" if height == metrics.glyph else "pill plus",
                centre=at,
                width=metrics.glyph,
                height=height,
                label=glyph.glyph,
                tooltip=glyph.tooltip,
                size=metrics.glyph * 0.8,
                within=self._within(glyph.place),
                ops=(id,),
            )
        )

    def _put(self, rect: Rect) -> Stop:
        self.boxes.append(rect)
        return Stop(rect.id, rect.top, rect.bottom)

    def _within(self, place: tuple[str, ...]) -> tuple[str, ...]:
        found = [self.prefix]
        for part in place:
            found.append(f"{found[-1]}-{part}")
        return tuple(found)

    def _top(self, item: Item) -> float:
        """The y at which the arrow down to an item ends."""
        if isinstance(item, Gate) and self.column.is_large:
            return self._fork_y([item.inside])
        if isinstance(item, Gate):
            return self._level_above(self.plan.spots[item.id + PILL])
        if isinstance(item, Bus):
            return self._fork_y(item.layers[:1])
        if isinstance(item, Join) and item.lanes:
            return self._fork_y(item.lanes)
        box = item.id in self.column.box_of
        height = self.metrics.box if box else self.metrics.glyph
        return self.grid.middle(self.plan.spots[item.id]) - height / 2

    # Arrows

    def _name(self) -> str:
        self._number += 1
        return f"{self.prefix}-arrow-{self._number}"

    def _arrow(
        self,
        drawn: _Drawn,
        above: Stop,
        end: float,
        head: str,
        events: Sequence[Event],
        *,
        x: float | None = None,
        forks: bool = False,
    ) -> None:
        """A line straight down, with a head unless it ``forks``, and what is on it."""
        x = drawn.x if x is None else x
        name = self._name()
        tip = None if forks else Point(x, end)
        points = line(Point(x, above.bottom), Point(x, end if forks else end - self.metrics.head))
        role = "level" if forks else "arrow"
        self._curve(Curve(name, role, points, above.id, head, tip))
        self._meet(drawn, name, x, events, above.bottom, end, forks=forks)

    def _meet(
        self,
        drawn: _Drawn,
        name: str,
        x: float,
        events: Sequence[Event],
        top: float,
        bottom: float,
        *,
        forks: bool = False,
    ) -> None:
        """Put what is on an arrow in its place."""
        places = self.spacing.places(events, top, bottom, forks=forks)
        for number, (event, y) in enumerate(zip(events, places, strict=True)):
            if event.leaves is not None:
                drawn.leaves[event.leaves] = y
            elif event.ends is not None:
                drawn.ends[event.ends] = y
            elif event.side is not None:
                self.sides[event.side] = y
            else:
                at = Point(x + self.metrics.beside, y)
                size = self.metrics.small
                words = Text(f"{name}-{number}", "relu", event.words, at, size, left=True)
                self.texts.append(words)

    def _curve(self, curve: Curve) -> None:
        self.curves.append(curve)

    def _level(self, start: Point, end: Point, tail: str, head: str, role: str = "level") -> None:
        self._curve(Curve(self._name(), role, line(start, end), tail, head))

    def _level_above(self, spot: object) -> float:
        """The y of the level line above a row with a box or a pill."""
        middle = self.grid.middle(spot)  # type: ignore[arg-type]
        return middle - self.metrics.box / 2 - self.metrics.gap * (1 - FORK)

    # Lanes

    def _fork_y(self, lanes: Sequence[Row]) -> float:
        """The y of the level line where lanes begin: as near to the first of their things as the
        arrows between have room."""
        tops = []
        for lane in lanes:
            first = next((item for item in lane.items if self.column.is_stop(item)), None)
            if first is not None:
                events = events_of(self.column, lane)[0]
                need = self.spacing.need_below_fork(events)
                if isinstance(first, (Bus, Gate)) or has_lanes(first):
                    need = self.spacing.need(events, forks=True)
                tops.append(self._top(first) - need)
        return min(tops)

    def _fan(
        self, drawn: _Drawn, place: int, item: Join, above: Stop, events: Sequence[Event]
    ) -> Stop | list[End]:
        fork = self._fork_y(item.lanes)
        places = self.measures.lanes(item, drawn.x)
        first = len(self.boxes)
        start = Stop(above.id, fork, fork)
        ends = [
            end
            for lane, (x, half) in zip(item.lanes, places, strict=True)
            for end in self._row(lane, x, half, start)
        ]
        head = self.boxes[first].id
        self._arrow(drawn, above, fork, head, events, forks=True)
        edges = [x for x, _ in places]
        self._level(Point(edges[0], fork), Point(edges[-1], fork), above.id, head)
        if item.is_open:
            return ends
        stop = self._mouth(drawn, place, item.id)
        join = stop.top - self.metrics.gap * (1 - FORK)
        for end in ends:
            end.row.below = stop.id
            self._arrow(end.row, end.stop, join, stop.id, end.events, x=end.x, forks=True)
        for row in {id(end.row): end.row for end in ends}.values():
            self._shortcuts(row)
        self._level(Point(ends[0].x, join), Point(ends[-1].x, join), ends[0].stop.id, stop.id)
        self._arrow(drawn, Stop(ends[0].stop.id, join, join), stop.top, stop.id, ())
        return stop

    # Gates

    def _gate(self, drawn: _Drawn, item: Gate, above: Stop, events: Sequence[Event]) -> Stop:
        """A pill beside the row, and the circle of the product on it."""
        if self.column.is_large:
            return self._open_gate(drawn, item, above, events)
        metrics, pill = self.metrics, self.column.pill_of[item.id]
        spot = self.plan.spots[item.id + PILL]
        tap = self._level_above(spot)
        width = self.measures.pill_width(item)
        x = drawn.x + self.measures.pill_edge(item, drawn.half) - width / 2
        circle = self._circle(item.id, Point(drawn.x, self.grid.middle(self.plan.spots[item.id])))
        beside = self._put(
            Rect(
                id=circle.id + PILL_ID,
                role="pill",
                centre=Point(x, self.grid.middle(spot)),
                width=width,
                height=metrics.box,
                label=pill.label,
                tooltip=pill.tooltip,
                size=metrics.small,
                within=self._within(pill.place),
                ops=item.ops,
            )
        )
        name = self._name()
        points = line(Point(drawn.x, above.bottom), Point(drawn.x, circle.top - self.metrics.head))
        self._curve(Curve(name, "arrow", points, above.id, circle.id, Point(drawn.x, circle.top)))
        self._meet(drawn, name, drawn.x, events, above.bottom, tap, forks=True)
        down = straight(
            [Point(drawn.x, tap), Point(x, tap), Point(x, beside.top - self.metrics.head)]
        )
        tip = Point(x, beside.top)
        self._curve(Curve(self._name(), "tap", down, above.id, beside.id, tip))
        y, edge = (circle.top + circle.bottom) / 2, drawn.x + metrics.glyph / 2
        back = straight([Point(x, beside.bottom), Point(x, y), Point(edge + self.metrics.head, y)])
        self._curve(Curve(self._name(), "tap", back, beside.id, circle.id, Point(edge, y)))
        return circle

    def _open_gate(self, drawn: _Drawn, item: Gate, above: Stop, events: Sequence[Event]) -> Stop:
        """What is inside a gate beside the row, and the circle of the product on it."""
        metrics = self.metrics
        tap = self._fork_y([item.inside])
        x = drawn.x + self.measures.inside_x(item)
        name = self._name()
        first = len(self.boxes)
        ends = self._row(item.inside, x, self.measures.half(item.inside), Stop(above.id, tap, tap))
        circle = self._circle(item.id, Point(drawn.x, self.grid.middle(self.plan.spots[item.id])))
        points = line(Point(drawn.x, above.bottom), Point(drawn.x, circle.top - metrics.head))
        self._curve(Curve(name, "arrow", points, above.id, circle.id, Point(drawn.x, circle.top)))
        self._meet(drawn, name, drawn.x, events, above.bottom, tap, forks=True)
        self._level(Point(drawn.x, tap), Point(x, tap), above.id, self.boxes[first].id)
        y, edge = (circle.top + circle.bottom) / 2, drawn.x + metrics.glyph / 2
        for end in ends:
            end.row.below = circle.id
            self._arrow(end.row, end.stop, y, circle.id, end.events, x=end.x, forks=True)
        for row in {id(end.row): end.row for end in ends}.values():
            self._shortcuts(row)
        back = line(Point(ends[-1].x, y), Point(edge + metrics.head, y))
        self._curve(Curve(self._name(), "put", back, ends[-1].stop.id, circle.id, Point(edge, y)))
        return circle

    # Buses

    def _bus(self, drawn: _Drawn, item: Bus, above: Stop, events: Sequence[Event]) -> Stop:
        """Layers below each other, a thick line beside them into which each puts its channels."""
        metrics = self.metrics
        x = drawn.x + self.measures.bus_x(drawn.half)
        radius = metrics.glyph / 2
        read = self._fork_y(item.layers[:1])
        tail, bottom = above.id, read
        circles: list[Stop] = []
        for number, (layer, join) in enumerate(zip(item.layers, item.joins, strict=True)):
            if number:
                read = self._fork_y([layer])
                self._level(Point(x, read), Point(drawn.x, read), circles[-1].id, circles[-1].id)
            (end,) = self._row(layer, drawn.x, drawn.half, Stop(tail, read, read))
            y = (end.stop.top + end.stop.bottom) / 2
            circle = self._circle(join, Point(x, y))
            if number:
                points = line(Point(x, bottom), Point(x, circle.top))
                self._curve(Curve(self._name(), "bus", points, tail, circle.id))
            else:
                head = self.boxes[-2].id
                self._arrow(drawn, above, read, head, events, forks=True)
                # Nothing has been put in yet, unless the layer is one of several.
                role = "bus" if item.times > len(item.layers) else "level"
                self._level(Point(drawn.x, read), Point(x, read), above.id, circle.id)
                self._level(Point(x, read), Point(x, circle.top), above.id, circle.id, role)
            put = line(Point(drawn.x + drawn.half, y), Point(x - radius - self.metrics.head, y))
            tip = Point(x - radius, y)
            self._curve(Curve(self._name(), "put", put, end.stop.id, circle.id, tip))
            circles.append(circle)
            tail, bottom = circle.id, circle.bottom
            lowest = end.stop.bottom
        out = lowest + metrics.gap * FORK
        points = straight([Point(x, bottom), Point(x, out), Point(drawn.x, out)])
        self._curve(Curve(self._name(), "level", points, tail, tail))
        return Stop(tail, out, out)

    # Curves

    def _shortcuts(self, drawn: _Drawn) -> None:
        """The ways around a row."""
        row, metrics = drawn.row, self.metrics
        if not row.ways:
            return
        shapes = self.measures.curves(row, drawn.half)
        places = [place for place, _ in drawn.stops]
        for number, (way, (edge, reach, level)) in enumerate(zip(row.ways, shapes, strict=True)):
            item = row.items[way.arrives]
            assert isinstance(item, Join)
            shortcut = self.column.shortcut_of[item.id, way.source]
            end, tip = self._arrival(drawn, number, shapes)
            start = drawn.leaves[number]
            name = element_id(self.prefix, self.column.curve_name(item.id, way.source))
            shape = around_others if level or has_lanes(item) else around
            points = shape(
                Point(drawn.x, start),
                Point(tip + metrics.head, end),
                drawn.x + edge,
                reach,
            )
            at = Point(drawn.x + edge + reach + metrics.beside, (start + end) / 2)
            before = bisect_left(places, way.leaves)
            after = bisect_left(places, way.arrives)
            mark = None
            if shortcut.mark:
                mark = Text(f"{name}-mark", "mark", shortcut.mark, at, metrics.mark, left=True)
            self._curve(
                Curve(
                    id=name,
                    role="shortcut dotted" if shortcut.dotted else "shortcut",
                    points=points,
                    tail=drawn.stops[before - 1][1].id if before else drawn.above,
                    head=drawn.stops[after][1].id if after < len(places) else drawn.below,
                    tip=Point(tip, end),
                    mark=mark,
                    tooltip=shortcut.tooltip,
                    within=self._within(shortcut.place),
                    ops=shortcut.ops,
                )
            )

    def _arrival(
        self, drawn: _Drawn, number: int, shapes: Sequence[tuple[float, float, int]]
    ) -> tuple[float, float]:
        """The y at which a way ends, and the x of its tip: on an arrow, or at a circle's edge, the
        outer ones lower."""
        if number in drawn.ends:
            return drawn.ends[number], drawn.x
        ways = drawn.row.ways
        arrives = ways[number].arrives
        stop = next(stop for place, stop in drawn.stops if place == arrives)
        radius = self.metrics.glyph / 2
        beside = [i for i, one in enumerate(ways) if one.arrives == arrives]
        order = sorted(beside, key=lambda i: (shapes[i][2], i)).index(number)
        below = (order - (len(beside) - 1) / 2) * self.metrics.apart
        straight_part = (stop.bottom - stop.top) / 2 - radius
        bent = max(abs(below) - straight_part, 0.0)  # how far into the round end of a tall circle
        edge = math.sqrt(max(radius**2 - bent**2, 0.0))
        return (stop.top + stop.bottom) / 2 + below, drawn.x + edge


def straight(points: Sequence[Point]) -> tuple[Point, ...]:
    """Straight pieces through points."""
    pieces = [line(start, end) for start, end in pairwise(points)]
    return (pieces[0][0], *[point for piece in pieces for point in piece[1:]])
