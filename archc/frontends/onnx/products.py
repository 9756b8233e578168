"""Rules for ONNX's norms and products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archc.frontends.onnx import windows
from archc.frontends.onnx.common import broadcast, opaque
from archc.frontends.onnx.model import size
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.onnx.statics import Static
from archc.frontends.program import Argument
from archc.ops.given import short


def _batch_norm(at: At) -> None:
    numbers: dict[str, Argument] = {
        "training": bool(at.whole("training_mode", 0)),
        "momentum": short(1 - at.real("momentum", 0.9)),
        "eps": at.real("epsilon", 1e-5),
    }
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = {
        name: at.weight(number, is_learned=number < 3) for number, name in enumerate(names, 1)
    }
    dims = at.shape(0)
    at.put("aten.batch_norm", {"input": at.reads(), **tensors, **numbers}, dims)


def _layer_norm(at: At) -> None:
    dims, axis = at.shape(0), at.axis(-1)
    arguments: dict[str, Argument] = {
        "input": at.reads(),
        "normalized_shape": dims[axis:],
        "weight": at.weight(1),
        "bias": at.weight(2),
        "eps": at.real("epsilon", 1e-5),
    }
    at.put("aten.layer_norm", arguments, dims)


def _group_norm(at: At) -> None:
    """A norm of groups; of each channel by itself, where they are not counted."""
    dims = at.shape(0)
    channels = dims[1] if len(dims) > 1 else 1
    arguments: dict[str, Argument] = {
        "input": at.reads(),
        "num_groups": at.whole("num_groups", channels),
        "weight": at.weight(1),
        "bias": at.weight(2),
        "eps": at.real("epsilon", 1e-5),
    }
    fits = at.static(1) is not None and at.shape(1) == (channels,)
    at.put("aten.group_norm" if fits else "aten.group_normalization", arguments, dims)


def _linear(at: At, static: Static, bias: Argument, dims: Sequence[int]) -> None:
    """A product with a matrix of the model, whose rows are what it puts out."""
    arguments: dict[str, Argument] = {"input": at.reads(), "weight": at.reading.weight(static)}
    at.put("aten.linear", {**arguments, "bias": bias}, dims)


def gemm(at: At) -> object:
    """A product of two matrices, and a sum with a third."""
    a, b = at.shape(0), at.shape(1)
    if len(a) != 2 or len(b) != 2:
        at.fail("multiplies tensors that are not matrices")
    rows, inner = reversed(a) if at.whole("transA", 0) else a
    turned = bool(at.whole("transB", 0))
    columns, other = b if turned else reversed(b)
    if inner != other:
        at.fail(
            f"multiplies matrices of {a[0]}x{a[1]} and {b[0]}x{b[1]}, whose shapes do not match"
        )
    static, added = at.static(1), at.static(2)
    plain = (at.real("alpha", 1.0), at.real("beta", 1.0), at.whole("transA", 0)) == (1, 1, 0)
    fits = not at.has(2) or (added is not None and size(added.dims) == columns)
    if static is None or not at.is_value(0) or not plain or not fits:
        opaque(at, (rows, columns), name="gemm")
        return None
    bias = None if added is None else at.reading.weight(added.laid_out((columns,)))
    _linear(at, static if turned else static.transposed((1, 0)), bias, (rows, columns))
    return None


def _matmul(at: At) -> None:
    a, b = at.shape(0), at.shape(1)
    static = at.static(1)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        at.fail("multiplies matrices whose shapes do not match")
    if len(a) > 1 and len(b) == 2 and static is not None and static.is_floating:
        _linear(at, static.transposed((1, 0)), None, (*a[:-1], b[-1]))
        return
    rows = a[-2:-1] if len(a) > 1 else ()
    columns = b[-1:] if len(b) > 1 else ()
    dims = (*broadcast(at, a[:-2], b[:-2]), *rows, *columns)
    given = {"input": at.weight(0), "mat2": at.weight(1)}
    at.put("aten.matmul", given, dims)


def _attention(at: At) -> object:
    """Attention of queries, keys and values by heads."""
    shapes = [at.shape(number) for number in range(3)]
    if any(len(shape) != 4 for shape in shapes):
        return False
    names = ("query", "key", "value", "attn_mask")
    given = {name: at.weight(number) for number, name in enumerate(names)}
    dims = (*shapes[0][:3], shapes[2][3])
    at.put("aten.scaled_dot_product_attention", given, dims)
    return None


def _einsum(at: At) -> object:
    read, arrow, written = at.word("equation", "").replace(" ", "").partition("->")
    terms = read.split(",")
    count = len(at.node.inputs)
    if not arrow or "." in read or len(terms) != count:
        return False
    sides: dict[str, int] = {}
    for number, term in enumerate(terms):
        sides.update(zip(term, at.shape(number), strict=False))
    if not set(written) <= sides.keys():
        return False
    dims = [sides[letter] for letter in written]
    if not _as_product(at, terms, written, dims):
        opaque(at, dims)
    return None


def _as_product(at: At, terms: Sequence[str], written: str, dims: Sequence[int]) -> bool:
    """Put an Einsum out as the product of matrices that it is in attention: of queries and keys, or
    of weights and values."""
    if len(terms) != 2 or len(set(terms[0])) != len(terms[0]) or len(terms[0]) < 3:
        return False
    a, b = terms
    batch, rows, inner = a[:-2], a[-2], a[-1]
    columns = written[-1:]
    if written != f"{batch}{rows}{columns}" or columns in a or not at.is_value(1):
        return False
    second: Argument = at.weight(1)
    if b == f"{batch}{columns}{inner}":
        shape = at.shape(1)
        perm = (*range(len(b) - 2), len(b) - 1, len(b) - 2)
        turned = [shape[side] for side in perm]
        given: dict[str, Argument] = {"input": second, "dims": perm}
        second = at.put("aten.permute", given, turned, outputs=[at.between()])
    elif b != f"{batch}{inner}{columns}":
        return False
    at.put("aten.matmul", {"input": at.weight(0), "mat2": second}, dims)
    return True


def _quantized(like: Rule, *order: int) -> Rule:
    """A product of whole numbers: its shape is that of another, of the inputs in this order."""

    def rule(at: At) -> None:
        inputs = [at.node.inputs[one] for one in order if at.has(one)]
        plain = At(at.reading, replace(at.node, inputs=tuple(inputs)), at.scopes)
        before = len(at.reading.calls)
        like(plain)
        call = at.reading.calls[-1]
        del at.reading.calls[before:]
        opaque(at, at.reading.shapes[call.outputs[0]])

    return rule


BY_KIND: dict[str, tuple[Rule, ...]] = {
    **{"batch_norm2d": (_batch_norm,), "layer_norm": (_layer_norm,)},
    "group_norm": (_group_norm, _group_norm),
    **{"linear": (gemm,), "matmul": (_matmul,), "einsum": (_einsum,), "attention": (_attention,)},
}
OTHERS: dict[str, Rule] = {
    **{
        "QLinearConv": _quantized(windows.conv, 0, 3, 8),
        "QLinearMatMul": _quantized(_matmul, 0, 3),
    },
    **{"ConvInteger": _quantized(windows.conv, 0, 1), "MatMulInteger": _quantized(_matmul, 0, 1)},
}
