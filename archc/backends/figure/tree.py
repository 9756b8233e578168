"""What a figure draws of a network as a tree: rows of ops, and what goes around and beside them.

A row is a run of ops, each reading the one before. The first row is the network's main path. Where
ways come together, a row has a `Join`: what reaches it on a way without boxes is a curve around the
row, what has boxes is a lane, and then the stretch of the row between is a lane, too. A `Gate` is a
way that weighs the value it leaves from. A `Bus` is a run of layers each of which appends its
channels to all those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from archc.dataclassing import dataclass
from archc.graph import Network, Node


class Layer(NamedTuple):
    """An op of a row; whether anything is drawn for it, the op says."""

    id: str


class Gate(NamedTuple):
    """A product with what is computed beside the row from the same value (squeeze-and-excitation).

    ``ops`` are the ids of all that is computed there; ``inside`` has them as a row.
    """

    id: str
    ops: tuple[str, ...]
    inside: Row


class Join(NamedTuple):
    """An op where ways come together: those of the row's curves that arrive there, and ``lanes``.

    The ``trunk`` is the lane that belongs to the row. One that ``is_open`` is no op of its own:
    its lanes run on into the op that they all reach, around it. ``alike`` has for each lane those
    that are equal to it and left out, ``merged`` the ids of ops of its kind that are one with it.
    """

    id: str
    lanes: tuple[Row, ...] = ()
    trunk: int = 0
    is_open: bool = False
    alike: tuple[tuple[Row, ...], ...] = ()
    merged: tuple[str, ...] = ()


class Bus(NamedTuple):
    """Layers in a row, each reading the channels of all before; ``joins`` are where they append
    theirs. It represents ``times`` layers where equal ones are drawn once."""

    layers: tuple[Row, ...]
    joins: tuple[str, ...]
    times: int = 0


Item: TypeAlias = "Layer | Gate | Join | Bus"


class Way(NamedTuple):
    """A curve from the value after the first ``leaves`` items of its row to the item ``arrives``.

    ``source`` is the value that arrives; ``ops`` are those on the way, from above.
    """

    source: str
    ops: tuple[str, ...]
    leaves: int
    arrives: int


class Row(NamedTuple):
    """Items, one after another, and the ways around them; ``start`` is the value that comes in."""

    start: str
    items: tuple[Item, ...]
    ways: tuple[Way, ...] = ()


def rows_in(item: Item) -> tuple[Row, ...]:
    """The rows inside an item."""
    if isinstance(item, Gate):
        return (item.inside,)
    if isinstance(item, Join):
        return item.lanes
    return item.layers if isinstance(item, Bus) else ()


def in_rows(row: Row) -> Iterator[str]:
    """The ids of the ops in a row and in its lanes, without those around and in gates."""
    for item in row.items:
        if isinstance(item, Layer):
            yield item.id
        elif not isinstance(item, Gate):
            yield from (id for inner in rows_in(item) for id in in_rows(inner))


def layers_of(row: Row) -> Iterator[str]:
    """The ids of all ops of a row, those inside and around included."""
    for item in row.items:
        if isinstance(item, Layer):
            yield item.id
        elif isinstance(item, Gate):
            yield from (*item.ops, item.id)
        elif isinstance(item, Join):
            left_out = [lane for equal in item.alike for lane in equal]
            yield from (id for lane in (*item.lanes, *left_out) for id in layers_of(lane))
            yield from item.merged
            if not item.is_open:
                yield item.id
        else:
            yield from (id for layer in item.layers for id in layers_of(layer))
            yield from item.joins
    yield from (id for way in row.ways for id in way.ops)


@dataclass(frozen=True)
class Rules:
    """What a figure can draw: which ops are boxes, and which ops fit beside a curve."""

    is_box: Callable[[Node], bool]
    fits_curve: Callable[[Sequence[Node], Node], bool]


def tree(network: Network, path: Sequence[str], rules: Rules) -> tuple[Row, list[frozenset[str]]]:
    """The row of a network's main path; and, where parts of it are no tree or would cross, the ids
    of each such part, in which case the row is not to be used."""
    builder = _Builder(network, rules)
    row = builder.row(path, frozenset(network.nodes) - frozenset(path))
    return row, builder.wrong


class _Arrival(NamedTuple):
    """What reaches an op of a row from beside: the values, the ops on the way, and the place of
    the row that these start from."""

    sources: tuple[str, ...]
    ops: frozenset[str]
    leaves: int


@dataclass
class _Builder:
    network: Network
    rules: Rules
    wrong: list[frozenset[str]] = field(default_factory=list)

    @cached_property
    def readers(self) -> Mapping[str, list[str]]:
        """The ids that read each value in inference."""
        readers: dict[str, list[str]] = {id: [] for id in self.network.nodes}
        for node in self.network.nodes.values():
            if node.id not in self.network.side_of:
                for source in node.inputs:
                    readers.setdefault(source, []).append(node.id)
        return readers

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The places of ids in the network."""
        return {id: place for place, id in enumerate(self.network.nodes)}

    # One row

    def row(self, path: Sequence[str], beside: Set[str]) -> Row:
        """The row of these ids, the first being the value that comes in; ``beside`` are the ops
        that may be around it."""
        arrivals = self._arrivals(path, beside)
        if self.wrong:
            return Row(path[0], ())
        curves: list[tuple[int, _Arrival]] = []
        fans: dict[int, tuple[int, list[_Arrival]]] = {}
        gates: dict[int, _Arrival] = {}
        for rank, found in arrivals.items():
            self._sort(path, rank, found, curves, fans, gates)
        self._check(path, curves, fans)
        if self.wrong:
            return Row(path[0], ())
        return self._assemble(path, curves, fans, gates)

    def _arrivals(self, path: Sequence[str], beside: Set[str]) -> dict[int, list[_Arrival]]:
        """What reaches each place of a row from beside it."""
        ranks = {id: rank for rank, id in enumerate(path)}
        found: dict[int, list[_Arrival]] = {}
        owner: dict[str, tuple[int, frozenset[str]]] = {}
        for rank in range(1, len(path)):
            node = self.network.nodes[path[rank]]
            if len(node.inputs) < 2:
                continue
            if len({*node.inputs}) < len(node.inputs):
                self.wrong.append(frozenset([node.id]))
                continue
            others = [source for source in node.inputs if source != path[rank - 1]]
            for sources, ops in self._grouped(others, ranks):
                at = frozenset([node.id, *ops])
                read = {one for id in ops for one in self.network.nodes[id].inputs} | {*sources}
                places = {ranks[one] for one in read if one in ranks}
                shared = [owner[id] for id in ops if id in owner]
                for other, others_ops in shared:
                    self.wrong.append(at | others_ops | {path[other]})
                owner |= dict.fromkeys(ops, (rank, ops))
                if not ops <= beside or len(places) != 1 or self._is_read_elsewhere(ops, node.id):
                    self.wrong.append(at)
                else:
                    found.setdefault(rank, []).append(_Arrival(sources, ops, places.pop()))
        return found

    def _grouped(
        self, sources: Sequence[str], ranks: Mapping[str, int]
    ) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
        """Values with the ops between them and the row, those together that share some."""
        groups: list[tuple[list[str], set[str]]] = []
        for source in sources:
            own = self._above([source], ranks)
            together = [group for group in groups if group[1] & own]
            merged = ([one for group in together for one in group[0]] + [source], own)
            for group in together:
                merged[1].update(group[1])
                groups.remove(group)
            groups.append(merged)
        for names, ops in groups:
            yield tuple(names), frozenset(ops)

    def _above(self, sources: Iterable[str], stop: Mapping[str, int]) -> set[str]:
        """These values and all that they are computed from, as far as the row."""
        found: set[str] = set()
        left = list(sources)
        while left:
            id = left.pop()
            if id not in found and id not in stop:
                found.add(id)
                left += self.network.nodes[id].inputs
        return found

    def _is_read_elsewhere(self, ops: Set[str], end: str) -> bool:
        """Whether something beside the op that they reach reads what these compute."""
        return any(reader not in ops and reader != end for id in ops for reader in self.readers[id])

    # What each arrival is

    def _sort(
        self,
        path: Sequence[str],
        rank: int,
        found: list[_Arrival],
        curves: list[tuple[int, _Arrival]],
        fans: dict[int, tuple[int, list[_Arrival]]],
        gates: dict[int, _Arrival],
    ) -> None:
        """Decide what is a curve, what a lane and what a gate."""
        node = self.network.nodes[path[rank]]
        boxed = [one for one in found if self._boxes(one.ops)]
        branches = [one for one in boxed if not self._is_curve(one, node)]
        if len(found) == 1 and self._is_gate(path, rank, found[0]):
            gates[rank] = found[0]
            return
        if branches:
            leaves = {one.leaves for one in branches}
            start = min(leaves)
            lanes = [one for one in boxed if one in branches or one.leaves == start]
            inside = path[start + 1 : rank]
            is_product = node.op.kind == "multiply"  # of a value with what is computed from it
            if len(leaves) > 1 or not (self._boxes(inside) or is_product):
                self.wrong.append(frozenset([node.id]).union(*[one.ops for one in branches]))
                return
            fans[rank] = (start, lanes)
            found = [one for one in found if one not in lanes]
        for one in found:
            if not self._is_curve(one, node):
                self.wrong.append(one.ops | {node.id})
            curves.append((rank, one))

    def _boxes(self, ids: Iterable[str]) -> list[Node]:
        nodes = [self.network.nodes[id] for id in ids]
        return [node for node in nodes if self.rules.is_box(node)]

    def _is_curve(self, arrival: _Arrival, end: Node) -> bool:
        """Whether it is a chain that a curve can show."""
        chain = self._chain(arrival)
        return chain is not None and self.rules.fits_curve(chain, end)

    def _chain(self, arrival: _Arrival) -> list[Node] | None:
        """Its ops from above, where each reads the one before."""
        nodes = [self.network.nodes[id] for id in sorted(arrival.ops, key=self.order.__getitem__)]
        if len(arrival.sources) > 1 or any(len(node.inputs) > 1 for node in nodes):
            return None
        follow = all(after.inputs == (before.id,) for before, after in pairwise(nodes))
        return nodes if follow else None

    def _is_gate(self, path: Sequence[str], rank: int, arrival: _Arrival) -> bool:
        """Whether a product weights the value that the arrival leaves from: by channel, by position
        or by what a single layer computes."""
        node = self.network.nodes[path[rank]]
        boxes = self._boxes(arrival.ops)
        if node.op.kind != "multiply" or arrival.leaves != rank - 1 or len(arrival.sources) > 1:
            return False
        shape = self.network.nodes[arrival.sources[0]].output_shape
        is_small = shape[0] == 1 or all(side == 1 for side in shape[1:])
        return len(boxes) == 1 or (bool(boxes) and is_small)

    # What goes together

    def _check(
        self,
        path: Sequence[str],
        curves: Sequence[tuple[int, _Arrival]],
        fans: Mapping[int, tuple[int, list[_Arrival]]],
    ) -> None:
        """Find lanes that overlap, and curves that would cross lanes or each other."""
        spans = [(one.leaves, -arrives, False, one.ops) for arrives, one in curves]
        for arrives, (start, own) in fans.items():
            spans.append((start, -arrives, True, frozenset().union(*[one.ops for one in own])))
        open_: list[tuple[int, int, bool, frozenset[str]]] = []
        for span in sorted(spans, key=lambda span: span[:3]):
            start, end, _, ops = span[0], -span[1], span[2], span[3]
            open_ = [other for other in open_ if -other[1] > start]
            for other in open_:
                until = -other[1]
                # Lanes end with their join, which nothing from within them may reach as a curve.
                beyond = end >= until if other[2] else end > until
                if other[0] < start and beyond:
                    self.wrong.append(ops | other[3] | {path[end], path[until]})
            open_.append(span)

    # Putting it together

    def _assemble(
        self,
        path: Sequence[str],
        curves: Sequence[tuple[int, _Arrival]],
        fans: Mapping[int, tuple[int, list[_Arrival]]],
        gates: Mapping[int, _Arrival],
    ) -> Row:
        outer = {start: end for end, (start, _) in sorted(fans.items())}
        items: list[Item] = []
        places = {0: 0}
        joins = {rank for rank, _ in curves}
        rank = 0
        while rank < len(path) - 1:
            if rank in outer:
                end = outer[rank]
                items.append(self._fan(path, rank, end, fans[end][1], curves))
            else:
                end = rank + 1
                items.append(self._single(path, end, gates, end in joins))
            rank = end
            places[rank] = len(items)
        ways = []
        for arrives, one in curves:
            if one.leaves in places and arrives in places:
                chain = self._chain(one) or ()
                (source,) = one.sources
                ops = tuple([node.id for node in chain])
                ways.append(Way(source, ops, places[one.leaves], places[arrives] - 1))
        row = Row(path[0], tuple(items), tuple(ways))
        return _with_buses(row, self.network, lambda layer: bool(self._boxes(layers_of(layer))))

    def _single(
        self, path: Sequence[str], rank: int, gates: Mapping[int, _Arrival], is_join: bool
    ) -> Item:
        if rank in gates:
            gate = gates[rank]
            inside = self._lane(path[rank - 1], gate.sources[0], gate.ops)
            ops = tuple(sorted(gate.ops, key=self.order.__getitem__))
            return Gate(path[rank], ops, inside)
        return Join(path[rank]) if is_join else Layer(path[rank])

    def _fan(
        self,
        path: Sequence[str],
        start: int,
        end: int,
        arrivals: Sequence[_Arrival],
        curves: Sequence[tuple[int, _Arrival]],
    ) -> Join:
        """Lanes from one value of the row to the op where they meet, in the order of its inputs."""
        node = self.network.nodes[path[end]]
        stretch = path[start:end]
        around = (
            frozenset().union(  # what the stretch's own ops read from beside it
                self._above(stretch[1:], dict.fromkeys(path[: start + 1], 0))
            )
            - frozenset(stretch)
        )
        lanes: list[tuple[int, Row, bool]] = []
        order = {source: place for place, source in enumerate(node.inputs)}
        lanes.append((order[path[end - 1]], self.row(stretch, around), True))
        for one in arrivals:
            place = min(order[source] for source in one.sources)
            lanes.append((place, self._lanes_of(path[start], one, node), False))
        has_curve = any(arrives == end for arrives, _ in curves)
        whole = [row for _, row, _ in lanes]
        lanes = [
            (place, _flattened(row, node, self.network), is_trunk)
            for place, row, is_trunk in sorted(lanes, key=lambda lane: lane[0])
        ]
        trunk = next(number for number, lane in enumerate(lanes) if lane[2])
        rows = tuple([row for _, row, _ in lanes])
        merged = tuple([_end(row) for row in whole if not any(row is one for one in rows)])
        join = Join(node.id, rows, trunk, merged=merged)
        return _without_equals(join if has_curve else _spliced(join), self.network)

    def _lanes_of(self, start: str, arrival: _Arrival, end: Node) -> Row:
        """An arrival as a lane; one of several values forks where their ways part."""
        if len(arrival.sources) == 1:
            return self._lane(start, arrival.sources[0], arrival.ops)
        paths = [self._path(start, source) for source in arrival.sources]
        common = 0
        while all(len(one) > common + 1 for one in paths) and (
            len({one[common + 1] for one in paths}) == 1
        ):
            common += 1
        fork = paths[0][common]
        above = self._above([fork], {start: 0})
        rest = arrival.ops - above
        lanes = []
        for source in arrival.sources:
            own = self._above([source], {fork: 0})
            lanes.append(self._lane(fork, source, own))
        ids = [id for lane in lanes for id in layers_of(lane)]
        if end.op.kind not in ("add", "concat") or sorted(ids) != sorted(rest):
            self.wrong.append(arrival.ops | {end.id})
            return Row(start, ())
        row = self.row(paths[0][: common + 1], frozenset(above))
        return row._replace(items=(*row.items, Join(end.id, tuple(lanes), is_open=True)))

    def _lane(self, start: str, end: str, ops: Set[str]) -> Row:
        """The row between two values, made of these ops."""
        path = self._path(start, end)
        return self.row(path, frozenset(ops) - {*path})

    def _path(self, start: str, end: str) -> list[str]:
        """The trunk from one value to another that is computed from it."""
        path = [end]
        while path[-1] != start:
            node = self.network.nodes[path[-1]]
            if not node.inputs:
                self.wrong.append(frozenset([end]))
                break
            path.append(self.network.main_input(node) if len(node.inputs) > 1 else node.inputs[0])
        return path[::-1]


