"""A second backend: the graph run op by op on torch's functions, with no module and no source.

It reads the networkx graph alone, so that what it computes and what was emitted share nothing but
the graph itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archc.beside import beside
from archc.verification.functions import call

if TYPE_CHECKING:
    import networkx

State = Mapping[str, Tensor]
Attributes = Mapping[str, Any]


def run(
    graph: networkx.DiGraph[str],
    state: State,
    images: Tensor,
    *,
    training: bool = False,
    momentum: float | None = None,
) -> dict[str, Tensor]:
    """The value of every node of `Network.graph`, by its id.

    ``state`` has the tensors of a state dict under `Network.state`'s keys. Side heads are run in
    training alone. In training, norms use
    the batch's statistics, and move their running ones in ``state`` by their own momentum, or all
    by ``momentum``. Images are ``(batch, channels, height, width)``.
    """
    values: dict[str, Tensor] = {}
    for node_id, node in graph.nodes.items():
        if node["op"] == "input":
            values[node_id] = images
            continue
        if node["op"] == "extra_input":
            values[node_id] = beside(node_id, node["shape"], node, images)
            continue
        if node.get("side") and not training:
            continue
        inputs = [values[source] for source in node["inputs"]]
        kind, home = node["op"], node_id
        if kind == "again":  # another call of a module
            kind, home = node["calls"], node["of"]
        tensors = _Tensors(state, home)
        if kind == "batch_norm2d":
            values[node_id] = _batch_norm(node, tensors, inputs[0], training, momentum)
        elif kind == "call":
            values[node_id] = call(node["function"], node["arguments"], inputs, len(images))
        elif kind in ("dropout", "stochastic_depth"):
            seed_dropout(node_id)
            drop = F.dropout if kind == "dropout" else _stochastic_depth
            values[node_id] = drop(inputs[0], node["p"], training)
        else:
            values[node_id] = _FUNCTIONS[kind](node, tensors, *inputs)
    return values


def seed_dropout(node_id: str) -> None:
    """Make a dropout drop the same elements wherever it is run, and in whatever order."""
    torch.manual_seed(zlib.crc32(node_id.encode()))


class _Tensors:
    """The tensors of one node."""

    def __init__(self, state: State, node_id: str):
        self._state, self._id, self._prefix = state, node_id, f"{node_id}."

    def __getitem__(self, name: str) -> Tensor:
        return self._state[self._prefix + name]

    @property
    def own(self) -> Tensor:
        """The tensor kept under the id of the node itself."""
        return self._state[self._id]

    def of(self, other: str, name: str) -> Tensor:
        """The tensor kept under the id of the node itself, or one of another."""
        return self._state[f"{other}.{name}" if name else other] if other else self.own

    def get(self, name: str) -> Tensor | None:
        return self._state.get(self._prefix + name)


def _batch_norm(
    node: Attributes, tensors: _Tensors, x: Tensor, training: bool, momentum: float | None
) -> Tensor:
    if training:
        tensors["num_batches_tracked"].add_(1)
    return F.batch_norm(
        x,
        tensors["running_mean"],
        tensors["running_var"],
        tensors["weight"],
        tensors["bias"],
        training,
        node.get("momentum", 0.1) if momentum is None else momentum,
        node.get("eps", 1e-5),
    )


def _conv(node: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    return F.conv2d(
        x,
        tensors["weight"],
        tensors.get("bias"),
        node["stride"],
        node["padding"],
        node.get("dilation", 1),
        groups=node["groups"],
    )


def _transposed(node: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    return F.conv_transpose2d(
        x,
        tensors["weight"],
        tensors.get("bias"),
        node["stride"],
        node["padding"],
        node.get("output_padding", 0),
        node["groups"],
        node.get("dilation", 1),
    )


def _window(node: Attributes) -> tuple[Any, Any, Any]:
    return node["kernel_size"], node["stride"], node["padding"]


def _is_ceil(node: Attributes) -> bool:
    return bool(node.get("ceil_mode", False))


def _zero_pad(node: Attributes, _: _Tensors, x: Tensor) -> Tensor:
    batch, channels, height, width = x[:, :, :: node["stride"], :: node["stride"]].shape
    padded = x.new_zeros(batch, node["out_channels"], height, width)
    padded[:, :channels] = x[:, :, :: node["stride"], :: node["stride"]]
    return padded


def _pad(node: Attributes, _: _Tensors, x: Tensor) -> Tensor:
    left, right, top, bottom = node["padding"]
    batch, channels, height, width = x.shape
    padded = x.new_zeros(batch, channels, top + height + bottom, left + width + right)
    padded[:, :, top : top + height, left : left + width] = x
    return padded


def _token_norm(node: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    return F.layer_norm(x, [x.shape[-1]], tensors["weight"], tensors["bias"], node["eps"])


def _stochastic_depth(x: Tensor, p: float, training: bool) -> Tensor:
    if not training or not p:
        return x
    kept = torch.empty([len(x)] + [1] * (x.dim() - 1), dtype=x.dtype, device=x.device)
    kept.bernoulli_(1 - p)
    return x * (kept.div_(1 - p) if p < 1 else kept)


def _layer_norm(node: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    last = x.movedim(1, -1)
    scale, shift, eps = tensors["weight"], tensors["bias"], node.get("eps", 1e-6)
    return F.layer_norm(last, [x.shape[1]], scale, shift, eps).movedim(-1, 1)


def _group_norm(node: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    return F.group_norm(x, node["num_groups"], tensors["weight"], tensors["bias"], node["eps"])


def _gelu(_: Attributes, __: _Tensors, x: Tensor) -> Tensor:
    # As it lies in memory: torch rounds otherwise what does not lie in a row.
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return F.gelu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return F.gelu(x)


def _channel_linear(_: Attributes, tensors: _Tensors, x: Tensor) -> Tensor:
    return F.linear(x.movedim(1, -1), tensors["weight"], tensors.get("bias")).movedim(-1, 1)


def _affine(node: Attributes, _: _Tensors, x: Tensor) -> Tensor:
    numbers = zip(x.unbind(1), node["scale"], node["shift"], strict=True)
    return torch.stack([channel * scale + shift for channel, scale, shift in numbers], 1)


def _shuffle(node: Attributes, _: _Tensors, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    groups = x.reshape(batch, node["groups"], channels // node["groups"], height, width)
    return groups.transpose(1, 2).reshape(x.shape)


def _multiply(_: Attributes, __: _Tensors, *factors: Tensor) -> Tensor:
    product, *others = factors
    for one in others:
        product = product * one
    return product


def _add(_: Attributes, __: _Tensors, *summands: Tensor) -> Tensor:
    total, *others = summands
    for one in others:
        total = total + one
    return total


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "conv2d": _conv,
    "conv_transpose2d": _transposed,
    "relu": lambda _, __, x: torch.relu(x),
    "max_pool2d": lambda n, _, x: F.max_pool2d(x, *_window(n), ceil_mode=_is_ceil(n)),
    "avg_pool2d": lambda n, _, x: F.avg_pool2d(
        x, *_window(n), _is_ceil(n), n.get("count_include_pad", True)
    ),
    "adaptive_avg_pool2d": lambda n, _, x: F.adaptive_avg_pool2d(x, n["output_size"]),
    "zero_pad_shortcut": _zero_pad,
    "pad": _pad,
    "add": _add,
    "flatten": lambda _, __, x: x.reshape(len(x), -1),
    "linear": lambda _, tensors, x: F.linear(x, tensors["weight"], tensors.get("bias")),
    "softmax": lambda _, __, x: x.softmax(1),
    "relu6": lambda _, __, x: F.hardtanh(x, 0, 6),
    "leaky_relu": lambda n, _, x: F.leaky_relu(x, n["negative_slope"]),
    "prelu": lambda _, tensors, x: F.prelu(x, tensors["weight"]),
    "silu": lambda _, __, x: F.silu(x),
    "hardswish": lambda _, __, x: F.hardswish(x),
    "hardsigmoid": lambda _, __, x: F.hardsigmoid(x),
    "sigmoid": lambda _, __, x: x.sigmoid(),
    "tanh": lambda _, __, x: x.tanh(),
    "gelu": _gelu,
    "multiply": _multiply,
    "concat": lambda _, __, *xs: torch.cat(xs, 1),
    "chunk": lambda n, _, x: x.chunk(n["of"], 1)[n["take"] - 1],
    "channel_shuffle": _shuffle,
    "identity": lambda _, __, x: x,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "layer_scale": lambda _, tensors, x: tensors.own * x,
    "affine": _affine,
    "channel_linear": _channel_linear,
    "token_linear": lambda _, tensors, x: F.linear(x, tensors["weight"], tensors.get("bias")),
    "token_norm": _token_norm,
    "plain_gelu": lambda _, __, x: F.gelu(x),
    "tensor": lambda n, tensors: tensors.of(n["of"], n["name"]),
    "outputs": lambda _, __, first, *others: first,
}
"""What each op computes, given its attributes, its tensors and its inputs."""
