"""How much memory a network takes: its tensors, a forward's activations, a training step's."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from archc.analysis.plain import as_plain
from archc.choices import BYTES as DTYPES
from archc.choices import check_choice
from archc.dataclassing import dataclass
from archc.graph import Network, Node
from archc.graph.modules import Group, Leaf, StructureError, fold
from archc.graph.schedule import ARGUMENT, Schedule
from archc.ops import Storage
from archc.shown import Shown

_COUNTER, _INDEX = "int64", 8
"""What counts batches, and what points to the maximum of a window."""

OPTIMIZERS: dict[str, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""How many tensors the size of the parameters an optimizer keeps between steps: SGD none, with
momentum its velocity, Adam the averages of gradients and of their squares (Kingma and Ba 2014)."""


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """An op's memory in bytes: what it puts out, what is alive while it runs, what it keeps.

    ``output`` is 0 for an op that writes over what it reads, or only looks at it otherwise, and
    like ``alive`` for one of a side head, which runs in training alone;
    ``kept`` is what a training step holds for its gradient and no earlier op holds already.
    """

    name: str
    op: str
    stage: int | None
    block: int | None
    output: int
    alive: int
    kept: int


@dataclass(frozen=True, slots=True, repr=False)
class Memory(Shown):
    """The memory of a network in bytes, for a batch of images of shape ``input``.

    ``params`` and ``buffers`` are by dtype. ``inference`` is the most that images and activations
    take at once in a forward without gradients, ``inference_at`` the op at which they do;
    ``training`` is what a training step keeps of images and activations for its gradients.
    ``gradients`` are as large as the parameters, and ``optimizer`` says what each keeps besides.
    """

    name: str
    input: tuple[int, ...]
    batch: int
    dtype: str
    params: dict[str, int]
    buffers: dict[str, int]
    inference: int
    inference_at: str
    training: int
    gradients: int
    optimizer: dict[str, int]
    rows: tuple[LayerMemory, ...]

    def as_dict(self) -> dict[str, Any]:
        """The memory as plain data; integers are exact bytes."""
        return as_plain(self)


def memory(network: Network, batch: int = 1, dtype: str = "float32") -> Memory:
    """The memory that a network needs, its tensors and images being of one dtype.

    Activations are the values of the graph in its order, each alive until its last reader has
    run, and, as in Python, until the module returns whose argument it is and the line is done
    that gives its variable the next value. Relus and sums write over a value that nothing else
    reads, as in the emitted module; the images stay, being the caller's. What the kernels of a
    library borrow for a while is not in it. Side heads count in training alone. Raises ValueError
    for a batch below 1 or an unknown dtype.
    """
    if batch < 1:
        raise ValueError(f"`batch` must be at least 1, not {batch}")
    check_choice("dtype", dtype, DTYPES)
    values = _Values(network, batch, dtype)
    alive = values.alive()
    kept = values.kept()
    most = max(alive, key=alive.__getitem__)
    params, buffers, tensors = _state(network, dtype)
    learned = sum(params.values())
    return Memory(
        name=network.name,
        input=network.input_shape,
        batch=batch,
        dtype=dtype,
        params=params,
        buffers=buffers,
        inference=alive[most],
        inference_at=most,
        training=sum(kept.values()),
        gradients=learned,
        # Adam counts its steps, for each tensor in a float32 of its own.
        optimizer={
            name: times * learned + (4 * tensors if name == "adam" else 0)
            for name, times in OPTIMIZERS.items()
        },
        rows=tuple(
            LayerMemory(
                name=id,
                op=node.op.kind,
                stage=network.standings[id].stage,
                block=network.standings[id].block,
                output=0 if id in network.side_of else values.output(node),
                alive=alive.get(id, 0),
                kept=kept[id],
            )
            for id, node in network.nodes.items()
            if id in kept
        ),
    )


def _state(network: Network, dtype: str) -> tuple[dict[str, int], dict[str, int], int]:
    """Bytes of parameters and of buffers, by dtype, and how many tensors are learned."""
    params: Counter[str] = Counter({dtype: 0})
    buffers: Counter[str] = Counter()
    tensors = 0
    for node in network.nodes.values():
        state = node.op.state
        averaged = node.op.buffers if state else ()
        for name, shape in state.items():
            if name not in averaged:
                params[dtype] += DTYPES[dtype] * math.prod(shape)
                tensors += 1
            elif shape:
                buffers[dtype] += DTYPES[dtype] * math.prod(shape)
            else:
                buffers[_COUNTER] += _INDEX
    return dict(params), dict(buffers), tensors