def _flattened(row: Row, end: Node, network: Network) -> Row:
    """A lane that ends in a concatenation, or a sum, which only another of its kind reads, without
    the inner one: its lanes run on into the outer."""
    last = row.items[-1] if row.items else None
    if not isinstance(last, Join) or not last.lanes or last.is_open:
        return row
    same = end.op.kind in ("concat", "add") and network.nodes[last.id].op.kind == end.op.kind
    if not same or any(way.arrives == len(row.items) - 1 for way in row.ways):
        return row
    return row._replace(items=(*row.items[:-1], last._replace(is_open=True)))


def _end(row: Row) -> str:
    """The op of the join that a row ends with."""
    last = row.items[-1]
    assert isinstance(last, Join)
    return last.id


def _spliced(join: Join) -> Join:
    """Lanes that are nothing but lanes which run on, among those around them."""
    lanes: list[Row] = []
    trunk = 0
    for number, lane in enumerate(join.lanes):
        inner = lane.items[0] if len(lane.items) == 1 else None
        own, first = [lane], lane
        if isinstance(inner, Join) and inner.is_open:
            own = [*inner.lanes, *[one for equal in inner.alike for one in equal]]
            first = inner.lanes[inner.trunk]
        if number == join.trunk:
            trunk = len(lanes) + own.index(first)
        lanes += own
    return join._replace(lanes=tuple(lanes), trunk=trunk)


