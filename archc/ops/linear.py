"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.base import ShapeError, describe
from archc.ops.facts import (
    EVERYTHING,
    INPUTS,
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


@dataclass(frozen=True, slots=True)
class Linear(Unary):
    """A fully connected layer; multiply-adds ``in * out``, adding the bias not counted."""

    kind = "linear"
    in_features: int
    out_features: int
    bias: bool = True

    channels = changed("in_features", "out_features")
    storage = Storage.OWN
    is_layer = True
    roles = tensors(weight=Role.KERNEL, bias=Role.BIAS)
    torch = Torch(
        is_module=True,
        module=Module("nn.Linear", ("in_features", "out_features"), (("bias", True),)),
        exported=("linear", "addmm"),
    )

    def infer(self, *inputs: Shape) -> Shape:
        """A vector of the output's features."""
        (x,) = inputs
        if len(x) != 1:
            raise ShapeError(f"a linear layer needs a vector, not a {describe(x)}")
        if x[0] != self.in_features:
            raise ShapeError(
                f"the linear layer expects {self.in_features} features but gets {x[0]}"
            )
        return (self.out_features,)

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
        """The weights."""
        return self.in_features * self.out_features

    def reach(self) -> Reach:
        """The whole vector."""
        return EVERYTHING

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS

    def look(self) -> Look:
        """A box: ``fc 1000``."""
        return Look(box="fc", label=f"fc {self.out_features}", mark="fc")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Gemm."""
        yield from map(Initializer, self.state)
        yield OnnxNode("Gemm", output, {"transB": 1})
