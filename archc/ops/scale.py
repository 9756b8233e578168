"""Scales and shifts of channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError, require_map
from archc.ops.facts import (
    INPUTS,
    NOTHING,
    Channels,
    Gradient,
    Initializer,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Parameter,
    Role,
    Saved,
    Shape,
    Storage,
    Torch,
    factor,
    tensors,
)
from archc.ops.traits import ElementWise

if TYPE_CHECKING:
    from archc.ops.given import Given


@dataclass(frozen=True, slots=True)
class LayerScale(ElementWise):
    """A learned factor for each channel of a map, ``value`` at first (Touvron et al. 2021, "Going
    deeper with Image Transformers"; Liu et al. 2022, "A ConvNet for the 2020s").

    Its tensor is a parameter of the module around it, so its path is its key in the state dict.
    """

    kind = "layer_scale"
    num_channels: int
    value: float = 1e-6

    unexported = frozenset(["value"])
    channels = Channels("tied", counted="num_channels")
    storage = Storage.OWN
    roles = tensors(**{"": Role.SCALE})
    torch = Torch(
        is_module=True,
        parameter=Parameter(
            ("num_channels", "value"),
            lambda channels, value: f"torch.full(({channels}, 1, 1), {value})",
            lambda scale, x: f"{scale} * {factor(x)}",
        ),
        exported=("mul",),
    )
    onnx_names = ("Mul",)

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """A product of a map and a tensor of the model, a factor for each channel."""
        shapes = list(given.weights.values())
        given.require(len(given.inputs) == 1 and len(shapes) == 1, "it does not scale a map")
        given.require(
            len(shapes[0]) == 3 and shapes[0][1:] == (1, 1), "its factors are not for channels"
        )
        return cls(shapes[0][0])

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are its own."""
        (x,) = inputs
        require_map(x, "a layer scale")
        if x[0] != self.num_channels:
            raise ShapeError(
                f"the layer scale expects {self.num_channels} channels but gets {x[0]}",
                code="channel-mismatch",
            )
        return x

    @property
    def params(self) -> int:
        """A factor for each channel."""
        return self.num_channels

    @property
    def state(self) -> dict[str, Shape]:
        """The factors, laid out so that they multiply a map."""
        return {"": (self.num_channels, 1, 1)}

    def start(self, name: str) -> float | None:
        """Its ``value``."""
        return self.value

    def saved(self) -> Saved:
        """What it reads, for the gradient of the factors."""
        return INPUTS

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """A product; that of the factors is summed afterwards."""
        return Gradient(spare=math.prod(output))

    def look(self) -> Look:
        """A word beside the arrow."""
        word = "layer scale"
        return Look(word=word, words=word)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Mul, named otherwise than the factors."""
        yield Initializer("")
        yield OnnxNode("Mul", output, suffix=".scaled")


_AFFINE = tuple(
    '''
class Affine(nn.Module):
    """Scales and shifts each channel by constants, which no state dict holds."""

    def __init__(self, scale: tuple[float, ...], shift: tuple[float, ...]) -> None:
        super().__init__()
        self.constants = list(zip(scale, shift))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(x.split(1, dim=1), self.constants)
        return torch.cat([x * scale + shift for x, (scale, shift) in pairs], dim=1)
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class Affine(ElementWise):
    """A constant ``scale`` and ``shift`` for each channel of a map, with nothing to learn.

    GoogLeNet and Inception v3 so turn images that are normalised by ImageNet's statistics into
    those that they were trained with.
    """

    kind = "affine"
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    storage = Storage.OWN
    torch = Torch(
        is_module=True,
        module=Module("Affine", ("scale", "shift"), source=_AFFINE),
        exported=("affine",),
    )
    onnx_names = ("Mul", "Add")

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """What readers call so: torch has no such call."""
        scale, shift = given.get("scale", ()), given.get("shift", ())
        given.require(
            isinstance(scale, tuple) and isinstance(shift, tuple),
            "it does not scale and shift channels",
        )
        return cls(scale, shift)

    def __post_init__(self) -> None:
        for name in ("scale", "shift"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))

    def canonical(self, *inputs: Shape) -> Op | None:
        """With its numbers in the fewest digits that are the same in float32."""
        from archc.ops.given import short

        return Affine(tuple(map(short, self.scale)), tuple(map(short, self.shift)))

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads, whose channels are as many as its scales and shifts."""
        (x,) = inputs
        require_map(x, "a scale and shift of channels")
        for name, numbers in (("scale", self.scale), ("shift", self.shift)):
            if len(numbers) != x[0]:
                raise ShapeError(
                    f"there are {len(numbers)} numbers for {x[0]} channels",
                    attribute=name,
                    otherwise=x,
                    code="channel-mismatch",
                )
        return x

    def saved(self) -> Saved:
        """Nothing: its factors are numbers."""
        return NOTHING

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """Put together channel by channel."""
        return Gradient(spare=math.prod(output))

    def look(self) -> Look:
        """A word beside the arrow."""
        word = "scale and shift"
        return Look(word=word, words=word)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Mul and an Add."""
        import numpy as np

        for name, numbers, kind in (("scale", self.scale, "Mul"), ("shift", self.shift, "Add")):
            yield Initializer(name, np.array(numbers, np.float32).reshape(-1, 1, 1))
            yield OnnxNode(kind, output, suffix=".scaled" if kind == "Mul" else "")
