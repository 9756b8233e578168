"""What of an ONNX graph is known without an image: tensors of the file, and what is computed of
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.onnx.model import (
    BFLOAT16,
    CODES,
    FLOAT,
    FLOATING,
    MAX_KNOWN,
    Number,
    Tensor,
    size,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.generic]

Step: TypeAlias = tuple[str, tuple[int, ...]]
"""Something done to a tensor of the file: ``("transpose", (1, 0))``."""


@dataclass(frozen=True, slots=True)
class Static:
    """A tensor that does not depend on the image.

    ``root`` is the name of the tensor of the file that it is, after ``steps``; empty for one that
    was computed, whose ``values`` are known then: all of them, or one that all are equal to.
    """

    dims: tuple[int, ...]
    kind: int
    values: tuple[Number, ...] | None = None
    root: str = ""
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, tensor: Tensor) -> Static:
        """A tensor of the file."""
        return cls(tensor.dims, tensor.kind, tensor.values, tensor.name)

    @property
    def key(self) -> str:
        """What it is called among the model's tensors."""
        return self.root + "".join(f" {kind}{numbers}" for kind, numbers in self.steps)

    @property
    def is_floating(self) -> bool:
        """Whether it may be learned."""
        return self.kind in FLOATING

    @property
    def all(self) -> tuple[Number, ...] | None:
        """All of its values, of one that is small enough."""
        if self.values is None or size(self.dims) > MAX_KNOWN:
            return None
        return self.values * size(self.dims) if len(self.values) == 1 else self.values

    def array(self) -> Array | None:
        """Its values, where they are known."""
        import numpy as np

        values = self.all
        if values is None or self.kind not in CODES:
            return None
        code = "f4" if self.kind == BFLOAT16 else CODES[self.kind]
        return np.array(values, code).reshape(self.dims)

    def laid_out(self, dims: Sequence[int]) -> Static:
        """The same numbers in another shape."""
        if tuple(dims) == self.dims:
            return self
        step: Step = ("reshape", tuple(dims))
        return Static(tuple(dims), self.kind, self.values, self.root, (*self.steps, step))

    def transposed(self, perm: Sequence[int]) -> Static:
        """The same tensor with its dimensions in another order."""
        if tuple(perm) == tuple(range(len(self.dims))):
            return self
        dims = tuple([self.dims[side] for side in perm])
        values = self.values if self.values is not None and len(self.values) == 1 else None
        if values is None and (array := self.array()) is not None:
            values = tuple(array.transpose(perm).ravel().tolist())
        step: Step = ("transpose", tuple(perm))
        return Static(dims, self.kind, values, self.root, (*self.steps, step))


def of_array(array: Array) -> Static:
    """A tensor that was computed."""
    codes = {code: kind for kind, code in CODES.items() if kind != BFLOAT16}
    kind = codes.get("?" if array.dtype.kind == "b" else array.dtype.str[1:], FLOAT)
    return Static(array.shape, kind, tuple(array.ravel().tolist()))


def fold(
    op: str, attributes: Mapping[str, Any], given: Sequence[Static | None]
) -> Static | Sequence[Static] | None:
    """What a node puts out that reads only these; None where it is not computed: it takes too much,
    or no rule knows it."""
    if op in _FILLING:
        return _FILLING[op](attributes, given)
    rule = _RULES.get(op)
    if rule is None:
        return None
    arrays = [None if one is None else one.array() for one in given]
    if any(
        one is not None and array is None for one, array in zip(given, arrays, strict=True)
    ) or any(array is not None and array.dtype.kind not in "biuf" for array in arrays):
        return None
    import numpy as np

    try:
        with np.errstate(all="ignore"):
            made = rule(attributes, *arrays)
    except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError, KeyError):
        return None  # of inputs that are left out, too
    results = [np.asarray(one) for one in (made if isinstance(made, list) else [made])]
    if any(array.size > MAX_KNOWN for array in results):
        return None
    statics = [of_array(array) for array in results]
    return statics if isinstance(made, list) else statics[0]


# Filling


