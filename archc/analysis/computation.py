"""Whether two networks compute the same logits from the same weights."""

from __future__ import annotations

from archc.graph import Network, Node
from archc.graph.ops import AdaptiveAvgPool2d, Add, AvgPool2d, Dropout, Op


def computes_same(a: Network, b: Network) -> bool:
    """Whether two networks compute the same in eval mode, given the same weights and images.

    Ops with weights are matched by id, the key of their weights; any others by what they compute.
    A dropout, a pooling that leaves the map as it is, and a final softmax make no difference, and
    neither does whether a pooling over the whole map says so. Networks that compute the same in
    ways that differ otherwise are taken for different.
    """
    known: dict[tuple[object, ...], int] = {}
    return _logits(a, known) == _logits(b, known)


def _logits(network: Network, known: dict[tuple[object, ...], int]) -> int:
    """The number of the expression that a network's logits are; equal ones have one number."""
    numbers: dict[str, int] = {}
    for node in network.nodes.values():
        inputs = [numbers[source] for source in node.inputs]
        op = _plain_op(network, node)
        if op is None:
            numbers[node.id] = inputs[0]
            continue
        if isinstance(op, Add):
            inputs.sort()
        key = (node.id if op.state else "", op, *inputs)
        numbers[node.id] = known.setdefault(key, len(known))
    return numbers[network.logits]


def _plain_op(network: Network, node: Node) -> Op | None:
    """An op in the one form that all which compute the same have; None if it computes nothing."""
    op = node.op
    if isinstance(op, Dropout):
        return None
    if isinstance(op, (AvgPool2d, AdaptiveAvgPool2d)):
        size = network.nodes[node.inputs[0]].output_shape[1:]
        if isinstance(op, AdaptiveAvgPool2d):
            return None if size == (op.output_size, op.output_size) else op
        if size == (op.kernel_size, op.kernel_size) and not op.padding:
            return AdaptiveAvgPool2d(1)
    return op
