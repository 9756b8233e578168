"""How the images of a batch lie in the values of a program that was made with a batch of its own.

Along one side of a value that is computed from images the places of each image follow one another.
A call may stand in a network that takes any number of images where what it computes of one image
depends on nothing of the others; what its arguments say of sizes is then said in terms of the
number of images. Each function has a rule for that, or cannot be written.

A program of one image does not say which side of a view is that of the images: all that can be are
followed, and what reads them decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import islice, product
from typing import Any, NoReturn, TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.program import Argument, Ref
from archc.ops.given import NotReadError
from archc.ops.spelling import INFINITE_END, Images, is_equation


@dataclass(frozen=True, slots=True)
class Lie:
    """The side of a value along which the images lie: it has ``outer`` runs, in each of which every
    image has so many places (``times``)."""

    axis: int
    times: int = 1
    outer: int = 1

    @property
    def places(self) -> int:
        """How many places an image has along that side."""
        return self.outer * self.times

    def at(self, axis: int) -> Lie:
        """The same along another side."""
        return replace(self, axis=axis)


@dataclass(frozen=True, slots=True)
class Seen:
    """A value of a program: its shape, and how the images lie in it; None for one of none."""

    shape: tuple[int, ...]
    lie: Lie | None = None

    @property
    def rank(self) -> int:
        """How many sides it has."""
        return len(self.shape)


@dataclass(frozen=True)
class Asked:
    """A call whose rule is asked: its arguments, what its tensors are, and the shape it puts out.

    ``batch`` is how many images the program was made with.
    """

    function: str
    arguments: Mapping[str, Argument]
    seen: Mapping[str, Seen]
    output: tuple[int, ...]
    batch: int

    def of(self, name: str) -> Seen:
        """The tensor of an argument."""
        value = self.arguments.get(name)
        if not isinstance(value, Ref):
            refuse("it reads what archc does not follow")
        return self.seen[value.name]

    def tensors(self) -> list[Seen]:
        """All tensors among the arguments, in order."""
        found: list[Seen] = []

        def look(value: Argument) -> None:
            if isinstance(value, Ref):
                found.append(self.seen[value.name])
            elif isinstance(value, tuple):
                for one in value:
                    look(one)

        for value in self.arguments.values():
            look(value)
        return found

    def only(self) -> Seen:
        """The one tensor among the arguments."""
        found = self.tensors()
        if len(found) != 1:
            refuse(f"it reads {len(found)} tensors")
        return found[0]

    def both(self) -> tuple[Seen, Seen]:
        """The two tensors among the arguments."""
        found = self.tensors()
        if len(found) != 2:
            refuse(f"it reads {len(found)} tensors")
        return found[0], found[1]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or what it is where it is left out."""
        value = self.arguments.get(name)
        return default if value is None else value

    def dim(self, name: str, rank: int, default: int | None = None) -> int:
        """A side, counted from 0."""
        return _side(self.get(name, default), rank)

    def dims(self, name: str, rank: int) -> tuple[int, ...]:
        """Sides, counted from 0."""
        given = self.get(name, ())
        given = given if isinstance(given, tuple) else (given,)
        return tuple([_side(one, rank) for one in given])


Laid: TypeAlias = "tuple[dict[str, Any], Lie | None]"
"""What a call's arguments are for any number of images, and how these lie in what it puts out."""
Rule: TypeAlias = Callable[[Asked], "Laid | list[Laid]"]


def refuse(what: str) -> NoReturn:
    """Raise `NotReadError`."""
    raise NotReadError(what)


def ways(asked: Asked) -> list[Laid]:
    """A call for any number of images, in all ways in which it may be meant, the likeliest first.

    Raises `NotReadError`, which says why, where there is none.
    """
    rule = RULES.get(asked.function)
    if rule is None:
        refuse("")
    try:
        found = rule(asked)
    except (TypeError, ValueError, IndexError, ArithmeticError):
        refuse("its arguments are not as torch writes them")
    return found if isinstance(found, list) else [found]


