"""How calls of tensor functions are written in Python, by torch's names of them.

Only what the table here has can be written: a function that it lacks, an argument that it does not
list, or one that is neither a tensor nor a number never reaches emitted source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from archc.dataclassing import dataclass
from archc.ops.facts import factor

Text = str
Written = Mapping[str, Any]
"""The arguments of a call by the names of torch's schema: tensors as source, others as numbers."""

DTYPES = frozenset(["float16", "bfloat16", "float32", "float64", "int32", "int64", "bool"])
"""The types that a tensor may have which is written."""

_NONE: Any = None
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that a call may have.

    It is left out where it has its ``default``; with ``by_name`` it is written behind its name.
    ``words`` are the texts that it may be; any other text is refused. ``form`` is how it is written
    where not as a number, with braces for what is given.
    """

    name: str
    default: Any = _REQUIRED
    by_name: bool = True
    words: frozenset[str] = frozenset()
    form: str = ""

    def is_left_out(self, given: Written) -> bool:
        """Whether a call does not say it."""
        value = given.get(self.name, self.default)
        return value is _REQUIRED or value is self.default or value == self.default


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a function is written: as a ``method`` of its first argument, a function of torch
    (``torch.``) or of ``F.``, or as ``special`` says.

    ``ignored`` are arguments that say nothing about values, or that have one value wherever archc
    writes the call, which stands beside them. ``spreads`` is the one whose numbers are arguments.
    """

    form: Literal["method", "torch.", "F.", "special"]
    name: str
    arguments: tuple[Argument, ...]
    spreads: str = ""
    ignored: Mapping[str, tuple[Any, ...]] | None = None
    special: Callable[[Written], Text] | None = None
    is_view: bool = False

    def write(self, given: Written) -> Text:
        """The source of a call."""
        if self.special is not None:
            return self.special(given)
        first, *rest = self.arguments
        texts = []
        said = [one for one in rest if not one.is_left_out(given)]
        last = max([rest.index(one) for one in said if not one.by_name], default=-1)
        for place, argument in enumerate(rest):
            is_before = not argument.by_name and place < last
            if argument.is_left_out(given) and not is_before:
                continue
            value = given.get(argument.name, argument.default)
            if argument.form:
                texts.append(argument.form.format(value))
            elif argument.name == self.spreads and isinstance(value, tuple):
                texts += [number(one) for one in value]
            elif argument.by_name and argument.default is not _REQUIRED:
                texts.append(f"{argument.name}={number(value)}")
            else:
                texts.append(number(value))
        if self.form == "method":
            return f"{factor(str(given[first.name]))}.{self.name}({', '.join(texts)})"
        if first.name in given:
            texts.insert(0, number(given[first.name]))
        return f"{self.form}{self.name}({', '.join(texts)})"


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a tensor among the arguments of a call."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Side:
    """From where to where something is along a side of a tensor."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"slice({self.start}, {self.end})"


@dataclass(frozen=True, slots=True)
class Images:
    """A size that is so many times the number of images."""

    times: int


def number(value: Any) -> Text:
    """A number, a flag, a list of such or a tensor as source; a word in quotes.

    >>> number((1, True, float("-inf"))), number(Source("x")), number("nearest")
    ('(1, True, float("-inf"))', 'x', '"nearest"')
    """
    if isinstance(value, (Source, Side, bool)) or value is None:
        return str(value)
    if isinstance(value, Images):
        return "-1"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return f'"{value}"'
    texts = [number(one) for one in value]
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def is_typed(value: Any) -> bool:
    """Whether an argument is a tensor, a number, a flag, nothing, or a list of such."""
    if isinstance(value, tuple):
        return all(map(is_typed, value))
    return value is None or isinstance(value, (Source, Images, bool, int, float))


# The table


def _arguments(names: Sequence[str], defaults: Mapping[str, Any]) -> tuple[Argument, ...]:
    required = tuple([Argument(name) for name in names])
    return (*required, *[Argument(name, default) for name, default in defaults.items()])


def _method(name: str, *names: str, spreads: str = "", view: bool = False, **defaults: Any) -> Any:
    arguments = _arguments(["self", *names], defaults)
    return Spelling("method", name, arguments, spreads, is_view=view)


def _plain(name: str, *names: str, view: bool = False, **defaults: Any) -> Any:
    """A method whose arguments that may be left out are written without their names."""
    arguments = [Argument(one, default, by_name=False) for one, default in defaults.items()]
    return Spelling("method", name, (*_arguments(["self", *names], {}), *arguments), is_view=view)


def _torch(name: str, *names: str, **defaults: Any) -> Any:
    return Spelling("torch.", name, _arguments(names, defaults))


def _made(name: str, *arguments: Argument) -> Any:
    """What reads nothing, on the device of the value that is given as ``on``."""
    dtype = Argument("dtype", None, words=DTYPES, form="dtype=torch.{}")
    on = Argument("on", form="device={}.device")
    return Spelling("torch.", name, (*arguments, dtype, on))


def _functional(name: str, *names: str, **defaults: Any) -> Any:
    return Spelling("F.", name, _arguments(names, defaults))


def _special(
    write: Callable[[Written], Text], *names: str, view: bool = False, **defaults: Any
) -> Any:
    return Spelling("special", "", _arguments(names, defaults), special=write, is_view=view)


def _operand(value: Any) -> Text:
    """What stands beside an operator that binds more tightly."""
    text = number(value)
    return factor(text) if isinstance(value, Source) else f"({text})" if text[0] == "-" else text


def _binary(sign: str, other: str = "other", *, loosely: bool = False) -> Any:
    """An operator between two values; ``loosely`` ones bind as addition does. ``other`` is what
    torch's schema calls the second."""

    def write(given: Written) -> Text:
        left, right = given["self"], given[other]
        if given.get("alpha", 1) != 1:
            name = "add" if sign == "+" else "sub"
            return f"torch.{name}({number(left)}, {number(right)}, alpha={number(given['alpha'])})"
        first = number(left) if loosely else _operand(left)
        return f"{first} {sign} {_operand(right)}"

    return Spelling(
        "special",
        sign,
        (*_arguments(["self", other], {}), *([Argument("alpha", 1)] if loosely else [])),
        special=write,
    )