class _Values:
    """The values of a forward up to the logits: what holds each, how large, how long."""

    def __init__(self, network: Network, batch: int, dtype: str):
        self.network, self.batch, self.size = network, batch, DTYPES[dtype]
        image = batch * self.size
        self._bytes = {id: image * math.prod(n.output_shape) for id, n in network.nodes.items()}
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
        """The bytes of a value."""
        return self._bytes[id]

    def output(self, node: Node) -> int:
        """The bytes that an op asks for to put its value into."""
        return self._bytes[node.id] if self.holder[node.id] == node.id else 0

    def alive(self) -> dict[str, int]:
        """The bytes alive while each op runs."""
        forward = _Forward(self.schedule)
        forward.run(_modules(self.network), self.nodes[0].id)
        last: dict[str, int] = {}
        for id, until in forward.until.items():
            holder = self.holder[id]
            last[holder] = max(last.get(holder, 0), until)
        last[self.nodes[0].id] = len(self.nodes)  # the images are the caller's
        ends: dict[int, list[str]] = {}
        for id, index in last.items():
            ends.setdefault(index, []).append(id)
        now, alive = 0, {}
        for index, node in enumerate([self.nodes[0], *forward.order]):
            now += self.output(node)
            alive[node.id] = now + self.places(node)
            now -= sum(self.bytes(id) for id in ends.get(index, ()))
        return alive

    def places(self, node: Node) -> int:
        """The bytes of the places of maxima, which torch finds whether it needs them or not."""
        if not node.op.saved().index:
            return 0
        return self.batch * math.prod(node.output_shape) * _INDEX

    def kept(self) -> dict[str, int]:
        """The bytes that each op keeps for gradients, besides what earlier ones keep already."""
        held: set[str] = set()
        kept = {}
        for node in self.nodes:
            values, more = self._saved(node) if node.id in self.learns else ((), 0)
            new = {self._held_in_training(id) for id in values} - held
            held |= new
            kept[node.id] = more + sum(map(self.bytes, new))
        return kept

    def _held_in_training(self, id: str) -> str:
        """Like ``holder``, for training, where what drops values puts out one of its own."""
        node = self.network.nodes[id]
        if node.op.saved().draws:
            return id
        if node.op.storage is Storage.SHARED:
            return self._held_in_training(node.inputs[0])
        return self.holder[id]

    def _saved(self, node: Node) -> tuple[tuple[str, ...], int]:
        """What autograd saves for the gradient of an op: values of the graph, bytes besides."""
        saved = node.op.saved()
        values = (node.inputs if saved.inputs else ()) + ((node.id,) if saved.output else ())
        # Statistics: half precision is averaged in float32.
        size = max(self.size, DTYPES["float32"])
        channels, *sides = node.output_shape
        per_image = saved.per_place * math.prod(sides) + saved.per_image
        more = (saved.per_channel * channels + self.batch * per_image) * size + self.places(node)
        # A mask has the factors on a CPU, of the dtype of the values; on CUDA a byte for each.
        return values, more + (self.bytes(node.id) if saved.mask else 0)

    def _held_by(self, node: Node) -> str:
        """The value whose memory has this one: its own, or that of a value it is written over."""
        if node.op.storage is Storage.SHARED:
            return self.holder[node.inputs[0]]
        over = self.schedule.overwrites(node)
        return node.id if over is None else self.holder[over]


class _Forward:
    """A forward as Python runs it: the ops in order, and until which of them each value is held.

    A variable holds its value until the line is done that gives it the next one, or until its
    module returns; what a module is called with is held as long.
    """

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.order: list[Node] = []
        self.until: dict[str, int] = {}

    def run(self, module: Group, argument: str) -> None:
        """Run a module on a value."""
        values = {"": argument}
        variables = {ARGUMENT: argument}
        wiring = {child.name: (child, sources) for child, sources in module.wiring()}
        for line in self.schedule.lines(module):
            if line.training_only:
                continue
            for name in line.computes:
                child, sources = wiring[name]
                read = [values[source] for source in sources]
                if isinstance(child, Leaf):
                    self.order.append(child.node)
                else:
                    self.run(child, read[0])
                values[name] = child.result
                self._hold(*read, child.result)
            if line.variable is not None:
                if line.variable in variables:
                    self._hold(variables[line.variable])
                variables[line.variable] = values[line.result]
        self._hold(argument, *variables.values())

    def _hold(self, *ids: str) -> None:
        """Values are alive now."""
        for id in ids:
            self.until[id] = len(self.order)


def _modules(network: Network) -> Group:
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
