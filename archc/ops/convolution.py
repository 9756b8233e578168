"""Convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import MAX_CHANNELS, Op, ShapeError, by, require_map, slide, spread, step
from archc.ops.facts import (
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
    Size,
    Storage,
    Torch,
    Window,
    changed,
    pair,
    stored,
    tensors,
)
from archc.ops.traits import Unary

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class Convolution(Unary):
    """A layer whose kernels slide over maps, or over what it makes of them."""

    channels = changed("in_channels", "out_channels")
    storage = Storage.OWN
    is_layer = True
    roles = tensors(weight=Role.KERNEL, bias=Role.BIAS)

    def saved(self) -> Saved:
        """What it reads."""
        return INPUTS


def kernel_of(given: Given) -> Shape:
    """The shape of the kernels of a call. Raises `NotReadError` where they are no tensor of the
    model, or not those of maps."""
    weight = given.weights.get("weight")
    given.require(weight is not None, "its kernel is computed, not a tensor of the model")
    assert weight is not None
    given.require(len(weight) == 4, f"it is a convolution over {len(weight) - 2} directions")
    return weight


@dataclass(frozen=True, slots=True)
class Conv2d(Convolution):
    """A convolution.

    Parameters: ``out * in / groups * kh * kw``, and ``out`` more with a bias. Multiply-adds: the
    weights' count times the output's positions; adding the bias is not counted.
    """

    kind = "conv2d"
    in_channels: int
    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size = 0
    groups: int = 1
    bias: bool = True
    dilation: Size = 1

    unsaid = frozenset(["dilation"])
    torch = Torch(
        is_module=True,
        module=Module(
            "nn.Conv2d",
            ("in_channels", "out_channels"),
            (
                *(("kernel_size", None), ("stride", 1), ("padding", 0), ("dilation", 1)),
                *(("groups", 1), ("bias", True)),
            ),
        ),
        exported=("conv2d", "convolution"),
    )
    onnx_names = ("Conv", "com.microsoft.FusedConv")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A convolution of maps, whose padding is equal on both ends."""
        weight = kernel_of(given)
        given.require(not given.flag("transposed", False), "it is a transposed convolution")
        groups, dilation = given.whole("groups", 1), given.size("dilation", 1)
        kernel, padding = (weight[2], weight[3]), given.get("padding", 0)
        if padding == "same":
            wide = spread(kernel, dilation)
            given.require(all(side % 2 for side in wide), "it pads one end more than the other")
            padding = (wide[0] // 2, wide[1] // 2)
        else:
            padding = 0 if padding == "valid" else given.size("padding", 0)
        return cls(
            weight[1] * groups,
            weight[0],
            stored(kernel),
            given.size("stride", 1),
            stored(pair(padding)),
            groups,
            "bias" in given.weights,
            dilation,
        )

    def infer(self, *inputs: Shape) -> Shape:
        """The output's channels, and the places of the window."""
        (x,) = inputs
        require_map(x, "a convolution")
        if x[0] != self.in_channels:
            raise ShapeError(
                f"the convolution expects {self.in_channels} input channels but gets {x[0]}",
                code="channel-mismatch",
            )
        places = slide(x, self.kernel_size, self.stride, self.padding, dilation=self.dilation)
        out = (self.out_channels, *places)
        for name, channels in (("input", self.in_channels), ("output", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(
                    f"{self.groups} groups do not divide {channels} {name} channels",
                    attribute="groups",
                    hint=f"groups must divide both {self.in_channels} and {self.out_channels}",
                    otherwise=out,
                    code="indivisible-channels",
                )
        if self.out_channels > MAX_CHANNELS:
            raise ShapeError(
                f"{self.out_channels:,} channels exceed the limit of {MAX_CHANNELS:,}",
                attribute="width",
                otherwise=out,
                code="limit-exceeded",
            )
        return out

    @property
    def params(self) -> int:
        """The weights and the biases."""
        weights = self.out_channels * (self.in_channels // self.groups) * self._positions
        return weights + self.bias * self.out_channels

    @property
    def state(self) -> dict[str, Shape]:
        """``weight``, and ``bias`` if it has one."""
        kernel = pair(self.kernel_size)
        weight = (self.out_channels, self.in_channels // self.groups, *kernel)
        return {"weight": weight, **({"bias": (self.out_channels,)} if self.bias else {})}

    def multiply_adds(self, output: Shape) -> int:
        """The weights of an output, times the outputs."""
        return math.prod(output) * (self.in_channels // self.groups) * self._positions

    @property
    def _positions(self) -> int:
        """Of the window."""
        if isinstance(self.kernel_size, int):
            return self.kernel_size**2
        return math.prod(self.kernel_size)

    def reach(self) -> Reach:
        """Its window, as wide as dilation spreads it."""
        window = spread(self.kernel_size, self.dilation)
        return Window(window, pair(self.stride), pair(self.padding))

    def look(self) -> Look:
        """A box as the paper labels it: ``3x3 conv, 128, /2``; ``3x3 dw, 128`` if depthwise."""
        is_depthwise = self.groups > 1 and self.groups == self.in_channels
        groups = f", g{self.groups}" if self.groups > 1 and not is_depthwise else ""
        kernel, dw = by(self.kernel_size), " dw" * is_depthwise
        apart = f", d{by(self.dilation)}" if isinstance(self.dilation, tuple) else ""
        if not apart and self.dilation != 1:
            apart = f", d{self.dilation}"
        numbers = f"{self.out_channels}{groups}{apart}{step(self.stride)}"
        return Look(
            box="conv",
            label=f"{kernel}{dw or ' conv'}, {numbers}",
            mark=f"{kernel}{dw}",
            words=f"{kernel}{dw}, {numbers}",
        )

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Conv."""
        yield from map(Initializer, self.state)
        window = onnx_window(self.kernel_size, self.stride, self.padding)
        apart = {} if self.dilation == 1 else {"dilations": list(pair(self.dilation))}
        yield OnnxNode("Conv", output, {**window, **apart, "group": self.groups})


def onnx_window(kernel: Size, stride: Size, padding: Size) -> dict[str, list[int]]:
    """A window as ONNX's attributes have it."""
    return {
        "kernel_shape": list(pair(kernel)),
        "strides": list(pair(stride)),
        "pads": [*pair(padding), *pair(padding)],
    }
