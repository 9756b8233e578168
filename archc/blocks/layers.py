"""The layers that rows are made of: a model each, and the ops that it comes to.

A layer is written as a bare word or as one key with its value. It names its ops by family
(``conv``, ``bn``, ``maxpool``); what each is called in the end, its place decides.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, Protocol, TypeAlias

from archc.blocks.around import ACTIVATIONS, GROUPS, ActivationName, Around, Norm, NormName
from archc.graph import Shape, ShapeError
from archc.graph.initial import Rule
from archc.ops import (
    MAX_CHANNELS,
    MAX_PIXELS,
    OPS,
    AdaptiveAvgPool2d,
    Affine,
    AvgPool2d,
    ChannelLinear,
    Conv2d,
    Flatten,
    LayerScale,
    Linear,
    MaxPool2d,
    Op,
    Size,
    ZeroPadShortcut,
    pair,
)
from archc.source.record import Field, Record
from archc.text import listing


class Making(Protocol):
    """The piece of graph that a layer is added to, after the current value."""

    @property
    def around(self) -> Around:
        """The network around it."""

    def shape(self) -> Shape:
        """The shape of the current value."""

    def add(
        self,
        family: str,
        op: Op,
        *,
        by_itself: bool = False,
        ahead: bool = False,
        rule: Rule | None = None,
    ) -> None:
        """Add an op on the current value, its weight drawn by a rule of its own if there is one.

        One ``by_itself`` is nothing the author has written, and takes no number of a numbered
        module; one ``ahead`` runs before the rest of its block where it reads what the block does.
        """


def _words(least: int) -> str:
    return f"an integer from {least} to {MAX_PIXELS:,}, or [height, width]"


_Side = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
_Padded = Annotated[int, Field(ge=0, le=MAX_PIXELS)]
_Kernel: TypeAlias = _Side | tuple[_Side, _Side]
_Padding: TypeAlias = _Padded | tuple[_Padded, _Padded]
_Eps: TypeAlias = Annotated[float, Field(gt=0, le=1)]
_Momentum: TypeAlias = Annotated[float, Field(gt=0, le=1)]

NETWORK: Literal["network"] = "network"
"""Stands for the norm or the activation that the network has."""


_Fan: TypeAlias = Literal["fan_in", "fan_out"]
_Positive: TypeAlias = Annotated[float, Field(gt=0)]


class Start(Record):
    """What a weight is drawn from: one of the rules, and the number that the bias starts as."""

    kaiming_normal: _Fan | None = Field(default=None, description="He et al. 2015, normal.")
    kaiming_uniform: _Fan | None = Field(default=None, description="He et al. 2015, uniform.")
    gain: _Positive | None = Field(default=None, description="The gain of kaiming_uniform.")
    normal: _Positive | None = Field(default=None, description="The standard deviation.")
    truncated_normal: _Positive | None = Field(
        default=None, description="The standard deviation of a normal distribution cut at 2."
    )
    uniform: _Positive | None = Field(default=None, description="The bound.")
    bias: float | None = Field(default=None, description="What the bias starts as.")

    def _check_together(self) -> None:
        given = [name for name in _RULES if getattr(self, name) is not None]
        if len(given) != 1 or (self.gain is not None and given != ["kaiming_uniform"]):
            raise ValueError(f"takes one rule of {listing(_RULES, 'and')}, `gain` with the second")

    @property
    def rule(self) -> Rule:
        """As a rule of the graph."""
        (how,) = [name for name in _RULES if getattr(self, name) is not None]
        value = getattr(self, how)
        if isinstance(value, str):
            return Rule(how, mode=value, gain=self.gain, bias=self.bias)  # type: ignore[arg-type]
        return Rule(how, value, bias=self.bias)  # type: ignore[arg-type]


_RULES = ("kaiming_normal", "kaiming_uniform", "normal", "truncated_normal", "uniform")


def _rule(init: Start | None) -> Rule | None:
    return None if init is None else init.rule


class Layer(Record, ABC):
    """One layer of a row.

    ``scalar`` names the field that a plain value stands for (``dropout: 0.5``); a layer without
    one is written as a bare word or as a mapping of its fields.
    """

    scalar: ClassVar[str | None] = None
    example: ClassVar[str]

    @abstractmethod
    def grow(self, made: Making) -> None:
        """Add the layer's ops."""

    def fault(self) -> ShapeError | None:
        """What is wrong with the layer whatever its input."""
        return None


