"""What one column of the figure shows of a network: boxes, and the shortcuts around them.

Everything is read off the graph: boxes stand on its main path, and whatever reaches an op of that
path on another way is a shortcut. What cannot be drawn like that is one box.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from archc.backends.figure.branches import Drawn, Part, Way, crossings, drawn
from archc.backends.figure.font import text_width
from archc.backends.figure.text import one_line
from archc.backends.numbers import exactly, in_short
from archc.backends.numbers import shape as _shape
from archc.dataclassing import dataclass
from archc.graph import Folded, Network, Node, Shape, fold_repeats
from archc.ops import Add

MARK = 8.5
"""Size of type of what stands beside a shortcut."""
MAX_MARKS, MARK_WIDTH = 2, 84.0
"""How many layers may be named beside a shortcut, and how wide their names may be."""

Size: TypeAlias = tuple[int, int]
"""Height and width of a feature map in pixels; a vector counts as one pixel."""


@dataclass(frozen=True, slots=True)
class Box:
    """A layer that the figure shows.

    ``kind`` is ``conv``, ``pool``, ``fc`` or ``other``; ``size`` is that of its output; ``width``
    is what its colour stands for, its stage's width or in stem and head its own channels, None
    where it has no colour. A box that stands for several ops has their ids in ``holds``.
    """

    id: str
    kind: str
    label: str
    size: Size
    width: int | None
    tooltip: str
    holds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class Junction:
    """Where a shortcut meets the main path.

    ``arrow`` counts the boxes above, so arrow 0 comes from the image; ``rank`` orders what meets
    the same arrow, from above.
    """

    arrow: int
    rank: int


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A way around boxes, from ``leaves`` to ``arrives``, into the op called ``id``.

    ``mark`` names what it computes (``1x1``), and at its end what is done with it where that is not
    a sum; it is empty for an identity. ``ops`` are the ids of what is on it, from above; ``dotted``
    says that the shape changes on it (He et al. 2015, Figure 3).
    """

    id: str
    leaves: Junction
    arrives: Junction
    dotted: bool
    mark: str
    tooltip: str
    ops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A block that stands for ``count`` equal ones, its boxes being those from first to last."""

    first: int
    last: int
    count: int
    tooltip: str


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


@dataclass(frozen=True, slots=True)
class Column:
    """A network as the figure shows it, from the image downwards."""

    title: str
    description: str
    totals: tuple[str, ...]
    boxes: tuple[Box, ...]
    shortcuts: tuple[Shortcut, ...]
    repeats: tuple[Repeat, ...] = ()
    sides: tuple[Beside, ...] = ()


def folded_column(network: Network) -> Column:
    """What the figure shows of a network, equal blocks in a row being drawn once."""
    folded = fold_repeats(network)
    shown = column(folded.network)
    return replace(
        shown,
        totals=_totals(network),
        repeats=tuple(_repeats(shown.boxes, folded)),
    )


def column(network: Network) -> Column:
    """What the figure shows of a network."""
    return replace(column_of(drawn(network, _not_drawable)), totals=_totals(network))


def column_of(picture: Drawn) -> Column:
    """What a figure shows of a network whose every way around can be drawn."""
    network, shown = picture.network, _shown(picture)
    return Column(
        title=one_line(network.title) or one_line(network.name) or "network",
        description=one_line(network.description),
        totals=(),
        boxes=tuple([_box(picture, picture.nodes[rank]) for rank in shown]),
        shortcuts=tuple(_shortcuts(picture, shown)),
        sides=tuple(_sides(picture, shown)),
    )


def _not_drawable(picture: Drawn) -> Iterator[Sequence[Way]]:
    """The ways that would leave out a layer, lie on their arrow, or run over another curve.

    Where several leave or arrive at the same arrow, only the innermost is given: once it is gone,
    there may be room for the others.
    """
    yield from crossings(picture.ways)
    shown = _shown(picture)
    met: dict[tuple[bool, int], list[Way]] = {}
    for way in picture.ways:
        leaves, arrives = bisect_right(shown, way.leaves), bisect_right(shown, way.arrives)
        ops = [picture.network.nodes[id] for id in way.ops]
        words = _mark(ops, picture.nodes[way.arrives])
        if (
            leaves == arrives
            or len(_marks(ops)) > MAX_MARKS
            or text_width(words, MARK) > MARK_WIDTH
        ):
            yield [way]
        met.setdefault((True, leaves), []).append(way)
        met.setdefault((False, arrives), []).append(way)
    for ways in met.values():
        if len(ways) > 1:
            yield [min(ways, key=lambda way: way.arrives - way.leaves)]


def _shown(picture: Drawn) -> list[int]:
    """The places of the main path that are boxes."""
    nodes = enumerate(picture.nodes)
    return [rank for rank, node in nodes if _is_shown(picture.network, node)]


def _totals(network: Network) -> tuple[str, ...]:
    return (
        f"{in_short(network.multiply_adds)} multiply-adds",
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


# Boxes


def _is_shown(network: Network, node: Node) -> bool:
    """Whether a node is a box: it is of a kind that is, and does something.

    An adaptive pooling to the size that the map has already, as between VGG's features and
    classifier, does nothing.
    """
    if not node.op.look().box:
        return False
    shapes = [network.nodes[source].output_shape for source in node.inputs]
    return _size(node.output_shape) == (1, 1) or node.op.changes(*shapes)


def _box(picture: Drawn, node: Node) -> Box:
    network, look = picture.network, node.op.look()
    width = None
    if look.box == "conv" or isinstance(node.op, Part):
        width = network.standings[node.id].width or node.output_shape[0]
    return Box(
        id=node.id,
        kind=look.box,
        label=one_line(look.label),
        size=_size(node.output_shape),
        width=width,
        tooltip="\n".join(_facts(network, node)),
        holds=picture.holds.get(node.id, frozenset()),
    )


def _facts(network: Network, node: Node) -> Iterator[str]:
    """Lines about a node: its path, its shapes, what it holds and costs."""
    yield node.op.path if isinstance(node.op, Part) else node.id
    sources = [_shape(network.nodes[source].output_shape) for source in node.inputs]
    yield f"{', '.join(sources)} → {_shape(node.output_shape)}"
    if node.params:
        yield f"{exactly(node.params)} parameters"
    if node.multiply_adds:
        yield f"{exactly(node.multiply_adds)} multiply-adds"
    if isinstance(node.op, Part):
        yield f"inside: {one_line(node.op.inside)}"


def _size(shape: Shape) -> Size:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


# Shortcuts


def _shortcuts(picture: Drawn, shown: list[int]) -> Iterator[Shortcut]:
    """The shortcuts around a main path whose ``shown`` places are boxes, from above."""
    nodes = picture.network.nodes
    arriving = Counter(way.arrives for way in picture.ways)
    for way in picture.ways:
        start, end = picture.nodes[way.leaves], picture.nodes[way.arrives]
        ops = [nodes[id] for id in way.ops]
        yield Shortcut(
            id=end.id if arriving[way.arrives] == 1 else f"{end.id}-{way.source}",
            leaves=Junction(bisect_right(shown, way.leaves), way.leaves),
            arrives=Junction(bisect_right(shown, way.arrives), way.arrives),
            dotted=start.output_shape != nodes[way.source].output_shape,
            mark=_mark(ops, end),
            tooltip="\n".join(_shortcut_facts(start, ops, end)),
            ops=way.ops,
        )


def _marks(ops: Sequence[Node]) -> list[str]:
    """What a shortcut computes, in short."""
    return [mark for node in ops if (mark := one_line(node.op.look().mark))]


def _mark(ops: Sequence[Node], end: Node) -> str:
    """What a shortcut computes, and what is done with it where that is not a sum."""
    return ", ".join([*_marks(ops), *[end.op.kind] * (not is_sum(end))])


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
    if params:
        yield f"{exactly(params)} parameters"
    if multiply_adds := sum([node.multiply_adds for node in ops]):
        yield f"{exactly(multiply_adds)} multiply-adds"


# Side heads


def _sides(picture: Drawn, shown: list[int]) -> Iterator[Beside]:
    """The side heads, from above."""
    network = picture.network
    found: dict[int, list[str]] = {}
    for side in network.sides:
        rank = _rank(picture, network.side_source(side))
        found.setdefault(bisect_right(shown, rank), []).append(side.name)
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
