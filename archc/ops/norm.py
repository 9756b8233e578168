"""Norms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError, require_map
from archc.ops.facts import (
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

if TYPE_CHECKING:
    from archc.ops.given import Given


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
    unexported = frozenset(["momentum"])

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
        exported=(
            *("batch_norm", "_native_batch_norm_legit"),
            "_native_batch_norm_legit_no_training",
        ),
    )
    onnx_names = ("BatchNormalization",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A norm in eval mode, with scales, shifts and averages."""
        given.require(not given.flag("training", False), "it is a norm in training mode")
        names = ("weight", "bias", "running_mean", "running_var")
        given.require(
            all(name in given.weights for name in names), "it lacks scales, shifts or averages"
        )
        (channels,) = given.weights["weight"]
        given.require(len(given.inputs[0]) == 3, "it does not read a map")
        return cls(channels, given.number("eps", 1e-5), given.number("momentum", 0.1))

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own."""
        (x,) = inputs
        require_map(x, "batch normalisation")
        if x[0] != self.num_features:
            raise ShapeError(
                f"the norm expects {self.num_features} channels but gets {x[0]}",
                code="channel-mismatch",
            )
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
        """Nothing, as in the paper's figures; ``name`` is for where it stands alone."""
        return Look(name="batch norm")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A BatchNormalization."""
        yield from (Initializer(name) for name in self.roles if name != "num_batches_tracked")
        yield OnnxNode("BatchNormalization", output, {"epsilon": self.eps})


_LAYER_NORM = tuple(
    '''
class LayerNorm2d(nn.LayerNorm):
    """Normalises each place of a map, or each vector, over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return super().forward(x)
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class ChannelNorm(ElementWise):
    """A norm that learns a scale and a shift per channel, and normalises each image by itself.

    Receptive fields are taken to be those of what it reads, as with a batch norm, though the
    statistics of groups are of all places.
    """

    channels = Channels("tied", counted="num_channels")
    # As of batch norms.
    storage = Storage.LIKE_INPUT
    roles = tensors(weight=Role.SCALE, bias=Role.SHIFT)

    def look(self) -> Look:
        """A word beside the arrow."""
        word = self.kind.replace("_", " ")
        return Look(word=word, words=word)

    @property
    def params(self) -> int:
        """A scale and a shift for each channel."""
        return 2 * self._channels

    @property
    def state(self) -> dict[str, Shape]:
        """Scales and shifts."""
        return dict.fromkeys(self.roles, (self._channels,))

    @property
    def _channels(self) -> int:
        """How many channels it has."""
        count: int = getattr(self, self.channels.counted)
        return count

    def check(self, x: Shape) -> None:
        """Raise `ShapeError` for a value of other channels."""
        if x[0] != self._channels:
            raise ShapeError(
                f"the norm expects {self._channels} channels but gets {x[0]}",
                code="channel-mismatch",
            )


@dataclass(frozen=True, slots=True)
class LayerNorm2d(ChannelNorm):
    """Layer normalisation over the channels of each place of a map, or of a vector (Ba et al. 2016;
    Liu et al. 2022, "A ConvNet for the 2020s")."""

    kind = "layer_norm"
    num_channels: int
    eps: float = 1e-6

    torch = Torch(
        is_module=True,
        module=Module("LayerNorm2d", ("num_channels",), (("eps", 1e-5),), source=_LAYER_NORM),
        exported=("layer_norm", "native_layer_norm"),
    )
    onnx_names = ("LayerNormalization",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A norm over channels that lie last, with scales and shifts."""
        given.require({"weight", "bias"} <= given.weights.keys(), "it lacks scales or shifts")
        shape = given.get("normalized_shape", ())
        given.require(shape == given.weights["weight"], "it normalizes over something else")
        given.require(len(shape) == 1, "it normalizes over more than channels")
        given.require(len(given.inputs[0]) in (1, 3), "it reads neither a map nor a vector")
        return cls(shape[0], given.number("eps", 1e-5))

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own."""
        self.check(inputs[0])
        return inputs[0]

    def saved(self) -> Saved:
        """What it reads, and the mean and the deviation of each place."""
        return Saved(inputs=True, per_place=2)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A LayerNormalization; of maps, between two that turn channels last and back."""
        is_map = len(output) == 3
        channels, *sides = output
        last = (*sides, channels)
        if is_map:
            yield OnnxNode("Transpose", last, {"perm": [0, 2, 3, 1]}, ".channels_last")
        yield from map(Initializer, self.state)
        numbers = {"axis": -1, "epsilon": self.eps}
        yield OnnxNode("LayerNormalization", last, numbers, ".normalized" if is_map else "")
        if is_map:
            yield OnnxNode("Transpose", output, {"perm": [0, 3, 1, 2]})


@dataclass(frozen=True, slots=True)
class GroupNorm(ChannelNorm):
    """Group normalisation: over groups of channels, at all places (Wu and He 2018)."""

    kind = "group_norm"
    num_groups: int
    num_channels: int
    eps: float = 1e-5

    torch = Torch(
        is_module=True,
        module=Module("nn.GroupNorm", ("num_groups", "num_channels"), (("eps", 1e-5),)),
        exported=("group_norm", "native_group_norm"),
    )
    onnx_names = ("InstanceNormalization", "GroupNormalization")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A norm of maps with scales and shifts."""
        given.require({"weight", "bias"} <= given.weights.keys(), "it lacks scales or shifts")
        groups = given.whole("group" if "group" in given.arguments else "num_groups", 0)
        return cls(groups, given.weights["weight"][0], given.number("eps", 1e-5))

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own."""
        (x,) = inputs
        require_map(x, "group normalisation")
        self.check(x)
        if self.num_groups < 1 or self.num_channels % self.num_groups:
            raise ShapeError(
                f"{self.num_groups} groups do not divide {self.num_channels} channels",
                attribute="groups",
                otherwise=x,
                code="indivisible-channels",
            )
        return x

    def saved(self) -> Saved:
        """What it reads, and the mean and the deviation of each group."""
        return Saved(inputs=True, per_image=2 * self.num_groups)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An InstanceNormalization of the groups, a Mul and an Add: ONNX's GroupNormalization of
        this opset has scales of groups."""
        import numpy as np

        channels, *sides = output
        grouped = (self.num_groups, channels // self.num_groups * math.prod(sides))
        yield Initializer("groups", np.array([0, *grouped[:1], -1]))
        yield OnnxNode("Reshape", grouped, suffix=".grouped")
        yield Initializer("ones", np.ones(self.num_groups, np.float32))
        yield Initializer("zeros", np.zeros(self.num_groups, np.float32))
        yield OnnxNode("InstanceNormalization", grouped, {"epsilon": self.eps}, ".normalized")
        yield Initializer("channels", np.array([0, *output]))
        yield OnnxNode("Reshape", output, suffix=".channels_normalized")
        yield Initializer("weight", shape=(channels, 1, 1))
        yield OnnxNode("Mul", output, suffix=".scaled")
        yield Initializer("bias", shape=(channels, 1, 1))
        yield OnnxNode("Add", output)
