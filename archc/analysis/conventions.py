"""How FLOP counters count: for each, one formula per op, from which every total follows.

Read in the counters' sources and compared with what they print for torchvision's modules, in eval
mode, for one image. Their numbers differ because they count different things: multiply-adds or
operations, biases or none, norms, relus, poolings. The softmax is left out, since a module returns
the logits before it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, NamedTuple, TypeAlias

from archc.analysis.plain import as_plain
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Shape
from archc.ops import Op
from archc.shown import Result

DEFAULT = "multiply-adds"


@dataclass(frozen=True, slots=True)
class Call:
    """An op with the shape it reads (of several the first) and the shape it puts out."""

    op: Op
    input: Shape
    output: Shape

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds without the bias."""
        return self.op.multiply_adds(self.output)

    @property
    def bias_adds(self) -> int:
        """One addition for each output element of a layer that has a bias."""
        return math.prod(self.output) if getattr(self.op, "bias", False) else 0


Formula: TypeAlias = "Callable[[Call], int] | Callable[[Call], int | None]"


@dataclass(frozen=True, slots=True)
class Convention:
    """A counter: its ``tool`` with the version whose source was read, what it calls its number.

    ``note`` says in a line what it does differently from counting multiply-adds. An op without
    a formula is one that the counter says nothing about.
    """

    name: str
    tool: str
    unit: str
    note: str
    formulas: Mapping[str, Formula]

    def flops(self, call: Call) -> int | None:
        """What an op counts; None where the counter has no rule for such an op."""
        formula = self.formulas.get(call.op.kind)
        return None if formula is None else formula(call)


class Costs(NamedTuple):
    """What an op counts: ``flops`` are the convention's, 0 where it has no formula."""

    params: int
    multiply_adds: int
    flops: int


@dataclass(frozen=True, slots=True)
class Tally:
    """A network in a convention: its total, how many ops of which kinds are not in it, what each op
    counts, by id, and which of them are not counted."""

    total: int
    not_counted: dict[str, int]
    by_id: dict[str, Costs]
    without_rule: frozenset[str]


def tally(network: Network, convention: Convention) -> Tally:
    """The total that a convention's tool prints for a network's module, for one image.

    Tools run modules in eval mode, in which side heads are not computed: these cost parameters
    alone.
    """
    calls = _calls(network.inference)
    by_kind, not_counted = _by_kind(_all_calls(network, calls), convention)
    by_id = {id: Costs(network.nodes[id].params, 0, 0) for id in network.side_of}
    without: list[str] = []
    for call, ids in calls:
        flops = convention.flops(call)
        by_id.update(dict.fromkeys(ids, Costs(call.op.params, call.multiply_adds, flops or 0)))
        without += ids if flops is None else []
    for node in network.nodes.values() if network.is_foreign else ():
        if node.op.plain is not node.op:  # some of its tensors are another's, or more are its own
            more = sum(convention.flops(one) or 0 for one in _beside(node))
            costs = by_id[node.id]
            by_id[node.id] = Costs(node.params, node.multiply_adds, costs.flops + more)
    return Tally(sum(by_kind.values()), not_counted, by_id, frozenset(without))


