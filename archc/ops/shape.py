"""Ops that move values, or are where they come from: nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.base import Op, ShapeError, require_map, slide, step
from archc.ops.facts import (
    EVERYTHING,
    MIXED,
    NO_LOOK,
    NOTHING,
    POINT,
    TIED,
    Arity,
    Call,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Reach,
    Saved,
    Shape,
    Storage,
    Torch,
    Window,
    changed,
    pair,
    tensors,
)
from archc.ops.traits import Unary

# Option A as measured the best or near it of six forms, in both memory layouts.
_ZERO_PAD = tuple(
    '''
class ZeroPadShortcut(nn.Module):
    """Option A: subsample, then append zero channels; there is nothing to learn."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.extra = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        s = self.stride
        return F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, self.extra))
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class Input(Op):
    """The image: ``(channels, height, width)``; its shape stands on its node."""

    kind = "input"
    arity = Arity.NONE
    channels = TIED
    storage = Storage.KEPT  # the images are the caller's
    overwrites = False
    is_layer = False
    runs_on_the_way = True
    trains_only = False
    commutes = False
    roles = tensors()
    torch = Torch(is_module=False)

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it is given, which is the author's."""
        return inputs[0]

    def reach(self) -> Reach:
        """A pixel."""
        return POINT

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """Nothing: figures write "image"."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing: it is the model's input."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Flatten(Unary):
    """A feature map laid out as one vector."""

    kind = "flatten"
    channels = MIXED
    storage = Storage.SHARED
    runs_on_the_way = True
    torch = Torch(
        is_module=False,
        module=Module("nn.Flatten"),
        call=Call(lambda x: f"torch.flatten({x}, 1)"),
        exported=("flatten", "view", "reshape"),
    )

    def infer(self, *inputs: Shape) -> Shape:
        """All elements in a row."""
        return (math.prod(inputs[0]),)

    def reach(self) -> Reach:
        """The vector has no places: it is the whole map."""
        return EVERYTHING

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """Nothing."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Flatten."""
        yield OnnxNode("Flatten", output, {"axis": 1})


@dataclass(frozen=True, slots=True)
class ZeroPadShortcut(Unary):
    """Option A of He et al. 2015, section 3.3: subsample, append zero channels, no parameters."""

    kind = "zero_pad_shortcut"
    in_channels: int
    out_channels: int
    stride: int = 1

    channels = changed("in_channels", "out_channels")
    torch = Torch(
        is_module=True,
        module=Module(
            "ZeroPadShortcut", ("in_channels", "out_channels"), (("stride", 1),), source=_ZERO_PAD
        ),
        exported=("pad", "constant_pad_nd"),
    )

    def infer(self, *inputs: Shape) -> Shape:
        """The output's channels, and every ``stride``-th place."""
        (x,) = inputs
        require_map(x, "a shortcut")
        if x[0] != self.in_channels:
            raise ShapeError(f"the shortcut expects {self.in_channels} channels but gets {x[0]}")
        out = (self.out_channels, *slide(x, 1, self.stride, 0))
        if self.out_channels < self.in_channels:
            raise ShapeError(
                f"option A cannot reduce {self.in_channels} channels to {self.out_channels}",
                attribute="shortcut",
                hint="option A only appends channels; use B, which projects",
                otherwise=out,
            )
        return out

    def reach(self) -> Reach:
        """Every ``stride``-th place."""
        return Window((1, 1), pair(self.stride), (0, 0))

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """Nothing on a main path; where a block is drawn large, ``zero pad, /2``."""
        return Look(words=f"zero pad{step(self.stride)}")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Slice with a stride, a Pad with more channels, or nothing."""
        import numpy as np

        channels = self.out_channels - self.in_channels
        strides = pair(self.stride)
        if max(strides) > 1:
            ends = np.array([np.iinfo(np.int64).max] * 2)
            for name, array in (
                ("starts", np.zeros(2, np.int64)),
                ("ends", ends),
                ("axes", np.array([2, 3])),
                ("steps", np.array(strides)),
            ):
                yield Initializer(name, array)
            subsampled = (self.in_channels, *output[1:])
            yield OnnxNode("Slice", subsampled, suffix=".subsampled" if channels else "")
        if channels:
            yield Initializer("pads", np.array([0, 0, 0, 0, 0, channels, 0, 0]))
            yield OnnxNode("Pad", output, {"mode": "constant"})