class LayerOfOneOp(Layer):
    """A layer that is one op, whose fields are the op's."""

    family: ClassVar[str]
    kind: ClassVar[str]

    def grow(self, made: Making) -> None:
        """The op."""
        made.add(self.family, self.op)

    @property
    def op(self) -> Op:
        """The op."""
        return OPS[self.kind](*[value for _, value in self])


class ConvLayer(Layer):
    """A convolution with its norm and activation."""

    example = "conv: {width: 64, kernel: 3}"

    width: int = Field(ge=1, le=MAX_CHANNELS, description="Output channels.")
    kernel: _Kernel = Field(
        description="Size of the kernel: a number, or [height, width].", words=_words(1)
    )
    stride: int = Field(default=1, ge=1, le=MAX_PIXELS, description="Stride.")
    padding: _Padding | None = Field(
        default=None,
        description="Zeros around the map; by default (kernel - 1) // 2.",
        words=_words(0),
    )
    groups: Annotated[int, Field(ge=1, le=MAX_CHANNELS)] | Literal["depthwise"] = Field(
        default=1, description="Groups of channels; depthwise: one for each."
    )
    dilation: int = Field(
        default=1, ge=1, le=MAX_PIXELS, description="Distance between the kernel's places."
    )
    bias: bool | None = Field(
        default=None, description="Whether it has a bias; by default only without a norm."
    )
    norm: Literal[NormName, "network", "none"] = Field(
        default="network", description="The norm after the convolution; by default the network's."
    )
    activation: Literal[ActivationName, "network", "none"] = Field(
        default="network", description="The activation after the norm; by default the network's."
    )
    init: Start | None = Field(default=None, description="What the weight is drawn from.")

    def grow(self, made: Making) -> None:
        """Convolution, norm, activation."""
        norm = norm_of(self.norm, made.around)
        channels = made.shape()[0]
        kernel = _stored(self.kernel)
        padding = _half(kernel, self.dilation) if self.padding is None else _stored(self.padding)
        op = Conv2d(
            in_channels=channels,
            out_channels=self.width,
            kernel_size=kernel,
            stride=self.stride,
            padding=padding,
            groups=channels if self.groups == "depthwise" else self.groups,
            bias=norm is None if self.bias is None else self.bias,
            dilation=self.dilation,
        )
        made.add("conv", op, rule=_rule(self.init))
        if norm is not None:
            made.add(norm.family, norm.op(self.width))
        activate(made, self.activation)


def _stored(size: int | tuple[int, int]) -> Size:
    return size


