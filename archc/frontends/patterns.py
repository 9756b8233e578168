"""What exporters write as several calls, as the one call that it is.

Only calls whose results nothing else reads are taken together. What comes out computes the same but
for rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from archc.frontends.program import Argument, Call, Program, Ref
from archc.ops.given import short

Match: TypeAlias = "tuple[Call, tuple[Call, ...]] | None"
"""The call that several are, and those of them that go for it, but for the last."""


Patterns: TypeAlias = "Mapping[str, tuple[Callable[[Gathering, Call], Match], ...]]"


def gathered(program: Program, *, exactly: bool = False) -> Program:
    """The program with the patterns below as single calls; with ``exactly`` only with those that
    round as the calls do that they stand for."""
    return Gathering(program, _EXACT if exactly else _PATTERNS).program()


class Gathering:
    """A program while calls of it are taken together, by patterns for the last call of each."""

    def __init__(self, program: Program, patterns: Patterns):
        self.of, self.patterns = program, patterns
        self.by_output: dict[str, Call] = {}
        self.reads: Counter[str] = Counter(program.outputs)
        for call in program.calls:
            self.reads.update(call.reads)

    def program(self) -> Program:
        """Calls in order, each with what it takes in gone; what is made so may be taken in, too."""
        kept: dict[int, Call] = {}
        index_of: dict[str, int] = {}
        for index, call in enumerate(self.of.calls):
            for pattern in self.patterns.get(call.target, ()):
                match = pattern(self, call)
                if match is not None:
                    self.reads.subtract(call.reads)
                    call, gone = match
                    self.reads.update(call.reads)
                    for inner in gone:
                        self.reads.subtract(inner.reads)
                        kept.pop(index_of[inner.outputs[0]], None)
            kept[index] = call
            for output in call.outputs:
                self.by_output[output] = call
                index_of[output] = index
        return replace(self.of, calls=tuple(kept.values()))

    def made(self, argument: Argument, target: str, readers: int = 1) -> Call | None:
        """The call of a target that puts out what is given, for so many readers and no output."""
        if not isinstance(argument, Ref) or self.reads[argument.name] != readers:
            return None
        call = self.by_output.get(argument.name)
        return call if call is not None and call.target == target else None

    def shape(self, argument: Argument) -> tuple[int, ...] | None:
        """The shape of a value or of a tensor of the model."""
        if not isinstance(argument, Ref):
            return None
        weight = self.of.weights.get(argument.name)
        return self.of.shapes.get(argument.name) if weight is None else weight.shape

    def channels(self, argument: Argument, count: int) -> Argument:
        """The numbers of a tensor of the model that has one for each channel of a map."""
        weight = self.of.weights.get(argument.name) if isinstance(argument, Ref) else None
        if weight is None or weight.values is None or weight.shape != (count, 1, 1):
            return None
        return tuple([short(value) for value in weight.values])

    def is_weight(self, argument: Argument) -> bool:
        """Whether an argument is a tensor of the model."""
        return isinstance(argument, Ref) and argument.name in self.of.weights


def first(call: Call) -> Argument:
    """What a call is made on: torch's schemas have two names for it."""
    return call.arguments.get("input", call.arguments.get("self"))


def _pair(call: Call) -> tuple[Argument, Argument]:
    return first(call), call.arguments.get("other")


def _orders(call: Call) -> Iterator[tuple[Argument, Argument]]:
    """What a commutative call reads, both ways round."""
    a, b = _pair(call)
    yield a, b
    yield b, a


def is_number(argument: Argument, number: float) -> bool:
    """Whether an argument is a number, as near as float32 has it."""
    return (
        isinstance(argument, (int, float))
        and not isinstance(argument, bool)
        and math.isclose(argument, number, rel_tol=1e-5)
    )


def instead(call: Call, target: str, like: Call, **arguments: Argument) -> Call:
    """A call in the place of another, in the modules of the one that it is about."""
    return Call(like.name, target, arguments, call.outputs, like.scopes)


# Activations


def gated(of: Gathering, call: Call) -> Match:
    """x times its sigmoid, or its hard sigmoid."""
    for x, gate in _orders(call):
        for inner, target in (("aten.sigmoid", "silu"), ("aten.hardsigmoid", "hardswish")):
            made = of.made(gate, inner)
            if made is not None and first(made) == x:
                return instead(call, f"aten.{target}", call, input=x), (made,)
    return None


