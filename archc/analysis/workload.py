"""How much a network computes and moves at the least: what bounds its time on any device."""

from __future__ import annotations

import math

from archc.dataclassing import dataclass
from archc.graph import Network, Node


@dataclass(frozen=True, slots=True)
class Work:
    """What a forward, or a training step, cannot do without.

    ``multiply_adds`` and ``activations`` (elements read and written) are for one image,
    ``weights`` (elements read and written) for a batch of any size.
    """

    multiply_adds: int
    activations: int
    weights: int

    def bytes_moved(self, batch: int, size: int) -> int:
        """The bytes moved for a batch, an element having ``size`` bytes."""
        return size * (batch * self.activations + self.weights)


def work(network: Network, *, training: bool = False) -> Work:
    """The least work of a network up to its logits, in training with its side heads.

    Every layer and pooling reads its input and its weights and writes its output once; norms,
    relus and sums are done on the way, a sum reading its other summands. A training step of a
    layer computes two gradients more, each as much work as the forward; that of a value below
    which nothing is learned is not needed (Rumelhart et al. 1986; the accounting of Kaplan et al.
    2020, section 2.1).
    """
    network = network if training else network.inference
    total = Work(0, 0, 0)
    learned: set[str] = set()  # the values that depend on something learned
    for node in network.nodes.values():
        if node.id == network.output != network.logits:
            continue  # the softmax is no part of a forward
        learns_below = not learned.isdisjoint(node.inputs)
        if learns_below or node.params:
            learned.add(node.id)
        one = work_of(network, node, training, learns_below)
        total = Work(
            total.multiply_adds + one.multiply_adds,
            total.activations + one.activations,
            total.weights + one.weights,
        )
    return total


def work_of(
    network: Network, node: Node, training: bool = False, learns_below: bool = False
) -> Work:
    """The least work of one op; ``learns_below`` if what it reads depends on something learned."""
    reads = [math.prod(network.nodes[source].output_shape) for source in node.inputs]
    if node.op.runs_on_the_way:
        passes = 1 + (training and learns_below)
        return Work(0, passes * sum(reads[1:]), 0)
    moved = sum(reads) + math.prod(node.output_shape)
    if not training:
        return Work(node.multiply_adds, moved, node.params)
    if not node.params:
        return Work(0, (1 + learns_below) * moved, 0)
    passes = 2 + learns_below
    # The weights are read by each pass but their own gradient's, which writes it.
    return Work(passes * node.multiply_adds, passes * moved, passes * node.params)
