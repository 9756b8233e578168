"""Noise: what acts while training alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from archc.dataclassing import dataclass
from archc.ops.base import Op, ShapeError
from archc.ops.facts import (
    APART,
    NOTHING,
    VIEW,
    Gradient,
    Look,
    Module,
    OnnxStep,
    Saved,
    Shape,
    Storage,
    Torch,
)
from archc.ops.traits import ElementWise


@dataclass(frozen=True, slots=True)
class Dropout(ElementWise):
    """Zeroes elements with probability ``p`` while training."""

    kind = "dropout"
    p: float = 0.5

    storage = Storage.SHARED  # in eval mode
    trains_only = True
    torch = Torch(
        is_module=True,
        module=Module("nn.Dropout", ("p",)),
        exported=("dropout", "native_dropout"),
    )
    onnx_names = ("Dropout",)

    def saved(self) -> Saved:
        """The factors: on a CPU of the values' dtype, on CUDA a byte for each."""
        return Saved(mask=bool(self.p), draws=bool(self.p))

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """Times the factors, where there are any."""
        return APART if self.p else VIEW

    def look(self) -> Look:
        """A word beside the arrow; nothing where it drops nothing."""
        word = f"dropout {self.p:g}" if self.p else ""
        return Look(word=word, words=word)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing: at inference it does nothing."""
        yield from ()


_STOCHASTIC_DEPTH = tuple(
    '''
class StochasticDepth(nn.Module):
    """Drops an image's values, all at once, with probability p while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty([x.shape[0]] + [1] * (x.dim() - 1)).bernoulli_(1 - self.p)
        if self.p < 1:
            kept.div_(1 - self.p)
        return x * kept
'''.splitlines()
)


@dataclass(frozen=True, slots=True)
class StochasticDepth(ElementWise):
    """Zeroes all values of an image with probability ``p`` while training, and divides the
    others by ``1 - p`` (Huang et al. 2016).

    It draws as torchvision's does in mode "row", so that equal seeds drop the same images.
    """

    kind = "stochastic_depth"
    p: float

    storage = Storage.SHARED  # in eval mode
    trains_only = True
    torch = Torch(
        is_module=True, module=Module("StochasticDepth", ("p",), source=_STOCHASTIC_DEPTH)
    )

    def infer(self, *inputs: Shape) -> Shape:
        """The shape it reads."""
        (x,) = inputs
        if not 0 <= self.p <= 1:
            raise ShapeError(
                f"a probability lies between 0 and 1, {self.p} does not",
                attribute="p",
                otherwise=x,
                code="out-of-range",
            )
        return x

    def alike(self) -> Op:
        """One of any probability: it grows from block to block."""
        return replace(self, p=0.0)

    def saved(self) -> Saved:
        """A factor for each image."""
        return Saved(per_image=1, draws=True) if self.p else NOTHING

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """Times the factors, where there are any."""
        return APART if self.p else VIEW

    def look(self) -> Look:
        """A word beside the arrow."""
        word = "stochastic depth"
        return Look(word=word, words=word)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing: at inference it does nothing."""
        yield from ()