def _half(kernel: Size, dilation: int) -> Size:
    """The padding that keeps the size of the map at stride 1, for odd kernels."""
    height, width = (dilation * (one - 1) // 2 for one in pair(kernel))
    return height if height == width else (height, width)


def norm_of(word: str, around: Around) -> Norm | None:
    """The norm that a word stands for; the network's has the network's numbers."""
    if word == "none":
        return None
    if word == "network" or (around.norm is not None and word == around.norm.kind):
        return around.norm
    return Norm(kind=word)  # type: ignore[arg-type]  # the model has checked it


def activate(made: Making, word: str) -> None:
    """Add the activation that a word stands for, if any."""
    found = made.around.activation if word == "network" else word
    if found not in (None, "none"):
        family, kind = ACTIVATIONS[str(found)]
        made.add(family, OPS[kind]())


class NormLayer(Layer):
    """The network's norm, or nothing where it has none."""

    example = "norm"

    def grow(self, made: Making) -> None:
        """A norm of as many channels as it meets."""
        if (norm := made.around.norm) is not None:
            made.add(norm.family, norm.op(made.shape()[0]))


class BatchNormLayer(Layer):
    """Batch normalisation of a feature map."""

    example = "batch_norm"

    eps: _Eps | None = Field(default=None, description="What is added to the variance.")
    momentum: _Momentum | None = Field(
        default=None, description="How far a batch moves the running statistics."
    )

    def grow(self, made: Making) -> None:
        """A norm of as many channels as it meets."""
        _grow_norm(made, Norm("batch_norm", self.eps, self.momentum))


class LayerNormLayer(Layer):
    """Layer normalisation over the channels."""

    example = "layer_norm"

    eps: _Eps | None = Field(default=None, description="What is added to the variance.")

    def grow(self, made: Making) -> None:
        """A norm of as many channels as it meets."""
        _grow_norm(made, Norm("layer_norm", self.eps))


class GroupNormLayer(Layer):
    """Normalisation over groups of channels (Wu and He 2018)."""

    example = "group_norm: {groups: 32}"

    groups: int = Field(default=GROUPS, ge=1, le=MAX_CHANNELS, description="Groups of channels.")
    eps: _Eps | None = Field(default=None, description="What is added to the variance.")

    def grow(self, made: Making) -> None:
        """A norm of as many channels as it meets."""
        _grow_norm(made, Norm("group_norm", self.eps, groups=self.groups))


def _grow_norm(made: Making, norm: Norm) -> None:
    """Add a norm; what it does not say of its numbers, the network's norm of its kind does."""
    usual = made.around.norm
    if usual is not None and usual.kind == norm.kind:
        eps = usual.eps if norm.eps is None else norm.eps
        momentum = usual.momentum if norm.momentum is None else norm.momentum
        norm = Norm(norm.kind, eps, momentum, norm.groups)
    made.add(norm.family, norm.op(made.shape()[0]))


class ActivationLayer(Layer):
    """The network's activation, or nothing where it has none."""

    example = "activation"

    def grow(self, made: Making) -> None:
        """An activation."""
        activate(made, NETWORK)


def _activation(word: str, summary: str) -> type[Layer]:
    """The layer of one activation."""

    class Activation(Layer):
        example = word

        def grow(self, made: Making) -> None:
            activate(made, word)

    Activation.__doc__ = summary
    Activation.__name__ = Activation.__qualname__ = f"{word.title().replace('_', '')}Layer"
    return Activation


class _PoolLayer(Layer):
    kernel: _Kernel = Field(
        description="Size of the window: a number, or [height, width].", words=_words(1)
    )
    stride: int | None = Field(
        default=None, ge=1, le=MAX_PIXELS, description="Stride; by default the kernel."
    )
    padding: _Padding | None = Field(
        default=None,
        description=(
            "Padding around the map; by default (kernel - 1) // 2 where windows overlap (stride "
            "smaller than kernel), otherwise 0."
        ),
        words=_words(0),
    )
    ceil_mode: bool = Field(
        default=False, description="Whether sizes round up: a last window may reach over the edge."
    )

    def grow(self, made: Making) -> None:
        """The pooling."""
        made.add(self._name, self._op)

    def fault(self) -> ShapeError | None:
        """Padding of more than half the kernel."""
        return self._op.fault()

    @property
    @abstractmethod
    def _op(self) -> MaxPool2d | AvgPool2d:
        """The pooling."""

    @property
    def _window(self) -> tuple[Size, Size, Size]:
        """Kernel, stride and padding."""
        kernel = _stored(self.kernel)
        step: Size = kernel if self.stride is None else self.stride
        if self.padding is not None:
            return kernel, step, _stored(self.padding)
        # Padding windows that do not overlap would move them off the map: a 7x7 pooling of a 7x7
        # map would see 16 of its 49 pixels.
        sides = zip(pair(kernel), pair(step), strict=True)
        height, width = ((k - 1) // 2 if s < k else 0 for k, s in sides)
        return kernel, step, height if height == width else (height, width)

    _name: ClassVar[str]


class MaxPoolLayer(_PoolLayer):
    """The maximum over a sliding window."""

    example = "max_pool: {kernel: 3, stride: 2}"
    _name = "maxpool"

    @property
    def _op(self) -> MaxPool2d:
        return MaxPool2d(*self._window, ceil_mode=self.ceil_mode)


class AvgPoolLayer(_PoolLayer):
    """The mean over a sliding window."""

    example = "avg_pool: {kernel: 2}"
    _name = "avgpool"

    count_include_pad: bool = Field(
        default=True, description="Whether zeros of the padding are counted in the mean."
    )

    @property
    def _op(self) -> AvgPool2d:
        return AvgPool2d(
            *self._window, ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad
        )


class AdaptiveAvgPoolLayer(Layer):
    """Means over a grid of windows that cover the map, whatever its size."""

    scalar = "size"
    example = "adaptive_avg_pool: 7"

    size: int = Field(ge=1, le=MAX_PIXELS, description="Size of the output.")

    def grow(self, made: Making) -> None:
        """An adaptive pooling to size x size."""
        made.add("avgpool", AdaptiveAvgPool2d(self.size))


class GlobalAvgPoolLayer(Layer):
    """The mean of each channel."""

    example = "global_avg_pool"

    def grow(self, made: Making) -> None:
        """An adaptive pooling to 1 x 1."""
        made.add("avgpool", AdaptiveAvgPool2d(1))


class LinearLayer(Layer):
    """A fully connected layer; a feature map is flattened for it."""

    scalar = "features"
    example = "linear: 4096"

    features: int | None = Field(
        default=None, ge=1, description="Output features; by default the network's classes."
    )
    init: Start | None = Field(default=None, description="What the weight is drawn from.")

    def grow(self, made: Making) -> None:
        """A linear layer, behind a flatten where it meets a feature map."""
        if len(made.shape()) > 1:
            made.add("flatten", Flatten(), by_itself=True)
        features = made.around.classes if self.features is None else self.features
        made.add("fc", Linear(made.shape()[0], features), rule=_rule(self.init))


class ChannelLinearLayer(Layer):
    """A fully connected layer over the channels of each place of a feature map."""

    scalar = "features"
    example = "channel_linear: 384"

    features: int = Field(ge=1, le=MAX_CHANNELS, description="Output channels.")
    init: Start | None = Field(default=None, description="What the weight is drawn from.")

    def grow(self, made: Making) -> None:
        """A linear layer over channels."""
        op = ChannelLinear(made.shape()[0], self.features)
        made.add("fc", op, rule=_rule(self.init))


class DropoutLayer(LayerOfOneOp):
    """Zeroes elements at random while training."""

    scalar = "p"
    example = "dropout: 0.5"
    family, kind = "dropout", "dropout"

    p: float = Field(default=0.5, ge=0, le=1, description="Probability that an element is zeroed.")


class StochasticDepthLayer(LayerOfOneOp):
    """Drops an image's value at random while training (Huang et al. 2016)."""

    scalar = "p"
    example = "stochastic_depth: 0.2 * index / total"
    family, kind = "stochastic_depth", "stochastic_depth"

    p: float = Field(ge=0, lt=1, description="Probability that an image's value is dropped.")


class FlattenLayer(LayerOfOneOp):
    """Lays a feature map out as one vector."""

    example = "flatten"
    family, kind = "flatten", "flatten"


class IdentityLayer(LayerOfOneOp):
    """Passes its value on."""

    example = "identity"
    family, kind = "identity", "identity"


class ChunkLayer(LayerOfOneOp):
    """One of several equal parts of the channels, counted from 1."""

    example = "chunk: {of: 2, take: 1}"
    family, kind = "chunk", "chunk"

    of: int = Field(ge=1, le=MAX_CHANNELS, description="Number of parts.")
    take: int = Field(ge=1, le=MAX_CHANNELS, description="The part, from 1.")


class ChannelShuffleLayer(LayerOfOneOp):
    """Interleaves groups of channels (Zhang et al. 2018)."""

    scalar = "groups"
    example = "channel_shuffle: 2"
    family, kind = "shuffle", "channel_shuffle"

    groups: int = Field(ge=1, le=MAX_CHANNELS, description="Groups of channels.")


class LayerScaleLayer(Layer):
    """A learned scale for each channel (Touvron et al. 2021)."""

    scalar = "value"
    example = "layer_scale: 0.000001"

    value: float = Field(default=1e-6, description="What each scale starts as.")

    def grow(self, made: Making) -> None:
        """A scale."""
        made.add("layer_scale", LayerScale(made.shape()[0], self.value))


class AffineLayer(Layer):
    """A constant scale and shift for each channel: a transform of the image."""

    example = "affine: {scale: [0.458, 0.448, 0.45], shift: [-0.03, -0.088, -0.188]}"

    scale: Annotated[list[float], Field(max_length=MAX_CHANNELS)] = Field(
        description="A factor for each channel."
    )
    shift: Annotated[list[float], Field(max_length=MAX_CHANNELS)] = Field(
        description="What is added to each channel then."
    )

    def grow(self, made: Making) -> None:
        """A scale and a shift."""
        made.add("transform", Affine(tuple(self.scale), tuple(self.shift)))


class ZeroPadLayer(Layer):
    """Subsamples, and appends zero channels: shortcut option A (He et al. 2015, section 3.3)."""

    example = "zero_pad: {width: width, stride: stride}"

    width: int = Field(ge=1, le=MAX_CHANNELS, description="Output channels.")
    stride: int = Field(default=1, ge=1, le=MAX_PIXELS, description="Stride.")

    def grow(self, made: Making) -> None:
        """A padding with zero channels.

        It runs ahead of the main path, so that its gradient comes after the main path's. The first
        gradient decides on the layout of the sum, and that of a slice is always NCHW.
        """
        made.add("shortcut", ZeroPadShortcut(made.shape()[0], self.width, self.stride), ahead=True)


class SoftmaxLayer(LayerOfOneOp):
    """Turns the logits into probabilities; the last layer, or absent."""

    example = "softmax"
    family, kind = "softmax", "softmax"


LAYERS: dict[str, type[Layer]] = {
    "conv": ConvLayer,
    "max_pool": MaxPoolLayer,
    "avg_pool": AvgPoolLayer,
    "adaptive_avg_pool": AdaptiveAvgPoolLayer,
    "global_avg_pool": GlobalAvgPoolLayer,
    "linear": LinearLayer,
    "channel_linear": ChannelLinearLayer,
    "norm": NormLayer,
    "batch_norm": BatchNormLayer,
    "layer_norm": LayerNormLayer,
    "group_norm": GroupNormLayer,
    "activation": ActivationLayer,
    "relu": _activation("relu", "max(x, 0)."),
    "relu6": _activation("relu6", "min(max(x, 0), 6)."),
    "silu": _activation("silu", "x * sigmoid(x)."),
    "hard_swish": _activation("hard_swish", "x * relu6(x + 3) / 6."),
    "hard_sigmoid": _activation("hard_sigmoid", "relu6(x + 3) / 6."),
    "sigmoid": _activation("sigmoid", "1 / (1 + exp(-x))."),
    "gelu": _activation("gelu", "x times the normal distribution function of x."),
    "leaky_relu": _activation("leaky_relu", "x where it is positive, else 0.01 x."),
    "tanh": _activation("tanh", "The hyperbolic tangent."),
    "dropout": DropoutLayer,
    "stochastic_depth": StochasticDepthLayer,
    "flatten": FlattenLayer,
    "identity": IdentityLayer,
    "chunk": ChunkLayer,
    "channel_shuffle": ChannelShuffleLayer,
    "layer_scale": LayerScaleLayer,
    "affine": AffineLayer,
    "zero_pad": ZeroPadLayer,
    "softmax": SoftmaxLayer,
}
"""Every layer by the word it is written with."""

MERGES = ("add", "concat", "multiply")
"""The words of merges, which are their ops' kinds."""
