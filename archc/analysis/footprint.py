"""How much memory a network takes: its tensors, a forward's activations, a training step's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from archc.analysis.lifetimes import State, Values
from archc.analysis.moments import optimizer_state
from archc.analysis.plain import as_plain
from archc.choices import BYTES as DTYPES
from archc.choices import OPTIMIZERS, check_choice
from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.shown import Result


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
    output_shape: Shape
    output: int
    alive: int
    kept: int


@dataclass(frozen=True, slots=True, repr=False)
class Memory(Result):
    """The memory of a network in bytes, for a batch of images of shape ``input``.

    ``params`` and ``buffers`` are by dtype. ``inference`` is the most that images and activations
    take at once in a forward without gradients, ``inference_at`` the op at which they do;
    ``training`` is what a training step keeps of images and activations for its gradients.
    ``gradients`` are as large as the parameters, and ``optimizer`` says what each keeps besides.
    ``no_rule`` says of how many ops of which names nothing is known: they are taken to keep what
    they read.
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
    no_rule: dict[str, int]
    rows: tuple[LayerMemory, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

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
    values = Values(network, dtype)
    alive = values.alive()
    kept = {id: size.at(batch) for id, size in values.kept().items()}
    most = max(alive, key=alive.__getitem__)
    state = State.of(network, dtype)
    learned = sum(state.params.values())
    return Memory(
        name=network.name,
        input=network.input_shape,
        inputs=network.several_inputs,
        batch=batch,
        dtype=dtype,
        params=state.params,
        buffers=state.buffers,
        inference=batch * alive[most],
        inference_at=most,
        training=sum(kept.values()),
        gradients=learned,
        optimizer={name: optimizer_state(state, name) for name in OPTIMIZERS},
        no_rule=dict(network.no_rule),
        rows=tuple(
            LayerMemory(
                name=id,
                op=node.op.called,
                stage=network.standings[id].stage,
                block=network.standings[id].block,
                output_shape=node.output_shape,
                output=0 if id in network.side_of else batch * values.output(node),
                alive=batch * alive.get(id, 0),
                kept=kept[id],
            )
            for id, node in network.nodes.items()
            if id in kept
        ),
    )
