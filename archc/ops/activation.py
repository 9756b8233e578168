"""Activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.base import ShapeError, describe
from archc.ops.facts import (
    NO_LOOK,
    NOTHING,
    OUTPUT,
    Call,
    Look,
    Module,
    OnnxNode,
    OnnxStep,
    Saved,
    Shape,
    Torch,
)
from archc.ops.traits import ElementWise


@dataclass(frozen=True, slots=True)
class ReLU(ElementWise):
    """max(x, 0), element by element."""

    kind = "relu"
    overwrites = True
    torch = Torch(
        is_module=False,
        module=Module("nn.ReLU"),
        call=Call(lambda *xs: f"F.relu({', '.join(xs)})"),
        ends_line=True,
        in_place=True,
        exported=("relu", "relu_"),
    )

    def saved(self) -> Saved:
        """Its output, which is positive where its gradient passes."""
        return OUTPUT

    def look(self) -> Look:
        """A word beside the arrow, as in the paper's Figure 5."""
        return Look(word="relu")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Relu."""
        yield OnnxNode("Relu", output)


@dataclass(frozen=True, slots=True)
class Softmax(ElementWise):
    """Probabilities over the features of a vector."""

    kind = "softmax"
    torch = Torch(
        is_module=False,
        module=Module("nn.Softmax", fixed=(("dim", "1"),)),
        call=Call(lambda x: f"torch.softmax({x}, dim=1)"),
        exported=("softmax", "_softmax"),
    )

    def infer(self, *inputs: Shape) -> Shape:
        """The vector's shape."""
        (x,) = inputs
        if len(x) != 1:
            raise ShapeError(
                f"a vector is needed, not a {describe(x)}",
                hint="put `flatten` or `linear` before it",
            )
        return x

    def saved(self) -> Saved:
        """Nothing: it stands behind the logits, of which a loss is taken."""
        return NOTHING

    def look(self) -> Look:
        """Nothing: it belongs to no layer."""
        return NO_LOOK

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """A Softmax."""
        yield OnnxNode("Softmax", output, {"axis": 1})
