"""What one column of the figure shows of a network: boxes, and the shortcuts around them.

Everything is read off the graph: boxes stand on its main path, and whatever reaches an op of that
path on another way is a shortcut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from archc.backends.figure.text import one_line
from archc.backends.numbers import exactly, in_short
from archc.backends.numbers import shape as _shape
from archc.dataclassing import dataclass
from archc.graph import Folded, Network, Node, Shape, fold_repeats

Size: TypeAlias = tuple[int, int]
"""Height and width of a feature map in pixels; a vector counts as one pixel."""


@dataclass(frozen=True, slots=True)
class Box:
    """A layer that the figure shows.

    ``kind`` is ``conv``, ``pool``, ``fc`` or ``other``; ``size`` is that of its output; ``width``
    is what its colour stands for, its stage's width or in stem and head its own channels, None
    where it has no colour.
    """

    id: str
    kind: str
    label: str
    size: Size
    width: int | None
    tooltip: str


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

    ``mark`` names what it computes (``1x1``), empty for an identity, and ``ops`` are the ids of
    what is on it, from above; ``dotted`` says that the shape changes on it (He et al. 2015,
    Figure 3).
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
    path = [network.nodes[one] for one in network.main_path]
    shown = [rank for rank, node in enumerate(path) if _is_shown(network, node)]
    return Column(
        title=one_line(network.title) or one_line(network.name) or "network",
        description=one_line(network.description),
        totals=_totals(network),
        boxes=tuple([_box(network, path[rank]) for rank in shown]),
        shortcuts=tuple(_shortcuts(network, path, shown)),
        sides=tuple(_sides(network, path, shown)),
    )


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


def _box(network: Network, node: Node) -> Box:
    look = node.op.look()
    width = None
    if look.box == "conv":
        width = network.standings[node.id].width or node.output_shape[0]
    return Box(
        id=node.id,
        kind=look.box,
        label=one_line(look.label),
        size=_size(node.output_shape),
        width=width,
        tooltip="\n".join(_facts(network, node)),
    )


def _facts(network: Network, node: Node) -> Iterator[str]:
    """Lines about a node: its path, its shapes, what it holds and costs."""
    yield node.id
    sources = [_shape(network.nodes[source].output_shape) for source in node.inputs]
    yield f"{', '.join(sources)} → {_shape(node.output_shape)}"
    if node.params:
        yield f"{exactly(node.params)} parameters"
    if node.multiply_adds:
        yield f"{exactly(node.multiply_adds)} multiply-adds"


def _size(shape: Shape) -> Size:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


# Shortcuts


def _shortcuts(network: Network, path: list[Node], shown: list[int]) -> Iterator[Shortcut]:
    """The shortcuts around a main path whose ``shown`` places are boxes, from above."""
    ranks = {node.id: rank for rank, node in enumerate(path)}
    for rank, node in enumerate(path):
        others = [source for source in node.inputs if source != path[rank - 1].id]
        for source in others:
            ops, start = _trace(network, source, ranks)
            name = node.id if len(others) == 1 else f"{node.id}-{source}"
            yield Shortcut(
                id=name,
                leaves=Junction(bisect_right(shown, ranks[start.id]), ranks[start.id]),
                arrives=Junction(bisect_right(shown, rank), rank),
                dotted=start.output_shape != node.output_shape,
                mark=", ".join(_marks(ops)),
                tooltip="\n".join(_shortcut_facts(start, ops, node)),
                ops=tuple([one.id for one in ops]),
            )


def _trace(network: Network, source: str, ranks: Mapping[str, int]) -> tuple[list[Node], Node]:
    """The nodes of a shortcut, from above, and the node of the main path that it starts at."""
    ops: list[Node] = []
    node = network.nodes[source]
    while node.id not in ranks:
        ops.append(node)
        node = network.nodes[network.main_input(node)]
    return ops[::-1], node


def _marks(ops: list[Node]) -> list[str]:
    """What a shortcut computes, in short."""
    return [mark for node in ops if (mark := one_line(node.op.look().mark))]


def _shortcut_facts(start: Node, ops: list[Node], end: Node) -> Iterator[str]:
    if not ops:
        yield "identity shortcut"
    elif _marks(ops):
        yield "projection shortcut: " + ", ".join([node.id for node in ops])
    else:
        yield "shortcut without parameters: " + ", ".join([node.id for node in ops])
    yield f"{_shape(start.output_shape)} → {_shape(end.output_shape)}"
    if params := sum([node.params for node in ops]):
        yield f"{exactly(params)} parameters"
    if multiply_adds := sum([node.multiply_adds for node in ops]):
        yield f"{exactly(multiply_adds)} multiply-adds"


# Side heads


def _sides(network: Network, path: list[Node], shown: list[int]) -> Iterator[Beside]:
    """The side heads, from above."""
    ranks = {node.id: rank for rank, node in enumerate(path)}
    found: dict[int, list[str]] = {}
    for side in network.sides:
        _, start = _trace(network, network.side_source(side), ranks)
        found.setdefault(bisect_right(shown, ranks[start.id]), []).append(side.name)
    for arrow, names in sorted(found.items()):
        facts = ["side head, computed in training alone"]
        for name in names:
            own = [network.nodes[id] for id, side in network.side_of.items() if side == name]
            facts.append(f"{name}: {exactly(sum([node.params for node in own]))} parameters")
        yield Beside(arrow, tuple(names), "\n".join(facts))
