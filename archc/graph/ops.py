"""The operations a network is made of.

Each op is one frozen record, and its rules stand beside it and nowhere else: the output shape it
infers, the parameters it holds, the multiply-adds it costs. Shapes carry no batch: a feature map
is ``(channels, height, width)``, a vector is ``(features,)``. Numbers bear the names that torch's
modules give them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache
from typing import ClassVar, TypeAlias

Shape: TypeAlias = tuple[int, ...]

MAX_CHANNELS = 65_536
MAX_PIXELS = 32_768
MAX_PARAMS = 10**18 - 1
"""Parameters of one op: a tensor of more could not be addressed."""


class ShapeError(ValueError):
    """An op cannot take the shape it is given.

    ``attribute`` names what the author wrote that is at fault (``"kernel"``, ``"groups"``), where
    one thing is; ``hint`` says what to do about it. ``otherwise`` is the shape that would be put
    out if this fault were ignored, where that is known: what comes next can be checked with it.
    """

    def __init__(
        self,
        message: str,
        *,
        attribute: str | None = None,
        hint: str | None = None,
        otherwise: Shape | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.attribute = attribute
        self.hint = hint
        self.otherwise = otherwise


def describe(shape: Shape) -> str:
    """A shape in words: ``feature map of 64x56x56`` or ``vector of 512``."""
    if len(shape) == 1:
        return f"vector of {shape[0]:,}"
    return "feature map of " + "x".join(map(str, shape))


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. Subclasses give their ``kind`` and override the rules that apply to them."""

    kind: ClassVar[str]
    buffers: ClassVar[frozenset[str]] = frozenset()
    """Those of its tensors that are counted or averaged, not learned."""

    def infer(self, *inputs: Shape) -> Shape:
        """Return the output shape for these input shapes; raise `ShapeError` if they do not fit."""
        return inputs[0]

    @property
    def params(self) -> int:
        """The number of learned parameters."""
        return 0

    def multiply_adds(self, output: Shape) -> int:
        """Multiply-adds for one image, given the output shape (He et al. 2015, section 3.3)."""
        return 0

    @property
    def state(self) -> dict[str, Shape]:
        """The tensors of its module's state dict with their shapes, in torch's order."""
        return {}

    @property
    def numbers(self) -> dict[str, int | float | bool]:
        """The op's own numbers, under torch's names and in the order of its fields."""
        return {name: getattr(self, name) for name in self.field_names()}

    @classmethod
    @cache  # dataclasses finds them anew whenever it is asked
    def field_names(cls) -> tuple[str, ...]:
        """The names of its own numbers, in the order of its fields."""
        return tuple([field.name for field in fields(cls)])


@dataclass(frozen=True, slots=True)
class Input(Op):
    """The image: ``(channels, height, width)``; its shape stands on its node."""

    kind = "input"


