"""Fully connected layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import MAX_CHANNELS, Op, ShapeError, describe, require_map
from archc.ops.facts import (
    EVERYTHING,
    INPUTS,
    POINT,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Reach,
    Role,
    Saved,
    Shape,
    Storage,
    Torch,
    changed,
    tensors,
)
from archc.ops.traits import Unary

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class Dense(Unary):
    """A layer with a weight for each feature that it reads and each that it puts out.

    Multiply-adds are the weights of an output, times the outputs; adding the bias is not counted.
    """

    in_features: int
    out_features: int
    bias: bool = True

    channels = changed("in_features", "out_features")
    storage = Storage.OWN
    is_layer = True
    roles = tensors(weight=Role.KERNEL, bias=Role.BIAS)

    @property
    def params(self) -> int:
        """The weights and the biases."""
        return self.out_features * (self.in_features + self.bias)

    @property
    def state(self) -> dict[str, Shape]:
        """``weight``, and ``bias`` if it has one."""
        weight = (self.out_features, self.in_features)
        return {"weight": weight, **({"bias": (self.out_features,)} if self.bias else {})}

    def multiply_adds(self, output: Shape) -> int:
        """The weights of an output, times the outputs."""
        return self.in_features * math.prod(output)

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS


@dataclass(frozen=True, slots=True)
class Linear(Dense):
    """A fully connected layer; multiply-adds ``in * out``, adding the bias not counted."""

    kind = "linear"
    torch = Torch(
        is_module=True,
        module=Module("nn.Linear", ("in_features", "out_features"), (("bias", True),)),
        exported=("linear", "addmm"),
    )
    onnx_names = ("Gemm",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A linear layer on vectors."""
        given.require(all(len(x) == 1 for x in given.inputs), "it does not read a vector")
        return cls(*features(given))

    def infer(self, *inputs: Shape) -> Shape:
        """A vector of the output's features."""
        (x,) = inputs
        if len(x) != 1:
            raise ShapeError(f"a linear layer needs a vector, not a {describe(x)}")
        if x[0] != self.in_features:
            raise ShapeError(
                f"the linear layer expects {self.in_features} features but gets {x[0]}",
                code="channel-mismatch",
            )
        return (self.out_features,)

    def reach(self) -> Reach:
        """The whole vector."""
        return EVERYTHING

    def look(self) -> Look:
        """A box: ``fc 1000``."""
        label = f"fc {self.out_features}"
        return Look(box="fc", label=label, mark="fc", words=label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Gemm."""
        yield from map(Initializer, self.state)
        yield OnnxNode("Gemm", output, {"transB": 1})


def features(given: Given) -> tuple[int, int, bool]:
    """The features that a linear layer reads and puts out, and whether it has a bias."""
    weight = given.weights.get("weight") or given.weights.get("mat2")
    given.require(weight is not None, "its weight is computed, not a tensor of the model")
    assert weight is not None
    given.require(len(weight) == 2, "its weight is not a matrix")
    return weight[1], weight[0], "bias" in given.weights or "input" in given.weights


_CHANNEL_LINEAR = tuple(
    '''
class ChannelLinear(nn.Linear):
    """A linear layer over the channels of each place of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class ChannelLinear(Dense):
    """A linear layer over the channels of each place of a map: a 1x1 convolution, with the tensors
    of a linear layer (Liu et al. 2022, "A ConvNet for the 2020s").

    Multiply-adds are ``in * out`` for each place, adding the bias not counted.
    """

    kind = "channel_linear"
    torch = Torch(
        is_module=True,
        module=Module(
            "ChannelLinear",
            ("in_features", "out_features"),
            (("bias", True),),
            source=_CHANNEL_LINEAR,
        ),
        exported=("linear", "addmm", "matmul"),
    )
    onnx_names = ("MatMul", "Conv")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A linear layer on maps whose channels lie last."""
        given.require(all(len(x) == 3 for x in given.inputs), "it does not read a map")
        return cls(*features(given))

    def infer(self, *inputs: Shape) -> Shape:
        """The output's channels, at the places of what it reads."""
        (x,) = inputs
        require_map(x, "a linear layer over channels")
        if x[0] != self.in_features:
            raise ShapeError(
                f"the linear layer expects {self.in_features} channels but gets {x[0]}",
                code="channel-mismatch",
            )
        out = (self.out_features, *x[1:])
        if self.out_features > MAX_CHANNELS:
            raise ShapeError(
                f"{self.out_features:,} channels exceed the limit of {MAX_CHANNELS:,}",
                attribute="width",
                otherwise=out,
                code="limit-exceeded",
            )
        return out

    def reach(self) -> Reach:
        """Its own place."""
        return POINT

    def saved(self) -> Saved:
        """What it reads. (Of a map that is not in channels_last, torch keeps a copy that is.)"""
        return INPUTS

    def look(self) -> Look:
        """A box as of a 1x1 convolution: ``linear, 96``."""
        label = f"linear, {self.out_features}"
        return Look(box="conv", label=label, mark="linear", words=label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Conv of 1x1."""
        yield Initializer("weight", shape=(self.out_features, self.in_features, 1, 1))
        if self.bias:
            yield Initializer("bias")
        yield OnnxNode("Conv", output, {"kernel_shape": [1, 1]})
