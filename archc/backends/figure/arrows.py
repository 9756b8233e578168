"""What meets the arrows of a row: where curves leave and end, and words beside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from archc.backends.figure.font import text_width
from archc.backends.figure.metrics import Metrics
from archc.backends.figure.model import Column
from archc.backends.figure.tree import Join, Layer, Row, Way, last_op

FORK = 0.42
"""The part of a gap from the box above to a level line in it."""


class Event(NamedTuple):
    """Something on an arrow: the way that ``leaves`` or ``ends`` there, by its place in the row's
    ways, a line of ``words`` beside it, or the side heads that leave there, by their place."""

    leaves: int | None = None
    ends: int | None = None
    words: str = ""
    side: int | None = None


def events_of(column: Column, row: Row) -> list[list[Event]]:
    """For each arrow of a row, down to each thing that is drawn and at last out of it, what is on
    it, from above. Words for what is computed before a curve leaves are above that."""
    stops = column.stops(row)
    nested = nesting(row.ways)
    leaving: dict[int, list[int]] = {}
    ending: dict[int, list[int]] = {}
    for number, way in enumerate(row.ways):
        leaving.setdefault(way.leaves, []).append(number)
        ending.setdefault(way.arrives, []).append(number)
    found: list[list[Event]] = [[] for _ in range(stops[-1] + 1)]
    for place, item in enumerate([*row.items, None]):
        events = found[stops[place]]
        outer_first = sorted(leaving.get(place, ()), key=lambda i: (-nested[i], i))
        events += [Event(leaves=number) for number in outer_first]
        if isinstance(item, Join) and not item.lanes and item.id not in column.glyph_of:
            inner_first = sorted(ending.get(place, ()), key=lambda i: (nested[i], -i))
            events += [Event(ends=number) for number in inner_first]
        if isinstance(item, (Layer, Join)) and (word := column.word_of.get(item.id)):
            events.append(Event(words=word))
    last = next(iter(row.items[::-1]), None)
    if last is not None and (times := column.times_of.get(last_op(last))):
        found[-1].append(Event(words=f"{TIMES}{times}"))
    for number, side in enumerate(column.sides if row is column.row else ()):
        found[side.arrow].append(Event(side=number))
    return [_in_lines(events, column.word_room) for events in found]


TIMES = "\N{MULTIPLICATION SIGN} "


def _in_lines(events: Sequence[Event], room: float) -> list[Event]:
    """Events, with adjacent words joined into lines: ``relu, shuffle g4``, ``relu x 2``. The number
    of equal lanes keeps a line of its own."""

    def is_word(event: Event) -> bool:
        return bool(event.words) and not event.words.startswith(TIMES)

    found: list[Event] = []
    for is_words, group in groupby(events, is_word):
        if is_words:
            found += [Event(words=text) for text in _together([one.words for one in group], room)]
        else:
            found += group
    return found


def _together(words: Sequence[str], room: float) -> list[str]:
    """Words in lines no wider than the widest of them or ``room``, for type of size 1."""
    told: list[str] = []
    for word, alike in groupby(words):
        count = len(list(alike))
        counted = f"{word} x {count}"
        told += [word] * count if count == 1 or text_width(counted, 1.0) > room else [counted]
    lines = told[:1]
    for word in told[1:]:
        longer = f"{lines[-1]}, {word}"
        if text_width(longer, 1.0) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def nesting(ways: Sequence[Way]) -> list[int]:
    """For each way, one more than the highest of those that it goes around, else 0."""
    found = [0] * len(ways)
    order = sorted(range(len(ways)), key=lambda i: (ways[i].arrives, -ways[i].leaves, -i))
    open_: list[int] = []
    for index in order:
        while open_ and ways[open_[-1]].leaves >= ways[index].leaves:
            found[index] = max(found[index], found[open_.pop()] + 1)
        open_.append(index)
    return found


class Spacing:
    """Distances along an arrow: between its ends and the curves and words on it."""

    def __init__(self, metrics: Metrics):
        self.metrics = metrics

    def need(self, events: Sequence[Event], *, forks: bool = False) -> float:
        """How long an arrow has to be; one that ``forks`` ends in a level line, without a head."""
        if not events:
            return self.metrics.gap * (FORK if forks else 1.0)
        upper, lower = _halves(events)
        above, below = self._down(upper), self._up(lower, forks=forks)
        between = self._between(upper[-1], lower[0]) if upper and lower else 0.0
        least = self.metrics.gap * (FORK if forks else 1.0)
        return max(least, _last(above) + between + _last(below) + self._rest(upper, lower, forks))

    def upper_reach(self, events: Sequence[Event]) -> float:
        """How far what belongs to the upper end of an arrow reaches down from there."""
        upper, _ = _halves(events)
        if not upper:
            return 0.0
        return _last(self._down(upper)) + self._edge(bool(upper[-1].words), head=False)

    def need_below_fork(self, events: Sequence[Event]) -> float:
        """How long an arrow has to be that begins at a level line."""
        gap = self.metrics.gap
        if not events:
            return gap * (1 - FORK)
        return max(self.need(events), gap * (1 - FORK))

    def places(
        self, events: Sequence[Event], top: float, bottom: float, *, forks: bool = False
    ) -> list[float]:
        """The height of each on an arrow: those before the first that leaves near its upper end,
        the others near its lower end."""
        upper, lower = _halves(events)
        above = [top + y for y in self._down(upper)]
        below = [bottom - y for y in self._up(lower, forks=forks)]
        return [*above, *below[::-1]]

    def _rest(self, upper: Sequence[Event], lower: Sequence[Event], forks: bool) -> float:
        """The room at the end that nothing is near to."""
        if not lower:
            words = bool(upper[-1].words)
            return self._edge(words, head=not forks)
        return 0.0 if upper else self._edge(bool(lower[0].words), head=False)

    def _edge(self, words: bool, *, head: bool) -> float:
        metrics = self.metrics
        if words:
            return metrics.word_line * 0.75 + (metrics.head if head else 0.0)
        return metrics.above if head else metrics.below

    def _between(self, one: Event, other: Event) -> float:
        metrics = self.metrics
        if one.words and other.words:
            return metrics.word_line
        if one.words or other.words:
            return metrics.word_line * 0.75
        return metrics.apart

    def _down(self, events: Sequence[Event]) -> list[float]:
        found: list[float] = []
        for number, event in enumerate(events):
            if number:
                found.append(found[-1] + self._between(events[number - 1], event))
            else:
                found.append(self._edge(bool(event.words), head=False))
        return found

    def _up(self, events: Sequence[Event], *, forks: bool) -> list[float]:
        found: list[float] = []
        turned = events[::-1]
        for number, event in enumerate(turned):
            if number:
                found.append(found[-1] + self._between(turned[number - 1], event))
            else:
                found.append(self._edge(bool(event.words), head=not forks))
        return found


def _halves(events: Sequence[Event]) -> tuple[Sequence[Event], Sequence[Event]]:
    """The events near the upper end of an arrow, and those near its lower end."""
    leaves = [i for i, event in enumerate(events) if event.leaves is not None]
    first = leaves[0] if leaves else len(events)
    return events[:first], events[first:]


def _last(places: Sequence[float]) -> float:
    return places[-1] if places else 0.0