def _power(given: Written) -> Text:
    return f"{_operand(given['self'])} ** {_operand(given['exponent'])}"


def _reversed_minus(given: Written) -> Text:
    return f"{number(given['other'])} - {_operand(given['self'])}"


def _at(dim: int, what: Text) -> Text:
    return (
        f"[{':, ' * dim}{what}]"
        if dim >= 0
        else f"[{', '.join(['...', what, *[':'] * (-1 - dim)])}]"
    )


def _select(given: Written) -> Text:
    return f"{factor(str(given['self']))}{_at(given['dim'], number(given['index']))}"


def _slice(given: Written) -> Text:
    text = _places(given.get("start"), given.get("end"), given.get("step", 1))
    return f"{factor(str(given['self']))}{_at(given.get('dim', 0), text)}"


def _places(start: Any, end: Any, step: Any) -> Text:
    text = f"{number(start) if start else ''}:{'' if end is None else number(end)}"
    return text + (f":{number(step)}" if step != 1 else "")


def _slices(given: Written) -> Text:
    """Places of several sides, these in order."""
    parts: list[Text] = []
    for dim, *places in given["sides"]:
        parts += [":"] * (dim - len(parts))
        parts.append(_places(*places))
    return f"{factor(str(given['self']))}[{', '.join(parts)}]"


def _index(given: Written) -> Text:
    inside = ", ".join(":" if one is None else number(one) for one in given["indices"])
    return f"{factor(str(given['self']))}[{inside}]"