def _side(value: Any, rank: int) -> int:
    if type(value) is not int or not -rank <= value < max(rank, 1):
        refuse("a side of it is not a fixed number")
    return int(value) % rank if rank else 0


def _whole(value: Any) -> tuple[int, ...]:
    given = value if isinstance(value, tuple) else (value,)
    if not all(type(one) is int for one in given):
        refuse("a size of it is not a fixed number")
    return tuple(given)


def _mixes() -> NoReturn:
    refuse("it mixes what is computed of several images")


# Element by element


def _like(asked: Asked) -> Laid:
    """What lies as its only tensor does."""
    x = asked.only()
    return {**asked.arguments}, x.lie


def _together(asked: Asked) -> Laid:
    """Tensors element by element, those of one place along a side spread over the others'."""
    return {**asked.arguments}, _common(asked.tensors(), len(asked.output))


def _common(values: Sequence[Seen], rank: int, last: int = 0) -> Lie | None:
    """How the images lie in all of some values, whose sides are counted from the last; in none of
    the ``last`` sides."""
    lies = {v.lie.at(v.lie.axis + rank - v.rank) for v in values if v.lie is not None}
    if not lies:
        return None
    if len(lies) > 1:
        _mixes()
    (lie,) = lies
    for value in values:
        at = lie.axis - (rank - value.rank)
        if value.lie is None and at >= 0 and value.shape[at] != 1:
            _mixes()
    if lie.axis >= rank - last:
        _mixes()
    return lie


# Along a side


def _along(asked: Asked, default: int | None = None) -> Laid:
    """What is computed along one side, and stays there."""
    x = asked.only()
    if x.lie is not None and asked.dim("dim", x.rank, default) == x.lie.axis:
        _mixes()
    return {**asked.arguments}, x.lie


def _reduced(asked: Asked) -> Laid:
    """What is computed along sides that are gone then, or of one place."""
    x = asked.only()
    dims = asked.dims("dim", x.rank)
    if not dims:
        if x.lie is not None:
            _mixes()
        refuse("it goes over all sides")
    given = {**asked.arguments, "dim": dims[0] if len(dims) == 1 else dims}
    if x.lie is None or asked.get("keepdim"):
        if x.lie is not None and x.lie.axis in dims:
            _mixes()
        return given, x.lie
    if x.lie.axis in dims:
        _mixes()
    return given, x.lie.at(x.lie.axis - sum(dim < x.lie.axis for dim in dims))


# How values lie


def _reshaped(asked: Asked) -> list[Laid]:
    """Numbers in another shape, in the same order."""
    x = asked.only()
    shape, given = asked.output, {"self": asked.arguments["self"]}
    if x.lie is None:
        return [({**given, "shape": shape}, None)]
    found: list[Laid] = []
    for lie in _lies_in(x, x.lie, shape, asked.batch):
        sizes = (*shape[: lie.axis], Images(lie.places), *shape[lie.axis + 1 :])
        found.append(({**given, "shape": sizes}, lie))
    return found or _mixes()


