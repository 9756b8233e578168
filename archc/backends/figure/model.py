"""The parts of a column of a figure: boxes, circles, pills and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import accumulate
from typing import TypeAlias

from archc.backends.figure.text import one_line
from archc.backends.figure.tree import Bus, Item, Join, Layer, Row
from archc.dataclassing import dataclass

Size: TypeAlias = tuple[int, ...]
"""Height and width of a feature map in pixels; a vector counts as one pixel. Of tokens, how many
there are."""


@dataclass(frozen=True, slots=True)
class Box:
    """A layer that the figure shows.

    ``kind`` is ``conv``, ``pool``, ``fc`` or ``other``; ``size`` is that of its output; ``width``
    is what its colour means: its own ``channels``, or its stage's width if at least half of its
    block's convolutions have that; None if it has no colour. A box that represents several ops
    has their ids in ``holds``; one in a lane of which there are several has those of its equals in
    ``like``. ``place`` names the stage and the block that it is in.
    """

    id: str
    kind: str
    label: str
    size: Size
    width: int | None
    tooltip: str
    holds: frozenset[str] = frozenset()
    place: tuple[str, ...] = ()
    like: frozenset[str] = frozenset()
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A way around boxes, into the op called ``id``.

    ``mark`` names what it computes (``1x1``); it is empty for an identity. ``ops`` are the ids of
    what is on it, from above; ``dotted`` says that the shape changes on it (He et al. 2015, Figure
    3).
    """

    id: str
    dotted: bool
    mark: str
    tooltip: str
    ops: tuple[str, ...] = ()
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Glyph:
    """The circle where branches meet: its sign, and the words beside it."""

    id: str
    glyph: str
    words: str
    size: Size
    tooltip: str
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pill:
    """A gate as the figure shows it; ``explained`` is what its label means, for the legend."""

    id: str
    label: str
    explained: str
    tooltip: str
    holds: frozenset[str]
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A block that represents ``count`` equal ones; its boxes are those from first to last.

    In a run of layers that each add channels, ``growth`` is how many.
    """

    first: int
    last: int
    count: int
    tooltip: str
    growth: int = 0

    @property
    def words(self) -> str:
        """How often it is there."""
        times = f"\N{MULTIPLICATION SIGN} {self.count:,}"
        return f"{times}, k = {self.growth}" if self.growth else times


@dataclass(frozen=True, slots=True)
class Beside:
    """Side heads that leave the main path at the same arrow, as one box; ``names`` are theirs."""

    arrow: int
    names: tuple[str, ...]
    tooltip: str

    @property
    def label(self) -> str:
        """What the box says."""
        return one_line(f"{', '.join(self.names)} (training)")


@dataclass(frozen=True)
class Column:
    """A network as the figure shows it, from the image downwards.

    ``row`` is its main path; what is drawn for an op is found by the op's id, what goes around
    into it by its id and that of the value that arrives. ``times_of`` says by a lane's last op how
    many lanes like it there are; ``word_of`` has words beside arrows for
    ops that are no boxes, of which a line holds ``word_room`` em; ``word_in_lanes`` comes after
    each convolution in lanes and is left out there. A block that ``is_large`` is drawn by itself:
    what is inside gates as well, and the arrow that leads out.
    """

    title: str
    description: str
    totals: tuple[str, ...]
    row: Row
    boxes: tuple[Box, ...]
    shortcuts: tuple[Shortcut, ...]
    repeats: tuple[Repeat, ...] = ()
    sides: tuple[Beside, ...] = ()
    box_of: Mapping[str, Box] = field(default_factory=dict)
    glyph_of: Mapping[str, Glyph] = field(default_factory=dict)
    pill_of: Mapping[str, Pill] = field(default_factory=dict)
    shortcut_of: Mapping[tuple[str, str], Shortcut] = field(default_factory=dict)
    times_of: Mapping[str, int] = field(default_factory=dict)
    word_of: Mapping[str, str] = field(default_factory=dict)
    word_room: float = 5.0
    word_in_lanes: str = ""
    is_large: bool = False

    @property
    def on_spine(self) -> Iterator[str]:
        """The ids of the boxes on the main path itself."""
        for item in self.row.items:
            layers = item.layers if isinstance(item, Bus) else ()
            ids = [one.id for layer in layers for one in layer.items if isinstance(one, Layer)]
            ids += [] if isinstance(item, Bus) else [item.id]
            yield from (id for id in ids if id in self.box_of)

    @property
    def has_foot(self) -> bool:
        """Whether something meets the arrow that leads out of the last box."""
        if self.is_large:
            return True
        stops = self.stops(self.row)
        behind = [
            item
            for item, count in zip(self.row.items, stops, strict=False)
            if count == stops[-1] and isinstance(item, (Layer, Join))
        ]
        met = {way.arrives for way in self.row.ways}
        arrives = any(self.row.items.index(item) in met for item in behind)
        told = any(item.id in self.word_of for item in behind)
        return arrives or told or any(side.arrow == stops[-1] for side in self.sides)

    def curve_name(self, join: str, source: str) -> str:
        """What the curve is called that takes a value into an op, in its column: as the op, unless
        the op is drawn itself."""
        drawn = join in self.glyph_of or join in self.box_of
        return self.shortcut_of[join, source].id + "-shortcut" * drawn

    def is_stop(self, item: Item) -> bool:
        """Whether an arrow runs to an item: whether anything is drawn for it."""
        if isinstance(item, Layer):
            return item.id in self.box_of
        return not isinstance(item, Join) or bool(item.lanes) or self.has_mouth(item)

    def has_mouth(self, join: Join) -> bool:
        """Whether ways come together in something that is drawn, a circle or a box."""
        return not join.is_open and (join.id in self.glyph_of or join.id in self.box_of)

    def stops(self, row: Row) -> list[int]:
        """For each place of a row, how many of the items before it are drawn."""
        return [0, *accumulate(int(self.is_stop(item)) for item in row.items)]