@dataclass(frozen=True, slots=True)
class Explained:
    """A convention's total, and what each kind of op adds in it to its multiply-adds."""

    convention: str
    tool: str
    unit: str
    note: str
    adds: dict[str, int]
    flops: int
    not_counted: dict[str, int]


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Result):
    """A network's FLOPs in every convention, for one image of shape ``input``."""

    name: str
    input: Shape
    multiply_adds: int
    conventions: tuple[Explained, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What each convention adds to the multiply-adds, by op kind, a row each; those and the
        total have a row, too."""
        rows: list[dict[str, Any]] = []
        for one in self.conventions:
            kinds = {"multiply-adds": self.multiply_adds, **one.adds, "total": one.flops}
            head = {"convention": one.convention, "tool": one.tool, "unit": one.unit}
            rows += [{**head, "op": op, "flops": flops} for op, flops in kinds.items()]
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain data."""
        return as_plain(self)


def explain(network: Network) -> Explanation:
    """Every convention's total, split into multiply-adds and what each kind of op adds to them."""
    calls = _all_calls(network, _calls(network.inference))
    plain, _ = _by_kind(calls, CONVENTIONS[DEFAULT])
    explained = []
    for one in CONVENTIONS.values():
        counted, not_counted = _by_kind(calls, one)
        adds = {kind: flops - plain[kind] for kind, flops in counted.items()}
        explained.append(
            Explained(
                convention=one.name,
                tool=one.tool,
                unit=one.unit,
                note=one.note,
                adds={kind: more for kind, more in adds.items() if more},
                flops=sum(counted.values()),
                not_counted=not_counted,
            )
        )
    return Explanation(
        network.name,
        network.input_shape,
        network.multiply_adds,
        tuple(explained),
        network.several_inputs,
    )


_Calls: TypeAlias = list[tuple[Call, list[str]]]


def _beside(node: Node) -> list[Call]:
    """The layers that compute something for an op of tensors of the model alone."""
    return [Call(op, (), shape) for op, shape in node.op.beside]


def _all_calls(network: Network, calls: _Calls) -> _Calls:
    """Calls, and those of what is computed of tensors of the model alone."""
    if not network.is_foreign:
        return calls
    nodes = network.nodes.values()
    return [*calls, *[(one, [node.id]) for node in nodes for one in _beside(node)]]


def _calls(network: Network) -> _Calls:
    """The distinct calls of a network in order, each with the ids of the nodes that make it.

    A formula is asked once for each: a network of 100,000 nodes has a dozen of them.
    """
    nodes = network.nodes
    # Equal blocks share their ops, and an op's `id` is hashed ten times as quickly as its fields.
    found: dict[tuple[int, Shape, Shape], tuple[Op, list[str]]] = {}
    for node in nodes.values():
        read = nodes[node.inputs[0]].output_shape if node.inputs else ()
        key = (id(node.op), read, node.output_shape)
        if key in found:
            found[key][1].append(node.id)
        else:
            found[key] = (node.op.plain, [node.id])
    calls: dict[tuple[Op, Shape, Shape], list[str]] = {}
    for (_, read, output), (op, ids) in found.items():
        calls.setdefault((op, read, output), []).extend(ids)
    return [(Call(*key), ids) for key, ids in calls.items()]


def _by_kind(calls: _Calls, convention: Convention) -> tuple[dict[str, int], dict[str, int]]:
    """What the ops of each kind count together, and how many of a kind have no formula."""
    counted: Counter[str] = Counter()
    not_counted: Counter[str] = Counter()
    for call, ids in calls:
        flops = convention.flops(call)
        counted[call.op.kind] += len(ids) * (flops or 0)
        if flops is None:
            not_counted[call.op.called] += len(ids)
    return dict(counted), dict(not_counted)


# Formulas


def _multiply_adds(call: Call) -> int:
    return call.multiply_adds


def _multiply_adds_and_bias(call: Call) -> int:
    return call.multiply_adds + call.bias_adds


def _operations(call: Call) -> int:
    return 2 * call.multiply_adds


def _operations_and_bias(call: Call) -> int:
    return 2 * call.multiply_adds + call.bias_adds


def _elements(times: int) -> Formula:
    return lambda call: times * math.prod(call.input)


def _outputs(call: Call) -> int:
    return math.prod(call.output)


def _params(call: Call) -> int:
    return call.op.params


def _params_at_positions(call: Call) -> int:
    return call.op.params * math.prod(call.output[1:])


def _window_sums(call: Call) -> int:
    """The additions of a window's elements and a division, the windows being of equal size."""
    area = math.prod(i / o for i, o in zip(call.input[1:], call.output[1:], strict=True))
    return int((area + 1) * math.prod(call.output))


def _nothing(call: Call) -> int:
    return 0


def _nothing_if_known(call: Call) -> int | None:
    return 0 if call.op.has_rule else None


_POOLS = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")
_LAYERS = ("conv2d", "linear", "channel_linear", "token_linear")
_PRODUCTS = ("matmul", "einsum", "attention")
_NORMS = ("group_norm", "layer_norm")
_SLOPES = ("relu6", "leaky_relu", "silu", "gelu")
_FREE: dict[str, Formula] = dict.fromkeys(
    (
        *(
            "input",
            "add",
            "multiply",
            "zero_pad_shortcut",
            "flatten",
            "identity",
            "dropout",
            "stochastic_depth",
        ),
        *("sigmoid", "softmax", "pad", "extra_input", "outputs"),
    ),
    _nothing,
) | {"opaque": _nothing_if_known}
"""What no counter counts: nothing is computed, `+` and `*` are no modules and no functions that a
counter sees, and the softmax stands behind the logits."""
_UNSEEN: dict[str, Formula] = dict.fromkeys(
    (
        *(
            "hardswish",
            "hardsigmoid",
            "tanh",
            "concat",
            "chunk",
            "channel_shuffle",
            "layer_scale",
            "affine",
        ),
        # These are free unless a counter says otherwise.
        *(*_SLOPES, *_NORMS),
    ),
    _nothing,
)
"""What counters that run a module pass over, as measured on modules of each."""


def _convention(
    name: str, tool: str, unit: str, note: str, formulas: Mapping[str, Formula]
) -> Convention:
    return Convention(name, tool, unit, note, {**_FREE, **_UNSEEN, **formulas})


CONVENTIONS: dict[str, Convention] = {
    one.name: one
    for one in (
        _convention(
            DEFAULT,
            "He et al. 2015",
            "FLOPs",
            "convolutions and linear layers, no biases",
            dict.fromkeys((*_LAYERS, "conv_transpose2d", *_PRODUCTS), _multiply_adds)
            | dict.fromkeys(("batch_norm2d", "token_norm", "relu", "prelu", *_POOLS), _nothing),
        ),
        _convention(
            "torch",
            "torch 2.13, FlopCounterMode",
            "FLOPs",
            "a multiply-add is two operations",
            dict.fromkeys((*_LAYERS, "conv_transpose2d", *_PRODUCTS), _operations)
            | dict.fromkeys(("batch_norm2d", "token_norm", "relu", "prelu", *_POOLS), _nothing),
        ),
        _convention(
            "fvcore",
            "fvcore 0.1.5.post20221221",
            "flops",
            "norms 2 per element, adaptive pooling 1 per element",
            dict.fromkeys((*_LAYERS, "conv_transpose2d", "matmul", "einsum"), _multiply_adds)
            | {"batch_norm2d": _elements(2), "adaptive_avg_pool2d": _elements(1)}
            | dict.fromkeys((*_NORMS, "token_norm"), _elements(5))
            | dict.fromkeys(("relu", "prelu", "max_pool2d", "avg_pool2d"), _nothing),
        ),
        _convention(
            "ptflops",
            "ptflops 0.7.5, PyTorch backend",
            "MACs",
            "biases; norms 2 per element; ReLUs and poolings counted twice, as module and as "
            "function",
            dict.fromkeys(_LAYERS, _multiply_adds_and_bias)
            | dict.fromkeys(("batch_norm2d", "group_norm", "relu", "gelu", *_POOLS), _elements(2))
            # Counted once: as modules, or the silu as a function. Of layer norms, `affine` is
            # asked for, which they do not have.
            | dict.fromkeys(
                ("relu6", "leaky_relu", "silu", "layer_norm", "token_norm"), _elements(1)
            ),
        ),
        _convention(
            "thop",
            "thop 0.1.1.post2209072238",
            "MACs",
            "norms 4 per element; average pooling the sums of its windows",
            dict.fromkeys(_LAYERS, _multiply_adds)
            | dict.fromkeys(("batch_norm2d", "layer_norm", "token_norm"), _elements(4))
            | {"avg_pool2d": _outputs, "adaptive_avg_pool2d": _window_sums}
            | dict.fromkeys(("relu", "max_pool2d"), _nothing),
        ),
        _convention(
            "torchinfo",
            "torchinfo 1.8.0",
            "mult-adds",
            "biases; norms their number of parameters, regardless of the map",
            dict.fromkeys((*_LAYERS[1:], "batch_norm2d", "token_norm", *_NORMS), _params)
            | {"conv2d": _params_at_positions}
            | dict.fromkeys(("relu", *_POOLS), _nothing),
        ),
        _convention(
            "calflops",
            "calflops 0.3.2",
            "FLOPs",
            "a multiply-add is two; biases of convolutions; norms 2 per element; ReLUs, poolings 1",
            dict.fromkeys(_LAYERS[1:], _operations)
            | {"conv2d": _operations_and_bias}
            | {"batch_norm2d": _elements(2), **dict.fromkeys((*_NORMS, "token_norm"), _elements(5))}
            # A module of relu6 calls another function than the one that is counted.
            | dict.fromkeys(("relu", "leaky_relu", "silu", "gelu", *_POOLS), _elements(1)),
        ),
        Convention(
            "pycls",
            "pycls 5719de6",
            "flops",
            "biases",
            {**_FREE, **dict.fromkeys(("conv2d", "linear"), _multiply_adds_and_bias)}
            | dict.fromkeys(
                ("batch_norm2d", "relu", "silu", "max_pool2d", "adaptive_avg_pool2d"), _nothing
            ),
        ),
    )
}
"""Every convention by its name, archc's own and the paper's first."""
