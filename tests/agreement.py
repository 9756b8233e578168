"""Whether a torch module is what a graph says: structure, shapes, parameters, multiply-adds.

What is measured comes from torch alone: hooks, `FlopCounterMode` and `torch.fx`, on the meta
device, where nothing is computed and no weight takes memory.
"""

from __future__ import annotations

import inspect
import operator
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from archc.graph import Network, Node, Shape
from archc.live import build_module
from archc.ops import Softmax
from archc.verification.structure import check_classes, observe

MODULES: dict[str, type[nn.Module]] = {
    "conv2d": nn.Conv2d,
    "batch_norm2d": nn.BatchNorm2d,
    "relu": nn.ReLU,
    "max_pool2d": nn.MaxPool2d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "flatten": nn.Flatten,
    "linear": nn.Linear,
    "dropout": nn.Dropout,
}
KINDS = {module: kind for kind, module in MODULES.items()}
CALLS: dict[object, str] = {
    F.relu: "relu",
    torch.flatten: "flatten",
    operator.add: "add",
    operator.iadd: "add",
}
ZERO_PAD = "ZeroPadShortcut"


def on_meta(network: Network) -> nn.Module:
    """The network's emitted module without memory for its weights, in eval mode."""
    with torch.device("meta"), without_drawing():
        return build_module(network).eval()


@contextmanager
def without_drawing() -> Iterator[None]:
    """Weights are not drawn, which takes longer than the rest of constructing a module: for one
    that has none, on the meta device, or loads others. What the calls ask for is still checked."""
    with pytest.MonkeyPatch.context() as patch:
        for draw in (nn.init.normal_, nn.init.trunc_normal_, nn.init.uniform_):
            patch.setattr(nn.init, draw.__name__, _undrawn(draw))
        for name in ("kaiming_normal_", "kaiming_uniform_"):
            patch.setattr(nn.init, name, _undrawn_by_fan)
        yield


def _undrawn(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    parameters = inspect.signature(draw)

    def checked(tensor: Tensor, *numbers: object, **named: object) -> Tensor:
        parameters.bind(tensor, *numbers, **named)
        return tensor

    return checked


def _undrawn_by_fan(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: Any = "leaky_relu"
) -> Tensor:
    assert tensor.ndim >= 2
    assert mode in ("fan_in", "fan_out")
    nn.init.calculate_gain(nonlinearity, a)
    return tensor


@contextmanager
def norms_by_shape() -> Iterator[None]:
    """Batch norms and relus put out the map that they read, which has the shape of theirs: on the
    meta device torch takes a norm apart into a dozen operations, and is slow at a relu, too, which
    took most of the time of a run."""

    def batch_norm(x: Tensor, mean: Tensor, *_: object, **__: object) -> Tensor:
        assert mean.shape == x.shape[1:2]
        return x

    def relu(x: Tensor, inplace: bool = False) -> Tensor:
        assert isinstance(inplace, bool)
        return x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "batch_norm", batch_norm)
        patch.setattr(F, "relu", relu)
        yield


def assert_agrees(network: Network, module: nn.Module) -> None:
    """Fail unless a module on the meta device is the network, layer by layer."""
    assert sum(parameter.numel() for parameter in module.parameters()) == network.params
    with norms_by_shape():
        seen = observe(network, module, torch.device("meta"))
    assert seen.error is None
    modules = dict(module.named_modules())
    for node in network.nodes.values():
        if node.id in modules:
            _assert_module(node, modules[node.id])
            assert seen.shapes[node.id] == node.output_shape, node.id
        else:
            assert not node.params, f"{node.id} has parameters and is no module"
            assert not node.multiply_adds, f"{node.id} computes and is no module"
        assert seen.multiply_adds.get(node.id, 0) == node.multiply_adds, node.id
    held = {path for path, one in modules.items() if one._parameters or one._buffers}
    assert held <= set(network.nodes), "modules with parameters that the graph lacks"
    for path, shape in _block_shapes(network).items():
        assert seen.shapes.get(path, shape) == shape, path
    assert seen.shapes[""] == network.nodes[network.logits].output_shape
    assert seen.multiply_adds[""] == network.multiply_adds
    table = Expressions()
    assert table.of_module(module) == table.of_network(network), "another expression"
    if len(network.nodes) < 100:  # a larger one takes as long again to construct
        with without_drawing():
            assert check_classes(network, module) == []


