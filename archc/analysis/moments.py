"""The memory of a forward and of a training step, moment by moment.

A training step is replayed as torch runs it: the forward, in which autograd saves what gradients
need; the backward, which goes through the ops in reverse, frees what was saved for each, and holds
two gradients where ways meet until their sum is there; and the optimizer's step, by which all
gradients are. Each moment's bytes are a line in the batch size: the largest batch that fits into a
memory is a division, and exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from archc.analysis.lifetimes import INDEX, NO_BYTES, Forward, Size, State, Values, modules_of
from archc.choices import OPTIMIZERS
from archc.graph import Network, Node

Phase = Literal["forward", "backward", "optimizer"]


class Moment(NamedTuple):
    """The bytes that are alive when an op has run, and what it reads has not been freed yet."""

    phase: Phase
    op: str
    size: Size


class Moments:
    """The moments at which most is alive, for one batch size or another."""

    def __init__(self, moments: Sequence[Moment]):
        self._moments = tuple(_envelope(moments))

    def peak(self, batch: int) -> tuple[int, Moment]:
        """The bytes alive at most with a batch, and when they are."""
        most = max(self._moments, key=lambda moment: moment.size.at(batch))
        return most.size.at(batch), most

    def largest_batch(self, memory: int) -> int:
        """The largest batch whose peak is within so many bytes; 0 if that of one image is not."""
        if any(moment.size.at(1) > memory for moment in self._moments):
            return 0
        return min(
            (memory - moment.size.fixed) // moment.size.per_image for moment in self._moments
        )


def _envelope(moments: Sequence[Moment]) -> Iterator[Moment]:
    """Those moments of which none has as much or more in both numbers, or is earlier and equal."""
    best = -1
    order = sorted(moments, key=lambda moment: (-moment.size.fixed, -moment.size.per_image))
    for moment in order:
        if moment.size.per_image > best:
            best = moment.size.per_image
            yield moment


def inference_moments(network: Network, dtype: str) -> Moments:
    """Those of a forward in eval mode, without gradients."""
    state = State.of(network, dtype)
    held = sum(state.params.values()) + sum(state.buffers.values())
    alive = Values(network, dtype).alive()
    return Moments([Moment("forward", op, Size(held, size)) for op, size in alive.items()])


def optimizer_state(state: State, optimizer: str) -> int:
    """The bytes that an optimizer keeps between steps."""
    learned = sum(state.params.values())
    # Adam counts its steps, for each tensor in a float32 of its own.
    counters = 4 * len(state.learned) if optimizer == "adam" else 0
    return OPTIMIZERS[optimizer] * learned + counters


def training_moments(network: Network, dtype: str, optimizers: Sequence[str]) -> list[Moments]:
    """Those of a training step with each optimizer, not the first step, for which there is no
    state yet.

    The caller holds the images, their labels, and the logits until the step is done. The loss is
    the cross-entropy of the logits, and of each side head. Gradients are freed after the step.
    """
    state = State.of(network, dtype)
    learned = sum(state.params.values())
    held = Size(learned + sum(state.buffers.values()), 0)
    replay = _Step(Values(network, dtype))
    replay.run()
    during = [Moment(one.phase, one.op, one.size.plus(held)) for one in replay.moments]
    updated = replay.now.plus(held)
    found = []
    for optimizer in optimizers:
        kept = Size(optimizer_state(state, optimizer), 0)
        spare = _adam_spare(state) if optimizer == "adam" else 0
        last = Moment("optimizer", "", updated.plus(Size(spare, 0)))
        found.append(
            Moments([Moment(one.phase, one.op, one.size.plus(kept)) for one in [*during, last]])
        )
    return found


def _adam_spare(state: State) -> int:
    """The bytes that a step of Adam takes besides: for each tensor the roots of averages, and these
    divided, while those of the tensor before are still there."""
    before = (0, *state.learned)
    return max(
        (2 * size + last for size, last in zip(state.learned, before, strict=False)), default=0
    )


class _Memory:
    """Pieces of memory, each given back when nobody holds it any more."""

    def __init__(self) -> None:
        self.now = NO_BYTES
        self._sizes: list[Size] = []
        self._holders: list[int] = []

    def new(self, size: Size) -> int:
        """A piece of so many bytes, which somebody holds."""
        self.now = self.now.plus(size)
        self._sizes.append(size)
        self._holders.append(1)
        return len(self._sizes) - 1

    def hold(self, piece: int) -> int:
        """Have one more hold a piece."""
        self._holders[piece] += 1
        return piece

    def release(self, piece: int) -> None:
        """Have one less hold a piece."""
        self._holders[piece] -= 1
        if not self._holders[piece]:
            self.now = self.now.minus(self._sizes[piece])


class _Step(_Memory):
    """The forward and the backward of a training step, parameters and buffers left out."""

    def __init__(self, values: Values):
        super().__init__()
        self.values, self.network = values, values.network
        self.moments: list[Moment] = []
        self.outputs = [self.network.logits, *[side.result for side in self.network.sides]]
        self._holder = {node.id: values.holder_in_training(node.id) for node in values.nodes}
        self._values: dict[str, int] = {}
        self._saved: dict[str, list[int]] = {}
        self._gradients: dict[str, int] = {}

    def run(self) -> None:
        """Go through the step; ``now`` is then what is left before the optimizer's."""
        order = self._forward()
        self._loss()
        for node in reversed(order):
            if node.id in self._gradients:
                self._backward(node, self._gradients.pop(node.id))

    def _note(self, phase: Phase, op: str) -> None:
        self.moments.append(Moment(phase, op, self.now))

    def _forward(self) -> list[Node]:
        """Run the ops in order, and give back what neither a variable nor autograd holds."""
        values = self.values
        forward = Forward(values.schedule, training=True)
        first = values.nodes[0]
        forward.run(modules_of(self.network), first.id)
        ends = forward.ends(self._holder, [first.id, *self.outputs])
        places = math.prod(self.network.nodes[self.network.logits].output_shape[1:])
        self.new(Size(0, INDEX * places))  # the labels
        for index, node in enumerate([first, *forward.order]):
            if self._holder[node.id] == node.id:
                self._values[node.id] = self.new(Size(0, values.bytes(node.id)))
            self._save(node)
            passing = self.new(self._passing(node))
            self._note("forward", node.id)
            self.release(passing)
            for id in ends.get(index, ()):
                self.release(self._values[id])
        return forward.order

    def _save(self, node: Node) -> None:
        """Have autograd hold what the gradient of an op needs."""
        kept, more = self.values.saved(node)
        found = {self._holder[id] for id in kept}
        held = [self.hold(self._values[id]) for id in found]
        if more != NO_BYTES:
            held.append(self.new(more))
        self._saved[node.id] = held

    def _passing(self, node: Node) -> Size:
        """What an op of which no gradient is needed makes besides its value, and gives back."""
        if node.id in self.values.learns:
            return NO_BYTES
        mask = self.values.bytes(node.id) if node.op.saved().mask else 0
        return Size(0, mask + self.values.places(node))

    def _loss(self) -> None:
        """The loss, and the gradients of what it is taken of: a cross-entropy saves logarithms of
        probabilities, and its gradient goes through these."""
        sizes = {id: Size(0, self.values.bytes(id)) for id in self.outputs}
        # Each loss, and the sum of the weights of what it is the mean of, are numbers.
        self.new(Size(2 * self.values.item * len(sizes), 0))
        logs = {id: self.new(size) for id, size in sizes.items()}
        self._note("forward", "loss")
        for id in reversed(self.outputs):
            of_logs = self.new(sizes[id])
            gradient = self.new(sizes[id])
            self._note("backward", "loss")
            self.release(of_logs)
            self.release(logs[id])
            self._gradients[id] = gradient

    def _backward(self, node: Node, gradient: int) -> None:
        """The gradients of what an op reads and has learned, from that of what it puts out."""
        sources = [id for id in node.inputs if id in self.values.learns]
        shapes = [self.network.nodes[id].output_shape for id in node.inputs]
        made = node.op.gradient(node.output_shape, *shapes)
        spare = self.new(Size(0, self.values.item * made.spare))
        found = [
            self.hold(gradient) if made.is_view else self.new(Size(0, self.values.bytes(id)))
            for id in sources
        ]
        self.new(Size(self.values.item * node.params, 0))  # kept until the optimizer's step
        self._note("backward", node.id)
        for piece in (spare, gradient, *self._saved.pop(node.id)):
            self.release(piece)
        for id, piece in zip(sources, found, strict=True):
            self._gradients[id] = self._added(id, piece)

    def _added(self, id: str, piece: int) -> int:
        """A value's gradient with one that came from another of its readers."""
        if id not in self._gradients:
            return piece
        before = self._gradients[id]
        both = self.new(Size(0, self.values.bytes(id)))
        self._note("backward", id)
        self.release(before)
        self.release(piece)
        return both