def _wholes(static: Static | None) -> tuple[int, ...] | None:
    values = None if static is None else static.all
    if values is None or not all(isinstance(value, int) and value >= 0 for value in values):
        return None
    dims = tuple([int(value) for value in values])
    return dims if len(dims) <= 16 and size(dims) < 2**62 else None


def _constant_of_shape(
    attributes: Mapping[str, Any], given: Sequence[Static | None]
) -> Static | None:
    dims = _wholes(given[0]) if given else None
    value = attributes.get("value")
    if dims is None or not (value is None or isinstance(value, Tensor)):
        return None
    if value is None:
        return Static(dims, FLOAT, (0.0,))
    return Static(dims, value.kind, value.values) if value.values else None


def _expand(attributes: Mapping[str, Any], given: Sequence[Static | None]) -> Static | None:
    """Of one number, any shape; otherwise none."""
    dims = _wholes(given[1]) if len(given) > 1 else None
    first = given[0] if given else None
    if first is None or dims is None or first.values is None or len(first.values) != 1:
        return None
    rank = max(len(dims), len(first.dims))
    a = (1,) * (rank - len(dims)) + dims
    b = (1,) * (rank - len(first.dims)) + first.dims
    return Static(tuple(map(max, a, b)), first.kind, first.values)


_FILLING: Mapping[str, Callable[..., Static | None]] = {
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
}


# Arithmetic


def _on_elements(attributes: Mapping[str, Any], function: Callable[..., Any], *arrays: Any) -> Any:
    import numpy as np

    if size(np.broadcast_shapes(*[array.shape for array in arrays])) > MAX_KNOWN:
        raise ValueError
    made = np.asarray(function(*arrays))
    same = made.dtype.kind != "b" and {array.dtype for array in arrays}
    return made.astype(same.pop()) if same and len(same) == 1 else made


def _elements(name: str) -> Callable[..., Any]:
    """A function of numpy's on elements."""

    def rule(attributes: Mapping[str, Any], *arrays: Any) -> Any:
        import numpy as np

        return _on_elements(attributes, getattr(np, name), *arrays)

    return rule


def _divide(attributes: Mapping[str, Any], a: Any, b: Any) -> Any:
    """ONNX's division of whole numbers cuts off, as C's does."""
    import numpy as np

    def divide(a: Any, b: Any) -> Any:
        if a.dtype.kind == "f":
            return a / b
        if not np.all(b):
            raise ZeroDivisionError
        whole = abs(a) // abs(b)
        return np.where((a < 0) != (b < 0), -whole, whole)

    return _on_elements(attributes, divide, a, b)


def _cast(attributes: Mapping[str, Any], x: Any, like: Any = None) -> Any:
    return x.astype(CODES[attributes["to"]] if like is None else like.dtype)


def _clip(attributes: Mapping[str, Any], x: Any, low: Any = None, high: Any = None) -> Any:
    import numpy as np

    low = attributes.get("min") if low is None else low
    high = attributes.get("max") if high is None else high
    return np.clip(x, low, high).astype(x.dtype)


def _gather(attributes: Mapping[str, Any], x: Any, indices: Any) -> Any:
    import numpy as np

    axis = attributes.get("axis", 0)
    if x.shape[axis] and x.size // x.shape[axis] * indices.size > MAX_KNOWN:
        raise ValueError
    return np.take(x, indices, axis)


def _concat(attributes: Mapping[str, Any], *arrays: Any) -> Any:
    import numpy as np

    return np.concatenate(arrays, attributes["axis"])


def _slice(attributes: Mapping[str, Any], x: Any, *given: Any) -> Any:
    if not given:
        lists = [attributes["starts"], attributes["ends"], attributes.get("axes"), None]
    else:
        lists = [None if one is None else one.tolist() for one in given]
    starts, ends, axes, steps = [*lists, None, None][:4]
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    slices = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        last = None if step < 0 and end < -x.shape[axis] else end
        slices[axis] = slice(start, last, step)
    return x[tuple(slices)]


