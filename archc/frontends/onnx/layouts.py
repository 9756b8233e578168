"""Rules for ONNX's operations that lay values out, take parts of them or put them together."""

from __future__ import annotations

from archc.frontends.onnx.common import broadcast, opaque, view
from archc.frontends.onnx.model import size
from archc.frontends.onnx.reading import At, Rule
from archc.frontends.onnx.resizing import resize
from archc.frontends.program import Argument


def _reshape(at: At) -> object:
    given = at.wholes(1) if at.has(1) else at.list("shape")
    if given is None:
        return False
    before = at.shape(0)
    dims = list(given)
    if not at.whole("allowzero", 0):
        for index, side in enumerate(dims):
            if side == 0 and index < len(before):
                dims[index] = before[index]
    if dims.count(-1) > 1 or min(dims, default=1) < -1:
        at.fail("reshapes a tensor to an invalid shape")
    if -1 in dims:
        rest = size([side for side in dims if side != -1])
        dims[dims.index(-1)] = size(before) // rest if rest else 0
    view(at, dims)
    return None


def _flatten(at: At) -> None:
    dims = at.shape(0)
    axis = at.whole("axis", 1)
    if not -len(dims) <= axis <= len(dims):
        at.fail(f"has an axis that a tensor of rank {len(dims)} does not have")
    axis += len(dims) if axis < 0 else 0
    view(at, (size(dims[:axis]), size(dims[axis:])))


def _squeeze(at: At) -> object:
    dims = at.shape(0)
    axes = at.axes()
    if axes is None and at.has(1):
        return False
    if axes is None:
        axes = tuple([index for index, side in enumerate(dims) if side == 1])
    if any(dims[axis] != 1 for axis in axes):
        at.fail("squeezes a dimension whose size is not 1")
    view(at, [side for index, side in enumerate(dims) if index not in axes])
    return None


def _unsqueeze(at: At) -> object:
    dims = list(at.shape(0))
    axes = at.wholes(1) if at.has(1) else at.list("axes")
    if axes is None:
        return False
    rank = len(dims) + len(axes)
    if not all(-rank <= axis < rank for axis in axes) or rank > 16:
        at.fail(f"has an axis that a tensor of rank {rank} does not have")
    for axis in sorted(axis % rank for axis in axes):
        dims.insert(axis, 1)
    view(at, dims)
    return None


def _transpose(at: At) -> None:
    dims = at.shape(0)
    perm = at.list("perm") or tuple(range(len(dims)))[::-1]
    if sorted(perm) != list(range(len(dims))):
        at.fail("has a `perm` that is not a permutation of its dimensions")
    static = at.static(0)
    if static is not None:
        at.put_static(static.transposed(perm))
        return
    shape = [dims[side] for side in perm]
    if perm == (0, 2, 1, 3, 4):
        sides: dict[str, Argument] = {"dim0": 1, "dim1": 2}
        at.put("aten.transpose", {"input": at.reads(), **sides}, shape)
    else:
        at.put("aten.permute", {"input": at.reads(), "dims": tuple(perm)}, shape)


def _concat(at: At) -> None:
    shapes = [at.shape(number) for number in range(len(at.node.inputs))]
    axis = at.axis(1)
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        at.fail("concatenates tensors whose shapes do not match")
    dims = list(shapes[0])
    dims[axis] = sum(shape[axis] for shape in shapes)
    tensors = tuple([at.weight(number) for number in range(len(shapes))])
    at.put("aten.cat", {"tensors": tensors, "dim": axis}, dims)


