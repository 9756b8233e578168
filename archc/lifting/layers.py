"""Ops as the layers that they are written as."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archc.blocks.around import ACTIVATIONS
from archc.blocks.layers import MERGES
from archc.frontends.program import ForeignError
from archc.graph import Node
from archc.lifting.tree import Data, Layer, Part
from archc.ops import pair
from archc.text import quote, visible

ACTIVATION_OF = {kind: (word, family) for word, (family, kind) in ACTIVATIONS.items()}
"""The word and the family of each activation, by the kind of its op."""

NORMS = {"batch_norm2d": "batch_norm", "layer_norm": "layer_norm", "group_norm": "group_norm"}


class OutsideError(ForeignError):
    """An op is outside of the language; ``why`` says what of it."""

    def __init__(self, node: Node, why: str):
        super().__init__(f"{quote(visible(node.id))} cannot be written in a spec: {why}")
        self.why = why


def refuse(node: Node, why: str) -> OutsideError:
    """Why a node is outside of the language."""
    return OutsideError(node, why)


def layer_of(node: Node, channels: int) -> Layer:
    """The layer of one op that reads one value. Raises `ForeignError` where there is none."""
    kind = node.op.kind
    if kind in ACTIVATION_OF:
        word, family = ACTIVATION_OF[kind]
        slope = getattr(node.op, "negative_slope", 0.01)
        if node.op.field_names() and slope != 0.01:
            raise refuse(node, f"its slope is {slope:g}, and that of `leaky_relu` is 0.01")
        return _layer(node, channels, word, family, {})
    maker = _LAYERS.get(kind)
    if maker is None:
        raise refuse(node, f"the language has no {_called(node)}")
    word, family, fields = maker(node)
    return _layer(node, channels, word, family, fields)


def _called(node: Node) -> str:
    """What an op is called where it was read, with its numbers."""
    name = quote(visible(node.op.called))
    details = str(node.op.numbers.get("details", "")) if node.op.kind == "opaque" else ""
    return f"{name} ({visible(details)})" if details else name


def _layer(node: Node, channels: int, word: str, family: str, fields: dict[str, Data]) -> Layer:
    part = Part(family, node.id, bool(node.op.state))
    return Layer(word, fields, (part,), channels, node.output_shape[0])


_Made = tuple[str, str, dict[str, Data]]


def _whole(node: Node, name: str) -> int:
    value = getattr(node.op, name)
    if not isinstance(value, int):
        raise refuse(node, f"its {name} is {_sides(value)}, and has to be one number")
    return value


def _sides(value: Data) -> str:
    return " by ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _conv(node: Node) -> _Made:
    op = node.op
    return (
        "conv",
        "conv",
        {
            "width": _get(op, "out_channels"),
            "kernel": _get(op, "kernel_size"),
            "stride": _whole(node, "stride"),
            "padding": _get(op, "padding"),
            "groups": _get(op, "groups"),
            "dilation": _whole(node, "dilation"),
            "bias": _get(op, "bias"),
            "norm": "none",
            "activation": "none",
        },
    )


def _get(op: object, name: str) -> Data:
    return getattr(op, name)


def _pool(word: str, family: str) -> Callable[[Node], _Made]:
    def made(node: Node) -> _Made:
        op = node.op
        kernel, stride = _get(op, "kernel_size"), _get(op, "stride")
        fields = {"kernel": kernel, "stride": stride, "padding": _get(op, "padding")}
        if stride == kernel:
            del fields["stride"]
        elif not isinstance(stride, int):
            raise refuse(node, f"its stride is {_sides(stride)}, and has to be one number")
        for name, usual in (("ceil_mode", False), ("count_include_pad", True)):
            if name in op.field_names() and _get(op, name) != usual:
                fields[name] = _get(op, name)
        sides = zip(pair(kernel), pair(stride), strict=True)
        rows, columns = ((k - 1) // 2 if s < k else 0 for k, s in sides)
        if pair(_get(op, "padding")) == (rows, columns):
            del fields["padding"]
        return word, family, fields

    return made


def _adaptive(node: Node) -> _Made:
    size = _whole(node, "output_size")
    if size == 1:
        return "global_avg_pool", "avgpool", {}
    return "adaptive_avg_pool", "avgpool", {"size": size}


def _linear(word: str) -> Callable[[Node], _Made]:
    def made(node: Node) -> _Made:
        if not _get(node.op, "bias"):
            raise refuse(node, "it has no bias, and a linear layer of a spec has one")
        return word, "fc", {"features": _get(node.op, "out_features")}

    return made


def _norm(word: str, family: str, *names: str) -> Callable[[Node], _Made]:
    def made(node: Node) -> _Made:
        numbers = {name: _get(node.op, name) for name in names}
        if "momentum" in numbers:  # such as 1 - 0.9997, which is 0.0003 but for the last digits
            numbers["momentum"] = float(f"{numbers['momentum']:.9g}")
        return word, family, numbers

    return made


def _group_norm(node: Node) -> _Made:
    return (
        "group_norm",
        "norm",
        {"groups": _get(node.op, "num_groups"), "eps": _get(node.op, "eps")},
    )


def _fields(word: str, family: str, **names: str) -> Callable[[Node], _Made]:
    def made(node: Node) -> _Made:
        return word, family, {field: _get(node.op, name) for field, name in names.items()}

    return made


def _affine(node: Node) -> _Made:
    numbers = {"scale": list(_get(node.op, "scale")), "shift": list(_get(node.op, "shift"))}
    return "affine", "transform", numbers


_LAYERS: Mapping[str, Callable[[Node], _Made]] = {
    "conv2d": _conv,
    "batch_norm2d": _norm("batch_norm", "bn", "eps", "momentum"),
    "layer_norm": _norm("layer_norm", "norm", "eps"),
    "group_norm": _group_norm,
    "max_pool2d": _pool("max_pool", "maxpool"),
    "avg_pool2d": _pool("avg_pool", "avgpool"),
    "adaptive_avg_pool2d": _adaptive,
    "linear": _linear("linear"),
    "channel_linear": _linear("channel_linear"),
    "dropout": _fields("dropout", "dropout", p="p"),
    "flatten": _fields("flatten", "flatten"),
    "identity": _fields("identity", "identity"),
    "chunk": _fields("chunk", "chunk", of="of", take="take"),
    "channel_shuffle": _fields("channel_shuffle", "shuffle", groups="groups"),
    "layer_scale": _fields("layer_scale", "layer_scale", value="value"),
    "affine": _affine,
    "zero_pad_shortcut": _fields("zero_pad", "shortcut", width="out_channels", stride="stride"),
    "softmax": _fields("softmax", "softmax"),
}


def is_merge(node: Node) -> bool:
    """Whether a node is a merge of the language."""
    return node.op.kind in MERGES