def _lies_in(x: Seen, before: Lie, shape: tuple[int, ...], batch: int) -> list[Lie]:
    """How the images can lie in a view of a value: what stood before them still does."""
    runs = math.prod(x.shape[: before.axis]) * before.outer
    found = []
    for axis, size in enumerate(shape):
        outer, rest = divmod(runs, math.prod(shape[:axis]) or 1)
        if not rest and outer and size and size % (outer * batch) == 0:
            found.append(Lie(axis, size // (outer * batch), outer))
    # A side of the images alone is what people write; then one that others begin.
    return sorted(found, key=lambda lie: (lie.places > 1, lie.axis))


def _flattened(asked: Asked) -> Laid:
    """Sides made one."""
    x = asked.only()
    start, end = asked.dim("start_dim", x.rank, 0), asked.dim("end_dim", x.rank, -1)
    lie = x.lie
    if lie is None or lie.axis < start:
        return {**asked.arguments}, lie
    if lie.axis > end:
        return {**asked.arguments}, lie.at(lie.axis - (end - start))
    outer = lie.outer * math.prod(x.shape[start : lie.axis])
    times = lie.times * math.prod(x.shape[lie.axis + 1 : end + 1])
    return {**asked.arguments}, Lie(start, times, outer)


def _unflattened(asked: Asked) -> Laid | list[Laid]:
    """A side made several."""
    x = asked.only()
    dim = asked.dim("dim", x.rank)
    sizes = _whole(asked.get("sizes"))
    if x.lie is None or dim > x.lie.axis:
        return {**asked.arguments, "sizes": sizes}, x.lie
    if dim < x.lie.axis:
        lie = x.lie.at(x.lie.axis + len(sizes) - 1)
        return {**asked.arguments, "dim": dim, "sizes": sizes}, lie
    return _reshaped(asked)


def _permuted(asked: Asked) -> Laid:
    """Sides in another order."""
    x = asked.only()
    dims = asked.dims("dims", x.rank)
    lie = None if x.lie is None else x.lie.at(dims.index(x.lie.axis))
    return {**asked.arguments, "dims": dims}, lie


def _transposed(asked: Asked) -> Laid:
    """Two sides exchanged."""
    x = asked.only()
    if asked.function == "t" and x.rank != 2:
        refuse("it is not a matrix")
    one, other = (
        (0, 1) if asked.function == "t" else (asked.dim(n, x.rank) for n in ("dim0", "dim1"))
    )
    if x.lie is None:
        return {**asked.arguments}, None
    axis = {one: other, other: one}.get(x.lie.axis, x.lie.axis)
    return {**asked.arguments}, x.lie.at(axis)


def _unsqueezed(asked: Asked) -> Laid:
    """One more side."""
    x = asked.only()
    dim = asked.dim("dim", x.rank + 1)
    lie = None if x.lie is None else x.lie.at(x.lie.axis + (dim <= x.lie.axis))
    return {**asked.arguments}, lie


def _squeezed(asked: Asked) -> Laid:
    """Sides of one place gone."""
    x = asked.only()
    dims = asked.dims("dim", x.rank) or tuple(range(x.rank))
    dims = tuple([dim for dim in dims if x.shape[dim] == 1])
    if x.lie is not None and x.lie.axis in dims:
        _mixes()
    given = {**asked.arguments, "dim": dims[0] if len(dims) == 1 else dims}
    if x.lie is None:
        return given, None
    return given, x.lie.at(x.lie.axis - sum(dim < x.lie.axis for dim in dims))


def _expanded(asked: Asked) -> Laid:
    """Places of sides of one place repeated."""
    x = asked.of("self")
    sizes = _whole(asked.get("size"))
    given = {"self": asked.arguments["self"], "size": sizes}
    if x.lie is None:
        return given, None
    axis = x.lie.axis + len(sizes) - x.rank
    if sizes[axis] not in (-1, x.shape[x.lie.axis]):
        _mixes()
    given["size"] = (*sizes[:axis], -1, *sizes[axis + 1 :])
    return given, x.lie.at(axis)


def _expanded_as(asked: Asked) -> Laid:
    """As `_expanded`, to the size of another."""
    lie = _common([asked.of("self"), asked.of("other")], len(asked.output))
    return {**asked.arguments}, lie


def _selected(asked: Asked) -> Laid:
    """A place of a side."""
    x = asked.only()
    dim = asked.dim("dim", x.rank)
    if type(asked.get("index")) is not int:
        refuse("its index is not a fixed number")
    given = {**asked.arguments, "dim": dim if dim < 3 else dim - x.rank}
    if x.lie is None:
        return given, None
    if dim == x.lie.axis:
        _mixes()
    return given, x.lie.at(x.lie.axis - (dim < x.lie.axis))


def _sliced(asked: Asked) -> Laid:
    """Places of a side."""
    x = asked.only()
    dim, step = asked.dim("dim", x.rank, 0), asked.get("step", 1)
    start, end = asked.get("start", 0), asked.get("end", INFINITE_END)
    _whole((start, end, step))
    end = None if end >= x.shape[dim] else end
    if x.lie is not None and dim == x.lie.axis and (start, end, step) != (0, None, 1):
        _mixes()
    dim = dim if dim < 3 else dim - x.rank
    given = {"self": asked.arguments["self"], "dim": dim, "start": start, "end": end, "step": step}
    return given, x.lie


def _part(asked: Asked) -> Laid:
    """Some of the places of a side, each of which is in one part."""
    x = asked.of("self")
    dim = asked.dim("dim", x.rank, 0)
    if x.lie is not None and dim == x.lie.axis:
        _mixes()
    if asked.function == "unbind":
        return _selected_part(asked, x, dim)
    return {**asked.arguments, "dim": dim}, x.lie


def _selected_part(asked: Asked, x: Seen, dim: int) -> Laid:
    given = {"self": asked.arguments["self"], "dim": dim, "index": asked.arguments["item"]}
    lie = None if x.lie is None else x.lie.at(x.lie.axis - (dim < x.lie.axis))
    return given, lie


def _joined(asked: Asked) -> Laid:
    """Tensors one behind another; one that all images share has to be spread over them first."""
    values = asked.tensors()
    stacks = asked.function == "stack"
    dim = asked.dim("dim", values[0].rank + stacks, 0)
    lies = {value.lie for value in values if value.lie is not None}
    if not lies:
        return {**asked.arguments}, None
    if len(lies) > 1:
        _mixes()
    (lie,) = lies
    if stacks:
        lie = lie.at(lie.axis + (dim <= lie.axis))
    elif dim == lie.axis:
        _mixes()
    _check_sides(values, None if stacks else dim)
    return {**asked.arguments}, lie


def _check_sides(values: Sequence[Seen], dim: int | None) -> None:
    """Refuse to join what has other sides than those that it is joined with."""
    first = next(value for value in values if value.lie is not None)
    for value in values:
        for axis, (one, other) in enumerate(zip(value.shape, first.shape, strict=True)):
            is_images = first.lie is not None and axis == first.lie.axis
            if one != other and axis != dim and not is_images:
                refuse("the tensors that it joins do not fit")


def _rolled(asked: Asked) -> Laid:
    """Places moved along sides."""
    x = asked.only()
    dims = asked.dims("dims", x.rank)
    if not dims:
        refuse("it goes over all sides")
    if x.lie is not None and x.lie.axis in dims:
        _mixes()
    return {**asked.arguments, "dims": dims}, x.lie


def _padded(asked: Asked) -> Laid:
    """More places at the ends of sides, the last ones first."""
    x = asked.only()
    pads = _whole(asked.get("pad"))
    if x.lie is not None:
        at = 2 * (x.rank - 1 - x.lie.axis)
        if any(pads[at : at + 2]):
            _mixes()
    given = {**asked.arguments}
    if asked.get("mode", "constant") == "constant" and not asked.get("value"):
        given.pop("value", None)
    return given, x.lie


def _indexed(asked: Asked) -> Laid:
    """Places of sides, by tensors of their numbers that stand beside one another."""
    x = asked.of("self")
    indices = asked.get("indices")
    if not isinstance(indices, tuple):
        refuse("its indices are not tensors")
    places = [at for at, one in enumerate(indices) if one is not None]
    found = [asked.seen[one.name] for one in indices if isinstance(one, Ref)]
    is_row = bool(places) and places == list(range(places[0], places[0] + len(places)))
    if len(found) != len(places) or not is_row or any(one.lie for one in found):
        _mixes()
    given = {"self": asked.arguments["self"], "indices": indices[: places[-1] + 1]}
    if x.lie is None:
        return given, None
    if x.lie.axis in places:
        _mixes()
    rank = max(one.rank for one in found)
    more = rank - len(places) if places[0] < x.lie.axis else 0
    return given, x.lie.at(x.lie.axis + more)


def _shuffled(asked: Asked) -> Laid:
    """Places of maps that become channels, or the other way round."""
    x = asked.only()
    if x.lie is not None and x.lie.axis >= x.rank - 3:
        _mixes()
    return {**asked.arguments}, x.lie


# Products


def _multiplied(asked: Asked) -> Laid:
    """Products of matrices, which are the last two sides."""
    a, b = asked.both()
    rank = len(asked.output)
    if a.rank < 2 or b.rank < 2:
        refuse("it multiplies a vector")
    if b.lie is None and b.rank == 2:
        if a.lie is not None and a.lie.axis == a.rank - 1:
            _mixes()
        return {**asked.arguments}, a.lie
    return {**asked.arguments}, _common([a, b], rank, last=2)


def _linear(asked: Asked) -> Laid:
    """A product with a matrix that all images share."""
    name = "mat1" if asked.function == "addmm" else "input"
    x = asked.of(name)
    if x.lie is not None and x.lie.axis == x.rank - 1:
        _mixes()
    return {**asked.arguments}, _alone(asked, x)


def _alone(asked: Asked, x: Seen) -> Lie | None:
    """How the images lie in the one tensor that is computed from them."""
    if any(value.lie is not None for value in asked.tensors() if value is not x):
        _mixes()
    return x.lie


def _einsum(asked: Asked) -> Laid:
    """Sums of products by letters, of which the images' one is in the result."""
    equation = str(asked.get("equation", "")).replace(" ", "")
    if not is_equation(equation):
        refuse("its equation is not plain")
    letters, output = equation.split("->")
    names, values = letters.split(","), asked.tensors()
    if len(names) != len(values):
        refuse("its equation does not fit")
    lies = set()
    for row, value in zip(names, values, strict=True):
        if len(row) != value.rank or len(set(row)) != len(row):
            refuse("its equation does not fit")
        if value.lie is not None:
            lies.add((row[value.lie.axis], value.lie.at(0)))
    given = {**asked.arguments, "equation": equation}
    given.pop("path", None)
    if not lies:
        return given, None
    ((letter, lie), *others) = lies
    shared = [row for row, one in zip(names, values, strict=True) if one.lie is None]
    if others or letter not in output or any(letter in row for row in shared):
        _mixes()
    return given, lie.at(output.index(letter))


def _attention(asked: Asked) -> Laid:
    """Tokens are the last side but one, their features the last."""
    values = [asked.of(name) for name in ("query", "key", "value")]
    if len({value.rank for value in values}) > 1 or asked.get("dropout_p"):
        refuse("it drops values")
    if isinstance(asked.arguments.get("attn_mask"), Ref):
        values.append(asked.of("attn_mask"))
    return {**asked.arguments}, _common(values, len(asked.output), last=2)


# Maps, norms


def _on_maps(asked: Asked) -> Laid:
    """What is computed of maps, of which the first side has one after another."""
    name = "input" if "input" in asked.arguments else "self"
    x = asked.of(name)
    if x.lie is not None and x.lie.axis:
        _mixes()
    return {**asked.arguments}, _alone(asked, x)


def _normalized(asked: Asked) -> Laid:
    """A batch norm, which in training mode uses the statistics of the batch."""
    if asked.get("training", False) and asked.of("input").lie is not None:
        _mixes()
    given, lie = _on_maps(asked)
    for name in ("running_mean", "running_var"):
        given.setdefault(name, None)
    return given, lie


def _over_last(asked: Asked) -> Laid:
    """A norm over the last sides."""
    x = asked.of("input")
    count = len(_whole(asked.get("normalized_shape")))
    if x.lie is not None and x.lie.axis >= x.rank - count:
        _mixes()
    return {**asked.arguments}, _alone(asked, x)


def _resized(asked: Asked) -> Laid:
    """Maps of another size, by their size or by factors."""
    given, lie = _on_maps(asked)
    size, factors = asked.get("output_size"), asked.get("scale_factors")
    if (size is None) == (factors is None):
        refuse("it gives no size")
    if factors is None:
        given["output_size"] = _whole(size)
    return given, lie


# Of no value


def _fresh(asked: Asked) -> Laid:
    """A tensor of the type of another, and of a size of its own."""
    given = {"self": asked.arguments["self"], "size": _whole(asked.get("size"))}
    return given, None


def _made(asked: Asked) -> Laid:
    """A tensor that nothing else decides."""
    given = {**asked.arguments}
    if asked.function != "arange":
        given["size"] = _whole(asked.get("size"))
    return given, None


def _repeated(asked: Asked) -> Laid:
    """A tensor again and again along its sides."""
    x = asked.only()
    times = _whole(asked.get("repeats"))
    if x.lie is None:
        return {**asked.arguments, "repeats": times}, None
    axis = x.lie.axis + len(times) - x.rank
    if times[axis] != 1:
        _mixes()
    return {**asked.arguments, "repeats": times}, x.lie.at(axis)


def _moved(asked: Asked) -> Laid:
    """Sides in other places."""
    x = asked.only()
    sources, targets = asked.dims("source", x.rank), asked.dims("destination", x.rank)
    rest = iter([dim for dim in range(x.rank) if dim not in sources])
    places = dict(zip(targets, sources, strict=True))
    order = [places[at] if at in places else next(rest) for at in range(x.rank)]
    lie = None if x.lie is None else x.lie.at(order.index(x.lie.axis))
    return {**asked.arguments}, lie


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        [
            *("abs", "exp", "log", "sqrt", "rsqrt", "square", "sin", "cos", "erf", "floor", "ceil"),
            *("round", "sign", "reciprocal", "neg", "sigmoid", "tanh", "logical_not", "log1p"),
            *("expm1", "relu", "relu6", "silu", "mish", "softsign", "selu", "hardswish"),
            *("hardsigmoid", "gelu", "elu", "celu", "leaky_relu", "hardtanh", "softplus", "clamp"),
            *("clamp_min", "clamp_max", "contiguous", "zeros_like", "ones_like", "clone"),
            *("lift_fresh_copy", "dropout", "feature_dropout", "fill", "zero"),
        ],
        _like,
    ),
    **dict.fromkeys(
        [
            *("add", "sub", "mul", "div", "rsub", "pow", "minimum", "maximum", "eq", "ne", "lt"),
            *("le", "gt", "ge", "where", "masked_fill", "addcmul", "logical_and", "logical_or"),
            *("floor_divide", "remainder"),
        ],
        _together,
    ),
    **dict.fromkeys(["softmax", "log_softmax", "cumsum"], _along),
    **dict.fromkeys(
        ["mean", "sum", "amax", "amin", "logsumexp", "var", "std", "linalg_vector_norm"], _reduced
    ),
    "reshape": _reshaped,
    "flatten": _flattened,
    "unflatten": _unflattened,
    "permute": _permuted,
    **dict.fromkeys(["transpose", "t"], _transposed),
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
    "expand": _expanded,
    "expand_as": _expanded_as,
    "select": _selected,
    "slice": _sliced,
    **dict.fromkeys(["split", "split_with_sizes", "chunk", "unbind"], _part),
    **dict.fromkeys(["cat", "stack"], _joined),
    **dict.fromkeys(["roll", "flip"], _rolled),
    "pad": _padded,
    "index": _indexed,
    **dict.fromkeys(["pixel_shuffle", "pixel_unshuffle"], _shuffled),
    **dict.fromkeys(["matmul", "bmm", "mm"], _multiplied),
    **dict.fromkeys(["linear", "addmm"], _linear),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(
        [
            *("conv2d", "conv1d", "conv_transpose2d", "group_norm", "max_pool2d", "avg_pool2d"),
            *("avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool1d"),
            *("adaptive_max_pool2d", "prelu"),
        ],
        _on_maps,
    ),
    "batch_norm": _normalized,
    **dict.fromkeys(["zeros", "ones", "full", "arange"], _made),
    "repeat": _repeated,
    "movedim": _moved,
    **dict.fromkeys(["layer_norm", "rms_norm"], _over_last),
    **dict.fromkeys(["upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"], _resized),
    **dict.fromkeys(["new_zeros", "new_ones"], _fresh),
}
"""The rules of functions, by their names. One for images of a program whose batch is fixed, where
sizes are numbers, has to hold for any number of them."""


