"""The operations that networks are made of: one file for each family, one frozen record an op.

An op's record has everything there is to know about it: shapes, parameters and multiply-adds; how
channels pass through it and what it reaches over; what autograd keeps of it and what may be written
over; how it is written in PyTorch and in ONNX, and how figures show it. Only two things know ops by
name: the interpreter of verification, which has to be independent, and the rules of other FLOP
counters.
"""

from collections.abc import Mapping

from archc.ops.activation import ReLU, Softmax
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
from archc.ops.linear import Linear
from archc.ops.merge import Add
from archc.ops.noise import Dropout
from archc.ops.norm import BatchNorm2d
from archc.ops.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from archc.ops.shape import Flatten, Input, ZeroPadShortcut

OPS: Mapping[str, type[Op]] = {
    op.kind: op
    for op in (
        *(Input, Conv2d, BatchNorm2d, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d),
        *(ZeroPadShortcut, Add, Flatten, Linear, Dropout, Softmax),
    )
}
"""The ops of this package by their kinds."""

__all__ = [
    "FACTS",
    "MAX_CHANNELS",
    "MAX_PARAMS",
    "MAX_PIXELS",
    "OPS",
    "AdaptiveAvgPool2d",
    "Add",
    "Arity",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Input",
    "Linear",
    "MaxPool2d",
    "Op",
    "ReLU",
    "Role",
    "Shape",
    "ShapeError",
    "Size",
    "Softmax",
    "Storage",
    "ZeroPadShortcut",
    "describe",
    "pair",
]
