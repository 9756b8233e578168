"""Rules for ONNX's operations on each element."""

from __future__ import annotations

from archc.frontends.onnx.common import broadcast, opaque, word
from archc.frontends.onnx.model import FLOAT, size
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.program import Argument
from archc.ops.given import short

_HUGE = 1e30
"""Bounds beyond this, as exporters write for none, are none."""


def _same(at: At) -> None:
    """What puts out the shape that it reads."""
    opaque(at, at.shape(0))


def named(target: str) -> Rule:
    """An operation on each element that has no numbers, by torch's name for it."""

    def rule(at: At) -> None:
        at.put(f"aten.{target}", {"input": at.reads()}, at.shape(0))

    return rule


def _operand(at: At, number: int, rank: int) -> Argument:
    """An operand; a tensor of the model without sides of one in front of its channels."""
    static = at.static(number)
    if static is None or not static.is_floating or size(static.dims) < 2:
        return at.reads(number)
    if len(static.dims) == rank == 4 and static.dims[0] == 1:
        return at.reading.weight(static.laid_out(static.dims[1:]))
    return at.reads(number)


def _commuting(name: str) -> Rule:
    """An operation on two tensors whose order is free: the value before the constant."""

    def rule(at: At) -> None:
        dims = broadcast(at, at.shape(0), at.shape(1))
        first, second = (_operand(at, number, len(dims)) for number in (0, 1))
        if not at.is_value(0):
            first, second = second, first
        at.put(f"aten.{name}", {"input": first, "other": second}, dims)

    return rule


def _pairwise(at: At) -> None:
    """An operation on two tensors."""
    shapes = at.shape(0), at.shape(1)
    dims = broadcast(at, *shapes)
    first, second = (_operand(at, number, len(dims)) for number in (0, 1))
    at.put(f"aten.{word(at.node.op)}", {"input": first, "other": second}, dims)


def _several(at: At) -> None:
    """What is neither first nor second of any number of tensors."""
    shapes = [at.shape(number) for number in range(max(1, len(at.node.inputs)))]
    if len(shapes) == 1:
        at.alias()
    else:
        opaque(at, broadcast(at, *shapes))


def _sum(at: At) -> None:
    """A sum of any number of tensors."""
    count = len(at.node.inputs)
    first = at.shape(0)
    if count == 1:
        at.alias()
        return
    dims = broadcast(at, first, *[at.shape(number) for number in range(1, count)])
    x = at.reads()
    for number in range(1, count):
        pair: dict[str, Argument] = {"input": x, "other": at.reads(number)}
        last = number == count - 1
        x = at.put("aten.add", pair, dims, outputs=None if last else [at.between()])


def _where(at: At) -> None:
    opaque(at, broadcast(at, at.shape(0), at.shape(1), at.shape(2)))


def _clip(at: At) -> object:
    """A clamp; where it cuts off below zero alone, a relu."""
    bounds: list[float | None] = []
    for number, name in ((1, "min"), (2, "max")):
        values = at.numbers(number)
        if at.has(number) and values is None:
            opaque(at, at.shape(0), name="clamp")
            return None
        value = short(float(values[0])) if values else None
        if not at.has(number) and name in at.node.attributes:
            value = at.real(name, 0.0)
        bounds.append(None if value is None or abs(value) > _HUGE else value)
    low, high = bounds
    if low is None and high is None:
        at.alias()
    elif low == 0 and high is None:
        at.put("aten.relu", {"input": at.reads()}, at.shape(0))
    else:
        at.put("aten.clamp", {"input": at.reads(), "min": low, "max": high}, at.shape(0))
    return None


def _hard_sigmoid(at: At) -> None:
    alpha, beta = at.real("alpha", 0.2), at.real("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        at.put("aten.hardsigmoid", {"input": at.reads()}, at.shape(0))
    else:
        _same(at)


def _leaky(at: At) -> None:
    numbers: dict[str, Argument] = {"negative_slope": at.real("alpha", 0.01)}
    at.put("aten.leaky_relu", {"input": at.reads(), **numbers}, at.shape(0))


def _gelu(at: At) -> None:
    kind = at.word("approximate", "none")
    at.put("aten.gelu", {"input": at.reads(), "approximate": kind}, at.shape(0))


def _swish(at: At) -> None:
    if at.real("alpha", 1.0) == 1:
        at.put("aten.silu", {"input": at.reads()}, at.shape(0))
    else:
        opaque(at, at.shape(0), name="swish")


def _prelu(at: At) -> None:
    at.put("aten.prelu", {"input": at.reads(), "weight": at.weight(1)}, at.shape(0))


def _dropout(at: At) -> None:
    ratio = at.numbers(1)
    p = short(float(ratio[0])) if ratio else at.real("ratio", 0.5)
    training = bool(at.numbers(2) and any(at.numbers(2) or ()))
    arguments: dict[str, Argument] = {"input": at.reads(), "p": p, "train": training}
    at.put("aten.dropout", arguments, *[at.shape(0)] * len(at.node.outputs))


def _softmax(name: str) -> Rule:
    def rule(at: At) -> None:
        old = at.reading.model.opset < 13
        axis, rank = at.axis(1 if old else -1), len(at.shape(0))
        if old and axis != rank - 1:
            _same(at)  # over all sides from the axis on
            return
        at.put(f"aten.{name}", {"input": at.reads(), "dim": axis}, at.shape(0))

    return rule


def _cast(at: At) -> None:
    """Another type of number; between those of floating point it is as if nothing were done."""
    if at.whole("to", FLOAT) in (1, 10, 11, 16):
        at.alias()
    else:
        _same(at)


def _identity(at: At) -> None:
    at.alias()


_SAME = """
Elu Selu Celu Softplus Softsign Mish ThresholdedRelu Shrink Abs Neg Exp Log Reciprocal Floor
Ceil Round Sign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Not BitwiseNot Hardmax
LRN LpNormalization MeanVarianceNormalization CumSum Trilu QuantizeLinear DequantizeLinear
IsNaN IsInf RMSNormalization
"""
_PAIRWISE = """
Sub Div Pow Mod Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor BitShift
BitwiseAnd BitwiseOr BitwiseXor
"""

BY_KIND: dict[str, tuple[Rule, ...]] = {
    **{"add": (_commuting("add"), _sum), "multiply": (_commuting("mul"),)},
    **{"relu6": (_clip,), "hardsigmoid": (_hard_sigmoid,), "leaky_relu": (_leaky,)},
    **{"gelu": (_gelu, _gelu), "silu": (_swish, _swish), "dropout": (_dropout,)},
    **{"softmax": (_softmax("softmax"),), "identity": (_identity,), "prelu": (_prelu,)},
}
OTHERS: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_PAIRWISE.split(), _pairwise),
    **dict.fromkeys(("Mean", "Min", "Max"), _several),
    **{"Erf": named("erf"), "Sqrt": named("sqrt")},
    **{"LogSoftmax": _softmax("log_softmax"), "Cast": _cast, "CastLike": _identity},
    **{"Where": _where, "SimplifiedLayerNormalization": _same},
}