# Of a whole program

MAX_WAYS = 64
"""Ways to combine how the images may lie in what a call reads that are looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call by the names of values that are each computed once; ``output`` is one of these."""

    function: str
    arguments: Mapping[str, Argument]
    output: str
    shape: tuple[int, ...]

    @property
    def reads(self) -> list[str]:
        """The names of the values among its arguments, each once."""
        return list(dict.fromkeys(_names(tuple(self.arguments.values()))))


def _names(value: Argument) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, tuple):
        for one in value:
            yield from _names(one)


@dataclass(frozen=True)
class Lies:
    """How the images lie in each value, by its name, and why calls cannot be written, by what they
    put out; what reads that has neither."""

    of: Mapping[str, Lie | None]
    refused: Mapping[str, str]


@dataclass
class Following:
    """Finds how the images lie in the values of a program: forwards all ways in which they can,
    then backwards from its outputs one of these.

    ``given`` are the values that it begins with; the rest of its tensors are none of the images'.
    """

    batch: int
    given: Mapping[str, Seen]
    shapes: Mapping[str, tuple[int, ...]]
    ways: dict[str, list[Lie | None]] = field(default_factory=dict)
    found: list[tuple[Step, list[tuple[dict[str, Lie | None], Lie | None]]]] = field(
        default_factory=list
    )
    refused: dict[str, str] = field(default_factory=dict)

    def follow(self, step: Step) -> None:
        """Note in which ways the images may lie in what a call puts out."""
        rows: list[tuple[dict[str, Lie | None], Lie | None]] = []
        reads = step.reads
        choices = [self._ways_of(name) for name in reads]
        why = None
        for combination in islice(product(*choices), MAX_WAYS):
            lies = dict(zip(reads, combination, strict=True))
            try:
                rows += [(lies, lie) for _, lie in ways(self.asked(step, lies))]
            except NotReadError as error:
                why = str(error) if why is None else why
        if not rows and all(choices):
            self.refused[step.output] = why or ""
        self.ways[step.output] = list(dict.fromkeys([lie for _, lie in rows]))
        self.found.append((step, rows))

    def asked(self, step: Step, lies: Mapping[str, Lie | None]) -> Asked:
        """What the rule of a call is asked."""
        seen = {name: Seen(self._shape(name), lie) for name, lie in lies.items()}
        return Asked(step.function, step.arguments, seen, step.shape, self.batch)

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.given[name].shape if name in self.given else self.shapes[name]

    def _ways_of(self, name: str) -> list[Lie | None]:
        if name in self.given:
            return [self.given[name].lie]
        return self.ways.get(name, [None])

    def chosen(self, outputs: Sequence[str]) -> Lies:
        """One way for each value, by which the outputs have each image's part beside the others'.

        Raises `NotReadError` for outputs that do not.
        """
        chosen: dict[str, Lie | None] = {name: one.lie for name, one in self.given.items()}
        for name in outputs:
            able = self._ways_of(name)
            if able and Lie(0) not in able and None not in able:
                refuse("what it puts out does not begin with the images")
            chosen[name] = Lie(0) if Lie(0) in able else None
        for step, rows in reversed(self.found):
            if step.output not in chosen:
                continue
            if not rows:
                for name in step.reads:
                    chosen.setdefault(name, next(iter(self._ways_of(name)), None))
                continue
            wanted = chosen[step.output]
            fits = (lies for lies, lie in rows if lie == wanted and _agree(lies, chosen))
            lies = next(fits, None)
            if lies is None:
                self.refused[step.output] = "it mixes what is computed of several images"
                continue
            chosen.update(lies)
        for step, _ in self.found:  # what fills a tensor puts out nothing that is read
            if self.ways[step.output] == [None]:
                chosen.setdefault(step.output, None)
        return Lies(chosen, self.refused)


def _agree(lies: Mapping[str, Lie | None], chosen: Mapping[str, Lie | None]) -> bool:
    return all(chosen[name] == lie for name, lie in lies.items() if name in chosen)
