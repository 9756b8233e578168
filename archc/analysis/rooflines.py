"""The least time that a network takes on a device, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from archc.analysis.plain import as_plain
from archc.analysis.workload import work_of
from archc.choices import BYTES
from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.shown import Result


@dataclass(frozen=True, slots=True)
class Device:
    """What a device reaches at best with tensors of a dtype, as its maker or a measurement says.

    ``operations`` are a second, a multiply-add being two; ``bandwidth`` is bytes a second.
    """

    name: str
    title: str
    dtype: str
    operations: float
    bandwidth: float
    source: str


@dataclass(frozen=True, slots=True)
class LayerBound:
    """A layer's work for the batch, and the least time it takes.

    ``intensity`` is operations a byte, a multiply-add being two; ``bound`` says what limits it.
    """

    name: str
    op: str
    stage: int | None
    block: int | None
    output_shape: Shape
    multiply_adds: int
    bytes_moved: int
    intensity: float
    seconds: float
    bound: Literal["compute", "memory"]


@dataclass(frozen=True, slots=True, repr=False)
class Roofline(Result):
    """The least time of a forward: the sum over its layers, which run one after another.

    ``no_rule`` says of how many ops of which names only the bytes are known.
    """

    name: str
    input: Shape
    batch: int
    device: Device
    multiply_adds: int
    bytes_moved: int
    intensity: float
    seconds: float
    compute_bound: float
    no_rule: dict[str, int]
    rows: tuple[LayerBound, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The bounds as plain data."""
        return as_plain(self)


def roofline(network: Network, device: Device, batch: int = 1) -> Roofline:
    """The roofline of a network's forward on a device (Williams et al. 2009).

    Each layer and pooling reads its inputs and its weights from memory and writes its output
    there, once; norms, relus and sums are done on the way. Its time is at least that of its
    operations at the device's peak, and that of its bytes at the device's bandwidth.
    ``compute_bound`` is the share of the time in which operations are what limits. Raises
    ValueError for a batch below 1.
    """
    if batch < 1:
        raise ValueError(f"`batch` must be at least 1, not {batch}")
    network = network.inference
    size, rows = BYTES[device.dtype], []
    for node in network.nodes.values():
        one = work_of(network, node)
        multiply_adds, moved = batch * one.multiply_adds, one.bytes_moved(batch, size)
        if moved or multiply_adds:
            compute = 2 * multiply_adds / device.operations
            memory = moved / device.bandwidth
            rows.append(
                LayerBound(
                    name=node.id,
                    op=node.op.called,
                    stage=network.standings[node.id].stage,
                    block=network.standings[node.id].block,
                    output_shape=node.output_shape,
                    multiply_adds=multiply_adds,
                    bytes_moved=moved,
                    intensity=2 * multiply_adds / moved,
                    seconds=max(compute, memory),
                    bound="compute" if compute > memory else "memory",
                )
            )
        if node.id == network.logits:
            break
    seconds = sum(row.seconds for row in rows)
    multiply_adds = sum(row.multiply_adds for row in rows)
    moved = sum(row.bytes_moved for row in rows)
    computing = sum(row.seconds for row in rows if row.bound == "compute")
    return Roofline(
        name=network.name,
        input=network.input_shape,
        inputs=network.several_inputs,
        batch=batch,
        device=device,
        multiply_adds=multiply_adds,
        bytes_moved=moved,
        intensity=2 * multiply_adds / moved if moved else 0.0,
        seconds=seconds,
        compute_bound=computing / seconds if seconds else 0.0,
        no_rule=dict(network.no_rule),
        rows=tuple(rows),
    )
