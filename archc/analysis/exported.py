"""Networks beside models that other libraries have exported, which say less than specs do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from archc.graph import Network, Node, deploy_form, foldings, renamed
from archc.ops import Op


def as_exported(a: Network, b: Network) -> tuple[Network, Network, tuple[str, ...]]:
    """Two networks as both could have been exported, and the kinds of ops that had to go for it.

    In eval mode, exporters leave out side heads and whatever acts in training alone; a module
    returns the logits. What one network has of these is left out of it where the other has none.
    """
    kinds = [{node.op.kind for node in one.nodes.values()} for one in (a, b)]
    found: dict[str, None] = {}
    both = []
    for one, others in ((a, kinds[1]), (b, kinds[0])):
        kept, gone = _without(one, others)
        both.append(kept)
        found.update(dict.fromkeys(gone))
    return both[0], both[1], tuple(sorted(found))


FOLDED = "folded batch norms"


def as_folded(a: Network, b: Network) -> tuple[Network, Network] | None:
    """Two networks, that without a batch norm to fold as it is and the other in its deploy form,
    where an exporter may have folded the norms of the first; None otherwise."""
    for one, other in ((a, b), (b, a)):
        if one.model is None or not one.model.may_be_folded or foldings(one).count:
            continue
        if foldings(other).count:
            made = deploy_form(other)
            return (one, made) if one is a else (made, one)
    return None


def _without(network: Network, others: Collection[str]) -> tuple[Network, list[str]]:
    """A network in inference without what does nothing there, or what others never have."""
    gone = ["side head"] if network.sides else []
    network = network.inference
    stands_for: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    logits = network.logits
    for node in network.nodes.values():
        shapes = [network.nodes[source].output_shape for source in node.inputs]
        inputs = tuple([stands_for.get(source, source) for source in node.inputs])
        is_softmax = node.id == network.output != logits and node.op.kind not in others
        trains_only = node.op.trains_only and node.op.kind in others
        op: Op | None = node.op if trains_only or not shapes else node.op.canonical(*shapes)
        if op is None or is_softmax:
            stands_for[node.id] = inputs[0]
            if is_softmax or node.op.trains_only:
                gone.append(node.op.kind)
            continue
        nodes[node.id] = node._replace(op=op, inputs=inputs)
    nodes = _joined_at_once(nodes)
    regions = renamed(network.regions, {id: id for id in nodes})
    return replace(network, nodes=nodes, regions=regions), gone


def _joined_at_once(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Nodes with each merge that only another of its kind reads as a part of that: exporters write
    both. Sums and products begin with theirs, as they are computed one by one."""
    reads = Counter(source for node in nodes.values() for source in node.inputs)
    parts: dict[str, tuple[str, ...]] = {}
    kept: dict[str, Node] = {}
    for id, node in nodes.items():
        if node.op.kind in ("concat", "add", "multiply"):
            places = node.inputs if node.op.kind == "concat" else node.inputs[:1]
            inner = {one for one in places if one in parts and nodes[one].op == node.op}
            spread = [parts[one] if one in inner else (one,) for one in node.inputs]
            for source in inner:
                del kept[source]
            node = node._replace(inputs=tuple([one for run in spread for one in run]))
            if reads[id] == 1:
                parts[id] = node.inputs
        kept[id] = node
    return kept


def followed(a: Network, b: Network) -> dict[str, str]:
    """The ops of two networks that do the same on the same data: the ids in ``b`` of those in
    ``a``, in its order.

    Of several that would do, one of the same id comes first, then one of the same numbers.
    """
    readers: dict[tuple[str, tuple[str, ...]], list[Node]] = {}
    for node in b.nodes.values():
        readers.setdefault(_place(node, node.inputs), []).append(node)
    pairs: dict[str, str] = {}
    for node in a.nodes.values():
        if any(source not in pairs for source in node.inputs):
            continue
        inputs = tuple([pairs[source] for source in node.inputs])
        candidates = readers.get(_place(node, inputs), [])
        if candidates:
            best = max(candidates, key=lambda one: (one.id == node.id, one.op == node.op))
            candidates.remove(best)
            pairs[node.id] = best.id
    return pairs


def _place(node: Node, inputs: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What an op is and what it reads, in any order where that makes no difference."""
    return node.op.called, tuple(sorted(inputs)) if node.op.commutes else inputs


def with_ids_of(a: Network, b: Network) -> Network:
    """The network ``b`` with the ids of ``a`` for the ops that do the same on the same data."""
    first, second, _ = as_exported(a, b)
    names = {theirs: own for own, theirs in followed(first, second).items()}
    taken = set(names.values())
    for id in b.nodes:
        if id not in names:
            names[id] = id if id not in taken else f"{id}.other"
    nodes = [
        node._replace(id=names[node.id], inputs=tuple([names[one] for one in node.inputs]))
        for node in b.nodes.values()
    ]
    regions = renamed(b.regions, names)
    return replace(b, nodes={node.id: node for node in nodes}, regions=regions)
