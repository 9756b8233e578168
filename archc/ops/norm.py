"""Norms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.base import ShapeError, require_map
from archc.ops.facts import (
    NO_LOOK,
    Channels,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Role,
    Saved,
    Shape,
    Storage,
    Torch,
    tensors,
)
from archc.ops.traits import ElementWise


@dataclass(frozen=True, slots=True)
class BatchNorm2d(ElementWise):
    """Batch normalisation of a feature map: a scale and a shift per channel.

    ``weight * (x - mean) / sqrt(variance + eps) + bias``, mean and variance being the batch's
    while training, otherwise running averages that each batch moves by ``momentum``.
    """

    kind = "batch_norm2d"
    num_features: int
    eps: float = 1e-5
    momentum: float = 0.1

    unsaid = frozenset(["eps", "momentum"])

    channels = Channels("tied", counted="num_features")
    # People take norms out of modules, and then its output is what it reads.
    storage = Storage.LIKE_INPUT
    roles = tensors(
        weight=Role.SCALE,
        bias=Role.SHIFT,
        running_mean=Role.MEAN,
        running_var=Role.VARIANCE,
        num_batches_tracked=Role.COUNTER,
    )
    torch = Torch(
        is_module=True,
        module=Module("nn.BatchNorm2d", ("num_features",), (("eps", 1e-5), ("momentum", 0.1))),
        exported=("batch_norm", "_native_batch_norm_legit"),
    )

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own."""
        (x,) = inputs
        require_map(x, "batch normalisation")
        if x[0] != self.num_features:
            raise ShapeError(f"the norm expects {self.num_features} channels but gets {x[0]}")
        return x

    @property
    def params(self) -> int:
        """A scale and a shift for each channel."""
        return 2 * self.num_features

    @property
    def state(self) -> dict[str, Shape]:
        """Scales, shifts, running statistics, and a counter of batches."""
        return {
            name: () if role is Role.COUNTER else (self.num_features,)
            for name, role in self.roles.items()
        }

    def saved(self) -> Saved:
        """What it reads, and the mean and the deviation of each channel."""
        return Saved(inputs=True, per_channel=2)

    def look(self) -> Look:
        """Nothing, as in the paper's figures."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A BatchNormalization."""
        yield from (Initializer(name) for name in self.roles if name != "num_batches_tracked")
        yield OnnxNode("BatchNormalization", output, {"epsilon": self.eps})