def _cut(of: Gathering, argument: Argument) -> tuple[Argument, tuple[Call, ...]] | None:
    """What ``clamp(x + 3, 0, 6)`` is of, whose bounds may be in one call or in two."""
    for target in ("aten.clamp", "aten.relu6"):
        clamp = of.made(argument, target)
        if clamp is None:
            continue
        usual = (0, 6) if target == "aten.relu6" else (None, None)
        bounds = [clamp.arguments.get(*one) for one in zip(("min", "max"), usual, strict=True)]
        clamps = [clamp]
        if bounds[0] is None and (lower := of.made(first(clamp), target)) is not None:
            bounds[0] = lower.arguments.get("min") if "max" not in lower.arguments else None
            clamps.append(lower)
        added = of.made(first(clamps[-1]), "aten.add")
        if added is not None and bounds == [0, 6]:
            for x, three in _orders(added):
                if is_number(three, 3):
                    return x, (added, *reversed(clamps))
    return None


def sixth(of: Gathering, call: Call) -> Match:
    """A hard sigmoid as ``clamp(x + 3, 0, 6) / 6``, a hard swish as x times that."""
    a, b = _pair(call)
    by = 6.0 if call.target == "aten.div" else 1 / 6
    x = a if is_number(b, by) else b if call.target == "aten.mul" and is_number(a, by) else None
    if x is None:
        return None
    cut = _cut(of, x)
    if cut is not None:
        return instead(call, "aten.hardsigmoid", call, input=cut[0]), cut[1]
    product = of.made(x, "aten.mul")
    if product is not None:
        for value, gate in _orders(product):
            cut = _cut(of, gate)
            if cut is not None and cut[0] == value:
                made = instead(call, "aten.hardswish", call, input=value)
                return made, (*cut[1], product)
    return None


def _gelu(of: Gathering, call: Call) -> Match:
    """x / 2 * (1 + erf(x / sqrt(2))), in whatever order."""
    factors, inner = _factors(of, call)
    halves = [one for one in factors if is_number(one, 0.5)]
    sums = [(one, made) for one in factors if (made := of.made(one, "aten.add"))]
    if len(factors) != 3 or len(halves) != 1 or len(sums) != 1:
        return None
    (x,) = (one for one in factors if one is not halves[0] and one is not sums[0][0])
    added = sums[0][1]
    for curve, unit in _orders(added):
        erf = of.made(curve, "aten.erf")
        if erf is None or not is_number(unit, 1):
            continue
        for target, by in (("aten.div", math.sqrt(2)), ("aten.mul", math.sqrt(0.5))):
            scaled = of.made(erf.arguments["input"], target)
            if scaled is None or scaled.arguments["input"] != x:
                continue
            if is_number(scaled.arguments.get("other"), by):
                made = instead(call, "aten.gelu", call, input=x)
                return made, (scaled, erf, added, *inner)
    return None


def _factors(of: Gathering, call: Call) -> tuple[list[Argument], tuple[Call, ...]]:
    """What a product is of, the products in it taken apart once."""
    factors: list[Argument] = []
    inner: list[Call] = []
    for argument in _pair(call):
        made = of.made(argument, "aten.mul")
        if made is None:
            factors.append(argument)
        else:
            factors += _pair(made)
            inner.append(made)
    return factors, tuple(inner)


# Norms


def _layer_norm(of: Gathering, call: Call) -> Match:
    """(x - mean) / sqrt(mean of its square + eps) * weight + bias, over the last side."""
    for product, bias in _orders(call):
        scaled = of.made(product, "aten.mul")
        if scaled is None or not of.is_weight(bias):
            continue
        for quotient, weight in _orders(scaled):
            found = _normalized(of, quotient)
            shape = of.shape(weight)
            if found is None or not of.is_weight(weight) or shape != of.shape(bias):
                continue
            x, eps, inner = found
            if shape is None or of.shape(x) is None or (of.shape(x) or ())[-1:] != shape:
                continue
            tensors = {"weight": weight, "bias": bias}
            made = instead(
                call, "aten.layer_norm", call, input=x, normalized_shape=shape, **tensors, eps=eps
            )
            return made, (*inner, scaled)
    return None


def _normalized(
    of: Gathering, argument: Argument
) -> tuple[Argument, Argument, tuple[Call, ...]] | None:
    """What is normalized over its last side, with which eps, in which calls."""
    quotient = of.made(argument, "aten.div")
    if quotient is None:
        return None
    centred, deviation = _pair(quotient)
    difference, root = of.made(centred, "aten.sub", 2), of.made(deviation, "aten.sqrt")
    added = None if root is None else of.made(root.arguments["input"], "aten.add")
    if difference is None or root is None or added is None:
        return None
    variance, eps = _pair(added)
    mean = of.made(variance, "aten.mean")
    square = None if mean is None else _square(of, mean.arguments["input"], centred)
    x, middle = _pair(difference)
    average = of.made(middle, "aten.mean")
    if mean is None or square is None or average is None or average.arguments["input"] != x:
        return None
    last = len(of.shape(x) or ()) - 1
    over = [one.arguments.get("dim") for one in (mean, average)]
    if any(dims not in ((last,), (-1,)) for dims in over) or not isinstance(eps, float):
        return None
    return x, eps, (average, difference, square, mean, added, root, quotient)


