"""Ops on several values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import MAX_CHANNELS, Op, ShapeError, describe
from archc.ops.facts import (
    INPUTS,
    SUMMED,
    VIEW,
    Call,
    Gradient,
    Look,
    OnnxNode,
    OnnxStep,
    Saved,
    Shape,
    Torch,
    factor,
)
from archc.ops.traits import Merging

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class Add(Merging):
    """The element-wise sum of feature maps of one shape."""

    kind = "add"
    verb = "added"
    torch = Torch(
        is_module=False,
        call=Call(lambda *xs: " + ".join(xs), augmented="+="),
        exported=("add", "add_"),
    )
    onnx_names = ("Add", "Sum")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A sum of values, with no factor."""
        given.require(len(given.inputs) == 2, "it does not add two values")
        given.require(given.number("alpha", 1) == 1, "it adds a multiple")
        return cls()

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """That of the sum."""
        return VIEW

    def look(self) -> Look:
        """A plus where ways meet, as in the paper's Figure 5."""
        return Look(glyph="+", name="sum")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An Add for each value but the first."""
        return _one_by_one("Add", inputs)


@dataclass(frozen=True, slots=True)
class Multiply(Merging):
    """The element-wise product of two values.

    One of them may be a gate: a map of 1x1, a factor for each channel of the other (Hu et al.
    2018, "Squeeze-and-Excitation Networks"), or a map of one channel, a factor for each place.
    """

    kind = "multiply"
    verb = "multiplied"
    overwrites = False
    has_gates = True
    torch = Torch(
        is_module=False, call=Call(lambda *xs: " * ".join(map(factor, xs))), exported=("mul",)
    )
    onnx_names = ("Mul",)

    def infer(self, *inputs: Shape) -> Shape:
        """The shape of the larger one."""
        full = max(inputs, key=math.prod)
        gates = {full} if len(full) == 1 else {full, (full[0], 1, 1), (1, *full[1:])}
        if not gates.issuperset(inputs):
            shapes = " and a ".join(map(describe, inputs))
            raise ShapeError(
                f"a {shapes} cannot be {self.verb}",
                hint="a map can be multiplied by one of its shape, by one of 1x1 with as many "
                "channels, or by one of its size with a single channel",
                code="size-mismatch",
            )
        return full

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A product of values."""
        given.require(len(given.inputs) == 2, "it does not multiply two values")
        return cls()

    def saved(self) -> Saved:
        """What it reads: each is a factor of the others' gradients."""
        return INPUTS

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """A product with each of the others; of a gate it is summed afterwards."""
        return Gradient(spare=sum(math.prod(output) for one in inputs if one != output))

    def look(self) -> Look:
        """A cross where ways meet."""
        return Look(glyph="\N{MULTIPLICATION SIGN}", name="product")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Mul for each value but the first."""
        return _one_by_one("Mul", inputs)


@dataclass(frozen=True, slots=True)
class Concat(Merging):
    """The channels of several maps of one size, or the features of several vectors, in a row."""

    kind = "concat"
    verb = "concatenated"
    channels = SUMMED
    overwrites = False
    commutes = False
    torch = Torch(
        is_module=False,
        call=Call(lambda *xs: f"torch.cat([{', '.join(xs)}], dim=1)"),
        exported=("cat",),
    )
    onnx_names = ("Concat",)

    def infer(self, *inputs: Shape) -> Shape:
        """The channels of all, at the places of each."""
        if len({(len(x), *x[1:]) for x in inputs}) != 1:
            shapes = " and a ".join(map(describe, inputs))
            raise ShapeError(
                f"a {shapes} cannot be {self.verb}",
                hint="they must have the same height and width",
                code="size-mismatch",
            )
        channels = sum(x[0] for x in inputs)
        if channels > MAX_CHANNELS and len(inputs[0]) == 3:
            raise ShapeError(
                f"{channels:,} channels exceed the limit of {MAX_CHANNELS:,}",
                otherwise=(channels, *inputs[0][1:]),
                code="limit-exceeded",
            )
        return (channels, *inputs[0][1:])

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """The channels in a row."""
        given.require(given.dim("dim") == 1, "it joins something other than channels")
        return cls()

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """Its part of that of all."""
        return VIEW

    def look(self) -> Look:
        """A c where ways meet."""
        return Look(glyph="C", name="concatenation")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Concat."""
        yield OnnxNode("Concat", output, {"axis": 1})


def _one_by_one(kind: str, inputs: Sequence[Shape]) -> Iterator[OnnxStep]:
    """Nodes of two values each, in the order in which torch computes them."""
    for count in range(2, len(inputs) + 1):
        shape = max(inputs[:count], key=math.prod)
        suffix = f".of_{count}" if count < len(inputs) else ""
        yield OnnxNode(kind, shape, suffix=suffix, takes=2)
