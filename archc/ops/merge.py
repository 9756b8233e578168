"""Ops on several values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ops.facts import Call, Look, OnnxNode, OnnxStep, Shape, Torch
from archc.ops.traits import Merging


@dataclass(frozen=True, slots=True)
class Add(Merging):
    """The element-wise sum of feature maps of one shape."""

    kind = "add"
    verb = "added"
    torch = Torch(
        is_module=False,
        call=Call(lambda *xs: " + ".join(xs), augmented="+="),
        exported=("add", "add_"),
    )

    def look(self) -> Look:
        """A plus where ways meet, as in the paper's Figure 5."""
        return Look(glyph="+", name="sum")

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """An Add."""
        yield OnnxNode("Add", output)
