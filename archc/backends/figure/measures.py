"""How wide the rows of columns and blocks are, which follows from their labels alone."""

from __future__ import annotations

from typing import NamedTuple

from archc.backends.figure.arrows import events_of, nesting
from archc.backends.figure.font import text_width
from archc.backends.figure.metrics import Metrics
from archc.backends.figure.model import Column
from archc.backends.figure.tree import Bus, Gate, Item, Join, Row

PILL_PADDING, PILL_GAP = 6.0, 6.0
"""From a pill's label to its ends, and from the pill to the circle on the row."""


class Extent(NamedTuple):
    """How far something reaches on either side of its row's line."""

    left: float
    right: float


class Measures:
    """The widths of a column's rows, which follow from labels alone."""

    def __init__(self, column: Column, metrics: Metrics):
        self.column, self.metrics = column, metrics

    def half(self, lane: Row) -> float:
        """Half the width of the boxes of a lane: they are as wide as its longest label, and as all
        lanes inside."""
        return max([self.words(lane), *map(self._needed, lane.items)])

    def words(self, row: Row) -> float:
        """How far the words beside a row's arrows reach."""
        events = events_of(self.column, row)
        words = [event.words for arrow in events for event in arrow if event.words]
        widest = max([text_width(text, self.metrics.small) for text in words], default=0.0)
        return widest + 2 * self.metrics.beside if words else self.metrics.lane_padding

    def _needed(self, item: Item) -> float:
        """The least half of a lane's width that an item fits into."""
        metrics = self.metrics
        if isinstance(item, Bus):
            return max(self.half(layer) for layer in item.layers)
        if isinstance(item, Gate):
            return self.gate_edge(item, 0.0)
        found = self._fan(item) / 2 if isinstance(item, Join) else 0.0
        if box := self.column.box_of.get(item.id):
            words = text_width(box.label, metrics.label) / 2 + metrics.lane_padding
            found = max(found, words)
        return found

    def _fan(self, join: Join) -> float:
        """How wide the lanes of a join are, side by side."""
        extents = [self.extent(lane, self.half(lane)) for lane in join.lanes]
        gaps = self.metrics.lane_gap * max(0, len(extents) - 1)
        return sum(one.left + one.right for one in extents) + gaps

    def lanes(self, join: Join, x: float) -> list[tuple[float, float]]:
        """The x of each lane's line, and half the width of its boxes."""
        left = x - self._fan(join) / 2
        found = []
        for lane in join.lanes:
            half = self.half(lane)
            extent = self.extent(lane, half)
            found.append((left + extent.left, half))
            left += extent.left + extent.right + self.metrics.lane_gap
        return found

    def pill_edge(self, gate: Gate, half: float) -> float:
        """The right edge of a gate's pill from the row's line: flush with boxes, if there is room
        between it and the circle."""
        width = self.pill_width(gate)
        return max(half, self.metrics.glyph / 2 + PILL_GAP + width)

    def gate_edge(self, gate: Gate, half: float) -> float:
        """The right edge of a gate: of its pill, or of all that is in it."""
        if not self.column.is_large:
            return self.pill_edge(gate, half)
        extent = self.extent(gate.inside, self.half(gate.inside))
        return max(half, self.inside_x(gate) + extent.right)

    def inside_x(self, gate: Gate) -> float:
        """Where the line of what is inside a gate runs, from the row's line."""
        extent = self.extent(gate.inside, self.half(gate.inside))
        return self.metrics.glyph / 2 + 2 * PILL_GAP + extent.left

    def pill_width(self, gate: Gate) -> float:
        """The width of a gate's pill."""
        label = self.column.pill_of[gate.id].label
        return text_width(label, self.metrics.small) + 2 * PILL_PADDING

    def bus_x(self, half: float) -> float:
        """Where a bus runs, from the row's line."""
        return half + self.metrics.bus

    def words_on_left(self, row: Row, place: int) -> bool:
        """Whether the words of a circle go on its left, because a curve arrives on its right."""
        return any(way.arrives == place for way in row.ways)

    def extent(self, row: Row, half: float) -> Extent:
        """How far a row reaches, whose boxes are twice ``half`` wide."""
        left = right = half
        for place, item in enumerate(row.items):
            own = self._extent_of(row, place, item, half)
            left, right = max(left, own.left), max(right, own.right)
        for way, (edge, reach, _) in zip(row.ways, self.curves(row, half), strict=True):
            mark = self.mark(row, way.arrives, way.source)
            words = self.metrics.beside + text_width(mark, self.metrics.mark) if mark else 0.0
            right = max(right, edge + reach + words)
        return Extent(left, right)

    def mark(self, row: Row, arrives: int, source: str) -> str:
        """The words beside a curve."""
        item = row.items[arrives]
        assert isinstance(item, Join)
        return self.column.shortcut_of[item.id, source].mark

    def _extent_of(self, row: Row, place: int, item: Item, half: float) -> Extent:
        metrics, column = self.metrics, self.column
        if isinstance(item, Bus):
            words = [column.glyph_of[join].words for join in item.joins]
            widest = max(text_width(text, metrics.small) for text in words)
            return Extent(half, self.bus_x(half) + metrics.glyph / 2 + self.metrics.beside + widest)
        if isinstance(item, Gate):
            return Extent(half, self.gate_edge(item, half))
        fan = self._fan(item) / 2 if isinstance(item, Join) else 0.0
        glyph = column.glyph_of.get(item.id)
        told = glyph.words if glyph else ""
        beside = metrics.glyph / 2 + metrics.beside + text_width(told, metrics.small)
        beside = beside if told else 0.0
        if told and self.words_on_left(row, place):
            return Extent(max(fan, beside), fan)
        return Extent(fan, max(fan, beside))

    def curves(self, row: Row, half: float) -> list[tuple[float, float, int]]:
        """For each way of a row: the edge of what it goes around, how far it reaches beyond, and
        how many curves are inside it."""
        nested = nesting(row.ways)
        steps: dict[int, float] = {}
        metrics = self.metrics
        for way, level in zip(row.ways, nested, strict=True):
            mark = self.mark(row, way.arrives, way.source)
            words = (
                text_width(mark, metrics.mark) + 2 * self.metrics.beside if mark else metrics.lane
            )
            steps[level] = max(steps.get(level, metrics.lane), words)
        edges = [self._edge(row, way.leaves, way.arrives, half) for way in row.ways]
        for number in sorted(range(len(edges)), key=nested.__getitem__):
            if nested[number]:  # beyond what it goes around
                way = row.ways[number]
                inner = [
                    edges[i]
                    for i, one in enumerate(row.ways)
                    if nested[i] < nested[number]
                    and way.leaves <= one.leaves
                    and one.arrives <= way.arrives
                ]
                edges[number] = max([edges[number], *inner])
        return [
            (edge, metrics.reach + sum(steps[inner] for inner in range(level)), level)
            for edge, level in zip(edges, nested, strict=True)
        ]

    def _edge(self, row: Row, leaves: int, arrives: int, half: float) -> float:
        """The right edge of everything between two places of a row, including the join's lanes."""
        column = self.column
        edge = max(self.metrics.gap, self.words(row) if column.word_of else 0.0)
        for place in range(leaves, arrives + 1):
            item = row.items[place]
            if not column.is_stop(item) or (place == arrives and not has_lanes(item)):
                continue
            drawn = half if _has_box(column, item) else 0.0
            edge = max(edge, drawn, self._extent_of(row, place, item, half).right)
        return edge


def has_lanes(item: Item) -> bool:
    """Whether an item is a join with lanes."""
    return isinstance(item, Join) and bool(item.lanes)


def _has_box(column: Column, item: Item) -> bool:
    return isinstance(item, (Bus, Gate)) or item.id in column.box_of
