"""Rules for ONNX's convolutions and poolings: windows that slide over maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archc.frontends.onnx.layouts import reduced
from archc.frontends.onnx.model import Attribute, OnnxNode
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.program import Argument, Ref

Pads = tuple[tuple[int, ...], tuple[int, ...]]
"""What is padded at the low and at the high ends."""


def _window(at: At, kernel: Sequence[int], sides: Sequence[int]) -> tuple[Sequence[int], ...]:
    """Strides, dilations, and padding at the low and the high ends."""
    count = len(kernel)
    strides, dilations = at.list("strides") or (1,) * count, at.list("dilations") or (1,) * count
    if len(strides) != count or len(dilations) != count or len(sides) != count:
        at.fail("has a window that does not match its input")
    if min((*kernel, *strides, *dilations), default=1) < 1:
        at.fail("has a window, stride or dilation below 1")
    wide = [(one - 1) * apart + 1 for one, apart in zip(kernel, dilations, strict=True)]
    auto = at.word("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        low, high = [], []
        for side, stride, reach in zip(sides, strides, wide, strict=True):
            more = max((-(-side // stride) - 1) * stride + reach - side, 0)
            less = more // 2 if auto == "SAME_UPPER" else more - more // 2
            low.append(less)
            high.append(more - less)
    else:
        pads = (at.list("pads") if auto != "VALID" else None) or (0,) * (2 * count)
        if len(pads) != 2 * count or min(pads) < 0:
            at.fail("has padding that does not match its input")
        low, high = list(pads[:count]), list(pads[count:])
    return strides, dilations, wide, low, high


def _places(
    at: At, side: int, wide: int, stride: int, low: int, high: int, ceil: bool = False
) -> int:
    left = side + low + high - wide
    if left < 0:
        at.fail(f"has a window of {wide}, but its padded input has {side + low + high} positions")
    if not ceil:
        return left // stride + 1
    places = -(-left // stride) + 1
    # A last window that begins in the padding at the high end is left out, as torch leaves it out.
    return places - ((places - 1) * stride >= side + low)


def _pad(at: At, low: Sequence[int], high: Sequence[int], dims: Sequence[int]) -> Ref:
    """Zeros around a map, and the name of what they make of it."""
    pads: list[int] = []
    for one, other in zip(reversed(low), reversed(high), strict=True):
        pads += [one, other]
    sides = [sum(three) for three in zip(dims[2:], low, high, strict=True)]
    arguments: dict[str, Argument] = {"input": at.reads(), "pad": tuple(pads)}
    return at.put("aten.pad", arguments, (*dims[:2], *sides), outputs=[at.between()])


def conv(at: At) -> object:
    """A convolution; with a Pad before it where it pads the ends of a map differently."""
    dims, kernel = at.shape(0), at.shape(1)
    if len(kernel) < 3 or len(dims) != len(kernel):
        at.fail("is a convolution whose input and kernel do not fit together")
    strides, dilations, wide, low, high = _window(at, kernel[2:], dims[2:])
    groups = at.whole("group", 1)
    if groups < 1 or kernel[1] * groups != dims[1]:
        at.fail(f"expects {kernel[1] * max(groups, 1)} channels but gets {dims[1]}")
    x = at.reads()
    sides = [
        _places(at, *numbers) for numbers in zip(dims[2:], wide, strides, low, high, strict=True)
    ]
    if low != high:
        x, low = _pad(at, low, high, dims), [0] * len(low)
    arguments: dict[str, Argument] = {
        "input": x,
        "weight": at.weight(1),
        "bias": bias(at, 2),
        "stride": tuple(strides),
        "padding": tuple(low),
        "dilation": tuple(dilations),
        "groups": groups,
    }
    at.put(f"aten.conv{len(sides)}d", arguments, (dims[0], kernel[0], *sides))
    return None


def bias(at: At, number: int) -> Argument:
    """A bias; none where it was computed to be nothing but zeros, as torch's newer exporter does
    for convolutions without one."""
    static = at.static(number)
    if static is None:
        return at.weight(number)
    is_computed = static.root not in at.reading.constants
    if is_computed and static.values is not None and not any(static.values):
        return None
    return at.weight(number)


def transposed(at: At) -> object:
    """A transposed convolution."""
    dims, kernel = at.shape(0), at.shape(1)
    if len(kernel) < 3 or len(dims) != len(kernel):
        at.fail("is a convolution whose input and kernel do not fit together")
    count = len(kernel) - 2
    strides, dilations = at.list("strides") or (1,) * count, at.list("dilations") or (1,) * count
    more, pads = at.list("output_padding") or (0,) * count, at.list("pads") or (0,) * (2 * count)
    shape = at.list("output_shape")
    lists = (strides, dilations, more, shape or strides)
    if any(len(one) != count for one in lists) or len(pads) != 2 * count:
        at.fail("has a window that does not match its input")
    if shape is not None:
        sides = list(shape)
    elif at.word("auto_pad", "NOTSET").startswith("SAME"):
        sides = [side * stride for side, stride in zip(dims[2:], strides, strict=True)]
    else:
        sides = [
            (side - 1) * stride + (one - 1) * apart + 1 + extra - low - high
            for side, stride, one, apart, extra, low, high in zip(
                *(dims[2:], strides, kernel[2:], dilations, more, pads[:count], pads[count:]),
                strict=True,
            )
        ]
    if min(sides) < 1:
        at.fail("has an empty output")
    groups = at.whole("group", 1)
    is_even = shape is None and at.word("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    if is_even and pads[:count] == pads[count:]:
        at.put(
            f"aten.conv_transpose{count}d",
            {
                "input": at.reads(),
                "weight": at.weight(1),
                "bias": bias(at, 2),
                "stride": tuple(strides),
                "padding": tuple(pads[:count]),
                "output_padding": tuple(more),
                "groups": groups,
                "dilation": tuple(dilations),
            },
            (dims[0], kernel[1] * groups, *sides),
        )
        return None
    arguments = {**at.all(), "1": at.weight(1), "2": at.weight(2)}
    channels = kernel[1] * groups
    at.put(f"aten.conv_transpose{count}d", arguments, (dims[0], channels, *sides))
    return None


def pool(name: str, *, is_mean: bool = False) -> Rule:
    """A pooling, by torch's name for it without its dimensions."""
    return lambda at: _pool(at, name, is_mean)