def _list(name: str) -> Any:
    def write(given: Written) -> Text:
        inside = ", ".join(map(number, given["tensors"]))
        dim = given.get("dim", 0)
        return f"torch.{name}([{inside}]{f', dim={number(dim)}' if dim else ''})"

    return _special(write, "tensors", dim=0)


def _part(name: str, size: str) -> Any:
    """One of the parts that a function puts out: ``item`` is its number."""

    def write(given: Written) -> Text:
        sizes = number(list(given[size]) if isinstance(given[size], tuple) else given[size])
        sizes = f"[{sizes[1:-1].rstrip(',')}]" if sizes[0] == "(" else sizes
        dim = given.get("dim", 0)
        inside = f"{sizes}, dim={number(dim)}" if dim else sizes
        return f"{factor(str(given['self']))}.{name}({inside})[{number(given['item'])}]"

    return _special(write, "self", size, "item", dim=0, view=True)


def _einsum(given: Written) -> Text:
    inside = ", ".join(map(number, given["tensors"]))
    return f'torch.einsum("{given["equation"]}", {inside})'


def _spread(given: Written) -> Text:
    """A tensor that all images share, as many times as there are images."""
    sizes = ["-1"] * given["rank"]
    sizes[given["axis"]] = f"{factor(str(given['like']))}.shape[{number(given['like_axis'])}]"
    return f"{factor(str(given['self']))}.expand({', '.join(sizes)})"


def _filled(given: Written) -> Text:
    rows = [
        f"({', '.join([number(value), *map(number, sides)])})" for value, *sides in given["boxes"]
    ]
    return f"filled({number(given['self'])}, [{', '.join(rows)}])"


def _resized(mode: str) -> Any:
    def write(given: Written) -> Text:
        size, scale = given.get("output_size"), given.get("scale_factors")
        how = f"size={number(size)}" if size is not None else f"scale_factor={number(scale)}"
        more = f', mode="{mode}"' if mode != "nearest" else ""
        if mode in ("bilinear", "bicubic"):
            more += f", align_corners={number(given.get('align_corners', False))}"
        return f"F.interpolate({number(given['input'])}, {how}{more})"

    return _special(
        write,
        "input",
        output_size=None,
        scale_factors=None,
        **({"align_corners": False} if mode != "nearest" else {}),
    )


_MODES = frozenset(["constant", "reflect", "replicate", "circular"])
_LETTERS = re.compile(r"[A-Za-z]+(,[A-Za-z]+)*->[A-Za-z]+")
INFINITE_END = 2**63 - 1
"""What exported programs have for the end of a slice that goes to the end."""

FILLED = tuple(
    '''
def filled(tensor: Tensor, boxes: list[tuple[float, slice]]) -> Tensor:
    """A copy of a tensor in which each box, a slice for each side, has one value."""
    tensor = tensor.clone()
    for value, *sides in boxes:
        tensor[tuple(sides)] = value
    return tensor
'''.splitlines()
)

_SAME_NAMES = """
abs exp log sqrt rsqrt square sin cos erf floor ceil round sign reciprocal neg sigmoid tanh
logical_not log1p expm1
"""
_FUNCTIONS = "relu relu6 silu mish softsign selu hardswish hardsigmoid"

