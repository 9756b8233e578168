"""The grid of rows that all columns share: the row of each box, and how high each row is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from archc.backends.figure import bands
from archc.backends.figure.arrows import FORK, Event, Spacing, events_of
from archc.backends.figure.metrics import Metrics
from archc.backends.figure.model import Column, Size
from archc.backends.figure.tree import Bus, Gate, Item, Join, Layer, Row
from archc.backends.numbers import places
from archc.dataclassing import dataclass


class Spot(NamedTuple):
    """A row of a band."""

    band: int
    row: int


@dataclass(frozen=True, slots=True)
class Band:
    """The rows of one output size: the y of its upper edge, its height, and the y of the middle of
    each row."""

    size: Size
    top: float
    height: float
    middles: tuple[float, ...]

    @property
    def first(self) -> float:
        """The middle of the first row."""
        return self.middles[0]

    @property
    def label(self) -> str:
        """Its size: one number for a square."""
        return places(self.size) if self.size else ""


class Plan:
    """The row of everything in one column, and the room that each needs.

    ``spots`` has the place of a box or a circle by its op's id, that of a gate's pill under the id
    with ``PILL`` appended.
    """

    def __init__(self, column: Column, metrics: Metrics, order: Sequence[Size]):
        self.column, self.metrics, self.order = column, metrics, order
        self.spacing = Spacing(metrics)
        self.spots: dict[str, Spot] = {}
        self.gaps: dict[Spot, float] = {}
        self.heights: dict[Spot, float] = {}
        self.reaches: dict[Spot, float] = {}
        """How far words and curves reach down from the things in a row."""
        self._last: Spot | None = None
        end, lead, events = self._row(column.row, Spot(0, 0), 0.0)
        self.foot = Spot(0, 0)
        if column.has_foot:
            self.foot, _ = self._take(end, order[end.band])
            height = 0.0 if column.is_large else metrics.box
            self._need(self.foot, lead + self._after(events, lead), height)

    def _take(self, cursor: Spot, size: Size) -> tuple[Spot, Spot]:
        """The next row for a map of this size, at or after a row, and the row after it."""
        band = self.order.index(size, cursor.band)
        spot = Spot(band, cursor.row if band == cursor.band else 0)
        return spot, Spot(band, spot.row + 1)

    def _need(self, spot: Spot, gap: float, height: float) -> None:
        self._last = spot
        self.gaps[spot] = max(self.gaps.get(spot, 0.0), gap)
        self.heights[spot] = max(self.heights.get(spot, 0.0), height)

    def _row(self, row: Row, cursor: Spot, lead: float) -> tuple[Spot, float, Sequence[Event]]:
        """Give everything in a row its place; ``lead`` is the room that is needed above its first
        arrow. Returns the row after the last, and what the line that leads out needs above it and
        carries."""
        events = events_of(self.column, row)
        arrow = 0
        ends = Counter(way.arrives for way in row.ways)
        for place, item in enumerate(row.items):
            if self.column.is_stop(item):
                self._reach(events[arrow])
                arriving = ends[place]
                cursor, lead, is_open = self._item(item, cursor, lead, events[arrow], arriving)
                arrow += 1
                if is_open:
                    return cursor, lead, ()
        self._reach(events[arrow])
        return cursor, lead, events[arrow]

    def _reach(self, events: Sequence[Event]) -> None:
        """Note how far the events on an arrow reach down from the thing above."""
        if self._last is not None:
            reach = self.spacing.upper_reach(events)
            self.reaches[self._last] = max(reach, self.reaches.get(self._last, 0.0))

    def _after(self, events: Sequence[Event], lead: float) -> float:
        """How long an arrow has to be, which begins at a level line if something leads to it."""
        return self.spacing.need_below_fork(events) if lead else self.spacing.need(events)

    def _out(self, lane: tuple[Spot, float, Sequence[Event]]) -> float:
        """How long the line has to be that leads out of a lane."""
        _, lead, events = lane
        return lead if lead and not events else lead + self.spacing.need(events, forks=True)

    def _item(
        self, item: Item, cursor: Spot, lead: float, events: Sequence[Event], arriving: int
    ) -> tuple[Spot, float, bool]:
        """Place an item at which so many curves end. Returns the row after it, the room
        that its own lines take above the next arrow, and whether it leads out of its row in
        several lines."""
        metrics = self.metrics
        column = self.column
        if isinstance(item, Join) and item.lanes:
            return self._fan(item, cursor, lead, events, arriving)
        if isinstance(item, Bus):
            cursor = self._bus(item, cursor, lead, events)
            return cursor, metrics.gap * FORK, False
        if isinstance(item, Gate) and column.is_large:
            above = lead + self.spacing.need(events, forks=True)
            inside = self._row(item.inside, cursor, above)
            cursor = self._mouth(item, inside[0], max(self._out(inside), metrics.gap))
            return cursor, 0.0, False
        if isinstance(item, Gate):
            glyph = column.glyph_of[item.id]
            above = lead + self.spacing.need(events, forks=True)
            spot, cursor = self._take(cursor, glyph.size)
            self.spots[item.id + PILL] = spot
            self._need(spot, above + metrics.gap * (1 - FORK), metrics.box)
            spot, cursor = self._take(cursor, glyph.size)
            self.spots[item.id] = spot
            self._need(spot, metrics.gap / 2, metrics.glyph)
            return cursor, 0.0, False
        gap = lead + self._after(events, lead)
        return self._mouth(item, cursor, gap, arriving), 0.0, False

    def _mouth(
        self, item: Layer | Join | Gate, cursor: Spot, gap: float, arriving: int = 0
    ) -> Spot:
        """Place a box, or a circle at which so many curves end."""
        box = self.column.box_of.get(item.id)
        size = box.size if box else self.column.glyph_of[item.id].size
        spot, cursor = self._take(cursor, size)
        self.spots[item.id] = spot
        self._need(spot, gap, self.metrics.box if box else self.metrics.glyph_height(arriving))
        return cursor

    def _fan(
        self, item: Join, cursor: Spot, lead: float, events: Sequence[Event], arriving: int
    ) -> tuple[Spot, float, bool]:
        metrics = self.metrics
        above = lead + self.spacing.need(events, forks=True)
        ends = [self._row(lane, cursor, above) for lane in item.lanes]
        cursor = max(end[0] for end in ends)
        trailing = max(map(self._out, ends))
        if item.is_open:
            return cursor, trailing, True
        gap = trailing + metrics.gap * (1 - FORK)
        cursor = self._mouth(item, cursor, gap, arriving)
        return cursor, 0.0, False

    def _bus(self, item: Bus, cursor: Spot, lead: float, events: Sequence[Event]) -> Spot:
        above = lead + self.spacing.need(events, forks=True)
        for layer in item.layers:
            cursor, _, _ = self._row(layer, cursor, above)
            above = self.metrics.gap * FORK + 2
        return cursor


PILL = "/pill"
"""What is added to a gate's id where its pill is meant."""