def _square(of: Gathering, argument: Argument, base: Argument) -> Call | None:
    power = of.made(argument, "aten.pow")
    if (
        power is not None
        and power.arguments["input"] == base
        and is_number(power.arguments.get("exponent"), 2)
    ):
        return power
    return None


def _group_norm(of: Gathering, call: Call) -> Match:
    """Groups laid out as channels and normalized each by itself, then scaled and shifted."""
    for product, bias in _orders(call):
        scaled = of.made(product, "aten.mul")
        for back, weight in _orders(scaled) if scaled is not None else ():
            view = of.made(back, "aten.view")
            norm = None if view is None else of.made(view.arguments["input"], "aten.group_norm")
            grouped = None if norm is None else of.made(norm.arguments["input"], "aten.view")
            if scaled is None or view is None or norm is None or grouped is None:
                continue
            x = grouped.arguments["input"]
            shape = of.shape(x)
            if shape is None or shape != of.shape(back) or len(shape) != 4:
                continue
            channels = (shape[1], 1, 1)
            if of.shape(weight) != channels or of.shape(bias) != channels:
                continue
            if not _changes_nothing(of, norm):
                continue
            numbers = {"num_groups": norm.arguments["num_groups"], "eps": norm.arguments["eps"]}
            tensors = {"weight": weight, "bias": bias}
            made = instead(call, "aten.group_norm", call, input=x, **numbers, **tensors)
            return made, (grouped, norm, view, scaled)
    return None


def _changes_nothing(of: Gathering, norm: Call) -> bool:
    """Whether the scales of a norm are all 1 and the shifts 0."""
    for name, number in (("weight", 1.0), ("bias", 0.0)):
        one = norm.arguments.get(name)
        weight = of.of.weights.get(one.name) if isinstance(one, Ref) else None
        if weight is None or weight.values is None or set(weight.values) != {number}:
            return False
    return True


# Layers


def _biased(of: Gathering, call: Call) -> Match:
    """A layer without a bias, and a sum with a tensor that has a number for each channel."""
    for x, bias in _orders(call):
        if not of.is_weight(bias):
            continue
        for target, rank in (("aten.linear", 0), ("aten.conv2d", 2)):
            layer = of.made(x, target)
            if layer is None or layer.arguments.get("bias") is not None:
                continue
            weight = of.shape(layer.arguments.get("weight"))
            if weight and of.shape(bias) == (weight[0], *(1,) * rank):
                arguments = {**layer.arguments, "bias": bias}
                return instead(call, target, layer, **arguments), (layer,)
    return None


def over_tokens(of: Gathering, call: Call) -> Match:
    """A linear layer on tokens laid out as the rows of a matrix, and these laid out as before."""
    layer = of.made(first(call), "aten.linear")
    rows = None if layer is None else of.made(layer.arguments.get("input"), "aten.view")
    if layer is None or rows is None:
        return None
    x = first(rows)
    before, inside = of.shape(x), of.shape(layer.arguments["input"])
    after = of.shape(Ref(call.outputs[0]))
    if before is None or after is None or inside is None or len(inside) != 2:
        return None
    if before[:-1] != after[:-1] or before[-1] != inside[-1]:
        return None
    tensors = {name: one for name, one in layer.arguments.items() if name != "input"}
    return instead(call, "aten.linear", layer, input=x, **tensors), (rows, layer)


def _padded(of: Gathering, call: Call) -> Match:
    """Zeros of one width around a map before a layer or a mean that could pad by itself."""
    pad = of.made(call.arguments.get("input"), "aten.pad")
    pads = None if pad is None else pad.arguments.get("pad")
    if pad is None or not isinstance(pads, tuple) or len(pads) != 4 or pads[::2] != pads[1::2]:
        return None
    if not all(isinstance(one, int) and one >= 0 for one in pads):
        return None
    if pad.arguments.get("mode", "constant") != "constant" or pad.arguments.get("value"):
        return None
    if call.arguments.get("padding") not in (None, 0, (0, 0)):
        return None
    more: dict[str, Argument] = {"input": pad.arguments["input"], "padding": (pads[2], pads[0])}
    arguments = {**call.arguments, **more}
    return instead(call, call.target, call, **arguments), (pad,)


