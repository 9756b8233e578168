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

    ``state`` has the tensors of a state dict under `Network.state`'s keys. In training, norms use
    the batch's statistics, and move their running ones in ``state`` by their own momentum, or all
    by ``momentum``. Images are ``(batch, channels, height, width)``.
    """
    values: dict[str, Tensor] = {}
    for node_id, node in graph.nodes.items():
        if node["op"] == "input":
            values[node_id] = images
            continue
        inputs = [values[source] for source in node["inputs"]]
        tensors = _Tensors(state, node_id)
        if node["op"] == "batch_norm2d":
            values[node_id] = _batch_norm(node, tensors, inputs[0], training, momentum)
        elif node["op"] == "dropout":
            seed_dropout(node_id)
            values[node_id] = F.dropout(inputs[0], node["p"], training)
        else:
            values[node_id] = _FUNCTIONS[node["op"]](node, tensors, *inputs)
    return values


def seed_dropout(node_id: str) -> None:
    """Make a dropout drop the same elements wherever it is run, and in whatever order."""
    torch.manual_seed(zlib.crc32(node_id.encode()))


class _Tensors:
    """The tensors of one node."""

    def __init__(self, state: State, node_id: str):
        self._state, self._prefix = state, f"{node_id}."

    def __getitem__(self, name: str) -> Tensor:
        return self._state[self._prefix + name]

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


def _window(node: Attributes) -> tuple[Any, Any, Any]:
    return node["kernel_size"], node["stride"], node["padding"]


def _is_ceil(node: Attributes) -> bool:
    return bool(node.get("ceil_mode", False))


def _zero_pad(node: Attributes, _: _Tensors, x: Tensor) -> Tensor:
    batch, channels, height, width = x[:, :, :: node["stride"], :: node["stride"]].shape
    padded = x.new_zeros(batch, node["out_channels"], height, width)
    padded[:, :channels] = x[:, :, :: node["stride"], :: node["stride"]]
    return padded


def _add(_: Attributes, __: _Tensors, *summands: Tensor) -> Tensor:
    total, *others = summands
    for one in others:
        total = total + one
    return total


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "conv2d": _conv,
    "relu": lambda _, __, x: torch.relu(x),
    "max_pool2d": lambda n, _, x: F.max_pool2d(x, *_window(n), ceil_mode=_is_ceil(n)),
    "avg_pool2d": lambda n, _, x: F.avg_pool2d(
        x, *_window(n), _is_ceil(n), n.get("count_include_pad", True)
    ),
    "adaptive_avg_pool2d": lambda n, _, x: F.adaptive_avg_pool2d(x, n["output_size"]),
    "zero_pad_shortcut": _zero_pad,
    "add": _add,
    "flatten": lambda _, __, x: x.reshape(len(x), -1),
    "linear": lambda _, tensors, x: F.linear(x, tensors["weight"], tensors.get("bias")),
    "softmax": lambda _, __, x: x.softmax(1),
}
"""What each op computes, given its attributes, its tensors and its inputs."""