def _split(at: At) -> object:
    dims, axis, count = list(at.shape(0)), at.axis(0), len(at.node.outputs)
    sizes = at.wholes(1) if at.has(1) else at.list("split")
    if sizes is None and at.has(1):
        return False
    if sizes is None:
        each = -(-dims[axis] // max(1, count))
        sizes = (*[each] * (count - 1), dims[axis] - each * (count - 1))
    if sum(sizes) != dims[axis] or len(sizes) != count or min(sizes) < 1:
        at.fail("splits a tensor into parts that do not add up to it")
    shapes = [[*dims[:axis], part, *dims[axis + 1 :]] for part in sizes]
    at.put("aten.split", {"input": at.reads(), "split_size": sizes[0], "dim": axis}, *shapes)
    return None


def _listed(at: At) -> object:
    """A split whose parts are a list."""
    dims, axis, side = at.shape(0), at.axis(0), at.wholes(1) if at.has(1) else (1,)
    total = dims[axis]
    if side is None or not at.whole("keepdims", 1) or min(side, default=0) < 1:
        return False
    if len(side) == 1:
        side = (*side * (total // side[0]), *([total % side[0]] if total % side[0] else []))
    if sum(side) != total:
        at.fail("splits a tensor into parts that do not add up to it")
    names = [at.between() for _ in side]
    given: dict[str, Argument] = {"input": at.reads(), "split_size": side[0], "dim": axis}
    shapes = [[*dims[:axis], part, *dims[axis + 1 :]] for part in side]
    at.put("aten.split", given, *shapes, outputs=names)
    at.reading.lists[at.node.outputs[0]] = tuple(names)
    return None


def _taken(at: At) -> object:
    """A tensor of a list."""
    names, number = at.list_of(0), at.wholes(1)
    if names is None or not number or not -len(names) <= number[0] < len(names):
        return False
    at.reading.aliases[at.node.outputs[0]] = names[number[0]]
    return None


def _slice(at: At) -> object:
    """A slice of each side by itself."""
    dims = list(at.shape(0))
    if at.has(1):
        lists = [at.wholes(number) if at.has(number) else () for number in range(1, 5)]
    else:
        lists = [at.list("starts"), at.list("ends"), at.list("axes") or (), ()]
    starts, ends, axes, steps = lists
    if starts is None or ends is None or axes is None or steps is None:
        return False
    axes = axes or tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or not all(steps):
        at.fail("has slice bounds of different lengths")
    if not starts:
        at.alias()
        return None
    x = at.reads()
    for number, (start, end, axis, step) in enumerate(zip(starts, ends, axes, steps, strict=True)):
        if not -len(dims) <= axis < len(dims):
            at.fail(f"has an axis that a tensor of rank {len(dims)} does not have")
        axis %= len(dims)
        side = dims[axis]
        first, last, _ = slice(start, None if step < 0 and end < -side else end, step).indices(side)
        dims[axis] = len(range(first, last, step))
        if not dims[axis]:
            at.fail("has an empty output")
        given: dict[str, Argument] = {"dim": axis, "start": first, "end": last, "step": step}
        outputs = None if number == len(starts) - 1 else [at.between()]
        x = at.put("aten.slice", {"input": x, **given}, list(dims), outputs=outputs)
    return None


def _gather(at: At) -> None:
    """Some places of a side; all of them in their own order are a view."""
    dims, indices, axis = at.shape(0), at.shape(1), at.axis(0)
    shape = (*dims[:axis], *indices, *dims[axis + 1 :])
    if at.numbers(1) == tuple(range(dims[axis])):
        view(at, shape)
    else:
        name = "select" if not indices else "index_select"
        at.put(f"aten.{name}", {"input": at.weight(0), "dim": axis, "index": at.reads(1)}, shape)


def _pad(at: At) -> object:
    dims = at.shape(0)
    pads = at.wholes(1) if at.has(1) else at.list("pads") or at.list("paddings")
    axes = at.axes(3) if at.has(3) else tuple(range(len(dims)))
    if pads is None or axes is None:
        return False
    value = at.numbers(2) if at.has(2) else (at.real("value", 0.0),)
    count = len(axes)
    if len(pads) != 2 * count:
        at.fail("has padding for more or fewer dimensions than its input")
    low, high = [0] * len(dims), [0] * len(dims)
    for index, axis in enumerate(axes):
        low[axis], high[axis] = pads[index], pads[index + count]
    shape = [sum(three) for three in zip(dims, low, high, strict=True)]
    if min(shape, default=1) < 1:
        at.fail("has an empty output")
    rest = list(zip(low, high, strict=True))
    while rest and not any(rest[0]):
        rest.pop(0)
    if not rest:
        at.alias()
        return None
    written = tuple([number for pair in reversed(rest) for number in pair])
    fill = None if not value else float(value[0])
    arguments: dict[str, Argument] = {
        "input": at.reads(),
        "pad": written,
        "mode": at.word("mode", "constant"),
        "value": fill or None,
    }
    at.put("aten.pad" if fill is not None else "aten.pad_computed", arguments, shape)
    return None


def _expand(at: At) -> object:
    given = at.wholes(1)
    if given is None:
        return False
    dims = broadcast(at, at.shape(0), given)
    at.put("aten.expand", {"input": at.reads(), "size": tuple(dims)}, dims)
    return None


def _tile(at: At) -> object:
    given, dims = at.wholes(1), at.shape(0)
    if given is None or len(given) != len(dims):
        return False
    opaque(at, [side * times for side, times in zip(dims, given, strict=True)])
    return None


def _blocks(at: At) -> None:
    """Blocks of a map as channels, or the other way round."""
    dims, by = at.shape(0), at.whole("blocksize", 1)
    if len(dims) != 4 or by < 1:
        at.fail("rearranges a tensor that is not a feature map")
    batch, channels, *sides = dims
    if at.node.op == "DepthToSpace":
        shape = (batch, channels // by**2, *[side * by for side in sides])
    else:
        shape = (batch, channels * by**2, *[side // by for side in sides])
    if min(shape) < 1:
        at.fail("has an empty output")
    opaque(at, shape)


def reduced(name: str = "") -> Rule:
    """What is left of some sides; ``name`` is torch's, of what it has with the same arguments."""
    return lambda at: _reduced(at, name)


def _reduced(at: At, name: str) -> object:
    dims = at.shape(0)
    axes = at.axes()
    if axes is None and at.has(1):
        return False
    if not axes and at.whole("noop_with_empty_axes", 0):
        at.alias()
        return None
    gone = set(axes or range(len(dims)))
    keep = bool(at.whole("keepdims", 1))
    shape = [1 if i in gone else side for i, side in enumerate(dims) if keep or i not in gone]
    if name:
        over: dict[str, Argument] = {"dim": tuple(sorted(gone)), "keepdim": keep}
        at.put(f"aten.{name}", {"input": at.reads(), **over}, shape)
    else:
        opaque(at, shape)
    return None


def _arg(at: At) -> None:
    dims, axis = list(at.shape(0)), at.axis(0)
    dims[axis : axis + 1] = [1] if at.whole("keepdims", 1) else []
    opaque(at, dims)


def _top(at: At) -> object:
    dims, axis, count = list(at.shape(0)), at.axis(-1), at.wholes(1)
    if not count or not 1 <= count[0] <= dims[axis]:
        return False
    dims[axis] = count[0]
    opaque(at, *[dims] * len(at.node.outputs))
    return None


def _grid(at: At) -> None:
    """Places of a map that are computed."""
    opaque(at, (*at.shape(0)[:2], *at.shape(1)[1:-1]))


def _like(number: int) -> Rule:
    """What puts out the shape of one of its inputs."""

    def rule(at: At) -> None:
        opaque(at, at.shape(number))

    return rule


_REDUCED = {
    **dict.fromkeys(("ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare"), ""),
    **{"ReduceSum": "sum", "ReduceMax": "amax", "ReduceMin": "amin"},
    "ReduceLogSumExp": "logsumexp",
}
"""What torch calls them, where it has them with the same arguments."""

BY_KIND: dict[str, tuple[Rule, ...]] = {
    **{"flatten": (_flatten, _reshape), "channel_shuffle": (_transpose,), "concat": (_concat,)},
    **{"chunk": (_split, _slice), "pad": (_pad,)},
}
OTHERS: dict[str, Rule] = {
    **{name: reduced(theirs) for name, theirs in _REDUCED.items()},
    **{"SplitToSequence": _listed, "SequenceAt": _taken},
    **{"Squeeze": _squeeze, "Unsqueeze": _unsqueeze},
    **{"Gather": _gather, "Expand": _expand, "Tile": _tile},
    **dict.fromkeys(("Resize", "Upsample"), resize),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **{"GridSample": _grid, "TopK": _top, "GatherElements": _like(1)},
    **dict.fromkeys(("ScatterND", "ScatterElements"), _like(0)),
}
