"""Facts of whole families: a concrete op takes those of a trait, and says the rest itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from archc.dataclassing import dataclass
from archc.errors import UnwrittenError
from archc.ops.base import Op, ShapeError, describe
from archc.ops.facts import (
    NOTHING,
    POINT,
    TIED,
    Arity,
    Channels,
    OnnxStep,
    Point,
    Reach,
    Saved,
    Shape,
    Size,
    Storage,
    Torch,
    Window,
    pair,
    tensors,
)

_NO_TENSORS = tensors()


@dataclass(frozen=True, slots=True)
class Ordinary(Op):
    """An op with none of the marks that ops can have, which holds no tensors."""

    overwrites = False
    is_layer = False
    runs_on_the_way = False
    trains_only = False
    commutes = False
    has_gates = False
    roles = _NO_TENSORS


@dataclass(frozen=True, slots=True)
class Unary(Ordinary):
    """An op that reads one value and holds no tensors."""

    arity = Arity.ONE
    storage = Storage.KEPT


@dataclass(frozen=True, slots=True)
class Unwritten(Op):
    """An op of models of other libraries that archc cannot write down, in PyTorch or in ONNX."""

    torch = Torch(is_module=False)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Raises `UnwrittenError`."""
        raise UnwrittenError(
            f"archc does not know how to write `{self.called}` in ONNX",
            "a `.pt2` file can hold whatever archc emits",
        )


@dataclass(frozen=True, slots=True)
class ElementWise(Unary):
    """Each output depends on the input at its own place; shapes stay."""

    channels = TIED
    runs_on_the_way = True

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads."""
        return inputs[0]

    def reach(self) -> Reach:
        """Its own place."""
        return POINT


@dataclass(frozen=True, slots=True)
class Merging(Op):
    """An op on several values of one shape, element by element."""

    arity = Arity.SEVERAL
    channels: ClassVar[Channels] = TIED
    storage = Storage.OWN
    overwrites = True
    is_layer = False
    runs_on_the_way = True
    trains_only = False
    commutes = True
    has_gates = False
    roles = _NO_TENSORS

    verb: ClassVar[str]
    """What is done to the values, for messages: ``added``."""

    def infer(self, *inputs: Shape) -> Shape:
        """The shape of all."""
        if len(set(inputs)) != 1:
            shapes = " and a ".join(map(describe, inputs))
            raise ShapeError(f"a {shapes} cannot be {self.verb}", code="size-mismatch")
        return inputs[0]

    def reach(self) -> Point:
        """Its own place, on all values."""
        return POINT

    def saved(self) -> Saved:
        """Nothing, as of a sum."""
        return NOTHING


@dataclass(frozen=True, slots=True)
class Windowed(Unary):
    """Outputs read windows that slide over the map; sizes round down, as torch's do.

    Its fields are ``kernel_size``, ``stride`` and ``padding``: a number, or (height, width).
    """

    kernel_size: Size
    stride: Size
    padding: Size

    def reach(self) -> Window:
        """Its window."""
        return Window(pair(self.kernel_size), pair(self.stride), pair(self.padding))
