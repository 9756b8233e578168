"""Ops that move values, or are where they come from: nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import MAX_PIXELS, Op, ShapeError, require_map, slide, step
from archc.ops.facts import (
    APART,
    EVERYTHING,
    MIXED,
    NO_LOOK,
    NOTHING,
    POINT,
    SPLIT,
    TIED,
    VIEW,
    Arity,
    Call,
    Gradient,
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
)
from archc.ops.traits import ElementWise, Ordinary, Unary

if TYPE_CHECKING:
    from archc.ops.given import Given

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
class Input(Ordinary):
    """The image: ``(channels, height, width)``; its shape stands on its node."""

    kind = "input"
    arity = Arity.NONE
    channels = TIED
    storage = Storage.KEPT  # the images are the caller's
    runs_on_the_way = True
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
class Tokens(Input):
    """What a part of a network reads, features last; figures alone have it."""

    @property
    def puts_features_last(self) -> bool | None:
        """They do."""
        return True


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
    onnx_names = ("Flatten", "Reshape")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A map of each image laid out in a row."""
        (x,) = given.inputs
        given.require(given.output == (math.prod(x),), "it puts out no vector for each image")
        return cls()

    def infer(self, *inputs: Shape) -> Shape:
        """All elements in a row."""
        return (math.prod(inputs[0]),)

    def changes(self, *inputs: Shape) -> bool:
        """Whether there is anything to lay out."""
        return not inputs or len(inputs[0]) > 1

    def reach(self) -> Reach:
        """The vector has no places: it is the whole map."""
        return EVERYTHING

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """That of the output."""
        return VIEW

    def look(self) -> Look:
        """Nothing."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Flatten."""
        yield OnnxNode("Flatten", output, {"axis": 1})


