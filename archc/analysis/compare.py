"""Two networks side by side: what was added, removed and changed, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from archc.analysis.memory import memory
from archc.analysis.plain import as_plain
from archc.graph import Network, Node, Shape

Change: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a network amounts to; memory is in bytes, for one image in float32."""

    layers: int
    params: int
    multiply_adds: int
    weights: int
    inference: int
    training: int


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks compared; they are the ``same`` if they compile to the same graph."""

    same: bool
    a: str
    b: str
    totals_a: Totals
    totals_b: Totals
    parts: tuple[PartPair, ...]
    changes: tuple[LayerChange, ...]
    renamed: int

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return as_plain(self)


def compare(a: Network, b: Network) -> Comparison:
    """Compare two networks, op by op.

    An op is matched with the one that has its role: the same place in the same block of the same
    stage. ``renamed`` counts matched ops whose ids differ, as the numbers of a VGG's modules do
    behind one that was added. Two networks are the same whose ops, wiring and ids are, whatever
    they and their parts are called.
    """
    first, second = _Roles(a), _Roles(b)
    same = _graph(a) == _graph(b)
    # However the same ops are divided into stages, nothing has changed.
    changes = () if same else tuple(_changes(first, second))
    pairs = [
        (first.nodes[role], second.nodes[role]) for role in first.nodes if role in second.nodes
    ]
    renamed = 0 if same else sum(one.id != other.id for one, other in pairs)
    return Comparison(
        same=same,
        a=a.name,
        b=b.name,
        totals_a=_totals(a),
        totals_b=_totals(b),
        parts=tuple(
            PartPair(name, first.part(name), second.part(name))
            for name in _merged(first.parts, second.parts)
        ),
        changes=changes,
        renamed=renamed,
    )


def _graph(network: Network) -> list[tuple[object, ...]]:
    return [(n.id, n.op, n.inputs, n.output_shape) for n in network.nodes.values()]


def _totals(network: Network) -> Totals:
    needs = memory(network)
    return Totals(
        layers=network.layers,
        params=network.params,
        multiply_adds=network.multiply_adds,
        weights=sum(needs.params.values()),
        inference=needs.inference,
        training=needs.training,
    )


_Role: TypeAlias = tuple[str, int | None, str, int]
"""A part, a block, the op's place in it, and how many convolutions the block has in a row: blocks
of two and of three have no ops in common."""


class _Roles:
    """A network's ops by the role that they play."""

    def __init__(self, network: Network):
        self.roles: dict[str, _Role] = {}
        self.nodes: dict[_Role, Node] = {}
        self.parts: dict[str, list[Node]] = {}
        self.ends: dict[tuple[str, int | None], str] = {}
        used: Counter[tuple[str, int | None, str]] = Counter()
        placed = list(_with_parts(network))
        main = frozenset(network.main_path)
        in_a_row: Counter[tuple[str, int | None]] = Counter(
            (part, node.block)
            for part, node in placed
            if node.block is not None and node.id in main and node.op.is_layer
        )
        prefixes = _prefixes(placed)
        for part, node in placed:
            name = ".".join(node.id.split(".")[prefixes[part, node.block] :])
            if name.isdigit() or (node.block is None and name.rpartition(".")[2].isdigit()):
                # An op that is only counted (``features.3``) goes by its kind.
                used[part, node.block, node.op.kind] += 1
                name = f"{node.op.kind} {used[part, node.block, node.op.kind]}"
            role = (part, node.block, name, in_a_row[part, node.block])
            self.roles[node.id] = role
            self.nodes[role] = node
            self.parts.setdefault(part, []).append(node)
            self.ends[part, node.block] = node.id

    def reads(self, node: Node) -> list[str]:
        """What an op reads, by role; the output of what stands before its block is just that."""
        part, block, *_ = self.roles[node.id]
        names = []
        for source in node.inputs:
            from_part, from_block, name, _ = self.roles[source]
            if (from_part, from_block) == (part, block):
                names.append(name)
            elif self.ends[from_part, from_block] == source:
                names.append("the preceding output")
            else:
                names.append(f"{name} of {from_part}")
        return names

    def part(self, name: str) -> Part | None:
        """What a part of the network amounts to."""
        nodes = self.parts.get(name)
        if nodes is None:
            return None
        labels = dict.fromkeys(n.block_label for n in nodes if n.block is not None)
        return Part(
            blocks=len({n.block for n in nodes if n.block is not None}),
            block=", ".join(label for label in labels if label) or None,
            output_shape=nodes[-1].output_shape,
            params=sum(n.params for n in nodes),
            multiply_adds=sum(n.multiply_adds for n in nodes),
        )


