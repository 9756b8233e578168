"""Rules for ONNX's operations on each element."""

from __future__ import annotations

import math

from archc.frontends.onnx.common import broadcast, opaque, word
from archc.frontends.onnx.model import FLOAT, size
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.program import Argument, Ref
from archc.ops.given import short

_ALPHA, _GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
"""The numbers of selu."""

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


def _with_numbers(**numbers: float) -> Rule:
    """An operation on each element that goes by torch's name for it, with attributes that have
    these defaults, by names that are torch's too."""

    def rule(at: At) -> None:
        given: dict[str, Argument] = {
            name: at.real(name, default) for name, default in numbers.items()
        }
        at.put(f"aten.{word(at.node.op)}", {"input": at.reads(), **given}, at.shape(0))

    return rule


def _selu(at: At) -> None:
    """torch's has fixed numbers, which are ONNX's defaults."""
    alpha, gamma = at.real("alpha", _ALPHA), at.real("gamma", _GAMMA)
    if math.isclose(alpha, _ALPHA, rel_tol=1e-6) and math.isclose(gamma, _GAMMA, rel_tol=1e-6):
        at.put("aten.selu", {"input": at.reads()}, at.shape(0))
    else:
        opaque(at, at.shape(0), name="scaled_elu")


def _power(at: At) -> None:
    dims = broadcast(at, at.shape(0), at.shape(1))
    given = {"input": _operand(at, 0, len(dims)), "exponent": _operand(at, 1, len(dims))}
    at.put("aten.pow", given, dims)


def _modulo(at: At) -> None:
    """A rest with the sign of the divisor, or with ``fmod`` of the dividend."""
    _pairwise(at, "fmod" if at.whole("fmod", 0) else "remainder")


def _cumulative(at: At) -> None:
    """Sums of all before and with each element."""
    axes = at.wholes(1)
    rank = len(at.shape(0))
    is_plain = not at.whole("exclusive", 0) and not at.whole("reverse", 0)
    if is_plain and axes is not None and len(axes) == 1 and -rank <= axes[0] < rank:
        at.put("aten.cumsum", {"input": at.reads(), "dim": axes[0] % rank}, at.shape(0))
    else:
        opaque(at, at.shape(0), name="cumulative_sum")


def _commuting(name: str) -> Rule:
    """An operation on two tensors whose order is free: the value before the constant."""

    def rule(at: At) -> None:
        dims = broadcast(at, at.shape(0), at.shape(1))
        first, second = (_operand(at, number, len(dims)) for number in (0, 1))
        if not at.is_value(0):
            first, second = second, first
        at.put(f"aten.{name}", {"input": first, "other": second}, dims)

    return rule


def _pairwise(at: At, name: str = "") -> None:
    """An operation on two tensors."""
    shapes = at.shape(0), at.shape(1)
    dims = broadcast(at, *shapes)
    first, second = (_operand(at, number, len(dims)) for number in (0, 1))
    at.put(f"aten.{name or word(at.node.op)}", {"input": first, "other": second}, dims)


def _extreme(name: str, bound: str) -> Rule:
    """The largest or smallest of any number of tensors: two by two, or of a tensor and a number,
    which is a bound."""

    def pair(at: At, x: Argument, other: Argument) -> tuple[str, dict[str, Argument]]:
        if not isinstance(x, Ref):
            x, other = other, x
        if isinstance(other, Ref) or not isinstance(x, Ref):
            return name, {"input": x, "other": other}
        if bound == "min" and other == 0:
            return "relu", {"input": x}
        return "clamp", {"input": x, bound: other}

    def rule(at: At) -> None:
        count = max(1, len(at.node.inputs))
        shapes = [at.shape(number) for number in range(count)]
        if count == 1:
            at.alias()
            return
        rank = max(map(len, shapes))
        order = sorted(range(count), key=lambda number: not at.is_value(number))
        x = _operand(at, order[0], rank)
        dims = shapes[order[0]]
        for number in order[1:]:
            dims = broadcast(at, dims, shapes[number])
            target, given = pair(at, x, _operand(at, number, rank))
            outputs = None if number == order[-1] else [at.between()]
            x = at.put(f"aten.{target}", given, dims, outputs=outputs)

    return rule


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
    dims = broadcast(at, at.shape(0), at.shape(1), at.shape(2))
    given = {"condition": at.weight(0), "input": at.reads(1), "other": at.reads(2)}
    at.put("aten.where", given, dims)


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


_PLAIN = """
Softplus Softsign Mish Abs Neg Exp Log Reciprocal Floor Ceil Round Sign Sin Cos Tan Asin Acos Atan
Sinh Cosh Asinh Acosh Atanh Not
"""
_SAME = """
ThresholdedRelu Shrink BitwiseNot Hardmax LRN LpNormalization MeanVarianceNormalization Trilu
QuantizeLinear DequantizeLinear IsNaN IsInf RMSNormalization
"""
_PAIRWISE = """
Sub Div Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor BitShift
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
    **dict.fromkeys(_PLAIN.split(), _with_numbers()),
    **{"Elu": _with_numbers(alpha=1.0), "Celu": _with_numbers(alpha=1.0), "Selu": _selu},
    **{"Pow": _power, "Mod": _modulo, "CumSum": _cumulative, "Mean": _several},
    **{"Min": _extreme("minimum", "max"), "Max": _extreme("maximum", "min")},
    **{"Erf": named("erf"), "Sqrt": named("sqrt")},
    **{"LogSoftmax": _softmax("log_softmax"), "Cast": _cast, "CastLike": _identity},
    **{"Where": _where, "SimplifiedLayerNormalization": _same},
}
