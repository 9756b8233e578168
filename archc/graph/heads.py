"""Which layers put out the classes: those that a number of classes decides the width of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from archc.graph.network import Network, Node
from archc.ops import Arity, Op
from archc.ops.facts import MIXED, TIED, Everything, Window


def classifiers(network: Network) -> tuple[str, ...]:
    """The ids of the layers that put out the classes: the head's, then those of side heads with as
    many outputs, as in torchvision's GoogLeNet.

    Empty unless each of these heads ends in exactly one such layer: a linear layer, or a 1x1
    convolution whose maps are averaged (SqueezeNet). What stands behind it acts on each class by
    itself and has no tensors, so that with another number of classes no other layer changes.
    """
    classes = network.nodes[network.logits].output_shape
    if len(classes) != 1:
        return ()
    readers = Counter(source for node in network.nodes.values() for source in node.inputs)
    if network.output != network.logits:
        readers[network.logits] -= 1  # the final softmax
    found = []
    for result in (network.logits, *[side.result for side in network.sides]):
        if network.nodes[result].output_shape != classes:
            continue  # a side head with a task of its own
        layer = _layer_behind(network.nodes, result, readers)
        if layer is None:
            return ()
        found.append(layer)
    return tuple(found)


def _layer_behind(nodes: Mapping[str, Node], result: str, readers: Mapping[str, int]) -> str | None:
    """The one layer that decides how many channels a result has, if there is one."""
    at, expected = result, 0
    while readers[at] == expected:
        node, expected = nodes[at], 1
        if _decides(node.op):
            return at
        if not _keeps_channels(node, nodes):
            return None
        (at,) = node.inputs
    return None


def _decides(op: Op) -> bool:
    """Whether an op is a layer whose outputs can be any number: fully connected, or 1x1."""
    reach = op.reach()
    is_wide = isinstance(reach, Everything)
    is_narrow = isinstance(reach, Window) and reach.kernel == (1, 1)
    return (
        op.is_layer
        and op.channels.how == "changed"
        and (is_wide or is_narrow)
        and op.numbers.get("groups", 1) == 1
    )


def _keeps_channels(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether an op puts out the channels that it reads, and holds nothing for each of them."""
    if node.op.arity is not Arity.ONE or node.op.state:
        return False
    if node.op.channels is MIXED:
        return nodes[node.inputs[0]].output_shape[1:] in ((), (1, 1))
    return node.op.channels == TIED
