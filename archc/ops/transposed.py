"""Transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import MAX_CHANNELS, MAX_PIXELS, Op, ShapeError, by, require_map, spread
from archc.ops.convolution import Convolution, kernel_of, onnx_window
from archc.ops.facts import (
    EVERYTHING,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Reach,
    Shape,
    Size,
    Torch,
    pair,
    stored,
)

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class ConvTranspose2d(Convolution):
    """A transposed convolution: each place of what it reads adds a window to what it puts out, the
    windows ``stride`` apart (Zeiler et al. 2010, "Deconvolutional networks").

    Parameters: ``in * out / groups * kh * kw``, and ``out`` more with a bias. Multiply-adds: the
    weights' count times the input's positions; adding the bias is not counted.
    """

    kind = "conv_transpose2d"
    in_channels: int
    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size = 0
    output_padding: Size = 0
    groups: int = 1
    bias: bool = True
    dilation: Size = 1

    unsaid = frozenset(["output_padding", "dilation"])
    draws_as_torch = True
    torch = Torch(
        is_module=True,
        module=Module(
            "nn.ConvTranspose2d",
            ("in_channels", "out_channels"),
            (
                *(("kernel_size", None), ("stride", 1), ("padding", 0), ("output_padding", 0)),
                *(("groups", 1), ("bias", True), ("dilation", 1)),
            ),
        ),
        exported=("conv_transpose2d",),
    )
    onnx_names = ("ConvTranspose",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A transposed convolution of maps, which cuts as much off on both ends."""
        weight = kernel_of(given)
        groups = given.whole("groups", 1)
        return cls(
            weight[0],
            weight[1] * groups,
            stored((weight[2], weight[3])),
            given.size("stride", 1),
            given.size("padding", 0),
            given.size("output_padding", 0),
            groups,
            "bias" in given.weights,
            given.size("dilation", 1),
        )

    def infer(self, *inputs: Shape) -> Shape:
        """The output's channels, at as many places as the windows reach over."""
        (x,) = inputs
        require_map(x, "a transposed convolution")
        if x[0] != self.in_channels:
            raise ShapeError(
                f"the transposed convolution expects {self.in_channels} input channels but gets "
                f"{x[0]}",
                code="channel-mismatch",
            )
        places = [
            (side - 1) * stride + over
            for side, stride, over in zip(x[1:], pair(self.stride), self._over, strict=True)
        ]
        for count in (self.in_channels, self.out_channels):
            if count % self.groups:
                raise ShapeError(f"{self.groups} groups do not divide {count} channels")
        if min(places) < 1 or max(places) > MAX_PIXELS or self.out_channels > MAX_CHANNELS:
            raise ShapeError(f"it would put out a {by((places[0], places[1]))} map")
        return (self.out_channels, *places)

    @property
    def _over(self) -> tuple[int, int]:
        """The (height, width) that it puts out for a map of a single place."""
        wide = spread(self.kernel_size, self.dilation)
        cut, more = pair(self.padding), pair(self.output_padding)
        return wide[0] + more[0] - 2 * cut[0], wide[1] + more[1] - 2 * cut[1]

    @property
    def params(self) -> int:
        """The weights and the biases."""
        return math.prod(self.state["weight"]) + self.bias * self.out_channels

    @property
    def state(self) -> dict[str, Shape]:
        """``weight``, and ``bias`` if it has one."""
        kernel = pair(self.kernel_size)
        weight = (self.in_channels, self.out_channels // self.groups, *kernel)
        return {"weight": weight, **({"bias": (self.out_channels,)} if self.bias else {})}

    def multiply_adds(self, output: Shape) -> int:
        """The weights, times the places of what it reads."""
        read = [
            (side - over) // stride + 1
            for side, stride, over in zip(output[1:], pair(self.stride), self._over, strict=True)
        ]
        return math.prod(self.state["weight"]) * math.prod(read)

    def reach(self) -> Reach:
        """Everything, for all that windows on what it reads can say."""
        return EVERYTHING

    def look(self) -> Look:
        """A box: ``2x2 up-conv, 64, x2``."""
        kernel, stride = by(self.kernel_size), pair(self.stride)
        apart = str(stride[0]) if stride[0] == stride[1] else by(stride)
        groups = f", g{self.groups}" if self.groups > 1 else ""
        numbers = f"{self.out_channels}{groups}{'' if apart == '1' else f', x{apart}'}"
        label = f"{kernel} up-conv, {numbers}"
        return Look(box="conv", label=label, mark=f"{kernel} up-conv", words=label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A ConvTranspose."""
        yield from map(Initializer, self.state)
        window = onnx_window(self.kernel_size, self.stride, self.padding)
        more = (
            {} if self.output_padding == 0 else {"output_padding": list(pair(self.output_padding))}
        )
        apart = {} if self.dilation == 1 else {"dilations": list(pair(self.dilation))}
        yield OnnxNode("ConvTranspose", output, {**window, **more, **apart, "group": self.groups})
