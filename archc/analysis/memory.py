"""How much memory a network takes: its tensors, a forward's activations, a training step's."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from archc.analysis.plain import as_plain
from archc.graph import Network, Node, overwritable, overwrites, runs_ahead
from archc.ops import Arity, Op, Storage

DTYPES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
"""Bytes of an element, by dtype."""

_COUNTER, _INDEX = "int64", 8
"""What counts batches, and what points to the maximum of a window."""

OPTIMIZERS: dict[str, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""How many tensors the size of the parameters an optimizer keeps between steps: SGD none, with
momentum its velocity, Adam the averages of gradients and of their squares (Kingma and Ba 2014)."""


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """An op's memory in bytes: what it puts out, what is alive while it runs, what it keeps.

    ``output`` is 0 for an op that writes over what it reads, or only looks at it otherwise;
    ``kept`` is what a training step holds for its gradient and no earlier op holds already.
    """

    name: str
    op: str
    stage: int | None
    block: int | None
    output: int
    alive: int
    kept: int


@dataclass(frozen=True, slots=True)
class Memory:
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
    library borrow for a while is not in it. Raises ValueError for a batch below 1 or an unknown
    dtype.
    """
    if batch < 1:
        raise ValueError(f"`batch` must be at least 1, not {batch}")
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, not {dtype!r}")
    values = _Values(network, batch, dtype)
    alive = values.alive()
    kept = values.kept()
    most = max(alive, key=alive.__getitem__)
    params, buffers = _state(network, dtype)
    learned = sum(params.values())
    tensors = sum(len(_learned(node.op)) for node in network.nodes.values())
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
                output=values.output(node),
                alive=alive[id],
                kept=kept[id],
            )
            for id, node in network.nodes.items()
            if id in alive
        ),
    )


def _learned(op: Op) -> list[str]:
    return [name for name in op.state if name not in op.buffers]


def _state(network: Network, dtype: str) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of parameters and of buffers, by dtype."""
    params: Counter[str] = Counter({dtype: 0})
    buffers: Counter[str] = Counter()
    for node in network.nodes.values():
        for name, shape in node.op.state.items():
            if name not in node.op.buffers:
                params[dtype] += DTYPES[dtype] * math.prod(shape)
            elif shape:
                buffers[dtype] += DTYPES[dtype] * math.prod(shape)
            else:
                buffers[_COUNTER] += _INDEX
    return dict(params), dict(buffers)


