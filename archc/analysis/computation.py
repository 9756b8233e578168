"""Whether two networks compute the same logits from the same weights."""

from __future__ import annotations

from archc.graph import Network


def computes_same(a: Network, b: Network) -> bool:
    """Whether two networks compute the same in eval mode, given the same weights and images.

    Ops with weights are matched by id, the key of their weights; any others by what they compute.
    A dropout, a pooling that leaves the map as it is, and a final softmax make no difference, and
    neither does whether a pooling over the whole map says so. Networks that compute the same in
    ways that differ otherwise are taken for different.
    """
    known: dict[tuple[object, ...], int] = {}
    return _logits(a.inference, known) == _logits(b.inference, known)


def _logits(network: Network, known: dict[tuple[object, ...], int]) -> int:
    """The number of the expression that a network's logits are; equal ones have one number."""
    numbers: dict[str, int] = {}
    for node in network.nodes.values():
        inputs = [numbers[source] for source in node.inputs]
        shapes = [network.nodes[source].output_shape for source in node.inputs]
        op = node.op.canonical(*shapes)
        if op is None:
            numbers[node.id] = inputs[0]
            continue
        if op.commutes:
            inputs.sort()
        key = (node.id if op.state else "", op, *inputs)
        numbers[node.id] = known.setdefault(key, len(known))
    return numbers[network.logits]
