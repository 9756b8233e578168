"""Noise: what acts while training alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.facts import (
    NO_LOOK,
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

    def saved(self) -> Saved:
        """The factors: on a CPU of the values' dtype, on CUDA a byte for each."""
        return Saved(mask=bool(self.p))

    def look(self) -> Look:
        """Nothing."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing: at inference it does nothing."""
        yield from ()