def _without_equals(join: Join, network: Network) -> Join:
    """Of lanes that compute the same from the same value with weights of their own, the first."""
    found: dict[object, list[Row]] = {}
    for lane in join.lanes:
        found.setdefault(_form(lane, network), []).append(lane)
    groups = list(found.values())
    trunk = next(i for i, group in enumerate(groups) if join.lanes[join.trunk] in group)
    lanes = tuple([group[0] for group in groups])
    return join._replace(
        lanes=lanes, trunk=trunk, alike=tuple([tuple(group[1:]) for group in groups])
    )


def _form(row: Row, network: Network) -> object:
    """What equal lanes have in common: ops, shapes and wiring."""
    nodes = [network.nodes[id] for id in layers_of(row)]
    ops = tuple([(node.op.alike(), node.output_shape) for node in nodes])
    wiring = tuple(
        [(type(item), *[_form(one, network) for one in rows_in(item)]) for item in row.items]
    )
    return ops, wiring, tuple([(len(way.ops), way.leaves, way.arrives) for way in row.ways])


def last_op(item: Item) -> str:
    """The op that an item of a row ends with."""
    return item.joins[-1] if isinstance(item, Bus) else item.id


# Buses


def _with_buses(row: Row, network: Network, is_drawn: Callable[[Row], bool]) -> Row:
    """The row with runs of layers that each append channels, as buses."""
    starts = {way.arrives: way.leaves for way in row.ways if _appends(row, way, network)}
    runs: list[list[int]] = []
    for arrives in sorted(starts):
        if runs and starts[arrives] == runs[-1][-1] + 1:
            runs[-1].append(arrives)
        else:
            runs.append([arrives])
    for run in reversed(runs):
        if len(run) > 1:
            row = _with_bus(row, starts[run[0]], run, is_drawn)
    return row


