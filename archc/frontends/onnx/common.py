"""What rules for ONNX's operations have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archc.frontends.onnx.model import size
from archc.frontends.onnx.reading import At

NAMES = {
    **{"Sub": "sub", "Div": "div", "Pow": "pow", "Mod": "remainder"},
    **{"Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt", "GreaterOrEqual": "ge"},
    **{"And": "logical_and", "Or": "logical_or", "Xor": "logical_xor", "Not": "logical_not"},
    **{"Min": "minimum", "Max": "maximum", "Mean": "mean", "Cast": "to", "Tile": "repeat"},
    **{"DepthToSpace": "pixel_shuffle", "SpaceToDepth": "pixel_unshuffle", "TopK": "topk"},
    **{"GatherElements": "gather", "ScatterND": "scatter", "ScatterElements": "scatter"},
    **{"LRN": "local_response_norm", "LpNormalization": "normalize", "CumSum": "cumsum"},
    **{"QuantizeLinear": "quantize", "DequantizeLinear": "dequantize", "IsNaN": "isnan"},
}
"""What torch calls the same, where that is not ONNX's name in small letters."""


def opaque(at: At, *shapes: Sequence[int], name: str = "") -> None:
    """A call that goes by torch's name, or else by ONNX's in small letters."""
    at.put(f"aten.{name or word(at.node.op)}", at.all(), *shapes)


def word(op: str) -> str:
    """What torch calls an operation, or else ONNX in small letters.

    >>> word("Sub"), word("GridSample"), word("ReduceL2"), word("DepthToSpace")
    ('sub', 'grid_sample', 'reduce_l2', 'pixel_shuffle')
    """
    return NAMES.get(op) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", op).lower()


def broadcast(at: At, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of what tensors of these make element by element."""
    rank = max(map(len, shapes))
    full = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    sides = []
    for column in zip(*full, strict=True):
        wide = {side for side in column if side != 1}
        if len(wide) > 1:
            shown = " and ".join("x".join(map(str, shape)) or "one number" for shape in shapes)
            at.fail(f"combines tensors of shapes that cannot be broadcast: {shown}")
        sides.append(wide.pop() if wide else 1)
    return tuple(sides)


def view(at: At, dims: Sequence[int]) -> None:
    """The elements in another shape."""
    static = at.static(0)
    if static is not None:
        if size(dims) != size(static.dims):
            at.fail("reshapes a tensor to a different number of elements")
        at.put_static(static.laid_out(dims))
        return
    if size(dims) != size(at.shape(0)):
        shown = "x".join(map(str, at.shape(0)))
        at.fail(f"reshapes a tensor of {shown} to {'x'.join(map(str, dims))}")
    at.put("aten.view", {"input": at.reads(), "size": tuple(dims)}, dims)
