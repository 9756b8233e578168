"""The distinct blocks of networks drawn large, in the manner of Figure 5 of He et al. 2015.

A block is taken out of its network as a small network of its own, so that its boxes and shortcuts
are those of a column; the ops between boxes, as relus, and those where ways meet are drawn besides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from archc.backends.figure.branches import Drawn, Way, crossings, drawn
from archc.backends.figure.columns import Box, Shortcut, column_of, is_sum
from archc.backends.figure.curves import around, around_others, lanes, line
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
MAX_MARK, MAX_WAYS = 360.0, 5
"""How wide the words beside a shortcut may be, and how many shortcuts may end at one circle."""
WORD_LINE = 17.0
"""From one line of words beside an arrow to the next."""
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
        keys = ("kernel_size", "stride", "groups", "dilation", "of", "take", "p")
        numbers = node.op.alike().numbers
        if "groups" in numbers and numbers["groups"] == numbers.get("in_channels"):
            numbers["groups"] = 0  # depthwise: as many as the width says
        return tuple([numbers.get(key) for key in keys])

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
    regions = renamed(network.regions, {id: id for id in nodes})
    return replace(network, nodes=nodes, regions=regions, sides=())


def _not_drawable(picture: Drawn) -> Iterator[Sequence[Way]]:
    """The ways that would cross others, crowd where they end, or end at nothing that is shown."""
    yield from crossings(picture.ways)
    arriving = Counter(way.arrives for way in picture.ways)
    for way in picture.ways:
        end = picture.nodes[way.arrives]
        words = _words([picture.network.nodes[id] for id in way.ops])
        crowded = arriving[way.arrives] > MAX_WAYS or text_width(words, RELU) > MAX_MARK
        if crowded or not end.op.look().glyph:
            yield [way]


def _words(ops: Sequence[Node]) -> str:
    """What a shortcut computes: ``identity``, ``1x1, 256, /2``, ``avg pool; 1x1, 8, sigmoid``."""
    looks = [node.op.look() for node in ops]
    words = ""
    for look in looks:
        if text := look.words or look.word or look.mark:
            between = "; " if look.box else ", "
            words += between * bool(words) + text
    names = ", ".join([look.name for look in looks if look.name])
    return one_line(words or names) or "identity"


# Layout


def _together(words: list[str], width: float) -> list[str]:
    """Words beside one arrow, in lines no wider than the widest word or ``width``: ``relu``,
    ``relu x 2``, ``relu, swish``."""
    told: list[str] = []
    for word, alike in groupby(words):
        count = len(list(alike))
        counted = f"{word} x {count}"
        told += [word] * count if count == 1 or text_width(counted, RELU) > width else [counted]
    lines = told[:1]
    for word in told[1:]:
        longer = f"{lines[-1]}, {word}"
        if text_width(longer, RELU) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


class _Arrow:
    """What stands along an arrow from one stop to the next, from above: lines of words, and where
    shortcuts leave; ``height`` is its length.

    A shortcut leaves behind what is computed before it, so that none strikes through a word.
    """

    def __init__(self, start: float, *, is_first: bool):
        self._pad = 4.0 if is_first else 0.0
        self._y, self._behind, self._has_words = start, "", False
        self.lines: list[tuple[float, str]] = []
        self._bare = GAP + 2 * self._pad

    def add_words(self, lines: Sequence[str]) -> None:
        """Put lines of words below what is there."""
        first = {"": 20.0 + self._pad, "way": 13.0 + self._pad}[self._behind]
        for number, text in enumerate(lines):
            self._y += WORD_LINE if number else first
            self.lines.append((self._y, text))
        self._behind, self._has_words = "words", True

    def add_way(self) -> float:
        """Where the next shortcut leaves."""
        gaps = {"": SPLIT, "way": APART, "words": 8.5 + self._pad}
        self._y += gaps[self._behind]
        self._behind = "way"
        return self._y

    @property
    def end(self) -> float:
        """Where it ends."""
        if self._behind == "words":
            return self._y + RELU_GAP / 2 + self._pad
        if self._behind == "way":
            return self._y + (HEAD + SPLIT if self._has_words else self._bare - SPLIT)
        return self._y + self._bare


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
        picture = drawn(block.network, _not_drawable, keep_block=True)
        self.network, self.path = picture.network, picture.nodes
        self.shown = column_of(picture)
        self.lanes = lanes(self.shown.shortcuts)
        labels = [text_width(box.label, LABEL) + 2 * BOX_PADDING for box in self.shown.boxes]
        words = [2 * text_width(node.op.look().word, RELU) + 3 * BESIDE for node in self.path]
        self.box_width = max([BOX_WIDTH, *labels, *words])
        self.titles = _titles(block)
        texts = max(text_width(text, size) for text, size in self.titles)
        self.x = corner.x + max(self.box_width, texts) / 2
        self.boxes: list[Rect] = []
        self.curves: list[Curve] = []
        self.texts: list[Text] = []
        self.stops: list[_Stop] = []
        self.starts: dict[int, float] = {}
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
        for rank, node in enumerate(self.path[1:], start=1):
            look = node.op.look()
            if node.id in boxes or look.glyph:
                height = PLUS if look.glyph else BOX_HEIGHT
                y = self._put_arrow(height, rank, element_id(self.prefix, node.id))
                self._put_stop(node, boxes.get(node.id), y)
        self._put_arrow(0.0, len(self.path), f"{self.prefix}-exit")
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

    def _put_arrow(self, height: float, rank: int, head: str) -> float:
        """The arrow down to the next stop, its words beside it; the middle of that stop."""
        above = self.stops[-1]
        start = above.bottom
        arrow = self._fill_arrow(above.rank, rank)
        end = arrow.end
        points = line(Point(self.x, start), Point(self.x, end - HEAD))
        name = f"{self.prefix}-arrow-{len(self.stops)}"
        self.curves.append(Curve(name, "arrow", points, above.id, head, Point(self.x, end)))
        for number, (y, text) in enumerate(arrow.lines):
            at, id = Point(self.x + BESIDE, y), f"{name}-relu" + (f"-{number}" if number else "")
            self.texts.append(Text(id, "relu", text, at, RELU, left=True))
        if not self.boxes:
            words = f"{self.path[0].output_shape[0]}-d"
            at = Point(self.x - BESIDE - text_width(words, ENTRY), (start + end) / 2)
            self.texts.append(Text(f"{name}-channels", "entry", words, at, ENTRY, left=True))
        self.stops.append(_Stop(head, rank, end, end + height))
        return end + height / 2

    def _fill_arrow(self, above: int, below: int) -> _Arrow:
        """The arrow between two stops, given by their ranks, with what is on it: its words, and
        the shortcuts that leave it, the outer ones higher."""
        leaving: dict[int, list[int]] = {}
        for index, shortcut in enumerate(self.shown.shortcuts):
            leaving.setdefault(shortcut.leaves.rank, []).append(index)
        arrow = _Arrow(self.stops[-1].bottom, is_first=not self.boxes)
        room = self.box_width / 2 - 2 * BESIDE
        words: list[str] = []
        for rank in range(above, below):
            if rank > above and (word := self.path[rank].op.look().word):
                words.append(word)
            ways = sorted(leaving.get(rank, ()), key=lambda i: (-self.lanes[i], i))
            if words and (ways or rank == below - 1):
                arrow.add_words(_together(words, room))
                words = []
            for index in ways:
                self.starts[index] = arrow.add_way()
        return arrow

    # Shortcuts

    def _put_shortcuts(self) -> None:
        shortcuts, found = self.shown.shortcuts, self.lanes
        edge = self.x + self.box_width / 2
        words = [self._words(shortcut) for shortcut in shortcuts]
        room: dict[int, float] = {}
        for lane, text in zip(found, words, strict=True):
            room[lane] = max(room.get(lane, 0.0), text_width(text, RELU) + 2 * BESIDE + LANE)
        for index, shortcut in enumerate(shortcuts):
            reach = REACH + sum(room[inner] for inner in range(found[index]))
            start, (end, tip) = self.starts[index], self._arrives(index)
            shape = around_others if found[index] else around
            sum_ = self._sum(shortcut)
            before = [stop for stop in self.stops if stop.rank <= shortcut.leaves.rank]
            name = f"{element_id(self.prefix, shortcut.id)}-shortcut"
            at = Point(edge + reach + BESIDE, (start + end) / 2)
            self.curves.append(
                Curve(
                    id=name,
                    role="shortcut dotted" if shortcut.dotted else "shortcut",
                    points=shape(Point(self.x, start), Point(tip + HEAD, end), edge, reach),
                    tail=max(before, key=lambda stop: stop.rank).id,
                    head=sum_.id,
                    tip=Point(tip, end),
                    mark=Text(f"{name}-mark", "mark", words[index], at, RELU, left=True),
                    tooltip=shortcut.tooltip,
                )
            )

    def _sum(self, shortcut: Shortcut) -> _Stop:
        return next(stop for stop in self.stops if stop.rank == shortcut.arrives.rank)

    def _arrives(self, index: int) -> tuple[float, float]:
        """Where at the circle of its sum a shortcut ends: the outer ones lower."""
        shortcuts, found = self.shown.shortcuts, self.lanes
        stop, radius = self._sum(shortcuts[index]), PLUS / 2
        rank = shortcuts[index].arrives.rank
        beside = [i for i, one in enumerate(shortcuts) if one.arrives.rank == rank]
        order = sorted(beside, key=lambda i: (found[i], i)).index(index)
        step = min(APART, 1.6 * radius / max(1, len(beside) - 1))
        below = (order - (len(beside) - 1) / 2) * step
        return (stop.top + stop.bottom) / 2 + below, self.x + math.sqrt(radius**2 - below**2)

    def _words(self, shortcut: Shortcut) -> str:
        """What a shortcut computes."""
        return _words([self.network.nodes[id] for id in shortcut.ops])

    @property
    def words(self) -> str:
        """The block for those who cannot see it."""
        boxes = {box.id: box.label for box in self.shown.boxes}
        told = [boxes.get(node.id) or node.op.look().words for node in self.path[1:]]
        layers = ", then ".join([text for text in told if text])
        channels = self.path[0].output_shape[0]
        head = f"{self.block.title}, {self.block.place}: on {channels} channels {layers}"
        return f"{head}{self._shortcuts_in_words()}."

    def _shortcuts_in_words(self) -> str:
        ways = []
        for shortcut in self.shown.shortcuts:
            end = self.path[shortcut.arrives.rank]
            into = "" if is_sum(end) else f" into a {end.op.look().name}"
            ways.append(self._words(shortcut) + into)
        if len(ways) < 2:
            return "".join([f"; around them a shortcut: {way}" for way in ways])
        told = ", ".join([f"({way})" for way in ways])
        return f"; around them {len(ways)} shortcuts: {told}"
