"""What is drawn as one box: parts of a network that are no tree of rows, or that have no room.

Where branches read each other, or lines would cross, the smallest group or block around them is one
box that bears its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from functools import cached_property
from typing import NamedTuple

from archc.backends.figure.tree import Row, Rules, in_rows, tree
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Region, Shape, renamed
from archc.ops import Size, pair
from archc.ops.base import step
from archc.ops.facts import MIXED, NOTHING, POINT, Look, OnnxStep, Reach, Saved, Torch
from archc.ops.traits import Unary

_MAX_INSIDE = 12
"""How many of the layers inside a box its tooltip names."""


@dataclass(frozen=True, slots=True)
class Part(Unary):
    """Several ops as one box: what a group or a block computes, for figures alone.

    ``path`` is where they are, ``inside`` names their layers, ``output`` is the shape that they put
    out. ``is_attention`` says that they weigh tokens by products of tokens.
    """

    kind = "part"
    label: str
    path: str
    inside: str
    learned: int
    products: int
    output: Shape
    stride: Size = 1
    is_attention: bool = False

    channels = MIXED
    torch = Torch(is_module=False)

    def __post_init__(self) -> None:
        """Leave the tuples as they are: a shape is no size."""

    @property
    def puts_features_last(self) -> bool | None:
        """As it reads them."""
        return None

    @property
    def is_product(self) -> bool:
        """Whether it is an attention."""
        return self.is_attention

    @property
    def params(self) -> int:
        """Those of all that is inside."""
        return self.learned

    def multiply_adds(self, output: Shape) -> int:
        """Those of all that is inside."""
        return self.products

    def infer(self, *inputs: Shape) -> Shape:
        """What those inside have been found to put out."""
        return self.output

    def reach(self) -> Reach:
        """Of no use in figures."""
        return POINT

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A box with its name, and its name on a shortcut."""
        return Look(box="other", label=self.label, mark=self.label, words=self.label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing."""
        yield from ()


class _Span(NamedTuple):
    """What arrives at the place ``end`` of the main path: the places that it comes ``of``, and the
    ops ``off`` the path on the way."""

    of: frozenset[int]
    end: int
    off: frozenset[str]

    @property
    def start(self) -> int:
        """The first of the places that it comes of."""
        return min(self.of)

    def belongs(self, start: int, end: int, off: Set[str]) -> bool:
        """Whether it arrives or comes from inside of a stretch of the main path around which the
        other ops go, or shares some of these; what goes around the stretch does not belong to it.
        """
        leaves_inside = any(start < place < end for place in self.of)
        return leaves_inside or start < self.end <= end or bool(self.off & off)


@dataclass(frozen=True)
class Drawn:
    """A network as a figure draws it: its main path, and that as a row of a tree.

    ``holds`` has, by the id of each node that is a `Part`, the ids of the nodes inside.
    """

    network: Network
    path: tuple[str, ...]
    holds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    row: Row = Row("", ())

    @cached_property
    def nodes(self) -> list[Node]:
        """The nodes of the main path, from the image downwards."""
        return [self.network.nodes[id] for id in self.path]

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The places of ids on the main path, from 0."""
        return {id: rank for rank, id in enumerate(self.path)}

    @cached_property
    def _readers(self) -> Mapping[str, Sequence[str]]:
        """The ids that read each value, one that reads it twice standing there twice."""
        readers: dict[str, list[str]] = {id: [] for id in self.network.nodes}
        for node in self.network.nodes.values():
            for source in node.inputs:
                if source in readers:  # or a side head reads what is inside of a box
                    readers[source].append(node.id)
        return readers

    def stage_width(self, id: str) -> int | None:
        """The width of an op's stage, if at least half of the convolutions in its block have it."""
        standing = self.network.standings[id]
        if standing.width is None:
            return None
        widths = self._widths.get((standing.stage, standing.block), ())
        return standing.width if 2 * widths.count(standing.width) >= len(widths) else None

    @cached_property
    def _widths(self) -> Mapping[tuple[int | None, int | None], list[int]]:
        """The widths of the convolutions of each block, but for those on curves and in gates."""
        found: dict[tuple[int | None, int | None], list[int]] = {}
        for id in in_rows(self.row):
            node = self.network.nodes[id]
            standing = self.network.standings[node.id]
            if node.op.look().box == "conv":
                key = (standing.stage, standing.block)
                found.setdefault(key, []).append(node.output_shape[0])
        return found

    def stands_alone(self, ids: Set[str]) -> bool:
        """Whether these read one value of the outside, which in turn reads only one of theirs."""
        sources = {source for id in ids for source in self.network.nodes[id].inputs}
        given = {id for id in ids if any(reader not in ids for reader in self._readers[id])}
        given |= {self.network.output} & ids
        return len(sources - ids) == len(given) == 1

    def ends(self, ids: Set[str]) -> tuple[str, str]:
        """The value that ops read which go together, and the one of theirs that is read."""
        ranks = [self.ranks[id] for id in ids if id in self.ranks]
        if ranks:
            return self.path[min(ranks) - 1], self.path[max(ranks)]
        (entry,) = {one for id in ids for one in self.network.nodes[id].inputs} - ids
        (exit_,) = [id for id in ids if any(reader not in ids for reader in self._readers[id])]
        return entry, exit_

    def trunk(self, entry: str, end: str) -> list[Node]:
        """The ops from one value to another that is computed from it, without the first."""
        found = [self.network.nodes[end]]
        while (before := self.network.main_input(found[-1])) != entry:
            found.append(self.network.nodes[before])
        return found[::-1]

    def _off_path(self, sources: Iterable[str]) -> set[str]:
        """These values and all that they are computed from, down to the main path."""
        found: set[str] = set()
        left = list(sources)
        while left:
            id = left.pop()
            if id not in found and id not in self.ranks:
                found.add(id)
                left += self.network.nodes[id].inputs
        return found

    def section(self, ids: Set[str]) -> frozenset[str]:
        """The least stretch of the main path that has these ops, and what goes around inside."""
        spans = [self._span(rank) for rank, node in enumerate(self.nodes) if len(node.inputs) > 1]
        inside = [span for span in spans if self.path[span.end] in ids or span.off & ids]
        while True:
            start, end = min(span.start for span in inside), max(span.end for span in inside)
            off = frozenset[str]().union(*[span.off for span in inside])
            more = [span for span in spans if span.belongs(start, end, off) and span not in inside]
            if not more:
                return off.union(self.path[start + 1 : end + 1])
            inside += more

    def _span(self, end: int) -> _Span:
        """What goes around into the op at a place of the main path."""
        node = self.nodes[end]
        off = self._off_path(node.inputs)
        read = {source for id in off for source in self.network.nodes[id].inputs}
        of = [self.ranks[id] for id in read.union(node.inputs) if id in self.ranks]
        return _Span(frozenset(of), end, frozenset(off))


def _joined(groups: Iterable[Set[str]]) -> list[frozenset[str]]:
    """The groups, those that have something in common as one."""
    place: dict[str, set[str]] = {}
    for group in groups:
        common = list({id(found): found for one in group if (found := place.get(one))}.values())
        joined = max(common, key=len, default=set())
        for new in (group - joined, *[other for other in common if other is not joined]):
            joined |= new
            place.update(dict.fromkeys(new, joined))
    return [frozenset(one) for one in {id(one): one for one in place.values()}.values()]


def drawn(
    network: Network,
    rules: Rules,
    refuse: Callable[[Network, Row], Iterable[Set[str]]] = lambda network, row: (),
    *,
    keep_block: bool = False,
) -> Drawn:
    """The network as it is drawn, with boxes for what is no tree, and for what a figure refuses:
    the ids of each such part of a row.

    With ``keep_block`` a block is not drawn as one box where a part of it would do.
    """
    found = _with_attentions(Drawn(network, network.main_path), rules)
    while True:
        row, wrong = tree(found.network, found.path, rules)
        wrong = wrong or [frozenset(ids) for ids in refuse(found.network, row)]
        if not wrong:
            return replace(found, row=row)
        found = _collapse(found, _enclosures(found, wrong, keep_block))


def _with_attentions(found: Drawn, rules: Rules) -> Drawn:
    """The network with all that an attention computes, from queries, keys and values on, as one box
    each: how these are laid out is no branch that anyone would draw."""
    network = found.network
    new: dict[str, Node] = {}
    holds: dict[str, frozenset[str]] = {}
    gone: set[str] = set()
    for node in [*network.nodes.values()][::-1] if network.products else ():
        if not node.op.is_product or node.id in gone:
            continue
        ids = _attention(found, node, rules)
        inside = [network.nodes[id] for id in network.nodes if id in ids]
        attends = node.op.kind == "attention" or any("softmax" in one.op.called for one in inside)
        if len(ids) < 2 or not attends:
            continue
        sources = {one: None for each in inside for one in each.inputs if one not in ids}
        part = Part(
            label="attention",
            path=node.id,
            inside=", ".join(one.op.called for one in inside if one.op.is_product),
            learned=sum(one.params for one in inside),
            products=sum(one.multiply_adds for one in inside),
            output=node.output_shape,
            is_attention=True,
        )
        new[node.id] = node._replace(op=part, inputs=tuple(sources))
        holds[node.id] = frozenset(ids)
        gone |= ids - {node.id}
    if not new:
        return found
    nodes = {id: new.get(id, node) for id, node in network.nodes.items() if id not in gone}
    regions = renamed(network.regions, {id: id for id in nodes})
    made = replace(network, nodes=nodes, regions=regions)
    return Drawn(made, made.main_path, holds)


def _attention(found: Drawn, end: Node, rules: Rules) -> set[str]:
    """A product with the ops without boxes that only it needs, as far as these come together."""
    nodes = found.network.nodes
    ids: set[str] = set()
    left = [end.id]
    while left:
        id = left.pop()
        node = nodes[id]
        if id in ids or not node.inputs or (id != end.id and rules.is_box(node)):
            continue
        ids.add(id)
        left += node.inputs
    while lost := {
        id for id in ids - {end.id} if any(reader not in ids for reader in found._readers[id])
    }:
        ids -= lost
    while True:
        sources = {one for id in ids for one in nodes[id].inputs if one not in ids}
        readers = [id for id in ids if sources & {*nodes[id].inputs}]
        if len(sources) != 1 or len(readers) != 1 or readers[0] == end.id:
            return ids
        ids -= {*readers}


class _Enclosure(NamedTuple):
    name: str
    path: str
    ids: frozenset[str]


def _enclosures(found: Drawn, wrong: Iterable[Set[str]], keep_block: bool) -> list[_Enclosure]:
    """What to draw as one box each, none overlapping another, around all that is wrong."""
    around: dict[str, tuple[Region, ...]] = {}
    _note_regions(found.network.regions, (), around)
    candidates = [_enclosure(found, ids, around, keep_block) for ids in _joined(wrong)]
    chosen: list[_Enclosure] = []
    taken: set[str] = set()
    for candidate in sorted(candidates, key=lambda candidate: -len(candidate.ids)):
        if taken.isdisjoint(candidate.ids):
            chosen.append(candidate)
            taken |= candidate.ids
    return chosen


def _note_regions(
    members: Iterable[Region | str],
    outer: tuple[Region, ...],
    around: dict[str, tuple[Region, ...]],
) -> None:
    """Note for every node the regions around it, the outermost first."""
    for member in members:
        if isinstance(member, str):
            around[member] = outer
        else:
            _note_regions(member.members, (*outer, member), around)


def _enclosure(
    found: Drawn,
    ids: Set[str],
    around: Mapping[str, tuple[Region, ...]],
    keep_block: bool,
) -> _Enclosure:
    """The smallest group or block with a name around these ops, otherwise the stretch of the main
    path that has them."""
    first, *others = [around.get(id, ()) for id in ids]
    for depth in range(len(first) - 1, -1, -1):
        region = first[depth]
        if not all(len(other) > depth and other[depth] is region for other in others):
            continue
        name = _name(region)
        if not name:
            continue
        inside = frozenset(region.nodes)
        if found.stands_alone(inside):
            part = found.section(ids) if keep_block and region.kind == "block" else inside
            path = region.path or ""
            if part < inside:
                return _Enclosure(f"{name} branches", path, part)
            return _Enclosure(name, path, inside)
    return _Enclosure("branches", "", found.section(ids))


def _name(region: Region) -> str:
    """What a group or a block is called; "" for a region that is neither, or has no name."""
    if region.kind not in ("group", "block"):
        return ""
    name = region.label or (region.path or "").rpartition(".")[2]
    return "" if name.isdigit() else name


def _collapse(found: Drawn, enclosures: Iterable[_Enclosure]) -> Drawn:
    network, holds = found.network, dict(found.holds)
    places = {id: place for place, id in enumerate(network.nodes)}
    new: dict[str, Node] = {}
    gone: set[str] = set()
    for enclosure in enclosures:
        inside = [network.nodes[id] for id in sorted(enclosure.ids, key=places.__getitem__)]
        entry, exit_ = found.ends(enclosure.ids)
        part = _part(enclosure, inside, found.trunk(entry, exit_), network.extents[exit_].features)
        new[exit_] = Node(exit_, part, (entry,), network.nodes[exit_].output_shape)
        gone |= enclosure.ids - {exit_}
        within = [holds.pop(id, frozenset([id])) for id in enclosure.ids]
        holds[exit_] = frozenset().union(*within)
    nodes = {id: new.get(id, node) for id, node in network.nodes.items() if id not in gone}
    regions = renamed(network.regions, {id: id for id in nodes})
    path = tuple([id for id in found.path if id not in gone])
    return Drawn(replace(network, nodes=nodes, regions=regions), path, holds)


def _inside(nodes: Sequence[Node]) -> str:
    """What the layers in a box are."""
    labels = [label for node in nodes if (label := node.op.look().label)]
    if len(labels) > _MAX_INSIDE:
        labels[_MAX_INSIDE:] = [f"and {len(labels) - _MAX_INSIDE} more"]
    return "; ".join(labels)


def _part(
    enclosure: _Enclosure, inside: Sequence[Node], trunk: Sequence[Node], features: int
) -> Part:
    shape = trunk[-1].output_shape
    strides = [pair(getattr(node.op, "stride", 1)) for node in trunk]
    rows, columns = math.prod(high for high, _ in strides), math.prod(wide for _, wide in strides)
    stride = rows if rows == columns else (rows, columns)
    return Part(
        label=f"{enclosure.name}, {features}{step(stride)}",
        path=enclosure.path or trunk[-1].id,
        inside=_inside(inside),
        learned=sum(node.params for node in inside),
        products=sum(node.multiply_adds for node in inside),
        output=shape,
        stride=stride,
    )