def _pool(at: At, name: str, is_mean: bool) -> None:
    """A pooling, rounding up where it pads the high ends more."""
    dims, kernel = at.shape(0), at.list("kernel_shape")
    if kernel is None or len(dims) != len(kernel) + 2:
        at.fail("has a window that does not match its input")
        return
    strides, dilations, wide, low, high = _window(at, kernel, dims[2:])
    ceil = bool(at.whole("ceil_mode", 0))
    counts = is_mean and bool(at.whole("count_include_pad", 0)) and any([*low, *high])

    def places(more: Sequence[int], up: bool) -> list[int]:
        rows = zip(dims[2:], wide, strides, low, more, strict=True)
        return [_places(at, *numbers, up) for numbers in rows]

    sides = places(high, ceil)
    x = at.reads()
    up = ceil
    if high != low:
        fits = [up for up in (False, True) if places(low, up) == sides]
        if counts:
            x, low = _pad(at, low, high, dims), [0] * len(low)
        elif fits:
            up = fits[0]
        else:
            low = [*low, *high]
    arguments: dict[str, Argument] = {
        "input": x,
        "kernel_size": tuple(kernel),
        "stride": tuple(strides),
        "padding": tuple(low),
        "dilation": tuple(dilations),
        "ceil_mode": up,
        "count_include_pad": counts if is_mean else None,
    }
    if not is_mean or not any(low):
        arguments.pop("count_include_pad")
    at.put(f"aten.{name}{len(kernel)}d", arguments, (*dims[:2], *sides))


def over_all(name: str) -> Rule:
    """A pooling over the whole map, by torch's name for it without its dimensions."""

    def rule(at: At) -> None:
        dims = at.shape(0)
        ones = (1,) * (len(dims) - 2)
        given: dict[str, Argument] = {"input": at.reads(), "output_size": ones}
        at.put(f"aten.{name}{len(ones)}d", given, (*dims[:2], *ones))

    return rule


def fused_conv(at: At) -> object:
    """onnxruntime's convolution with an activation behind it, and a sum before that."""
    activation = at.word("activation", "")
    rule = at.reading.rules.get(activation)
    if activation and rule is None:
        return False
    (out,) = at.node.outputs[:1]
    before = at.between()
    plain = At(at.reading, _renamed(at, before), at.scopes)
    conv(plain)
    dims = at.reading.shapes[before]
    x = Ref(before)
    if at.has(3):
        target = at.between() if activation else out
        pair: dict[str, Argument] = {"input": x, "other": at.reads(3)}
        x = at.put("aten.add", pair, dims, outputs=[target])
    if rule is not None:
        behind = replace(at.node, op=activation, inputs=(x.name,), attributes=_numbers(at))
        return rule(At(at.reading, behind, at.scopes))
    if not at.has(3):
        at.reading.aliases[out] = before
    return None


def _numbers(at: At) -> dict[str, Attribute]:
    """The numbers of the activation behind a convolution, under the names that they have as its
    attributes."""
    given = at.node.attributes.get("activation_params")
    if not isinstance(given, tuple) or not given:
        return {}
    return {"alpha": given[0], "min": given[0], "beta": given[-1], "max": given[-1]}


def _renamed(at: At, output: str) -> OnnxNode:
    return replace(at.node, inputs=at.node.inputs[:3], outputs=(output,))


BY_KIND: dict[str, tuple[Rule, ...]] = {
    "conv2d": (conv, fused_conv),
    "conv_transpose2d": (transposed,),
    "max_pool2d": (pool("max_pool"),),
    "avg_pool2d": (pool("avg_pool", is_mean=True),),
    "adaptive_avg_pool2d": (over_all("adaptive_avg_pool"), reduced("mean")),
}
OTHERS: dict[str, Rule] = {
    "LpPool": pool("lp_pool"),
    "GlobalMaxPool": over_all("adaptive_max_pool"),
    "GlobalLpPool": over_all("global_lp_pool"),
}
