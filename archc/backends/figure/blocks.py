"""The distinct blocks of networks drawn large, in the manner of Figure 5 of He et al. 2015.

A block is taken out of its network as a small network of its own, so that its boxes and shortcuts
are those of a column; the relus between boxes and the sums are drawn besides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import NamedTuple

from archc.backends.figure.columns import Box, Shortcut, column
from archc.backends.figure.curves import around, lanes, line
from archc.backends.figure.font import text_width
from archc.backends.figure.layout import element_id
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.text import one_line, shorten, wrap
from archc.dataclassing import dataclass
from archc.graph import Network, Node, renamed, walk
from archc.ops import Arity, Input

TITLE, PLACE, LABEL, RELU, ENTRY = 15.0, 11.0, 15.0, 13.0, 13.0
"""Sizes of type."""
MARGIN, COLUMN_GAP = 22.0, 46.0
BOX_WIDTH, BOX_HEIGHT, BOX_PADDING = 132.0, 27.0, 12.0
PLUS = 20.0
"""Diameter of a sum's circle."""
GAP, RELU_GAP = 26.0, 40.0
"""From stop to stop: an arrow, and one with a relu beside it."""
SPLIT = 7.0
"""How far below the upper end of an arrow, or above its lower end, a shortcut leaves it."""
REACH, LANE = 30.0, 26.0
"""How far a shortcut goes beyond the boxes; from the words of one to the next around it."""
APART = 5.0
"""Between shortcuts that leave one arrow, or end at one sum."""
MOST_MARK = 160.0
"""How wide the words beside a shortcut are at the most."""
HEAD = 4.5
ENTRY_GAP = 8.0
"""From the words above a block to its entering arrow."""
BESIDE = 6.0
"""From a line to the text beside it."""
MOST_TITLE = 240.0
MOST_WIDTH, ROW_GAP = 1400.0, 40.0
"""How wide a row of blocks is at the most, and the room between two rows."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block as a network of its own, what it is called, and where it and its like stand."""

    title: str
    label: str
    place: str
    network: Network


def distinct_blocks(network: Network) -> list[Block]:
    """The blocks of a network that differ in more than their widths and sizes of maps.

    Of those alike the first is taken.
    """
    found: dict[object, list[list[Node]]] = {}
    for region in walk(network.regions):
        if region.kind == "block":
            members = [network.nodes[id] for id in region.nodes]
            found.setdefault(_structure(network, members), []).append(members)
    title = one_line(network.title) or network.name
    return [
        Block(title, _label(network, run[0]), _place(network, run), _alone(network, run[0]))
        for run in found.values()
    ]


def _label(network: Network, members: list[Node]) -> str:
    return network.standings[members[0].id].label or "block"


def _structure(network: Network, members: list[Node]) -> object:
    """What blocks that look alike have in common: ops, kernels, strides, wiring."""
    places = {node.id: place for place, node in enumerate(members)}
    before = next(one for node in members for one in node.inputs if one not in places)
    changes = network.nodes[before].output_shape != members[-1].output_shape

    def numbers(node: Node) -> tuple[object, ...]:
        keys = ("kernel_size", "stride", "groups")
        return tuple([node.op.numbers.get(key) for key in keys])

    return changes and any(node.op.arity is Arity.SEVERAL for node in members), tuple(
        [
            (node.op.kind, numbers(node), tuple([places.get(one, -1) for one in node.inputs]))
            for node in members
        ]
    )


def _place(network: Network, run: list[list[Node]]) -> str:
    """``stage 1, blocks 0-2; stage 2, block 0``: blocks count from 0, as in ids (``layer1.0``)."""
    words = []
    standings = [network.standings[members[0].id] for members in run]
    for stage, group in groupby(standings, lambda standing: standing.stage):
        numbers = [standing.block or 0 for standing in group]
        first, last = numbers[0], numbers[-1]
        blocks = f"block {first}" if first == last else f"blocks {first}-{last}"
        words.append(f"stage {stage}, {blocks}")
    return "; ".join(words)


def _alone(network: Network, members: list[Node]) -> Network:
    """A block as a network: what it reads from outside is its image."""
    inside = {node.id for node in members}
    (source,) = {one for node in members for one in node.inputs if one not in inside}
    image = Node("input", Input(), (), network.nodes[source].output_shape)
    nodes = {"input": image}
    for node in members:
        inputs = tuple(["input" if one == source else one for one in node.inputs])
        nodes[node.id] = node._replace(inputs=inputs)
    return replace(network, nodes=nodes, regions=renamed(network.regions, {id: id for id in nodes}))


# Layout


def _together(words: list[str]) -> str:
    """Words beside one arrow: ``relu``, ``relu x 2``, ``relu, swish``."""
    first, count = words[0], len(words)
    if words != [first] * count:
        return ", ".join(words)
    return first if count == 1 else f"{first} x {count}"


class _Stop(NamedTuple):
    """A box, a sum, or one of the ends, on the main path: its rank there, and its edges."""

    id: str
    rank: int
    top: float
    bottom: float