@dataclass(frozen=True, slots=True)
class Identity(ElementWise):
    """What it reads, as it is: a module whose place is counted, or which others may replace."""

    kind = "identity"
    storage = Storage.SHARED
    torch = Torch(is_module=True, module=Module("nn.Identity"), exported=("alias",))
    onnx_names = ("Identity",)

    def changes(self, *inputs: Shape) -> bool:
        """It does nothing."""
        return False

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """That of the output."""
        return VIEW

    def look(self) -> Look:
        """Nothing."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Chunk(Unary):
    """The part number ``take``, from 1, of ``of`` equal parts of the channels."""

    kind = "chunk"
    of: int
    take: int

    channels = SPLIT
    storage = Storage.SHARED
    runs_on_the_way = True
    torch = Torch(
        is_module=False,
        call=Call(
            lambda x, of, take: f"torch.chunk({x}, {of}, dim=1)[{int(take) - 1}]",
            fields=("of", "take"),
        ),
        exported=("split", "split_with_sizes", "chunk", "slice"),
    )
    onnx_names = ("Split", "Slice")

    def infer(self, *inputs: Shape) -> Shape:
        """A part of the channels, or of a vector's features."""
        (x,) = inputs
        if self.of < 1 or x[0] % self.of:
            raise ShapeError(
                f"{x[0]} channels cannot be divided into {self.of} equal parts",
                attribute="of",
                code="indivisible-channels",
            )
        out = (x[0] // self.of, *x[1:])
        if not 1 <= self.take <= self.of:
            raise ShapeError(
                f"there is no part {self.take} of {self.of}",
                attribute="take",
                hint=f"parts count from 1 to {self.of}",
                code="out-of-range",
                otherwise=out,
            )
        return out

    def reach(self) -> Reach:
        """Its own place."""
        return POINT

    def canonical(self, *inputs: Shape) -> Op | None:
        """Of one part alone it is the whole."""
        return None if self.of == 1 else self

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """That of its part, put between the zeros of the others."""
        return Gradient(spare=(self.of - 1) * math.prod(output))

    def look(self) -> Look:
        """A word beside the arrow, and on a shortcut: which part it is."""
        part = f"part {self.take} of {self.of}"
        return Look(word=part, mark=part, words=part)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Slice."""
        import numpy as np

        end = self.take * output[0]
        for name, number in (("starts", end - output[0]), ("ends", end), ("axes", 1)):
            yield Initializer(name, np.array([number]))
        yield OnnxNode("Slice", output)


_CHANNEL_SHUFFLE = tuple(
    '''
class ChannelShuffle(nn.Module):
    """Mixes groups of channels: the first of each, the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class ChannelShuffle(Unary):
    """The channels of ``groups`` groups in turn (Zhang et al. 2018, "ShuffleNet")."""

    kind = "channel_shuffle"
    groups: int

    channels = TIED
    # Of groups of one channel each it puts out what it reads, so that nothing may write over that.
    storage = Storage.KEPT
    torch = Torch(
        is_module=True,
        module=Module("ChannelShuffle", ("groups",), source=_CHANNEL_SHUFFLE),
        exported=("transpose",),
    )
    onnx_names = ("Transpose",)

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads."""
        (x,) = inputs
        require_map(x, "a channel shuffle")
        if self.groups < 1 or x[0] % self.groups:
            raise ShapeError(
                f"{self.groups} groups do not divide {x[0]} channels",
                attribute="groups",
                otherwise=x,
                code="indivisible-channels",
            )
        return x

    def reach(self) -> Reach:
        """Its own place."""
        return POINT

    def canonical(self, *inputs: Shape) -> Op | None:
        """Of one group, or of groups of one channel, it changes nothing."""
        return None if self.groups in (1, inputs[0][0]) else self

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A word beside the arrow: ``shuffle g3``."""
        shuffle = f"shuffle g{self.groups}"
        return Look(word=shuffle, mark="shuffle", words=shuffle)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Transpose of the groups, between two that lay them out."""
        import numpy as np

        channels, height, width = output
        each = channels // self.groups
        yield Initializer("groups", np.array([0, self.groups, each, height, width]))
        yield OnnxNode("Reshape", (self.groups, each, height, width), suffix=".grouped")
        turned = (each, self.groups, height, width)
        yield OnnxNode("Transpose", turned, {"perm": [0, 2, 1, 3, 4]}, ".turned")
        yield Initializer("channels", np.array([0, channels, height, width]))
        yield OnnxNode("Reshape", output)


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
    onnx_names = ("Pad",)

    def infer(self, *inputs: Shape) -> Shape:
        """The output's channels, and every ``stride``-th place."""
        (x,) = inputs
        require_map(x, "a shortcut")
        if x[0] != self.in_channels:
            raise ShapeError(
                f"the shortcut expects {self.in_channels} channels but gets {x[0]}",
                code="channel-mismatch",
            )
        out = (self.out_channels, *slide(x, 1, self.stride, 0))
        if self.out_channels < self.in_channels:
            raise ShapeError(
                f"option A cannot reduce {self.in_channels} channels to {self.out_channels}",
                attribute="shortcut",
                code="channel-mismatch",
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

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """That of its places among zeros: first in rows, then in columns."""
        if self.stride == 1:
            return APART
        channels, _, width = inputs[0]
        return Gradient(spare=channels * output[1] * width)

    def look(self) -> Look:
        """A word, beside an arrow or on a shortcut: ``zero pad, /2``."""
        padding = f"zero pad{step(self.stride)}"
        return Look(word=padding, words=padding)

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


@dataclass(frozen=True, slots=True)
class Pad(Unary):
    """Zeros around a map, of another width on each side, as TensorFlow pads: ``padding`` is
    (left, right, top, bottom)."""

    kind = "pad"
    padding: tuple[int, int, int, int]

    channels = TIED
    torch = Torch(
        is_module=False,
        module=Module("nn.ZeroPad2d", ("padding",)),
        call=Call(lambda x, padding: f"F.pad({x}, {padding})", fields=("padding",)),
        exported=("pad", "constant_pad_nd"),
    )
    onnx_names = ("Pad",)

    def __post_init__(self) -> None:
        """Nothing: its numbers are no pair."""

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """Zeros around maps."""
        pads = given.get("pad", ())
        given.require(given.get("mode", "constant") == "constant", "it pads with something else")
        given.require(given.number("value", 0) == 0, "it pads with something else")
        given.require(isinstance(pads, tuple) and len(pads) in (2, 4), "it pads something else")
        given.require(all(type(one) is int and one >= 0 for one in pads), "it crops")
        left, right, top, bottom = (*pads, 0, 0)[:4]
        return cls((left, right, top, bottom))

    def infer(self, *inputs: Shape) -> Shape:
        """The channels that it reads, on a larger map."""
        (x,) = inputs
        require_map(x, "a padding")
        left, right, top, bottom = self.padding
        padded = (x[0], top + x[1] + bottom, left + x[2] + right)
        if max(padded[1:]) > MAX_PIXELS:
            raise ShapeError(
                f"a feature map of {padded[1]:,}x{padded[2]:,} exceeds the limit of "
                f"{MAX_PIXELS:,} pixels per side",
                attribute="padding",
                code="limit-exceeded",
            )
        return padded

    def changes(self, *inputs: Shape) -> bool:
        """Whether it adds anything."""
        return any(self.padding)

    def reach(self) -> Reach:
        """A single place, at another one."""
        left, _, top, _ = self.padding
        return Window((1, 1), (1, 1), (top, left))

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A word beside the arrow."""
        return Look(word="pad", mark="pad", words="pad")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Pad."""
        import numpy as np

        left, right, top, bottom = self.padding
        yield Initializer("pads", np.array([0, 0, top, left, 0, 0, bottom, right]))
        yield OnnxNode("Pad", output, {"mode": "constant"})
