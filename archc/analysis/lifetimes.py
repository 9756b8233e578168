"""The values of a forward: what holds each in memory, how large it is, and how long it is held."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from archc.choices import BYTES
from archc.graph import Network, Node
from archc.graph.modules import Group, Leaf, StructureError, fold
from archc.graph.schedule import ARGUMENT, Schedule
from archc.ops import Storage

COUNTER, INDEX = "int64", 8
"""What counts batches, and what points to the maximum of a window and to the class of an image."""


class Size(NamedTuple):
    """Bytes for a batch: some that are always there, and some for each image."""

    fixed: int
    per_image: int

    def at(self, batch: int) -> int:
        """The bytes for so many images."""
        return self.fixed + batch * self.per_image

    def plus(self, other: Size) -> Size:
        """Both together."""
        return Size(self.fixed + other.fixed, self.per_image + other.per_image)

    def minus(self, other: Size) -> Size:
        """What is left without another."""
        return Size(self.fixed - other.fixed, self.per_image - other.per_image)


NO_BYTES = Size(0, 0)


class State(NamedTuple):
    """The tensors of a network: bytes of parameters and of buffers by dtype, and those of each
    tensor that is learned."""

    params: dict[str, int]
    buffers: dict[str, int]
    learned: tuple[int, ...]

    @classmethod
    def of(cls, network: Network, dtype: str) -> State:
        """The state of a network whose tensors are of a dtype, but for its counters."""
        params: Counter[str] = Counter({dtype: 0})
        buffers: Counter[str] = Counter()
        learned: list[int] = []
        for node in network.nodes.values():
            state = node.op.state
            averaged = node.op.buffers if state else ()
            for name, shape in state.items():
                size = BYTES[dtype] * math.prod(shape)
                if name not in averaged:
                    params[dtype] += size
                    learned.append(size)
                elif shape:
                    buffers[dtype] += size
                else:
                    buffers[COUNTER] += INDEX
        return cls(dict(params), dict(buffers), tuple(learned))


class Values:
    """The values of a forward up to the logits: what holds each, how large, how long."""

    def __init__(self, network: Network, dtype: str):
        self.network, self.item = network, BYTES[dtype]
        self._bytes = {
            id: self.item * math.prod(node.output_shape) for id, node in network.nodes.items()
        }
        self.nodes: list[Node] = [
            node
            for id, node in network.nodes.items()
            if id != network.output or id == network.logits
        ]
        self.learns = _learning(self.nodes)
        self.schedule = Schedule.of(network)
        self.holder: dict[str, str] = {}
        for node in self.nodes:
            self.holder[node.id] = self._held_by(node)

    def bytes(self, id: str) -> int:
        """The bytes of a value, for one image."""
        return self._bytes[id]

    def output(self, node: Node) -> int:
        """The bytes for one image that an op asks for to put its value into."""
        return self._bytes[node.id] if self.holder[node.id] == node.id else 0

    def alive(self) -> dict[str, int]:
        """The bytes for one image that are alive at inference while each op runs."""
        forward = Forward(self.schedule)
        root = modules_of(self.network)
        forward.order += [self.network.nodes[id] for id in root.arguments]
        forward.run(root, self.nodes[0].id, *root.arguments)
        order = [self.nodes[0], *forward.order]
        ends = forward.ends(self.holder, [self.nodes[0].id])
        now, alive = 0, {}
        for index, node in enumerate(order):
            now += self.output(node)
            alive[node.id] = now + self.places(node)
            now -= sum(self.bytes(id) for id in ends.get(index, ()))
        return alive

    def places(self, node: Node) -> int:
        """The bytes for one image of the places of maxima, which torch finds whether it needs them
        or not."""
        return INDEX * math.prod(node.output_shape) if node.op.saved().index else 0

    def kept(self) -> dict[str, Size]:
        """The bytes that each op keeps for gradients, besides what earlier ones keep already."""
        held: set[str] = set()
        kept = {}
        for node in self.nodes:
            values, more = self.saved(node)
            new = {self.holder_in_training(id) for id in values} - held
            held |= new
            kept[node.id] = more.plus(Size(0, sum(map(self.bytes, new))))
        return kept

    def holder_in_training(self, id: str) -> str:
        """Like ``holder``, for training, where what drops values puts out one of its own."""
        node = self.network.nodes[id]
        if node.op.saved().draws:
            return id
        if node.op.storage is Storage.SHARED:
            return self.holder_in_training(node.inputs[0])
        return self.holder[id]

    def saved(self, node: Node) -> tuple[tuple[str, ...], Size]:
        """What autograd saves for the gradient of an op: values of the graph, bytes besides."""
        if node.id not in self.learns:
            return (), NO_BYTES
        saved = node.op.saved()
        values = (node.inputs if saved.inputs else ()) + ((node.id,) if saved.output else ())
        # Statistics: half precision is averaged in float32.
        size = max(self.item, BYTES["float32"])
        channels, *sides = node.output_shape
        numbers = size * (saved.per_place * math.prod(sides) + saved.per_image)
        # A mask has the factors on a CPU, of the dtype of the values; on CUDA a byte for each.
        mask = self.bytes(node.id) if saved.mask else 0
        fixed = size * saved.per_channel * channels
        return values, Size(fixed, numbers + mask + self.places(node))

    def _held_by(self, node: Node) -> str:
        """The value whose memory has this one: its own, or that of a value it is written over."""
        if node.op.storage is Storage.SHARED:
            return self.holder[node.inputs[0]]
        over = self.schedule.overwrites(node)
        return node.id if over is None else self.holder[over]


class Forward:
    """A forward as Python runs it: the ops in order, and until which of them each value is held.

    A variable holds its value until the line is done that gives it the next one, or until its
    module returns; what a module is called with is held as long. Side heads run in training alone.
    """

    def __init__(self, schedule: Schedule, *, training: bool = False):
        self.schedule, self.training = schedule, training
        self.order: list[Node] = []
        self.until: dict[str, int] = {}

    def run(self, module: Group, argument: str, *others: str) -> None:
        """Run a module on values."""
        values = {"": argument, **dict(zip(module.arguments.values(), others, strict=True))}
        variables = {ARGUMENT: argument}
        wiring = {child.name: (child, sources) for child, sources in module.wiring()}
        for line in self.schedule.lines(module):
            if line.training_only and not self.training:
                continue
            for name in line.computes:
                child, sources = wiring[name]
                read = [values[source] for source in sources]
                if isinstance(child, Leaf):
                    self.order.append(child.node)
                else:
                    self.run(child, *read)
                values[name] = child.result
                self._hold(*read, child.result)
            if line.variable is not None:
                if line.variable in variables:
                    self._hold(variables[line.variable])
                variables[line.variable] = values[line.result]
        self._hold(argument, *others, *variables.values())

    def _hold(self, *ids: str) -> None:
        """Values are alive now."""
        for id in ids:
            self.until[id] = len(self.order)

    def ends(self, holder: dict[str, str], stay: Iterable[str]) -> dict[int, list[str]]:
        """The values whose memory is given back after each op, by the op's place in the order, in
        which the images come first; those that ``stay`` are never given back."""
        last: dict[str, int] = {}
        for id, until in self.until.items():
            last[holder[id]] = max(last.get(holder[id], 0), until)
        for id in stay:
            last.pop(holder[id], None)
        ends: dict[int, list[str]] = {}
        for id, index in last.items():
            ends.setdefault(index, []).append(id)
        return ends


def modules_of(network: Network) -> Group:
    """The modules of a network; one around all of its ops where its ids tell of none."""
    try:
        return fold(network)
    except StructureError:
        root = Group("", "", source="input", result=network.logits)
        for node in network.nodes.values():
            if node.inputs and (node.id != network.output or node.id == network.logits):
                root.children[node.id] = Leaf(node.id, node)
        return root


def _learning(nodes: list[Node]) -> set[str]:
    """The values that depend on something learned."""
    learns: set[str] = set()
    for node in nodes:
        if node.params or not learns.isdisjoint(node.inputs):
            learns.add(node.id)
    return learns
