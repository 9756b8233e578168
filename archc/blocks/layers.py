"""The layers of stem and head: a model each, and what it computes.

A layer is written as a bare word or as one key with its value. Its lowering names its steps by
family (``conv``, ``bn``, ``maxpool``); the compiler gives each its place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from archc.blocks.lowering import Convolution, Style, activate, convolve, normalise
from archc.graph import Fragment, FragmentBuilder, Shape, ShapeError
from archc.ops import (
    MAX_CHANNELS,
    MAX_PIXELS,
    AdaptiveAvgPool2d,
    AvgPool2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Softmax,
)
from archc.source.record import Record


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a layer takes from its network."""

    style: Style
    classes: int


class Layer(Record, ABC):
    """One layer of stem or head.

    ``scalar`` names the field that a plain value stands for (``dropout: 0.5``); a layer without
    one is written as a bare word or as a mapping of its fields.
    """

    scalar: ClassVar[str | None] = None
    example: ClassVar[str]

    @abstractmethod
    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """Add the layer's ops to a piece of graph."""

    def fault(self) -> ShapeError | None:
        """What is wrong with the layer whatever its input."""
        return None

    def lower(self, x: Shape, around: Surroundings) -> Fragment:
        """The layer on an input of shape ``x``; raises `ShapeError` where that does not fit."""
        piece = FragmentBuilder(x)
        self.grow(piece, around)
        return piece.build()

    def as_dict(self) -> dict[str, object]:
        """The layer's fields as plain data: what the digest of a spec is made of."""
        return self.model_dump(mode="json")


class ConvLayer(Layer):
    """A convolution with its norm and activation."""

    example = "conv: {width: 64, kernel: 3}"

    width: int = Field(ge=1, le=MAX_CHANNELS, description="Output channels.")
    kernel: int = Field(ge=1, le=MAX_PIXELS, description="Size of the square kernel.")
    stride: int = Field(default=1, ge=1, le=MAX_PIXELS, description="Stride.")
    padding: int | None = Field(
        default=None,
        ge=0,
        le=MAX_PIXELS,
        description="Zeros around the map; by default (kernel - 1) // 2.",
    )
    groups: int = Field(default=1, ge=1, le=MAX_CHANNELS, description="Groups of channels.")
    bias: bool | None = Field(
        default=None, description="Whether it has a bias; by default only without a norm."
    )
    norm: Literal["batch_norm", "none"] | None = Field(
        default=None, description="The norm after the convolution; by default the network's."
    )
    activation: Literal["relu", "none"] = Field(
        default="relu", description="The activation after the norm."
    )

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """Convolution, norm, activation."""
        norm = around.style.norm if self.norm is None else self.norm != "none"
        how = Convolution(
            self.width, self.kernel, self.stride, self.padding, self.groups, self.bias
        )
        convolve(piece, "conv", how, norm)
        if norm:
            normalise(piece, "bn")
        if self.activation == "relu":
            activate(piece, "relu")


class _PoolLayer(Layer):
    kernel: int = Field(ge=1, le=MAX_PIXELS, description="Size of the square window.")
    stride: int | None = Field(
        default=None, ge=1, le=MAX_PIXELS, description="Stride; by default the kernel."
    )
    padding: int | None = Field(
        default=None,
        ge=0,
        le=MAX_PIXELS,
        description=(
            "Padding around the map; by default (kernel - 1) // 2 where windows overlap (stride "
            "smaller than kernel), otherwise 0."
        ),
    )

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """The pooling; sizes round down."""
        piece.add(self._name, self._op)

    def fault(self) -> ShapeError | None:
        """Padding of more than half the kernel."""
        return self._op.fault()

    def as_dict(self) -> dict[str, object]:
        """The fields; a padding of 0 that used to be another one is among them.

        Poolings whose windows do not overlap were once padded by (kernel - 1) // 2, too. Where that
        made a difference, the digest differs from the one of those days.
        """
        fields = super().as_dict()
        if self.padding is None and self._default_padding != (self.kernel - 1) // 2:
            fields["padding"] = self._default_padding
        return fields

    @property
    def _op(self) -> MaxPool2d | AvgPool2d:
        padding = self._default_padding if self.padding is None else self.padding
        return self._type(self.kernel, self._step, padding)

    @property
    def _step(self) -> int:
        return self.stride or self.kernel

    @property
    def _default_padding(self) -> int:
        # Padding windows that do not overlap would move them off the map: a 7x7 pooling of a 7x7
        # map would see 16 of its 49 pixels.
        return (self.kernel - 1) // 2 if self._step < self.kernel else 0

    _name: ClassVar[str]
    _type: ClassVar[type[MaxPool2d | AvgPool2d]]


