"""The operations that networks are made of: one file for each family, one frozen record an op.

An op's record has everything there is to know about it: shapes, parameters and multiply-adds; how
channels pass through it and what it reaches over; what autograd keeps of it and what may be written
over; how it is written in PyTorch and in ONNX, and how figures show it. Only two things know ops by
name: the interpreter of verification, which has to be independent, and the rules of other FLOP
counters.
"""

from collections.abc import Mapping

from archc.ops.activation import (
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from archc.ops.base import (
    FACTS,
    MAX_CHANNELS,
    MAX_PARAMS,
    MAX_PIXELS,
    Op,
    ShapeError,
    describe,
)
from archc.ops.convolution import Conv2d
from archc.ops.facts import Arity, Role, Shape, Size, Storage, pair
from archc.ops.linear import ChannelLinear, Linear
from archc.ops.merge import Add, Concat, Multiply
from archc.ops.noise import Dropout, StochasticDepth
from archc.ops.norm import BatchNorm2d, GroupNorm, LayerNorm2d
from archc.ops.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from archc.ops.scale import Affine, LayerScale
from archc.ops.shape import (
    ChannelShuffle,
    Chunk,
    Flatten,
    Identity,
    Input,
    Pad,
    ZeroPadShortcut,
)

OPS: Mapping[str, type[Op]] = {
    op.kind: op
    for op in (
        *(Input, Conv2d, BatchNorm2d, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d),
        *(ZeroPadShortcut, Add, Flatten, Linear, Dropout, Softmax),
        *(ReLU6, LeakyReLU, SiLU, Hardswish, Hardsigmoid, Sigmoid, Tanh, GELU),
        *(Multiply, Concat, Chunk, ChannelShuffle, Identity, Pad),
        *(GroupNorm, LayerNorm2d, LayerScale, Affine, ChannelLinear, StochasticDepth),
    )
}
"""The ops that specs are made of, by their kinds; `archc.ops.foreign` has all."""

__all__ = [
    "FACTS",
    "GELU",
    "MAX_CHANNELS",
    "MAX_PARAMS",
    "MAX_PIXELS",
    "OPS",
    "AdaptiveAvgPool2d",
    "Add",
    "Affine",
    "Arity",
    "AvgPool2d",
    "BatchNorm2d",
    "ChannelLinear",
    "ChannelShuffle",
    "Chunk",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Identity",
    "Input",
    "LayerNorm2d",
    "LayerScale",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Multiply",
    "Op",
    "Pad",
    "ReLU",
    "ReLU6",
    "Role",
    "Shape",
    "ShapeError",
    "SiLU",
    "Sigmoid",
    "Size",
    "Softmax",
    "StochasticDepth",
    "Storage",
    "Tanh",
    "ZeroPadShortcut",
    "describe",
    "pair",
]
