"""What one column of the figure shows of a network: boxes, and what goes around and beside them.

Everything is read off the graph: boxes are on its main path or in lanes beside it, and what
reaches an op on a way without boxes is a shortcut. What cannot be drawn like that is one box.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import takewhile

from archc.backends.figure.branches import Drawn, Part, drawn
from archc.backends.figure.font import text_width
from archc.backends.figure.metrics import LARGE
from archc.backends.figure.model import (
    Beside,
    Box,
    Column,
    Glyph,
    Pill,
    Repeat,
    Shortcut,
)
from archc.backends.figure.text import one_line
from archc.backends.figure.tree import (
    Bus,
    Gate,
    Item,
    Join,
    Layer,
    Row,
    Rules,
    Way,
    last_op,
    layers_of,
    rows_in,
)
from archc.backends.numbers import exactly, in_short
from archc.backends.numbers import shape as _shape
from archc.backends.unknown import remarks
from archc.dataclassing import dataclass
from archc.graph import Folded, Network, Node, fold_repeats
from archc.ops import Add

MARK = 8.5
"""Font size of the marks beside shortcuts, for labels of 11."""
MAX_MARKS, MARK_WIDTH = 2, 84.0
"""How many layers may be named beside a shortcut, and how wide their names may be."""

LABEL, LANE_PADDING, LANE_GAP = 11.0, 5.0, 6.0
"""Size of type of labels; from a label in a lane to the edge of its box; from lane to lane."""
MAX_FAN = 245.0
"""How wide lanes may be, side by side; where they are wider, a box with their block's name takes
their place, and the figure of the block shows them."""


def folded_column(
    network: Network, *, with_norms: bool = False, with_all_layers: bool = False
) -> Column:
    """What the figure shows of a network, equal blocks in a row being drawn once; and of layers
    that each append channels one, unless it is ``with_all_layers``."""
    folded = fold_repeats(network)
    shown = column(folded.network, with_norms=with_norms)
    if not with_all_layers:
        shown = _with_short_buses(shown, folded.network)
    return replace(
        shown,
        totals=_totals(network),
        repeats=(*_repeats(shown.boxes, folded), *shown.repeats),
    )


def _with_short_buses(shown: Column, network: Network) -> Column:
    """The column with one layer of each run of layers that look the same and each add channels."""
    items: list[Item] = []
    gone: set[str] = set()
    like: dict[str, frozenset[str]] = {}
    kept: list[tuple[Bus, list[str]]] = []
    for item in shown.row.items:
        labels = _labels(shown, item) if isinstance(item, Bus) else []
        if isinstance(item, Bus) and labels and all(one == labels[0] for one in labels):
            first = item.layers[0]
            gone |= {id for layer in item.layers[1:] for id in layers_of(layer)}
            for first_id, *others in zip(*map(layers_of, item.layers), strict=True):
                like[first_id] = frozenset(others)
            gone |= {*item.joins[:-1]}
            kept.append((item, [one.id for one in first.items if isinstance(one, Layer)]))
            item = item._replace(layers=(first,), joins=item.joins[-1:])
        items.append(item)
    boxes = tuple(
        [replace(box, like=like.get(box.id, box.like)) for box in shown.boxes if box.id not in gone]
    )
    places = {box.id: place for place, box in enumerate(boxes)}
    repeats = []
    for bus, ids in kept:
        drawn_at = [places[id] for id in ids if id in places]
        last, before = (network.nodes[join].output_shape[0] for join in bus.joins[:-3:-1])
        told = f"{bus.times} layers, each of which adds {last - before} channels"
        repeats.append(Repeat(drawn_at[0], drawn_at[-1], bus.times, told, growth=last - before))
    return replace(
        shown,
        row=shown.row._replace(items=tuple(items)),
        boxes=boxes,
        box_of={box.id: box for box in boxes},
        repeats=tuple(repeats),
    )


def _labels(shown: Column, bus: Bus) -> list[list[str]]:
    """The labels of the boxes of each layer."""
    return [
        [shown.box_of[id].label for id in layers_of(layer) if id in shown.box_of]
        for layer in bus.layers
    ]


def column(network: Network, *, with_norms: bool = False) -> Column:
    """What the figure shows of a network; ``with_norms`` names norms, activations and their like
    beside arrows."""
    picture = drawn(network, _rules(network), _too_much)
    shown = replace(
        _with_letters(column_of(picture, with_norms=with_norms), network), totals=_totals(network)
    )
    return replace(shown, word_of=_words_beside(picture, shown)) if with_norms else shown


def _with_letters(shown: Column, network: Network) -> Column:
    """The column in which a block that is one box has the letter that the figure of blocks gives
    it."""
    if not any(box.holds for box in shown.boxes):
        return shown
    from archc.backends.figure.blocks import letters_of

    letters = letters_of(network)
    boxes = {}
    for box in shown.boxes:
        letter = letters.get(box.holds, "")
        name, comma, rest = box.label.partition(",")
        label = f"{name} {letter}{comma}{rest}" if letter else box.label
        boxes[box.id] = replace(box, label=label)
    return replace(shown, boxes=tuple(boxes.values()), box_of=boxes)


NORMS = {"batch norm": "bn", "layer norm": "ln", "group norm": "gn"}
"""Norms in short, as columns with norms name them."""

_COMPARISONS = {"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥"}
_COMPARISONS |= {"equal": "=", "less": "<", "less_or_equal": "≤"}
_COMPARISONS |= {"greater": ">", "greater_or_equal": "≥"}

SIGNS_OF: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(["sub", "rsub"], ("\N{MINUS SIGN}", "difference")),
    "div": ("\N{DIVISION SIGN}", "quotient"),
    "pow": ("^", "power"),
    **{name: (sign, "comparison") for name, sign in _COMPARISONS.items()},
}
"""The signs of what models of other libraries compute of two values, by torch's names and ONNX's,
and what they mean; the name of anything else stands beside its circle."""


def _words_beside(picture: Drawn, shown: Column) -> dict[str, str]:
    """What to say beside arrows of ops that are not drawn otherwise."""
    found = {}
    for id in layers_of(picture.row):
        node = picture.network.nodes[id]
        if (word := _short_word(node)) and not node.op.look().glyph and id not in shown.box_of:
            found[id] = word
    return found


def _short_word(node: Node) -> str:
    """What an op without a box is called beside an arrow."""
    look = node.op.look()
    return NORMS.get(look.word or look.name, look.word)


def column_of(picture: Drawn, *, is_large: bool = False, with_norms: bool = False) -> Column:
    """What a figure shows of a network whose main path is known as a row; one that ``is_large``
    has the circles of sums that curves alone reach, and no word "conv"."""
    network = picture.network
    shown = _Shown(picture, is_large, with_norms)
    shown.read(picture.row, in_lane=False)
    found = Column(
        title=one_line(network.title) or one_line(network.name) or "network",
        description=one_line(network.description),
        totals=(),
        row=picture.row,
        boxes=tuple(shown.boxes.values()),
        shortcuts=tuple(shown.shortcuts.values()),
        box_of=shown.boxes,
        glyph_of=shown.glyphs,
        pill_of=shown.pills,
        shortcut_of=shown.shortcuts,
        times_of=shown.times,
        is_large=is_large,
    )
    return replace(found, sides=tuple(_sides(picture, found)))


def _rules(network: Network) -> Rules:
    """What a column can draw."""
    return Rules(
        is_box=lambda node: shown_in(network, node),
        fits_curve=lambda ops, end: not _is_head(ops, end, network) and fits_curve(ops, network),
    )


def _is_head(ops: Sequence[Node], end: Node, network: Network) -> bool:
    """Whether a way computes one of several outputs: then it is no shortcut, however small."""
    return end.op.kind == "outputs" and any(shown_in(network, node) for node in ops)


def fits_curve(ops: Sequence[Node], network: Network, room: float = 0.0) -> bool:
    """Whether a way is drawn as a curve: one without boxes, or with a single 1x1 convolution or
    pooling. Where there is ``room``, all that is on it is named, otherwise what has a mark."""
    boxes = [node for node in ops if shown_in(network, node)]
    if len(boxes) > 1 or not all(_is_small(node) for node in boxes):
        return False
    if room:
        return text_width(words_of(ops), LARGE.mark) <= room
    marks = _marks(ops)
    return len(marks) <= MAX_MARKS and text_width(", ".join(marks), MARK) <= MARK_WIDTH


def _is_small(node: Node) -> bool:
    look = node.op.look()
    return look.mark == "1x1" or look.box == "pool"


def _too_much(network: Network, row: Row) -> Iterator[frozenset[str]]:
    """Parts of a row that have no room in a column, or would lie on their arrow."""
    for item in row.items:
        for inner in rows_in(item):
            yield from _too_much(network, inner)
        if isinstance(item, Join) and fan_width(network, item) > MAX_FAN:
            yield frozenset(layers_of(Row("", (item,))))
    for way in row.ways:
        item = row.items[way.arrives]
        assert isinstance(item, Join)
        around = row.items[way.leaves : way.arrives]
        is_bare = not item.lanes and is_sum(network.nodes[item.id])
        if is_bare and not any(_is_drawn(network, one) for one in around):
            yield frozenset([item.id, *way.ops])


def _is_drawn(network: Network, item: Item) -> bool:
    if isinstance(item, Layer):
        return shown_in(network, network.nodes[item.id])
    return not isinstance(item, Join) or bool(item.lanes) or not is_sum(network.nodes[item.id])


def fan_width(network: Network, join: Join) -> float:
    """How wide the lanes of a join are, side by side; 0 for one without."""
    if not join.lanes:
        return 0.0
    return sum(_lane_width(network, lane) for lane in join.lanes) + LANE_GAP * (len(join.lanes) - 1)


def _lane_width(network: Network, lane: Row) -> float:
    width = 0.0
    for item in lane.items:
        label = ""
        if isinstance(item, Layer) and shown_in(network, network.nodes[item.id]):
            label = network.nodes[item.id].op.look().label.replace(" conv", "")
        inner = fan_width(network, item) if isinstance(item, Join) else 0.0
        width = max(width, text_width(label, LABEL) + 2 * LANE_PADDING, inner)
    return width


def _totals(network: Network) -> tuple[str, ...]:
    return (
        f"{in_short(network.multiply_adds)} multiply-adds",
        *remarks(network),
        f"{in_short(network.params)} parameters",
    )


def _repeats(boxes: Sequence[Box], folded: Folded) -> Iterator[Repeat]:
    blocks: dict[object, list[int]] = {}
    for place, box in enumerate(boxes):
        standing = folded.network.standings[box.id]
        blocks.setdefault((standing.stage, standing.block), []).append(place)
    for (stage, block), last in folded.runs.items():
        if places := blocks.get((stage, block)):
            told = f"stage {stage}: blocks {block} to {last} are equal"
            yield Repeat(places[0], places[-1], last - block + 1, told)


# What is drawn for each op


@dataclass
class _Shown:
    """Boxes, circles, pills and shortcuts by the ids of their ops, in the order of the tree."""

    picture: Drawn
    is_large: bool
    with_norms: bool
    boxes: dict[str, Box] = field(default_factory=dict)
    glyphs: dict[str, Glyph] = field(default_factory=dict)
    pills: dict[str, Pill] = field(default_factory=dict)
    shortcuts: dict[tuple[str, str], Shortcut] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def read(self, row: Row, *, in_lane: bool) -> None:
        """Note what is drawn for the ops of a row."""
        nodes = self.picture.network.nodes
        for item in row.items:
            if isinstance(item, Layer):
                self._op(nodes[item.id], in_lane)
            elif isinstance(item, Gate):
                self.pills[item.id] = _pill(self.picture.network, item)
                if self.is_large:
                    self.read(item.inside, in_lane=True)
                self.glyphs[item.id] = _glyph(self.picture.network, nodes[item.id])
            elif isinstance(item, Join):
                for number, lane in enumerate(item.lanes):
                    self.read(lane, in_lane=True)
                    self._like(lane, item.alike[number] if item.alike else ())
                if not item.is_open:
                    self._op(nodes[item.id], in_lane, is_sum_drawn=bool(item.lanes))
            else:
                for layer, join in zip(item.layers, item.joins, strict=True):
                    self.read(layer, in_lane=in_lane)
                    self.glyphs[join] = _glyph(self.picture.network, nodes[join])
        arriving = Counter(way.arrives for way in row.ways)
        for way in sorted(row.ways, key=lambda way: (way.arrives, -way.leaves)):
            self._shortcut(row, way, is_alone=arriving[way.arrives] == 1)

    def _op(self, node: Node, in_lane: bool, *, is_sum_drawn: bool = False) -> None:
        if shown_in(self.picture.network, node):
            self.boxes[node.id] = _box(self.picture, node, in_lane, self.is_large)
        elif len(node.inputs) > 1 and (is_sum_drawn or self.is_large or not is_sum(node)):
            self.glyphs[node.id] = _glyph(self.picture.network, node)

    def _like(self, lane: Row, equal: Sequence[Row]) -> None:
        """Note the ops of equal lanes that the boxes of a lane represent."""
        if not equal:
            return
        self.times[last_op(lane.items[-1])] = len(equal) + 1
        for ids in zip(*[layers_of(row) for row in (lane, *equal)], strict=True):
            if ids[0] in self.boxes:
                self.boxes[ids[0]] = replace(self.boxes[ids[0]], like=frozenset(ids[1:]))

    def _shortcut(self, row: Row, way: Way, *, is_alone: bool) -> None:
        nodes = self.picture.network.nodes
        item = row.items[way.arrives]
        assert isinstance(item, Join)
        end, ops = nodes[item.id], [nodes[id] for id in way.ops]
        start = nodes[nodes[way.ops[0]].inputs[0] if way.ops else way.source]
        for node in takewhile(lambda node: node.op.kind == "chunk", ops):
            start = node  # channels that are chosen are as they were
        self.shortcuts[end.id, way.source] = Shortcut(
            id=end.id if is_alone else f"{end.id}-{way.source}",
            dotted=start.output_shape != nodes[way.source].output_shape,
            mark=words_of(ops) if self.is_large else ", ".join(_marks(ops, self.with_norms)),
            tooltip="\n".join(_shortcut_facts(start, ops, end)),
            ops=way.ops,
            place=_place(self.picture.network, end.id),
        )


def words_of(ops: Sequence[Node]) -> str:
    """What a curve computes: ``identity``, ``1x1, 256, /2``, ``avg pool; 1x1, 8, sigmoid``."""
    looks = [node.op.look() for node in ops]
    words = ""
    for node, look in zip(ops, looks, strict=True):
        if text := _mark(node) if node.op.kind == "chunk" else look.words or look.word or look.mark:
            between = "; " if look.box else ", "
            words += between * bool(words) + text
    names = ", ".join([look.name for look in looks if look.name])
    return one_line(words or names) or "identity"


def shown_in(network: Network, node: Node) -> bool:
    """Whether a node is a box: it is of a kind that is, and does something.

    An adaptive pooling to the size that the map has already, as between VGG's features and
    classifier, does nothing.
    """
    if not node.op.look().box:
        return False
    shapes = [network.nodes[source].output_shape for source in node.inputs]
    return network.extents[node.id].places == (1, 1) or node.op.changes(*shapes)


def _box(picture: Drawn, node: Node, in_lane: bool, is_large: bool) -> Box:
    network, look = picture.network, node.op.look()
    channels = width = None
    if look.box == "conv" or (isinstance(node.op, Part) and not node.op.is_product):
        channels = width = network.extents[node.id].features
        if not isinstance(node.op, Part):
            width = picture.stage_width(node.id) or channels
    return Box(
        id=node.id,
        kind=look.box,
        label=one_line(look.label.replace(" conv", "") if in_lane or is_large else look.label),
        size=network.extents[node.id].places,
        width=width,
        channels=channels,
        tooltip="\n".join(_facts(network, node)),
        holds=picture.holds.get(node.id, frozenset()),
        place=_place(network, node.id),
    )


def _place(network: Network, id: str) -> tuple[str, ...]:
    """The stage and the block of an op."""
    standing = network.standings[id]
    if standing.stage is None:
        return ()
    stage = f"stage{standing.stage}"
    return (stage,) if standing.block is None else (stage, f"block{standing.block}")


def _glyph(network: Network, node: Node) -> Glyph:
    look, called = node.op.look(), one_line(node.op.called)
    sign, name = SIGNS_OF.get(called, (look.glyph, look.name or called))
    words = f"{network.extents[node.id].features}-d" if node.op.kind == "concat" else ""
    return Glyph(
        id=node.id,
        glyph=sign or name[:1].upper() or "?",
        words=words if sign else name,
        size=network.extents[node.id].places,
        tooltip=f"{node.id}\n{name} of {len(node.inputs)}",
        place=_place(network, node.id),
    )


def _pill(network: Network, gate: Gate) -> Pill:
    """A gate: squeeze-and-excitation where it is that, or any other."""
    nodes = [network.nodes[id] for id in gate.ops]
    boxes = [node for node in nodes if shown_in(network, node)]
    weights = [node for node in boxes if node.op.look().box in ("conv", "fc")]
    label, explained = "gate", "weights channels or positions"
    if len(boxes) == 3 and len(weights) == 2 and boxes[0].op.look().box == "pool":
        whole, least = weights[1].output_shape[0], weights[0].output_shape[0]
        label, explained = "SE", "squeeze-and-excitation"
        if whole % least == 0:
            explained += f", /{whole // least}"
    looks = [node.op.look() for node in nodes]
    words = ", ".join([one_line(text) for look in looks if (text := look.words or look.word)])
    facts = [words, *_costs(nodes)]
    path = gate.ops[0].rpartition(".")[0]
    tooltip = "\n".join([path, *facts])
    place = _place(network, gate.id)
    return Pill(gate.id, label, explained, tooltip, frozenset(gate.ops), place)


def _facts(network: Network, node: Node) -> Iterator[str]:
    """Lines about a node: its path, its shapes, what it holds and costs."""
    yield node.op.path if isinstance(node.op, Part) else node.id
    sources = [_shape(network.nodes[source].output_shape) for source in node.inputs]
    yield f"{', '.join(sources)} → {_shape(node.output_shape)}"
    if node.params:
        yield f"{exactly(node.params)} parameters"
    if node.multiply_adds:
        yield f"{exactly(node.multiply_adds)} multiply-adds"
    if not node.op.has_rule:
        yield f"no rule for {one_line(node.op.called)}"
    if isinstance(node.op, Part):
        yield f"inside: {one_line(node.op.inside)}"


# Shortcuts


def _marks(ops: Sequence[Node], with_norms: bool = False) -> list[str]:
    """What a shortcut computes, in short: of channels that are chosen, how many; and activations,
    unless they follow a box. ``with_norms`` names norms and all activations."""
    found: list[str] = []
    is_bare = True
    for node in ops:
        look = node.op.look()
        is_bare = is_bare and not look.box
        is_activation = bool(look.word) and not look.words
        word = one_line(look.word) if is_bare and is_activation else ""
        if with_norms:
            word = _short_word(node)
        if mark := _mark(node) or word:
            found.append(mark)
    return found


def _mark(node: Node) -> str:
    if node.op.kind == "chunk":
        parts = node.op.numbers["of"]
        part = "half" if parts == 2 else f"1/{parts}"
        return f"{part}, {node.output_shape[0]}-d"
    return one_line(node.op.look().mark)


def is_sum(node: Node) -> bool:
    """Whether what arrives at a node is added there, as shortcuts of residual networks are."""
    return isinstance(node.op, Add)


def _shortcut_facts(start: Node, ops: Sequence[Node], end: Node) -> Iterator[str]:
    ids = ", ".join([node.id for node in ops])
    params = sum([node.params for node in ops])
    if not is_sum(end):
        yield f"into the {end.op.look().name or end.op.kind}: {ids or 'the value as it is'}"
    elif not ops:
        yield "identity shortcut"
    elif _marks(ops):
        yield f"projection shortcut: {ids}"
    else:
        yield f"shortcut {'with' if params else 'without'} parameters: {ids}"
    yield f"{_shape(start.output_shape)} → {_shape(end.output_shape)}"
    yield from _costs(ops)


def _costs(ops: Sequence[Node]) -> Iterator[str]:
    if params := sum([node.params for node in ops]):
        yield f"{exactly(params)} parameters"
    if multiply_adds := sum([node.multiply_adds for node in ops]):
        yield f"{exactly(multiply_adds)} multiply-adds"


# Side heads


def _sides(picture: Drawn, shown: Column) -> Iterator[Beside]:
    """The side heads, from above."""
    network = picture.network
    found: dict[int, list[str]] = {}
    ends = [picture.ranks[last_op(item)] for item in picture.row.items]
    stops = shown.stops(picture.row)
    for side in network.sides:
        rank = _rank(picture, network.side_source(side))
        found.setdefault(stops[bisect_right(ends, rank)], []).append(side.name)
    for arrow, names in sorted(found.items()):
        facts = ["side head, computed in training alone"]
        for name in names:
            own = [network.nodes[id] for id, side in network.side_of.items() if side == name]
            facts.append(f"{name}: {exactly(sum([node.params for node in own]))} parameters")
        yield Beside(arrow, tuple(names), "\n".join(facts))


def _rank(picture: Drawn, id: str) -> int:
    """The place of the main path that a value is of, or is computed from."""
    while id not in picture.ranks:
        inside = next((part for part, held in picture.holds.items() if id in held), None)
        id = inside or picture.network.main_input(picture.network.nodes[id])
    return picture.ranks[id]
