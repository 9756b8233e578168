"""Rectifiers whose slopes are learned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError
from archc.ops.facts import (
    INPUTS,
    Gradient,
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

_SLOPE = 0.25
"""What slopes are at first, in torch as in the paper."""


@dataclass(frozen=True, slots=True)
class PReLU(ElementWise):
    """x, or a learned slope times x where that is below zero: one slope for each channel, or one
    for all (He et al. 2015, "Delving Deep into Rectifiers").

    Parameters: its slopes.
    """

    kind = "prelu"
    num_parameters: int

    storage = Storage.OWN
    roles = tensors(weight=Role.SCALE)
    torch = Torch(
        is_module=True,
        module=Module("nn.PReLU", ("num_parameters",)),
        ends_line=True,
        exported=("prelu",),
    )
    onnx_names = ("PRelu",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """One whose slopes are a tensor of the model, laid out along the channels."""
        shape = given.weights.get("weight")
        given.require(shape is not None, "its slopes are computed, not a tensor of the model")
        assert shape is not None
        # ONNX lays the slopes of channels out as a map of one place.
        is_row = len(shape) == 1 or (len(shape) == given.rank - 1 and set(shape[1:]) == {1})
        count = math.prod(shape)
        given.require(is_row and count > 0, "its slopes are not those of channels")
        return cls(count)

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own unless it has one slope for all."""
        (x,) = inputs
        if self.num_parameters not in (1, x[0]):
            raise ShapeError(
                f"the prelu has slopes for {self.num_parameters} channels but gets {x[0]}",
                code="channel-mismatch",
            )
        return x

    @property
    def params(self) -> int:
        """The slopes."""
        return self.num_parameters

    @property
    def state(self) -> dict[str, Shape]:
        """The slopes."""
        return {"weight": (self.num_parameters,)}

    def start(self, name: str) -> float | None:
        """A quarter."""
        return _SLOPE

    def saved(self) -> Saved:
        """What it reads, for the gradient of the slopes."""
        return INPUTS

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """Products; those of the slopes are summed afterwards."""
        return Gradient(spare=math.prod(output))

    def look(self) -> Look:
        """A word beside the arrow."""
        return Look(word="prelu", words="prelu")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A PRelu."""
        yield Initializer("weight", shape=(self.num_parameters, *(1,) * (len(output) - 1)))
        yield OnnxNode("PRelu", output)