@dataclass(frozen=True, slots=True)
class Conv2d(Op):
    """A convolution with a square kernel.

    Parameters: ``out * in / groups * k * k``, and ``out`` more with a bias. Multiply-adds: the
    weights' count times the output's positions; adding the bias is not counted.
    """

    kind = "conv2d"
    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_map(x, "a convolution")
        if x[0] != self.in_channels:
            raise ShapeError(
                f"the convolution expects {self.in_channels} input channels but gets {x[0]}"
            )
        out = (self.out_channels, *_slide(x, self.kernel_size, self.stride, self.padding))
        for name, channels in (("input", self.in_channels), ("output", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(
                    f"{self.groups} groups do not divide {channels} {name} channels",
                    attribute="groups",
                    hint=f"groups must divide both {self.in_channels} and {self.out_channels}",
                    otherwise=out,
                )
        if self.out_channels > MAX_CHANNELS:
            raise ShapeError(
                f"{self.out_channels:,} channels exceed the limit of {MAX_CHANNELS:,}",
                attribute="width",
                otherwise=out,
            )
        return out

    @property
    def params(self) -> int:
        weights = self.out_channels * (self.in_channels // self.groups) * self.kernel_size**2
        return weights + self.bias * self.out_channels

    @property
    def state(self) -> dict[str, Shape]:
        kernel = (self.kernel_size, self.kernel_size)
        weight = (self.out_channels, self.in_channels // self.groups, *kernel)
        return {"weight": weight, **({"bias": (self.out_channels,)} if self.bias else {})}

    def multiply_adds(self, output: Shape) -> int:
        return math.prod(output) * (self.in_channels // self.groups) * self.kernel_size**2


@dataclass(frozen=True, slots=True)
class BatchNorm2d(Op):
    """Batch normalisation of a feature map: a scale and a shift per channel.

    ``weight * (x - mean) / sqrt(variance + EPS) + bias``, mean and variance being the batch's
    while training, otherwise running averages that each batch moves by ``MOMENTUM``. Both are
    torch's.
    """

    EPS: ClassVar[float] = 1e-5
    MOMENTUM: ClassVar[float] = 0.1

    kind = "batch_norm2d"
    buffers = frozenset({"running_mean", "running_var", "num_batches_tracked"})
    num_features: int

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_map(x, "batch normalisation")
        if x[0] != self.num_features:
            raise ShapeError(f"the norm expects {self.num_features} channels but gets {x[0]}")
        return x

    @property
    def params(self) -> int:
        return 2 * self.num_features

    @property
    def state(self) -> dict[str, Shape]:
        per_channel = ("weight", "bias", "running_mean", "running_var")
        return {**dict.fromkeys(per_channel, (self.num_features,)), "num_batches_tracked": ()}


@dataclass(frozen=True, slots=True)
class ReLU(Op):
    """max(x, 0), element by element."""

    kind = "relu"


@dataclass(frozen=True, slots=True)
class _Pool2d(Op):
    kernel_size: int
    stride: int
    padding: int = 0

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_map(x, "pooling")
        out = (x[0], *_slide(x, self.kernel_size, self.stride, self.padding))
        fault = self.fault(otherwise=out)
        if fault is not None:
            raise fault
        return out

    def fault(self, otherwise: Shape | None = None) -> ShapeError | None:
        """What is wrong with the pooling whatever its input: torch refuses so much padding."""
        if self.padding <= self.kernel_size // 2:
            return None
        return ShapeError(
            f"a pooling of {self.kernel_size}x{self.kernel_size} can be padded by at most "
            f"{self.kernel_size // 2}, half its kernel, not by {self.padding}",
            attribute="padding",
            otherwise=otherwise,
        )


@dataclass(frozen=True, slots=True)
class MaxPool2d(_Pool2d):
    """The maximum over a sliding square window; sizes round down."""

    kind = "max_pool2d"


@dataclass(frozen=True, slots=True)
class AvgPool2d(_Pool2d):
    """The mean over a sliding square window, padding counted in; sizes round down."""

    kind = "avg_pool2d"


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool2d(Op):
    """Means over a grid of ``output_size`` x ``output_size`` windows that cover the map."""

    kind = "adaptive_avg_pool2d"
    output_size: int

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_map(x, "pooling")
        return (x[0], self.output_size, self.output_size)


@dataclass(frozen=True, slots=True)
class ZeroPadShortcut(Op):
    """Option A of He et al. 2015, section 3.3: subsample, append zero channels, no parameters."""

    kind = "zero_pad_shortcut"
    in_channels: int
    out_channels: int
    stride: int = 1

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_map(x, "a shortcut")
        if x[0] != self.in_channels:
            raise ShapeError(f"the shortcut expects {self.in_channels} channels but gets {x[0]}")
        out = (self.out_channels, *_slide(x, 1, self.stride, 0))
        if self.out_channels < self.in_channels:
            raise ShapeError(
                f"option A cannot reduce {self.in_channels} channels to {self.out_channels}",
                attribute="shortcut",
                hint="option A only appends channels; use B, which projects",
                otherwise=out,
            )
        return out


@dataclass(frozen=True, slots=True)
class Add(Op):
    """The element-wise sum of feature maps of one shape."""

    kind = "add"

    def infer(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            shapes = " and a ".join(map(describe, inputs))
            raise ShapeError(f"a {shapes} cannot be added")
        return inputs[0]


@dataclass(frozen=True, slots=True)
class Flatten(Op):
    """A feature map laid out as one vector."""

    kind = "flatten"

    def infer(self, *inputs: Shape) -> Shape:
        return (math.prod(inputs[0]),)


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """A fully connected layer; multiply-adds ``in * out``, adding the bias not counted."""

    kind = "linear"
    in_features: int
    out_features: int
    bias: bool = True

    def infer(self, *inputs: Shape) -> Shape:
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
        return self.out_features * (self.in_features + self.bias)

    @property
    def state(self) -> dict[str, Shape]:
        weight = (self.out_features, self.in_features)
        return {"weight": weight, **({"bias": (self.out_features,)} if self.bias else {})}

    def multiply_adds(self, output: Shape) -> int:
        return self.in_features * self.out_features


@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """Zeroes elements with probability ``p`` while training."""

    kind = "dropout"
    p: float = 0.5


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """Probabilities over the features of a vector."""

    kind = "softmax"

    def infer(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 1:
            raise ShapeError(
                f"a vector is needed, not a {describe(x)}",
                hint="put `flatten` or `linear` before it",
            )
        return x


OPS: dict[str, type[Op]] = {
    op.kind: op
    for op in (
        Input,
        Conv2d,
        BatchNorm2d,
        ReLU,
        MaxPool2d,
        AvgPool2d,
        AdaptiveAvgPool2d,
        ZeroPadShortcut,
        Add,
        Flatten,
        Linear,
        Dropout,
        Softmax,
    )
}
"""Every op by its kind."""


def _require_map(x: Shape, who: str) -> None:
    if len(x) != 3:
        raise ShapeError(
            f"{who} needs a feature map, not a {describe(x)}",
            hint="a vector cannot be turned back into a feature map: move this before the flatten",
        )


def _slide(x: Shape, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Height and width after a sliding window, rounded down as torch does."""
    _, height, width = x
    out = (
        (height + 2 * padding - kernel) // stride + 1,
        (width + 2 * padding - kernel) // stride + 1,
    )
    if min(out) < 1:
        size = f"{height}x{width}" + (f" padded by {padding}" if padding else "")
        raise ShapeError(
            f"a window of {kernel}x{kernel} does not fit into a feature map of {size}",
            attribute="kernel",
            hint="use a smaller window, fewer strides before it, or a larger input",
        )
    if max(out) > MAX_PIXELS:
        raise ShapeError(
            f"a feature map of {out[0]:,}x{out[1]:,} exceeds the limit of {MAX_PIXELS:,} pixels "
            "per side",
            attribute="padding",
        )
    return out