SPELLINGS: Mapping[str, Spelling] = {
    **{name: _method(name) for name in _SAME_NAMES.split()},
    **{name: _functional(name, "self") for name in _FUNCTIONS.split()},
    "gelu": Spelling(
        "F.",
        "gelu",
        (Argument("self"), Argument("approximate", "none", words=frozenset(["none", "tanh"]))),
    ),
    "elu": _functional("elu", "self", alpha=1.0),
    "celu": _functional("celu", "self", alpha=1.0),
    "leaky_relu": _functional("leaky_relu", "self", negative_slope=0.01),
    "hardtanh": _functional("hardtanh", "self", min_val=-1.0, max_val=1.0),
    "softplus": _functional("softplus", "self", beta=1.0, threshold=20.0),
    "clamp": _method("clamp", min=None, max=None),
    "clamp_min": _special(
        lambda given: f"{factor(str(given['self']))}.clamp(min={number(given['min'])})",
        *("self", "min"),
    ),
    "clamp_max": _special(
        lambda given: f"{factor(str(given['self']))}.clamp(max={number(given['max'])})",
        *("self", "max"),
    ),
    # Of two values
    "add": _binary("+", loosely=True),
    "sub": _binary("-", loosely=True),
    "mul": _binary("*"),
    "div": _binary("/"),
    "rsub": _special(_reversed_minus, "self", "other", alpha=1),
    "pow": _special(_power, "self", "exponent"),
    "minimum": _torch("minimum", "self", "other"),
    "maximum": _torch("maximum", "self", "other"),
    "eq": _binary("=="),
    "ne": _binary("!="),
    "lt": _binary("<"),
    "le": _binary("<="),
    "gt": _binary(">"),
    "ge": _binary(">="),
    "where": _torch("where", "condition", "self", "other"),
    "masked_fill": _method("masked_fill", "mask", "value"),
    "addcmul": Spelling(
        "torch.",
        "addcmul",
        (Argument("self"), Argument("tensor1"), Argument("tensor2"), Argument("value", 1)),
    ),
    "logical_and": _method("logical_and", "other"),
    "logical_or": _method("logical_or", "other"),
    "floor_divide": _binary("//"),
    "remainder": _binary("%"),
    # Along a side
    "softmax": _method("softmax", "dim"),
    "log_softmax": _method("log_softmax", "dim"),
    "cumsum": _method("cumsum", "dim"),
    "mean": _plain("mean", "dim", keepdim=False),
    "sum": _plain("sum", "dim", keepdim=False),
    "amax": _plain("amax", "dim", keepdim=False),
    "amin": _plain("amin", "dim", keepdim=False),
    "logsumexp": _plain("logsumexp", "dim", keepdim=False),
    "var": _method("var", "dim", correction=None, unbiased=True, keepdim=False),
    "std": _method("std", "dim", correction=None, unbiased=True, keepdim=False),
    "linalg_vector_norm": _torch("linalg.vector_norm", "self", ord=2, dim=None, keepdim=False),
    # How values lie
    "reshape": _method("reshape", "shape", spreads="shape", view=True),
    "permute": _method("permute", "dims", spreads="dims", view=True),
    "transpose": _method("transpose", "dim0", "dim1", view=True),
    "t": _method("t", view=True),
    "unsqueeze": _method("unsqueeze", "dim", view=True),
    "squeeze": _method("squeeze", "dim", view=True),
    "flatten": _plain("flatten", start_dim=0, end_dim=-1, view=True),
    "unflatten": _method("unflatten", "dim", "sizes", view=True),
    "expand": _method("expand", "size", spreads="size", view=True),
    "expand_as": _method("expand_as", "other", view=True),
    "repeat": _method("repeat", "repeats", spreads="repeats"),
    "movedim": _method("movedim", "source", "destination", view=True),
    "contiguous": _method("contiguous", view=True),
    "select": _special(_select, "self", "dim", "index", view=True),
    "slice": _special(_slice, "self", dim=0, start=None, end=None, step=1, view=True),
    "slices": _special(_slices, "self", "sides", view=True),
    "split": _part("split", "split_size"),
    "split_with_sizes": _part("split", "split_sizes"),
    "chunk": _part("chunk", "chunks"),
    "index": _special(_index, "self", "indices"),
    "roll": _method("roll", "shifts", "dims"),
    "flip": _method("flip", "dims"),
    "cat": _list("cat"),
    "stack": _list("stack"),
    "pad": Spelling(
        "F.",
        "pad",
        (
            Argument("self"),
            Argument("pad"),
            Argument("mode", "constant", words=_MODES),
            Argument("value", None),
        ),
    ),
    "pixel_shuffle": _functional("pixel_shuffle", "self", "upscale_factor"),
    "pixel_unshuffle": _functional("pixel_unshuffle", "self", "downscale_factor"),
    "spread": _special(_spread, "self", "like", "axis", "like_axis", "rank", view=True),
    # Products
    "matmul": _binary("@"),
    "bmm": _binary("@", "mat2"),
    "mm": _binary("@", "mat2"),
    "linear": Spelling(
        "F.",
        "linear",
        (Argument("input"), Argument("weight"), Argument("bias", None, by_name=False)),
    ),
    "addmm": _torch("addmm", "self", "mat1", "mat2"),
    "einsum": _special(_einsum, "equation", "tensors"),
    "scaled_dot_product_attention": _functional(
        *("scaled_dot_product_attention", "query", "key", "value"),
        attn_mask=None,
        is_causal=False,
        scale=None,
        enable_gqa=False,
    ),
    "conv2d": _functional(
        *("conv2d", "input", "weight"), bias=None, stride=1, padding=0, dilation=1, groups=1
    ),
    "conv_transpose2d": _functional(
        *("conv_transpose2d", "input", "weight"),
        bias=None,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        dilation=1,
    ),
    "conv1d": _functional(
        *("conv1d", "input", "weight"), bias=None, stride=1, padding=0, dilation=1, groups=1
    ),
    # Norms, windows
    "layer_norm": _functional(
        *("layer_norm", "input", "normalized_shape"), weight=None, bias=None, eps=1e-5
    ),
    "rms_norm": _functional("rms_norm", "input", "normalized_shape", weight=None, eps=None),
    "group_norm": _functional(
        *("group_norm", "input", "num_groups"), weight=None, bias=None, eps=1e-5
    ),
    "batch_norm": _functional(
        *("batch_norm", "input", "running_mean", "running_var"),
        weight=None,
        bias=None,
        training=False,
        eps=1e-5,
    ),
    "max_pool2d": _functional(
        *("max_pool2d", "self", "kernel_size"), stride=(), padding=0, dilation=1, ceil_mode=False
    ),
    "avg_pool2d": _functional(
        *("avg_pool2d", "self", "kernel_size"),
        stride=(),
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
    ),
    "prelu": _functional("prelu", "self", "weight"),
    "adaptive_avg_pool2d": _functional("adaptive_avg_pool2d", "self", "output_size"),
    "adaptive_avg_pool1d": _functional("adaptive_avg_pool1d", "self", "output_size"),
    "adaptive_max_pool2d": _functional("adaptive_max_pool2d", "self", "output_size"),
    "upsample_nearest2d": _resized("nearest"),
    "upsample_bilinear2d": _resized("bilinear"),
    "upsample_bicubic2d": _resized("bicubic"),
    "avg_pool1d": _functional(
        *("avg_pool1d", "self", "kernel_size"),
        stride=(),
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
    ),
    # Of no value
    "zeros": _made("zeros", Argument("size")),
    "ones": _made("ones", Argument("size")),
    "full": _made("full", Argument("size"), Argument("fill_value")),
    "arange": _made(
        "arange",
        *(Argument("start", 0, by_name=False), Argument("end"), Argument("step", 1, by_name=False)),
    ),
    "new_zeros": _method("new_zeros", "size", spreads="size"),
    "new_ones": _method("new_ones", "size", spreads="size"),
    "zeros_like": _torch("zeros_like", "self"),
    "ones_like": _torch("ones_like", "self"),
    "filled": _special(_filled, "self", "boxes"),
}
"""The functions that can be written, by torch's names of them.

``spread``, ``slices`` and ``filled`` are archc's own: a tensor for each image, several slices at
once, and a tensor in which parts have been given a value."""


LAYERS = frozenset(["conv1d", "conv2d", "conv_transpose2d", "linear", "addmm"])
"""Those of them that multiply by weights, which the records of layers count."""


def is_equation(text: object) -> bool:
    """Whether a text is an equation of einsum whose sides all have a letter."""
    return isinstance(text, str) and _LETTERS.fullmatch(text) is not None