def lay_out_blocks(blocks: Sequence[Block]) -> Scene:
    """Put blocks side by side onto one page, in rows of what a page is wide."""
    titles = max(sum(size * 1.4 for _, size in _titles(block)) for block in blocks)
    drawn: list[_Drawing] = []
    left, top, bottom = MARGIN, MARGIN, MARGIN
    for number, block in enumerate(blocks, start=1):
        one = _Drawing(block, f"b{number}", Point(left, top), titles + ENTRY_GAP)
        if one.right > MOST_WIDTH and left > MARGIN:
            left, top = MARGIN, bottom + ROW_GAP
            one = _Drawing(block, f"b{number}", Point(left, top), titles + ENTRY_GAP)
        drawn.append(one)
        left, bottom = one.right + COLUMN_GAP, max(bottom, one.bottom)
    names = list(dict.fromkeys(block.title for block in blocks))
    return Scene(
        width=max(one.right for one in drawn) + MARGIN,
        height=bottom + MARGIN,
        title=f"Building blocks of {', '.join(names)}",
        description=" ".join([one.words for one in drawn]),
        stripes=(),
        curves=tuple([curve for one in drawn for curve in one.curves]),
        boxes=tuple([box for one in drawn for box in one.boxes]),
        texts=tuple([text for one in drawn for text in one.texts]),
    )


def _titles(block: Block) -> list[tuple[str, float]]:
    """The lines above a block with their sizes of type: its network's title, where it stands."""
    places = block.place.split("; ")
    if len(places) > 4:
        places = [*places[:3], f"and {len(places) - 3} more stages"]
    return [
        *((text, TITLE) for text in wrap(block.title, TITLE, MOST_TITLE)),
        *((shorten(text, PLACE, MOST_TITLE), PLACE) for text in places),
    ]