def _axes(attributes: Mapping[str, Any], given: Sequence[Any]) -> list[int] | None:
    if given and given[0] is not None:
        given_axes: list[int] = given[0].ravel().tolist()
        return given_axes
    axes = attributes.get("axes")
    return None if axes is None else list(axes)


def _unsqueeze(attributes: Mapping[str, Any], x: Any, *given: Any) -> Any:
    import numpy as np

    return np.expand_dims(x, tuple(_axes(attributes, given) or ()))


def _squeeze(attributes: Mapping[str, Any], x: Any, *given: Any) -> Any:
    import numpy as np

    axes = _axes(attributes, given)
    return np.squeeze(x, None if axes is None else tuple(axes))


def _reshape(attributes: Mapping[str, Any], x: Any, dims: Any) -> Any:
    sides = [x.shape[i] if side == 0 else side for i, side in enumerate(dims.tolist())]
    return x.reshape(sides)


def _transpose(attributes: Mapping[str, Any], x: Any) -> Any:
    return x.transpose(attributes.get("perm"))


def _range(attributes: Mapping[str, Any], start: Any, limit: Any, delta: Any) -> Any:
    import numpy as np

    if not delta or (limit - start) / delta > MAX_KNOWN:
        raise ValueError
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _where(attributes: Mapping[str, Any], condition: Any, a: Any, b: Any) -> Any:
    import numpy as np

    if size(np.broadcast_shapes(condition.shape, a.shape, b.shape)) > MAX_KNOWN:
        raise ValueError
    return np.where(condition, a, b)


def _tile(attributes: Mapping[str, Any], x: Any, repeats: Any) -> Any:
    import numpy as np

    if x.size * size([max(1, one) for one in repeats.tolist()]) > MAX_KNOWN:
        raise ValueError
    return np.tile(x, repeats)


def _reduced(name: str) -> Callable[..., Any]:
    """A function of numpy's over axes."""

    def rule(attributes: Mapping[str, Any], x: Any, *given: Any) -> Any:
        import numpy as np

        axes = _axes(attributes, given)
        keep = bool(attributes.get("keepdims", 1))
        made = getattr(np, name)(x, axis=None if axes is None else tuple(axes), keepdims=keep)
        return np.asarray(made).astype(x.dtype)

    return rule


def _split(attributes: Mapping[str, Any], x: Any, parts: Any = None) -> Any:
    import numpy as np

    sizes = attributes.get("split") if parts is None else parts.tolist()
    axis = attributes.get("axis", 0)
    if sizes is None:
        return list(np.split(x, attributes["num_outputs"], axis))
    return list(np.split(x, np.cumsum(sizes)[:-1], axis))


_RULES: Mapping[str, Callable[..., Any]] = {
    **{
        name: _elements(function)
        for name, function in {
            **{"Add": "add", "Sub": "subtract", "Mul": "multiply", "Pow": "power"},
            **{"Neg": "negative", "Abs": "absolute", "Sqrt": "sqrt", "Exp": "exp"},
            **{"Floor": "floor", "Ceil": "ceil", "Round": "rint", "Sign": "sign"},
            **{"Equal": "equal", "Less": "less", "Greater": "greater", "Not": "logical_not"},
            **{"LessOrEqual": "less_equal", "GreaterOrEqual": "greater_equal"},
            **{"And": "logical_and", "Or": "logical_or", "Xor": "logical_xor"},
            **{"Min": "minimum", "Max": "maximum", "Mod": "mod", "Reciprocal": "reciprocal"},
        }.items()
    },
    **{"Div": _divide, "Cast": _cast, "CastLike": _cast, "Gather": _gather, "Concat": _concat},
    **{
        "Clip": _clip,
        "Slice": _slice,
        "Unsqueeze": _unsqueeze,
        "Squeeze": _squeeze,
        "Reshape": _reshape,
    },
    **{"Transpose": _transpose, "Range": _range, "Where": _where, "Tile": _tile},
    **{"ReduceProd": _reduced("prod"), "ReduceSum": _reduced("sum"), "Split": _split},
    **{"ReduceMax": _reduced("max"), "ReduceMin": _reduced("min")},
}