def assert_formatted(folder: Path, *, lint: bool = True) -> None:
    """Fail unless ruff, as it comes, finds nothing to format or to complain of in a folder."""
    for command in (["format", "--check", "--diff"], ["check"])[: 1 + lint]:
        subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length=88", folder],
            check=True,
        )


class Expressions:
    """Gives each expression a number, equal ones the same; a sum of sums is one sum."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, tuple[int, ...]], int] = {}
        self._sums: dict[int, tuple[int, ...]] = {}

    def number(self, kind: str, place: str, operands: Sequence[int]) -> int:
        """The number of an op, in its place if it is a module, on numbered operands."""
        row = tuple(operands)
        if kind == "add":
            row = (*self._sums.get(row[0], row[:1]), *row[1:])
        number = self._numbers.setdefault((kind, place, row), len(self._numbers))
        if kind == "add":
            self._sums[number] = row
        return number

    def of_module(self, module: nn.Module) -> int:
        """What a module returns, as `torch.fx` sees it."""
        values: dict[fx.Node, int] = {}
        for node in _Tracer().trace(module).nodes:
            operands = [values[one] for one in node.all_input_nodes]
            if node.op == "output":
                return operands[0]
            if node.op == "placeholder":
                values[node] = self.number("input", "", ())
            elif node.op == "call_function":
                values[node] = self.number(CALLS[node.target], "", operands)
            else:
                assert isinstance(node.target, str)
                called = type(module.get_submodule(node.target))
                identity = called is nn.Identity
                kind = KINDS.get(called, called.__name__)
                place = "" if called in (nn.ReLU, nn.Flatten) else node.target
                values[node] = operands[0] if identity else self.number(kind, place, operands)
        raise AssertionError("a graph without output")

    def of_network(self, network: Network) -> int:
        """What a graph puts out before a final softmax."""
        values: dict[str, int] = {}
        for node in network.nodes.values():
            # An op without numbers computes the same as a module and as a call.
            is_module = bool(node.op.numbers)
            kind = ZERO_PAD if node.op.kind == "zero_pad_shortcut" else node.op.kind
            operands = [values[source] for source in node.inputs]
            values[node.id] = self.number(kind, node.id if is_module else "", operands)
        return values[network.logits]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m).__name__ == ZERO_PAD or super().is_leaf_module(m, module_qualified_name)


def _assert_module(node: Node, module: nn.Module) -> None:
    """Fail unless a module's type, numbers and parameters are the node's."""
    kind = node.op.kind
    if kind == "zero_pad_shortcut":
        assert type(module).__name__ == ZERO_PAD
    else:
        assert type(module) is MODULES[kind], node.id
        for name, number in node.op.numbers.items():
            found: Any = getattr(module, name)
            if name == "bias":
                found = found is not None
            elif isinstance(found, tuple):
                assert len(set(found)) == 1
                found = found[0]
            assert found == number, f"{node.id} has {name} {found}, not {number}"
    assert sum(parameter.numel() for parameter in module.parameters()) == node.params, node.id


def _block_shapes(network: Network) -> dict[str, Shape]:
    """The output shape of each stage and block, by the path it has unless it has none."""
    shapes: dict[str, Shape] = {}
    for node in network.nodes.values():
        here = network.standings[node.id]
        if here.stage is not None and not isinstance(node.op, Softmax):
            shapes[f"layer{here.stage}"] = node.output_shape
            if here.block is not None:
                shapes[f"layer{here.stage}.{here.block}"] = node.output_shape
    return shapes