class MaxPoolLayer(_PoolLayer):
    """The maximum over a sliding window."""

    example = "max_pool: {kernel: 3, stride: 2}"
    _name, _type = "maxpool", MaxPool2d


class AvgPoolLayer(_PoolLayer):
    """The mean over a sliding window."""

    example = "avg_pool: {kernel: 2}"
    _name, _type = "avgpool", AvgPool2d


class AdaptiveAvgPoolLayer(Layer):
    """Means over a grid of windows that cover the map, whatever its size."""

    scalar = "size"
    example = "adaptive_avg_pool: 7"

    size: int = Field(ge=1, le=MAX_PIXELS, description="Size of the output.")

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """An adaptive pooling to size x size."""
        piece.add("avgpool", AdaptiveAvgPool2d(self.size))


class GlobalAvgPoolLayer(Layer):
    """The mean of each channel."""

    example = "global_avg_pool"

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """An adaptive pooling to 1 x 1."""
        piece.add("avgpool", AdaptiveAvgPool2d(1))


class LinearLayer(Layer):
    """A fully connected layer; a feature map is flattened for it."""

    scalar = "features"
    example = "linear: 4096"

    features: int | None = Field(
        default=None, ge=1, description="Output features; by default the network's classes."
    )

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A linear layer, behind a flatten where it meets a feature map."""
        if len(piece.shape()) > 1:
            piece.add("flatten", Flatten())
        features = around.classes if self.features is None else self.features
        piece.add("fc", Linear(piece.shape()[0], features))


class ReluLayer(Layer):
    """max(x, 0)."""

    example = "relu"

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A relu."""
        activate(piece, "relu")


class BatchNormLayer(Layer):
    """Batch normalisation of a feature map."""

    example = "batch_norm"

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A norm of as many channels as it meets."""
        normalise(piece, "bn")


class DropoutLayer(Layer):
    """Zeroes elements at random while training."""

    scalar = "p"
    example = "dropout: 0.5"

    p: float = Field(default=0.5, ge=0, le=1, description="Probability that an element is zeroed.")

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A dropout."""
        piece.add("dropout", Dropout(self.p))


class FlattenLayer(Layer):
    """Lays a feature map out as one vector."""

    example = "flatten"

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A flatten."""
        piece.add("flatten", Flatten())


class SoftmaxLayer(Layer):
    """Turns the logits into probabilities; the last layer, or absent."""

    example = "softmax"

    def grow(self, piece: FragmentBuilder, around: Surroundings) -> None:
        """A softmax."""
        piece.add("softmax", Softmax())


LAYERS: dict[str, type[Layer]] = {
    "conv": ConvLayer,
    "max_pool": MaxPoolLayer,
    "avg_pool": AvgPoolLayer,
    "adaptive_avg_pool": AdaptiveAvgPoolLayer,
    "global_avg_pool": GlobalAvgPoolLayer,
    "linear": LinearLayer,
    "relu": ReluLayer,
    "batch_norm": BatchNormLayer,
    "dropout": DropoutLayer,
    "flatten": FlattenLayer,
    "softmax": SoftmaxLayer,
}
"""Every layer by the word it is written with."""
