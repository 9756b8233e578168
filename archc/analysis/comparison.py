"""Two networks side by side: what was added, removed and changed, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any, Literal, TypeAlias

from archc.analysis.exported import FOLDED, as_exported, as_folded, followed
from archc.analysis.footprint import memory
from archc.analysis.parts import has_stages, runs
from archc.analysis.plain import as_plain
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Shape, enclosing
from archc.ops import Op
from archc.shown import Shown

Change: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a network amounts to; memory is in bytes, for one image in float32.

    ``products`` are those of the multiply-adds that multiply values with values, and ``no_rule``
    says how many ops of which names the multiply-adds leave out.
    """

    layers: int
    params: int
    multiply_adds: int
    weights: int
    inference: int
    training: int
    products: int
    no_rule: dict[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A stage, the stem or the head of a network; ``block`` is what its blocks are called."""

    blocks: int
    block: str | None
    output_shape: Shape
    params: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class PartPair:
    """A part of both networks; None where one has no such part."""

    name: str
    a: Part | None
    b: Part | None


@dataclass(frozen=True, slots=True)
class LayerChange:
    """An op that only one network has, or that differs between them.

    ``a`` and ``b`` are its ids in each, ``role`` is what it is within its block, ``what`` says
    how it differs; ``params`` and ``multiply_adds`` are what it has more in ``b``.
    """

    change: Change
    a: str | None
    b: str | None
    op: str
    part: str
    block: int | None
    role: str
    what: tuple[str, ...]
    params: int
    multiply_adds: int


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Shown):
    """Two networks compared; they are the ``same`` if they compile to the same graph."""

    same: bool
    a: str
    b: str
    totals_a: Totals
    totals_b: Totals
    parts: tuple[PartPair, ...]
    changes: tuple[LayerChange, ...]
    renamed: int
    left_out: tuple[str, ...] = ()
    """Kinds of ops that only one network has and that exported models never have."""

    @property
    def rows(self) -> tuple[LayerChange, ...]:
        """The changes, a row each."""
        return self.changes

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return as_plain(self)


def compare(a: Network, b: Network) -> Comparison:
    """Compare two networks, op by op.

    An op is matched with the one that has its role: the same place in the same block of the same
    stage, or just the same id where only one of the networks has stages. Between two that are
    matched, those left over are matched in order with others of their kind: what was only renamed
    is one change. ``renamed`` counts matched ops whose ids differ, as the numbers of a VGG's
    modules do behind one that was added. Two networks are the same whose ops, wiring and ids are,
    whatever they and their parts are called.

    Where one is foreign, ops without tensors may be called anything, ops are matched along the data
    first, and what exporters leave out is left out of both.
    """
    left_out: tuple[str, ...] = ()
    foreign = a.is_foreign or b.is_foreign
    if foreign:
        a, b, left_out = as_exported(a, b)
    flat = has_stages(a) != has_stages(b)
    first, second = _Roles(a, flat), _Roles(b, flat)
    same = _graph(a) == _graph(b)
    # However the same ops are divided into stages, nothing has changed.
    pairs = {} if same else _matched(first, second)
    changes = () if same else tuple(_changes(first, second, pairs))
    return Comparison(
        same=same or (foreign and not changes),
        a=a.name,
        b=b.name,
        totals_a=_totals(a),
        totals_b=_totals(b),
        parts=tuple(
            PartPair(name, first.part(name), second.part(name))
            for name in _merged(first.parts, second.parts)
        ),
        changes=changes,
        renamed=sum(
            one != other
            for one, other in pairs.items()
            if not foreign or a.nodes[one].op.state  # the rest is called anything
        ),
        left_out=left_out,
    )


def compare_as_exported(a: Network, b: Network) -> Comparison:
    """`compare`; where one is a model whose exporter seems to have folded its batch norms, with the
    other in its deploy form, if more agrees then."""
    found = compare(a, b)
    folded = None if found.same else as_folded(a, b)
    if folded is None:
        return found
    other = compare(*folded)
    if len(other.changes) >= len(found.changes):
        return found
    return replace(other, left_out=(FOLDED, *other.left_out))


def _graph(network: Network) -> object:
    nodes = [(n.id, n.op, n.inputs, n.output_shape) for n in network.nodes.values()]
    return nodes, network.sides


def _totals(network: Network) -> Totals:
    needs = memory(network)
    return Totals(
        layers=network.layers,
        params=network.params,
        multiply_adds=network.multiply_adds,
        weights=sum(needs.params.values()),
        inference=needs.inference,
        training=needs.training,
        products=network.products,
        no_rule=dict(network.no_rule),
    )


_Placed: TypeAlias = tuple[str, int | None, Node]
"""A part, a block, and an op in it."""

_Role: TypeAlias = tuple[str, int | None, str, int]
"""A part, a block, the op's place in it, and how many convolutions the block has in a row: blocks
of two and of three have no ops in common."""


class _Roles:
    """A network's ops by the role that they play; in a ``flat`` one parts and blocks are none."""

    def __init__(self, network: Network, flat: bool):
        self.network = network
        self.standings = network.standings
        self.roles: dict[str, _Role] = {}
        self.nodes: dict[_Role, Node] = {}
        self.parts: dict[str, list[Node]] = {}
        self.part_of: dict[str, str] = {}
        self.ends: dict[tuple[str, int | None], str] = {}
        self.weights = {side.result: side.weight for side in network.sides}
        for part, _, nodes in runs(network):
            self.parts.setdefault(part, []).extend(nodes)
            self.part_of.update(dict.fromkeys([node.id for node in nodes], part))
        if flat:
            placed: list[_Placed] = [("", None, node) for node in network.nodes.values()]
        else:
            placed = [
                (self.part_of[id], self.standings[id].block, node)
                for id, node in network.nodes.items()
            ]
        self._name(placed)

    def _name(self, placed: Sequence[_Placed]) -> None:
        used: Counter[tuple[str, int | None, str]] = Counter()
        main = frozenset(self.network.main_path)
        in_a_row: Counter[tuple[str, int | None]] = Counter(
            (part, block)
            for part, block, node in placed
            if block is not None and node.id in main and node.op.is_layer
        )
        prefixes = _prefixes(placed)
        for part, block, node in placed:
            name = node.id.removeprefix(prefixes[part, block])
            if name.isdigit() or (block is None and name.rpartition(".")[2].isdigit()):
                # An op that is only counted (``features.3``) goes by its kind.
                used[part, block, node.op.kind] += 1
                name = f"{node.op.kind} {used[part, block, node.op.kind]}"
            role = (part, block, name, in_a_row[part, block])
            self.roles[node.id] = role
            self.nodes[role] = node
            self.ends[part, block] = node.id

    def read(self, node: Node, source: str) -> str:
        """An op that another reads, by role; the output of what stands before its block is just
        that."""
        part, block, *_ = self.roles[node.id]
        from_part, from_block, name, _ = self.roles[source]
        if (from_part, from_block) == (part, block):
            return name
        if self.ends[from_part, from_block] == source:
            return "the preceding output"
        return f"{name} of {self.part_of[source]}"

    def multiply_adds(self, node: Node) -> int:
        """Those of an op in inference, where side heads are not computed."""
        return 0 if node.id in self.network.side_of else node.multiply_adds

    def part(self, name: str) -> Part | None:
        """What a part of the network amounts to."""
        nodes = self.parts.get(name)
        if nodes is None:
            return None
        standings = [self.standings[node.id] for node in nodes]
        trunk = [node for node in nodes if node.id not in self.network.side_of]
        labels = dict.fromkeys(one.label for one in standings if one.block is not None)
        return Part(
            blocks=len({one.block for one in standings if one.block is not None}),
            block=", ".join(label for label in labels if label) or None,
            output_shape=(trunk or nodes)[-1].output_shape,
            params=sum(n.params for n in nodes),
            multiply_adds=sum(n.multiply_adds for n in trunk),
        )


def _prefixes(placed: Sequence[_Placed]) -> dict[tuple[str, int | None], str]:
    """For each block, what the paths of all its modules begin with."""
    ids: dict[tuple[str, int | None], list[str]] = {}
    for part, block, node in placed:
        ids.setdefault((part, block), []).append(node.id)
    paths = {block: enclosing(members) for block, members in ids.items()}
    return {block: f"{path}." if path else "" for block, path in paths.items()}


def _matched(first: _Roles, second: _Roles) -> dict[str, str]:
    """The ids of ops that are matched, in the order of the first network."""
    pairs: dict[str, str] = {}
    if first.network.is_foreign or second.network.is_foreign:
        pairs = followed(first.network, second.network)
    taken = set(pairs.values())
    for role, node in first.nodes.items():
        same_role = second.nodes.get(role)
        if same_role is not None and node.id not in pairs and same_role.id not in taken:
            pairs[node.id] = same_role.id
    pairs = {id: pairs[id] for id in first.network.nodes if id in pairs}
    left = _left_over(first, {one: one for one in pairs})
    others = _left_over(second, {other: one for one, other in pairs.items()})
    for place, run in left.items():
        other_run = others.get(place, [])
        kinds, other_kinds = ([node.op.called for node in nodes] for nodes in (run, other_run))
        alike = SequenceMatcher(None, kinds, other_kinds, autojunk=False)
        for start, other, size in alike.get_matching_blocks():
            for step in range(size):
                pairs[run[start + step].id] = other_run[other + step].id
    return pairs


def _left_over(roles: _Roles, anchors: Mapping[str, str]) -> dict[object, list[Node]]:
    """The ops that are not matched, by the block that they are in and the matched op before them,
    which goes by its id in the first network."""
    found: dict[object, list[Node]] = {}
    anchor = ""
    for id, (part, block, _, in_a_row) in roles.roles.items():
        if id in anchors:
            anchor = anchors[id]
        else:
            key = (part, block, in_a_row, anchor)
            found.setdefault(key, []).append(roles.network.nodes[id])
    return found


def _merged(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """The parts of both networks in order: the head last."""
    names = list(dict.fromkeys([*first, *second]))
    return sorted(names, key=lambda name: ("head" in name, name != "stem", len(name), name))


def _changes(first: _Roles, second: _Roles, pairs: Mapping[str, str]) -> Iterator[LayerChange]:
    matched = frozenset(pairs.values())
    for part in _merged(first.parts, second.parts):
        for node in first.parts.get(part, ()):
            if node.id not in pairs:
                yield _one_sided("removed", node, first)
                continue
            other = second.network.nodes[pairs[node.id]]
            if what := tuple(_differences(node, other, first, second, pairs)):
                yield LayerChange(
                    change="changed",
                    a=node.id,
                    b=other.id,
                    op=other.op.called,
                    part=part,
                    block=first.standings[node.id].block,
                    role=first.roles[node.id][2],
                    what=what,
                    params=other.params - node.params,
                    multiply_adds=second.multiply_adds(other) - first.multiply_adds(node),
                )
        for node in second.parts.get(part, ()):
            if node.id not in matched:
                yield _one_sided("added", node, second)


def _one_sided(change: Literal["added", "removed"], node: Node, roles: _Roles) -> LayerChange:
    added = change == "added"
    sign = 1 if added else -1
    return LayerChange(
        change=change,
        a=None if added else node.id,
        b=node.id if added else None,
        op=node.op.called,
        part=roles.part_of[node.id],
        block=roles.standings[node.id].block,
        role=roles.roles[node.id][2],
        what=(),
        params=sign * node.params,
        multiply_adds=sign * roles.multiply_adds(node),
    )


def _differences(
    a: Node, b: Node, first: _Roles, second: _Roles, pairs: Mapping[str, str]
) -> Iterator[str]:
    names = [first.roles[a.id][2], second.roles[b.id][2]]
    foreign = first.network.is_foreign or second.network.is_foreign
    if names[0] != names[1] and not (foreign and (a.id == b.id or not a.op.state)):
        yield f"name {names[0]} → {names[1]}"
    if a.op.called != b.op.called:
        yield f"{a.op.called} → {b.op.called}"
    elif a.op != b.op:
        yield from _field_differences(a.op.plain, b.op.plain, foreign=foreign)
        owners = a.op.shares, b.op.shares
        if pairs.get(owners[0], "") != owners[1]:
            whose = [f"those of {one}" if one else "its own" for one in owners]
            yield f"tensors: {whose[0]} → {whose[1]}"
    read = [pairs.get(source, "") for source in a.inputs]
    if foreign and a.op.commutes and sorted(read) == sorted(b.inputs):
        read = list(b.inputs)
    if read != list(b.inputs):
        reads = [
            [roles.read(node, source) for source in node.inputs]
            for roles, node in ((first, a), (second, b))
        ]
        if reads[0] != reads[1]:
            yield f"reads {' and '.join(reads[0])} → {' and '.join(reads[1])}"
    if a.output_shape != b.output_shape:
        sizes = ["x".join(map(str, node.output_shape)) for node in (a, b)]
        yield f"output {sizes[0]} → {sizes[1]}"
    if first.weights.get(a.id) != second.weights.get(b.id):
        weights = [roles.weights.get(node.id, 0) for roles, node in ((first, a), (second, b))]
        yield f"weight of its loss {weights[0]:g} → {weights[1]:g}"


def _field_differences(a: Op, b: Op, *, foreign: bool) -> Iterator[str]:
    """The fields of two ops of one name that differ. Their classes may be two: those that archc has
    no rule for are called as they call themselves."""
    names = set(b.field_names())
    for name in a.field_names():
        values = (getattr(a, name), getattr(b, name)) if name in names else (None, None)
        if values[0] != values[1] and not (foreign and name in a.unexported):
            yield f"{name} {values[0]} → {values[1]}"