class _Drawing:
    """One block in its place."""

    def __init__(self, block: Block, prefix: str, corner: Point, titles: float):
        self.block, self.prefix, self.corner = block, prefix, corner
        self.top = corner.y + titles
        self.network, self.shown = block.network, column(block.network)
        self.path = [self.network.nodes[one] for one in self.network.main_path]
        labels = [text_width(box.label, LABEL) + 2 * BOX_PADDING for box in self.shown.boxes]
        self.box_width = max([BOX_WIDTH, *labels])
        self.titles = _titles(block)
        texts = max(text_width(text, size) for text, size in self.titles)
        self.x = corner.x + max(self.box_width, texts) / 2
        self.boxes: list[Rect] = []
        self.curves: list[Curve] = []
        self.texts: list[Text] = []
        self.stops: list[_Stop] = []
        self._put_titles()
        self._put_path()
        self._put_shortcuts()
        self.bottom = self.stops[-1].bottom
        reached = [point.x for curve in self.curves for point in curve.points]
        marks = [curve.mark.at.x + curve.mark.width for curve in self.curves if curve.mark]
        own = [text.centre.x + text.width / 2 for text in self.texts]
        self.right = max([self.x + self.box_width / 2, *reached, *marks, *own])

    def _put_titles(self) -> None:
        y = self.corner.y
        for number, (text, size) in enumerate(self.titles):
            y += size * 0.7
            role = "title" if size == TITLE else "total"
            at = Point(self.x, y)
            self.texts.append(Text(f"{self.prefix}-title-{number}", role, text, at, size))
            y += size * 0.7

    # The main path

    def _put_path(self) -> None:
        boxes = {box.id: box for box in self.shown.boxes}
        y = self.top
        self.stops.append(_Stop(f"{self.prefix}-entry", 0, y, y))
        self._put_end("entry", y)
        relus: list[int] = []
        for rank, node in enumerate(self.path[1:], start=1):
            look = node.op.look()
            if look.word:
                relus.append(rank)
            elif node.id in boxes or look.glyph:
                height = PLUS if look.glyph else BOX_HEIGHT
                y = self._put_arrow(relus, height, rank, element_id(self.prefix, node.id))
                self._put_stop(node, boxes.get(node.id), y)
                relus = []
        end = f"{self.prefix}-exit"
        self._put_arrow(relus, 0.0, len(self.path), end)
        self._put_end("exit", self.stops[-1].bottom)

    def _put_end(self, name: str, y: float) -> None:
        """An unseen thing for an arrow to begin or to end at."""
        self.texts.append(Text(f"{self.prefix}-{name}", "end", "", Point(self.x, y), RELU))

    def _put_stop(self, node: Node, box: Box | None, middle: float) -> None:
        centre = Point(self.x, middle)
        if box is None:
            look = node.op.look()
            tooltip = f"{node.id}\n{look.name} of {len(node.inputs)}"
            name = element_id(self.prefix, node.id)
            plus = Rect(name, "plus", centre, PLUS, PLUS, None, look.glyph, tooltip, size=LABEL)
            self.boxes.append(plus)
            return
        label = box.label.replace(" conv", "")
        self.boxes.append(
            Rect(
                id=element_id(self.prefix, node.id),
                role=box.kind,
                centre=centre,
                width=self.box_width,
                height=BOX_HEIGHT,
                label=label,
                tooltip=box.tooltip,
                size=LABEL,
            )
        )

    def _put_arrow(self, relus: list[int], height: float, rank: int, head: str) -> float:
        """The arrow down to the next stop, its relus beside it; the middle of that stop."""
        above = self.stops[-1]
        start = above.bottom
        end = start + (RELU_GAP if relus else GAP) + (8.0 if not self.boxes else 0.0)
        points = line(Point(self.x, start), Point(self.x, end - HEAD))
        name = f"{self.prefix}-arrow-{len(self.stops)}"
        self.curves.append(Curve(name, "arrow", points, above.id, head, Point(self.x, end)))
        middle = (start + end) / 2
        if relus:
            words = _together([self.path[rank].op.look().word for rank in relus])
            at = Point(self.x + BESIDE, middle)
            self.texts.append(Text(f"{name}-relu", "relu", words, at, RELU, left=True))
        if not self.boxes:
            words = f"{self.path[0].output_shape[0]}-d"
            at = Point(self.x - BESIDE - text_width(words, ENTRY), middle)
            self.texts.append(Text(f"{name}-channels", "entry", words, at, ENTRY, left=True))
        self.stops.append(_Stop(head, rank, end, end + height))
        return end + height / 2

    # Shortcuts

    def _put_shortcuts(self) -> None:
        shortcuts = self.shown.shortcuts
        edge = self.x + self.box_width / 2
        found = lanes(shortcuts)
        words = [self._words(shortcut) for shortcut in shortcuts]
        room: dict[int, float] = {}
        for lane, text in zip(found, words, strict=True):
            room[lane] = max(room.get(lane, 0.0), text_width(text, RELU) + 2 * BESIDE + LANE)
        for index, shortcut in enumerate(shortcuts):
            reach = REACH + sum(room[inner] for inner in range(found[index]))
            start, (end, tip) = self._leaves(index, found), self._arrives(index, found)
            sum_ = self._sum(shortcut)
            before = [stop for stop in self.stops if stop.rank <= shortcut.leaves.rank]
            name = f"{element_id(self.prefix, shortcut.id)}-shortcut"
            at = Point(edge + reach + BESIDE, (start + end) / 2)
            self.curves.append(
                Curve(
                    id=name,
                    role="shortcut dotted" if shortcut.dotted else "shortcut",
                    points=around(Point(self.x, start), Point(tip + HEAD, end), edge, reach),
                    tail=max(before, key=lambda stop: stop.rank).id,
                    head=sum_.id,
                    tip=Point(tip, end),
                    mark=Text(f"{name}-mark", "mark", words[index], at, RELU, left=True),
                    tooltip=shortcut.tooltip,
                )
            )

    def _sum(self, shortcut: Shortcut) -> _Stop:
        return next(stop for stop in self.stops if stop.rank == shortcut.arrives.rank)

    def _leaves(self, index: int, found: Sequence[int]) -> float:
        """Where on its arrow a shortcut leaves: the outer ones higher, all behind their relu."""
        shortcuts = self.shown.shortcuts
        rank = shortcuts[index].leaves.rank
        for above, below in pairwise(self.stops):
            if above.rank <= rank < below.rank:
                beside = [i for i, one in enumerate(shortcuts) if one.leaves.rank == rank]
                order = sorted(beside, key=lambda i: (-found[i], i)).index(index)
                if any(n.op.look().word for n in self.path[above.rank + 1 : rank + 1]):
                    return below.top - HEAD - SPLIT - APART * (len(beside) - 1 - order)
                return above.bottom + SPLIT + APART * order
        raise AssertionError("a shortcut that starts nowhere on the main path")

    def _arrives(self, index: int, found: Sequence[int]) -> tuple[float, float]:
        """Where at the circle of its sum a shortcut ends: the outer ones lower."""
        shortcuts = self.shown.shortcuts
        stop, radius = self._sum(shortcuts[index]), PLUS / 2
        rank = shortcuts[index].arrives.rank
        beside = [i for i, one in enumerate(shortcuts) if one.arrives.rank == rank]
        order = sorted(beside, key=lambda i: (found[i], i)).index(index)
        step = min(APART, 1.6 * radius / max(1, len(beside) - 1))
        below = (order - (len(beside) - 1) / 2) * step
        return (stop.top + stop.bottom) / 2 + below, self.x + math.sqrt(radius**2 - below**2)

    def _words(self, shortcut: Shortcut) -> str:
        """What a shortcut computes: ``identity``, ``1x1, 256, /2``, ``zero pad, /2``."""
        looks = [self.network.nodes[one].op.look() for one in shortcut.ops]
        words = [look.words for look in looks if look.words]
        text = ", ".join(words) or shortcut.mark or "identity"
        return shorten(text, RELU, MOST_MARK)

    @property
    def words(self) -> str:
        """The block for those who cannot see it."""
        boxes = ", then ".join(box.label for box in self.shown.boxes)
        ways = [self._words(one) for one in self.shown.shortcuts]
        around_ = f"; around them a shortcut: {', '.join(ways)}" if ways else ""
        channels = self.path[0].output_shape[0]
        return f"{self.block.title}, {self.block.place}: on {channels} channels {boxes}{around_}."