def sizes_of(column: Column, row: Row) -> list[Size]:
    """The output sizes of what is drawn in a row, in an order that holds for its lanes, too."""
    found: list[Size] = []
    for item in row.items:
        if isinstance(item, Join) and item.lanes:
            found += bands.merge([sizes_of(column, lane) for lane in item.lanes])
        if isinstance(item, Gate) and column.is_large:
            found += sizes_of(column, item.inside)
        if isinstance(item, Bus):
            found += [size for layer in item.layers for size in sizes_of(column, layer)]
        elif not (isinstance(item, Join) and item.is_open):
            drawn = column.box_of.get(item.id) or column.glyph_of.get(item.id)
            found += [drawn.size] if drawn else []
    return found


class Grid:
    """The bands and rows of several columns, below a ``top``."""

    def __init__(self, columns: Sequence[Column], metrics: Metrics, top: float):
        self.metrics, self.top = metrics, top
        sizes = [sizes_of(column, column.row) for column in columns]
        order = bands.merge(sizes) or [()]  # something may be beside the arrow of no boxes at all
        self.plans = [Plan(column, metrics, order) for column in columns]
        gaps: dict[Spot, float] = {}
        heights: dict[Spot, float] = {}
        reaches: dict[Spot, float] = {}
        for plan in self.plans:
            for spot, gap in plan.gaps.items():
                gaps[spot] = max(gap, gaps.get(spot, 0.0))
                heights[spot] = max(plan.heights[spot], heights.get(spot, 0.0))
            for spot, reach in plan.reaches.items():
                reaches[spot] = max(reach, reaches.get(spot, 0.0))
        rows: dict[int, int] = {}
        for spot in gaps:
            rows[spot.band] = max(rows.get(spot.band, 0), spot.row + 1)
        made: list[Band] = []
        y = top
        for number, size in enumerate(order):
            start, middles = y, []
            # Above and below the boxes of a band is equal room.
            y += metrics.band_gap / 2 - metrics.gap / 2
            for row in range(rows.get(number, 0)):
                spot = Spot(number, row)
                y += gaps[spot]
                middles.append(y + heights[spot] / 2)
                y += heights[spot]
            below = metrics.band_gap / 2 + metrics.gap / 2
            if metrics.band_gap:  # otherwise bands cannot be seen, and words may lie between two
                below = max(below, reaches.get(Spot(number, len(middles) - 1), 0.0))
            y += below
            if middles:
                made.append(Band(size, start, y - start, tuple(middles)))
            else:
                y = start
        self.bands = made

    @property
    def bottom(self) -> float:
        """The y below the last band."""
        return self.bands[-1].top + self.bands[-1].height if self.bands else self.top

    def middle(self, spot: Spot) -> float:
        """The y of the middle of a row."""
        return self.bands[spot.band].middles[spot.row]