def _appends(row: Row, way: Way, network: Network) -> bool:
    """Whether a way takes a value as it is into a concatenation that nothing else reaches."""
    join = row.items[way.arrives]
    return (
        isinstance(join, Join)
        and not join.lanes
        and not way.ops
        and network.nodes[join.id].op.kind == "concat"
        and sum(one.arrives == way.arrives for one in row.ways) == 1
    )


def _with_bus(row: Row, start: int, run: Sequence[int], is_drawn: Callable[[Row], bool]) -> Row:
    """The row in which a run of such concatenations, the first appending to the value ``start``,
    is one item; the row itself, where other ways lead in or out."""
    end = run[-1] + 1
    bounds = [start, *[arrives + 1 for arrives in run]]
    layers: list[Row] = []
    kept = [way for way in row.ways if _is_outside(way, start, end)]
    inner = [way for way in row.ways if way not in kept and way.arrives not in run]
    for first, last in pairwise(bounds):
        own = [way for way in inner if first <= way.leaves and way.arrives < last - 1]
        inner = [way for way in inner if way not in own]
        moved = tuple([_moved(way, -first, -first) for way in own])
        begin = row.start if first == 0 else getattr(row.items[first - 1], "id", row.start)
        layers.append(Row(begin, row.items[first : last - 1], moved))
    plain = all(isinstance(item, Layer) for layer in layers for item in layer.items)
    if inner or not plain or not all(map(is_drawn, layers)):
        return row
    joins = tuple([row.items[arrives].id for arrives in run])  # type: ignore[union-attr]
    bus = Bus(tuple(layers), joins, len(layers))
    gone = end - start - 1
    ways = [_moved(way, -gone * (way.leaves >= end), -gone * (way.arrives >= end)) for way in kept]
    return Row(row.start, (*row.items[:start], bus, *row.items[end:]), tuple(ways))


def _is_outside(way: Way, start: int, end: int) -> bool:
    """Whether it goes past a stretch of its row, or around it."""
    around = way.leaves <= start and way.arrives >= end
    return way.arrives < start or way.leaves >= end or around


def _moved(way: Way, leaves: int, arrives: int) -> Way:
    return way._replace(leaves=way.leaves + leaves, arrives=way.arrives + arrives)