class _Values:
    """The values of a forward up to the logits: what holds each, how large, how long."""

    def __init__(self, network: Network, batch: int, dtype: str):
        self.network, self.batch, self.size = network, batch, DTYPES[dtype]
        image = batch * self.size
        self._bytes = {id: image * math.prod(n.output_shape) for id, n in network.nodes.items()}
        ids = list(network.nodes)
        self.nodes: list[Node] = [network.nodes[id] for id in ids[: ids.index(network.logits) + 1]]
        self.learns = _learning(self.nodes)
        self.own = overwritable(network)
        self.ahead = runs_ahead(network)
        self.holder: dict[str, str] = {}
        for node in self.nodes:
            self.holder[node.id] = self._held_by(node)
        self.ends = _ends_of_modules(self.nodes)
        self.line_ends = self._line_ends()

    def bytes(self, id: str) -> int:
        """The bytes of a value."""
        return self._bytes[id]

    def output(self, node: Node) -> int:
        """The bytes that an op asks for to put its value into."""
        return self._bytes[node.id] if self.holder[node.id] == node.id else 0

    def alive(self) -> dict[str, int]:
        """The bytes alive while each op runs."""
        last: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            for id in (*node.inputs, node.id):
                holder = self.holder[id]
                until = max(self._read_until(id, index), self._returns(id, node.id))
                last[holder] = max(last.get(holder, 0), until)
        last[self.nodes[0].id] = len(self.nodes)
        ends: dict[int, list[str]] = {}
        for id, index in last.items():
            ends.setdefault(index, []).append(id)
        now, alive = 0, {}
        for index, node in enumerate(self.nodes):
            now += self.output(node)
            alive[node.id] = now + self.places(node)
            now -= sum(self.bytes(id) for id in ends.get(index, ()))
        return alive

    def _read_until(self, id: str, index: int) -> int:
        """Until when a value is held that the op of an index reads or puts out."""
        if id in self.ahead and id in self.nodes[index].inputs:
            # It has a variable to itself, until the module returns.
            return self.ends.get(self.nodes[index].id.rpartition(".")[0], len(self.nodes) - 1)
        return self._line_done(index) if id in self.line_ends else index

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
        """Like ``holder``, for training, where a dropout puts out a value of its own."""
        node = self.network.nodes[id]
        if node.op.saved().mask:
            return id
        if node.op.storage is Storage.SHARED:
            return self._held_in_training(node.inputs[0])
        return self.holder[id]

    def _saved(self, node: Node) -> tuple[tuple[str, ...], int]:
        """What autograd saves for the gradient of an op: values of the graph, bytes besides."""
        saved = node.op.saved()
        values = (node.inputs if saved.inputs else ()) + ((node.id,) if saved.output else ())
        # Statistics are of each channel; half precision is averaged in float32.
        size = max(self.size, DTYPES["float32"])
        more = saved.per_channel * node.output_shape[0] * size + self.places(node)
        # A mask has the factors on a CPU, of the dtype of the values; on CUDA a byte for each.
        return values, more + (self.bytes(node.id) if saved.mask else 0)

    def _line_ends(self) -> set[str]:
        """The values that a variable holds: those of relus, poolings, sums and modules.

        A variable holds its value until the line is done that gives it the next one.
        """
        found = {self.nodes[index].id for index in self.ends.values()}
        for node in self.nodes:
            torch, merges = node.op.torch, node.op.arity is Arity.SEVERAL
            if torch.ends_line or merges or node.id.rpartition(".")[2].isdigit():
                found.add(node.id)
            if merges and (over := overwrites(node, self.own)):
                found.add(over)
        return found

    def _line_done(self, index: int) -> int:
        """The op that ends the line of an op, in the ``forward`` of the op's own module.

        Lines of modules that are called on the way are within it.
        """
        module = self.nodes[index].id.rpartition(".")[0]
        start = len(module) + 1 if module else 0
        while index + 1 < len(self.nodes) and not self._ends_line(index, start):
            index += 1
        return index

    def _ends_line(self, index: int, start: int) -> bool:
        """Whether an op ends a line of the module whose children's names begin at ``start``."""
        id = self.nodes[index].id
        dot = id.find(".", start)
        return id in self.line_ends if dot < 0 else self.ends[id[:dot]] == index

    def _returns(self, value: str, reader: str) -> int:
        """When the outermost module returns that reads a value as its argument."""
        if reader.rpartition(".")[0] == value.rpartition(".")[0]:
            return 0  # nearly always, and splitting paths takes longer than all the rest
        inside = reader.split(".")[:-1]
        outside = value.split(".")[:-1]
        depth = next(
            (i for i, (a, b) in enumerate(zip(inside, outside, strict=False)) if a != b),
            min(len(inside), len(outside)),
        )
        return self.ends.get(".".join(inside[: depth + 1]), 0) if depth < len(inside) else 0

    def _held_by(self, node: Node) -> str:
        """The value whose memory has this one: its own, or that of a value it is written over."""
        if node.op.storage is Storage.SHARED:
            return self.holder[node.inputs[0]]
        over = overwrites(node, self.own)
        return node.id if over is None else self.holder[over]


def _ends_of_modules(nodes: list[Node]) -> dict[str, int]:
    """The last op of each module that has others in it, by the module's path."""
    ends: dict[str, int] = {}
    for index, node in enumerate(nodes):
        parts = node.id.split(".")
        for depth in range(1, len(parts)):
            ends[".".join(parts[:depth])] = index
    return ends


def _learning(nodes: list[Node]) -> set[str]:
    """The values that depend on something learned."""
    learns: set[str] = set()
    for node in nodes:
        if node.params or not learns.isdisjoint(node.inputs):
            learns.add(node.id)
    return learns