def _windows(of: Gathering, call: Call) -> Match:
    """Products with matrices of windows from both sides: a pooling into a grid."""
    rows, x = call.arguments.get("input"), call.arguments.get("mat2")
    columns = of.made(x, "aten.linear")
    if columns is None or not of.is_weight(rows):
        return None
    source = columns.arguments["input"]
    shape = of.shape(source)
    if shape is None or len(shape) != 4 or columns.arguments.get("bias") is not None:
        return None
    grid = []
    for matrix, side in ((rows, shape[2]), (columns.arguments["weight"], shape[3])):
        weight = of.of.weights.get(matrix.name) if isinstance(matrix, Ref) else None
        if weight is None or weight.values is None or len(weight.shape) != 2:
            return None
        if weight.shape[1] != side or not _is_adaptive(weight.values, weight.shape[0], side):
            return None
        grid.append(weight.shape[0])
    made = instead(
        call, "aten.adaptive_avg_pool2d", call, input=source, output_size=(grid[0], grid[1])
    )
    return made, (columns,)


def _is_adaptive(values: tuple[float, ...], size: int, length: int) -> bool:
    """Whether a matrix takes means over torch's adaptive windows."""
    for index in range(size):
        start, end = index * length // size, math.ceil((index + 1) * length / size)
        row = values[index * length : (index + 1) * length]
        wanted = [1 / (end - start) if start <= at < end else 0.0 for at in range(length)]
        if not all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(row, wanted, strict=True)):
            return False
    return True


# Images


def _whitened(of: Gathering, call: Call) -> Match:
    """The image with each channel scaled and shifted by constants."""
    for product, shift in _orders(call):
        scaled = of.made(product, "aten.mul")
        for x, scale in _orders(scaled) if scaled is not None else ():
            if not isinstance(x, Ref) or x.name not in of.of.inputs or scaled is None:
                continue
            numbers = [of.channels(one, of.of.inputs[x.name][1]) for one in (scale, shift)]
            if None not in numbers:
                arguments = {"input": x, "scale": numbers[0], "shift": numbers[1]}
                return instead(call, "aten.affine", call, **arguments), (scaled,)
    return None


def _whitened_apart(of: Gathering, call: Call) -> Match:
    """The channels of a map one by one, scaled and shifted by numbers, and joined again, as
    torchvision and archc write it."""
    parts = call.arguments.get("tensors")
    if not isinstance(parts, tuple) or call.arguments.get("dim") != 1 or len(parts) < 2:
        return None
    scales: list[Argument] = []
    shifts: list[Argument] = []
    gone: list[Call] = []
    source: Argument = None
    for index, part in enumerate(parts):
        added = of.made(part, "aten.add")
        product, shift = _pair(added) if added is not None else (None, None)
        scaled = of.made(product, "aten.mul")
        x, scale = _pair(scaled) if scaled is not None else (None, None)
        taken = _channel(of, x, index)
        if added is None or scaled is None or not taken:
            return None
        if index and first(taken[0]) != source:
            return None
        if not isinstance(scale, float) or not isinstance(shift, float):
            return None
        source = first(taken[0])
        scales.append(scale)
        shifts.append(shift)
        gone += [*(one for one in taken if one not in gone), scaled, added]
    shape = of.shape(source)
    if shape is None or len(shape) != 4 or shape[1] != len(parts):
        return None
    arguments: dict[str, Argument] = {"scale": tuple(scales), "shift": tuple(shifts)}
    return instead(call, "aten.affine", call, input=source, **arguments), tuple(gone)


def _channel(of: Gathering, x: Argument, index: int) -> tuple[Call, ...]:
    """The calls that take a channel of a map; none where others do."""
    view = of.made(x, "aten.view") or of.made(x, "aten.unsqueeze")
    taken = None if view is None else of.made(first(view), "aten.select")
    if view is not None and taken is not None:
        is_it = taken.arguments.get("dim") == 1 and taken.arguments.get("index") == index
        return (taken, view) if is_it else ()
    split, shape = of.made(x, "aten.split"), of.shape(x)
    if split is None or split.arguments.get("dim") != 1 or shape is None or shape[1] != 1:
        return ()
    assert isinstance(x, Ref)
    return (split,) if split.outputs.index(x.name) == index else ()


def _viewed(of: Gathering, call: Call) -> Match:
    """A view of a view."""
    inner = of.made(call.arguments.get("input"), "aten.view")
    if inner is None:
        return None
    arguments = {**call.arguments, "input": inner.arguments["input"]}
    return instead(call, call.target, call, **arguments), (inner,)


_EXACT: Patterns = {"aten.cat": (_whitened_apart,)}
_PATTERNS: Patterns = {
    **_EXACT,
    "aten.mul": (gated, sixth, _gelu),
    "aten.div": (sixth,),
    "aten.add": (_biased, _layer_norm, _group_norm, _whitened),
    "aten.conv2d": (_padded,),
    "aten.avg_pool2d": (_padded,),
    "aten.matmul": (_windows,),
    "aten.view": (over_tokens, _viewed),
}