def _with_parts(network: Network) -> Iterator[tuple[str, Node]]:
    has_stages = any(node.stage is not None for node in network.nodes.values())
    part = "stem" if has_stages else "stem and head"
    for node in network.nodes.values():
        if node.stage is not None:
            part = f"stage {node.stage}"
        elif part.startswith("stage"):
            part = "head"
        yield part, node


def _prefixes(placed: Sequence[tuple[str, Node]]) -> dict[tuple[str, int | None], int]:
    """For each block, how many parts of a path all its modules have in common."""
    parents: dict[tuple[str, int | None], list[str]] = {}
    for part, node in placed:
        path = node.id.split(".")[:-1]
        shared = parents.setdefault((part, node.block), path)
        length = next(
            (i for i, pair in enumerate(zip(shared, path, strict=False)) if pair[0] != pair[1]),
            min(len(shared), len(path)),
        )
        parents[part, node.block] = shared[:length]
    return {block: len(shared) for block, shared in parents.items()}


def _merged(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """The parts of both networks in order: the head last."""
    names = list(dict.fromkeys([*first, *second]))
    return sorted(names, key=lambda name: ("head" in name, name != "stem", len(name), name))


def _changes(first: _Roles, second: _Roles) -> Iterator[LayerChange]:
    for part in _merged(first.parts, second.parts):
        for node in first.parts.get(part, ()):
            role = first.roles[node.id]
            other = second.nodes.get(role)
            if other is None:
                yield _one_sided("removed", node, role)
            elif what := tuple(_differences(node, other, first, second)):
                yield LayerChange(
                    change="changed",
                    a=node.id,
                    b=other.id,
                    op=other.op.kind,
                    part=part,
                    block=node.block,
                    role=role[2],
                    what=what,
                    params=other.params - node.params,
                    multiply_adds=other.multiply_adds - node.multiply_adds,
                )
        for node in second.parts.get(part, ()):
            role = second.roles[node.id]
            if role not in first.nodes:
                yield _one_sided("added", node, role)


def _one_sided(change: Literal["added", "removed"], node: Node, role: _Role) -> LayerChange:
    added = change == "added"
    sign = 1 if added else -1
    return LayerChange(
        change=change,
        a=None if added else node.id,
        b=node.id if added else None,
        op=node.op.kind,
        part=role[0],
        block=role[1],
        role=role[2],
        what=(),
        params=sign * node.params,
        multiply_adds=sign * node.multiply_adds,
    )


def _differences(a: Node, b: Node, first: _Roles, second: _Roles) -> Iterator[str]:
    if a.op.kind != b.op.kind:
        yield f"{a.op.kind} → {b.op.kind}"
    elif a.op != b.op:
        before, after = a.op.numbers, b.op.numbers
        for name in before:
            if before[name] != after[name]:
                yield f"{name} {before[name]} → {after[name]}"
    reads = [first.reads(a), second.reads(b)]
    if reads[0] != reads[1]:
        yield f"reads {' and '.join(reads[0])} → {' and '.join(reads[1])}"
    if a.output_shape != b.output_shape:
        sizes = ["x".join(map(str, node.output_shape)) for node in (a, b)]
        yield f"output {sizes[0]} → {sizes[1]}"
