"""The distinct blocks of networks drawn large, in the manner of Figure 5 of He et al. 2015.

A block is taken out of its network as a small network of its own, and drawn as a column is: with
words beside arrows for relus and their like, the circles of sums, and what is inside gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

from archc.backends.figure.branches import Drawn, drawn
from archc.backends.figure.columns import NORMS, column_of, fan_width, fits_curve, is_sum, shown_in
from archc.backends.figure.font import text_width
from archc.backends.figure.grid import Grid
from archc.backends.figure.legend import Legend, items_of, place
from archc.backends.figure.measures import Measures
from archc.backends.figure.metrics import LARGE
from archc.backends.figure.model import Column
from archc.backends.figure.rows import Drawing, Stop
from archc.backends.figure.scene import Point, Scene, Text
from archc.backends.figure.text import one_line, shorten, wrap
from archc.backends.figure.tree import Bus, Gate, Item, Join, Layer, Row, Rules, layers_of, rows_in
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Region, renamed, walk
from archc.ops import Arity, moves

PLACE = 11.0
"""Font size of the places of a block."""
MAX_MARK, MAX_WAYS = 360.0, 8
"""How wide the words beside a curve may be, and how many curves may end at one circle."""
MAX_LANES = 640.0
"""How wide the lanes of a block may be, side by side."""
WORDS = 54.0
"""How wide a line of words beside an arrow may be, unless one word is wider."""
MAX_WIDTH, ROW_GAP = 1400.0, 40.0
"""How wide a row of blocks is at the most, and the room between two rows."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block as a network of its own, with its name and its places in the network.

    ``title`` is its network's; of several that are called alike, each has a ``letter``.
    """

    title: str
    label: str
    place: str
    network: Network
    letter: str = ""

    @property
    def name(self) -> str:
        """What it is called here."""
        return f"{self.label} {self.letter}" if self.letter else self.label


def distinct_blocks(network: Network) -> list[Block]:
    """The blocks of a network that differ in more than their widths and sizes of maps.

    Of those alike the first is taken.
    """
    return blocks_of(network, block_regions(network))


def blocks_of(network: Network, regions: Iterable[Region]) -> list[Block]:
    """These blocks of a network, of those alike the first."""
    title = one_line(network.title) or network.name
    return _lettered(
        [
            Block(title, label or "block", _place(network, run), _alone(network, run[0]))
            for (label, _), run in _runs(network, regions).items()
        ]
    )


def letters_of(network: Network) -> dict[frozenset[str], str]:
    """The letters of those blocks of which several that differ have one name, by their ops."""
    runs = _runs(network, block_regions(network))
    alike = Counter(label for label, _ in runs)
    seen: Counter[str | None] = Counter()
    found: dict[frozenset[str], str] = {}
    for (label, _), run in runs.items():
        if alike[label] > 1:
            letter = _letters(seen[label])
            seen[label] += 1
            found |= {frozenset([node.id for node in members]): letter for members in run}
    return found


_Runs: TypeAlias = dict[tuple[str | None, object], list[list[Node]]]


def _runs(network: Network, regions: Iterable[Region]) -> _Runs:
    """The ops of blocks, those of blocks alike together, by their name and what they are."""
    found: _Runs = {}
    for region in regions:
        members = [network.nodes[id] for id in region.nodes if id not in network.side_of]
        found.setdefault((region.label, _structure(network, members)), []).append(members)
    return found


def block_regions(network: Network) -> list[Region]:
    """The blocks of the stages; of a network without, those that are used as layers.

    Blocks of models of other libraries may read several values: they cannot be drawn alone.
    """
    blocks = [
        region
        for region in walk(network.regions)
        if region.kind == "block" and _reads_one_value(network, region)
    ]
    if blocks:
        return blocks
    found = list(layer_regions(network))
    many = [region for region in found if sum(_has_box(network, id) for id in region.nodes) > 1]
    return many or found


def _reads_one_value(network: Network, region: Region) -> bool:
    """Whether the ops of a region read one value of others."""
    if not network.is_foreign:
        return True  # as all that specs have
    ids = {*region.nodes}
    return len({one for id in ids for one in network.nodes[id].inputs} - ids) == 1


def layer_regions(network: Network) -> Iterator[Region]:
    """The blocks that are used as layers, but for those inside of each other and of side heads."""

    def labelled(members: Iterable[Region | str]) -> Iterator[Region]:
        for member in members:
            is_block = isinstance(member, Region) and member.kind == "group" and member.label
            if isinstance(member, Region) and is_block and _reads_one_value(network, member):
                yield member
            elif isinstance(member, Region):
                yield from labelled(member.members)

    sides = set(network.side_of)
    yield from (region for region in labelled(network.regions) if not sides >= {*region.nodes})


def _has_box(network: Network, id: str) -> bool:
    return bool(network.nodes[id].op.look().box)


def _lettered(blocks: list[Block]) -> list[Block]:
    """The blocks, those of one name with a letter each."""
    alike = Counter(block.label for block in blocks)
    seen: Counter[str] = Counter()
    found = []
    for block in blocks:
        letter = ""
        if alike[block.label] > 1:
            letter = _letters(seen[block.label])
            seen[block.label] += 1
        found.append(replace(block, letter=letter))
    return found


def _letters(number: int) -> str:
    """A, B, ..., Z, AA, AB, ...: for a number from 0."""
    rest, last = divmod(number, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("A") + last)


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

    adds = any(node.op.arity is Arity.SEVERAL and node.op.kind != "concat" for node in members)
    goes_around = sum(before in node.inputs for node in members) > 1
    return changes and adds and goes_around, tuple(
        [
            (node.op.kind, numbers(node), tuple([places.get(one, -1) for one in node.inputs]))
            for node in members
        ]
    )


def _place(network: Network, run: list[list[Node]]) -> str:
    """``stage 1, blocks 0-2; stage 2, block 0``: blocks count from 0, as in ids (``layer1.0``).

    One that is no block of a stage is called by its path.
    """
    words = []
    if network.standings[run[0][0].id].stage is None:
        return ", ".join([_path([node.id for node in members]) for members in run])
    standings = [network.standings[members[0].id] for members in run]
    for stage, group in groupby(standings, lambda standing: standing.stage):
        numbers = [standing.block or 0 for standing in group]
        first, last = numbers[0], numbers[-1]
        blocks = f"block {first}" if first == last else f"blocks {first}-{last}"
        words.append(f"stage {stage}, {blocks}")
    return "; ".join(words)


def _path(ids: Sequence[str]) -> str:
    """The path that ids have in common."""
    first, last = min(ids).split("."), max(ids).split(".")
    common = [one for one, other in zip(first, last, strict=False) if one == other]
    return ".".join(common[: len(first) - 1]) or ids[0]


def _alone(network: Network, members: list[Node]) -> Network:
    """A block as a network: what it reads from outside is its image."""
    inside = {node.id for node in members}
    (source,) = {one for node in members for one in node.inputs if one not in inside}
    op = moves.read_by_a_part(features_last=network.extents[source].is_last)
    image = Node("input", op, (), network.nodes[source].output_shape)
    nodes = {"input": image}
    for node in members:
        inputs = tuple(["input" if one == source else one for one in node.inputs])
        nodes[node.id] = node._replace(inputs=inputs)
    regions = renamed(network.regions, {id: id for id in nodes})
    return replace(network, nodes=nodes, regions=regions, sides=())


def _rules(network: Network) -> Rules:
    """What a block drawn large can show."""

    return Rules(
        is_box=lambda node: shown_in(network, node),
        fits_curve=lambda ops, end: fits_curve(ops, network, MAX_MARK),
    )


def _too_much(network: Network, row: Row) -> Iterator[frozenset[str]]:
    """Parts of a row whose lanes are too many, or where too many curves end."""
    for item in row.items:
        for inner in rows_in(item):
            yield from _too_much(network, inner)
        if isinstance(item, Join) and item.lanes and _width(network, item) > MAX_LANES:
            yield frozenset(layers_of(Row("", (item,))))
    arriving = Counter(way.arrives for way in row.ways)
    for arrives, count in arriving.items():
        item = row.items[arrives]
        if count > MAX_WAYS and isinstance(item, Join):
            ops = [way.ops for way in row.ways if way.arrives == arrives]
            yield frozenset([item.id]).union(*ops)


def _width(network: Network, join: Join) -> float:
    return fan_width(network, join) * LARGE.label / 11.0


def picture_of(network: Network) -> Drawn:
    """A block, by itself a network, as it is drawn."""
    return drawn(network, _rules(network), _too_much, keep_block=True)


def shown_large(block: Block, *, with_norms: bool = False) -> Column:
    """What is drawn of a block; ``with_norms`` names batch norms, too."""
    picture = picture_of(block.network)
    shown = column_of(picture, is_large=True)
    network = picture.network
    words = {
        id: word
        for id in layers_of(picture.row)
        if (word := _word(network.nodes[id], with_norms)) and id not in shown.box_of
    }
    once = ""
    for lanes in _outermost(picture.row):
        if _is_said_once(network, shown, lanes, words):
            own = {*layers_of(lanes)}
            once = next(word for id, word in words.items() if id in own)
            words = {id: word for id, word in words.items() if id not in own}
    widest = max([text_width(word, LARGE.small) for word in words.values()], default=0.0)
    room = max(WORDS, widest) / LARGE.small
    return replace(shown, word_of=words, word_room=room, word_in_lanes=once)


def _word(node: Node, with_norms: bool) -> str:
    look = node.op.look()
    short = NORMS.get(look.word or look.name, "") if with_norms else ""
    return short or look.word


def _outermost(row: Row) -> Iterator[Row]:
    """The lanes of a row, those of one join as a row."""
    for item in row.items:
        if isinstance(item, Join) and item.lanes:
            yield Row("", (item,))


def _is_said_once(network: Network, shown: Column, lanes: Row, words: dict[str, str]) -> bool:
    """Whether each convolution in lanes is followed by the same word (``relu``) and there are no
    others: the legend then says it once."""
    ids = [id for id in layers_of(lanes) if id in words]
    convs = [
        id for id in layers_of(lanes) if id in shown.box_of and shown.box_of[id].kind == "conv"
    ]
    return len({words[id] for id in ids}) == 1 and len(ids) == len(convs) > 2


# Layout


def lay_out_blocks(
    blocks: Sequence[Block], most_width: float = MAX_WIDTH, *, with_norms: bool = False
) -> Scene:
    """Put blocks side by side onto one page, in rows of what a page is wide."""
    titles = max(sum(size * 1.4 for _, size in _titles(block)) for block in blocks)
    drawn: list[_Drawing] = []
    margin = LARGE.margin
    left, top, bottom = margin, margin, margin
    for number, block in enumerate(blocks, start=1):
        one = _Drawing(block, f"b{number}", Point(left, top), titles, with_norms)
        if one.right + margin > most_width and left > margin:
            left, top = margin, bottom + ROW_GAP
            one = _Drawing(block, f"b{number}", Point(left, top), titles, with_norms)
        drawn.append(one)
        left, bottom = one.right + LARGE.column_gap, max(bottom, one.bottom)
    names = list(dict.fromkeys(block.title for block in blocks))
    right = max(one.right for one in drawn)
    explained = _legend([one.shown for one in drawn], bottom, right)
    below = [text.at.y + LARGE.legend_line / 2 for text in explained.texts]
    return Scene(
        width=max(right, explained.right) + margin,
        height=max([bottom, *below]) + margin,
        title=f"Building blocks of {', '.join(names)}",
        description=" ".join([one.words for one in drawn]),
        stripes=(),
        curves=(*[curve for one in drawn for curve in one.curves], *explained.curves),
        boxes=(*[box for one in drawn for box in one.boxes], *explained.boxes),
        texts=(*[text for one in drawn for text in one.texts], *explained.texts),
    )


_SAID = ("shortcut, same shape", "shortcut, shape changes", "projection", "sum", "product")
"""What a block drawn large says itself, at its curves and in its circles."""


def _legend(columns: Sequence[Column], bottom: float, right: float) -> Legend:
    metrics = replace(LARGE, legend=12.0, mark=11.0, legend_line=19.0)
    items = [item for item in items_of(columns) if item.text not in _SAID]
    dotted = any(shortcut.dotted for one in columns for shortcut in one.shortcuts)
    items = [item for item in items_of(columns) if item.role == "dotted" and dotted] + items
    return place(items, metrics, bottom, right)


def _titles(block: Block) -> list[tuple[str, float]]:
    """The lines above a block with their font sizes: its name, its network and its places there."""
    places = block.place.split("; ")
    if len(places) > 4:
        places = [*places[:3], f"and {len(places) - 3} more stages"]
    return [
        *((text, LARGE.title) for text in wrap(block.name, LARGE.title, LARGE.most_title)),
        *((text, PLACE) for text in wrap(block.title, PLACE, LARGE.most_title)),
        *((shorten(text, PLACE, LARGE.most_title), PLACE) for text in places),
    ]


class _Drawing:
    """One block in its place."""

    def __init__(
        self, block: Block, prefix: str, corner: Point, titles: float, with_norms: bool
    ) -> None:
        self.block, self.prefix = block, prefix
        self.shown = shown_large(block, with_norms=with_norms)
        measures = Measures(self.shown, LARGE)
        labels = [
            text_width(self.shown.box_of[id].label, LARGE.label) for id in self.shown.on_spine
        ]
        widest = max(labels, default=0.0) + 2 * LARGE.padding
        half = max(LARGE.least_width, widest, 2 * measures.words(self.shown.row)) / 2
        lines = _titles(block)
        texts = max(text_width(text, size) for text, size in lines) / 2
        extent = measures.extent(self.shown.row, half)
        entry = f"{self.shown_channels}-d"
        beside = LARGE.beside + text_width(entry, LARGE.small)
        self.x = corner.x + max(extent.left, texts, beside)
        self.texts: list[Text] = []
        y = corner.y
        for number, (text, size) in enumerate(lines):
            role = "title" if size == LARGE.title else "total"
            at = Point(self.x, y + size * 0.7)
            self.texts.append(Text(f"{prefix}-title-{number}", role, text, at, size))
            y += size * 1.4
        top = corner.y + titles + 8.0
        # The first gap holds the words for what comes in, above the level line where lanes begin.
        room = LARGE.gap * (0.5 if self._begins_with_a_box else 1.0)
        grid = Grid([self.shown], LARGE, top + room)
        drawing = Drawing(self.shown, measures, prefix, grid, grid.plans[0])
        start = Stop(f"{prefix}-entry", top, top)
        end = grid.middle(grid.plans[0].foot)
        foot = Stop(f"{prefix}-exit", end, end)
        drawing.column_from(self.x, half, start, foot)
        first = drawing.spine[0][1]
        width = text_width(entry, LARGE.small)
        at = Point(self.x - LARGE.beside - width, (top + first) / 2)
        self.texts += drawing.texts
        self.texts += [
            Text(start.id, "end", "", Point(self.x, top), LARGE.small),
            Text(foot.id, "end", "", Point(self.x, end), LARGE.small),
            Text(f"{prefix}-channels", "entry", entry, at, LARGE.small, left=True),
        ]
        self.boxes, self.curves = drawing.boxes, drawing.curves
        self.texts = [replace(text, within=text.within or (prefix,)) for text in self.texts]
        self.bottom = end
        self.right = self.x + max(extent.right, texts)

    @property
    def _begins_with_a_box(self) -> bool:
        first = next((one for one in self.shown.row.items if self.shown.is_stop(one)), None)
        return isinstance(first, Layer) or (isinstance(first, Join) and not first.lanes)

    @property
    def shown_channels(self) -> int:
        """The channels that come in."""
        return self.block.network.extents["input"].features

    @property
    def words(self) -> str:
        """The block for those who cannot see it."""
        head = f"{self.block.title}, {self.block.place}: on {self.shown_channels} channels"
        return f"{head} {_told(self.block.network, self.shown, self.shown.row)}."


def _told(network: Network, shown: Column, row: Row) -> str:
    """A row in words."""
    layers = [text for item in row.items if (text := _item_told(network, shown, item))]
    words = ", then ".join(layers)
    ways = []
    for way in row.ways:
        item = row.items[way.arrives]
        assert isinstance(item, Join)
        end = network.nodes.get(item.id)
        into = "" if end is None or is_sum(end) else f" into a {end.op.look().name}"
        ways.append(shown.shortcut_of[item.id, way.source].mark + into)
    if len(ways) == 1:
        words += f"; around them a shortcut: {ways[0]}"
    elif ways:
        words += f"; around them {len(ways)} shortcuts: {', '.join([f'({way})' for way in ways])}"
    return words


def _item_told(network: Network, shown: Column, item: Item) -> str:
    if isinstance(item, Layer):
        box = shown.box_of.get(item.id)
        node = network.nodes.get(item.id)
        if box is not None and (node is None or box.holds):
            return box.label
        look = node.op.look() if node else None
        if look is None:
            return ""
        return look.label if box else look.words
    if isinstance(item, Gate):
        return f"a product with ({_told(network, shown, item.inside)})"
    if isinstance(item, Bus):
        told = [_told(network, shown, layer) for layer in item.layers]
        return ", then ".join([f"{text}, whose channels are added" for text in told])
    lanes = ", ".join([f"({_told(network, shown, lane)})" for lane in item.lanes])
    if item.lanes and not item.is_open:
        node = network.nodes.get(item.id)
        name = node.op.look().name if node else "join"
        return f"the {name} of {lanes}"
    return lanes
