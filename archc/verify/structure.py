"""What can be checked of a module without computing anything: on the meta device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archc.backends.numbers import exactly, shape
from archc.graph import Network, Shape
from archc.verify.report import Fault, Row
from archc.verify.trail import Trail, in_words

BATCH = 2


@dataclass
class Observation:
    """What a run on the meta device showed: by module path, shapes without the batch and
    multiply-adds for one image; ``""`` is the whole. ``error`` is what ended the run, if any."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    multiply_adds: dict[str, int] = field(default_factory=dict)
    error: Fault | None = None


def observe(module: nn.Module, input_shape: Shape) -> Observation:
    """Run a module that lies on the meta device, and note what its modules put out."""
    seen = Observation()

    def hook_for(path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                seen.shapes[path] = tuple(output.shape[1:])

        return hook

    hooks = [one.register_forward_hook(hook_for(path)) for path, one in module.named_modules()]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), Trail(module) as trail:
        try:
            module(torch.empty(BATCH, *input_shape, device="meta"))
        except Exception as error:
            seen.error = Fault(trail.end, in_words(error))
    for hook in hooks:
        hook.remove()
    root = type(module).__name__
    for path, by_op in counter.get_flop_counts().items():
        # The counter's own paths begin with the name of the class.
        if path == root or path.startswith(f"{root}."):
            key = path.removeprefix(root).removeprefix(".")
            seen.multiply_adds[key] = sum(by_op.values()) // 2 // BATCH
    seen.multiply_adds[""] = counter.get_total_flops() // 2 // BATCH
    return seen


def check_parameters(network: Network, module: nn.Module) -> Row:
    """As many parameters in each layer as the graph says, and no more anywhere."""
    found = sum(parameter.numel() for parameter in module.parameters())
    held = {path: _own_parameters(one) for path, one in module.named_modules()}
    return Row.of("parameters", exactly(found), _compare_counts(network, held, "parameters"))


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _compare_counts(network: Network, held: Mapping[str, int], what: str) -> Iterator[Fault]:
    """The layers of which something does not hold as many as the graph says."""
    for node in network.nodes.values():
        expected = node.params if what == "parameters" else node.multiply_adds
        if held.get(node.id, 0) != expected:
            words = f"has {exactly(held.get(node.id, 0))} {what}, not {exactly(expected)}"
            yield Fault(node.id, words)
    if what == "parameters":
        for path, count in held.items():
            if count and path not in network.nodes:
                yield Fault(path, f"has {exactly(count)} {what} and is not in the graph")


def check_state(network: Network, module: nn.Module) -> Row:
    """The keys and shapes of the state dict."""
    found = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    return Row.of("state dict", f"{len(found)} tensors", _compare_state(network.state, found))


def _compare_state(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> Iterator[Fault]:
    for key in dict.fromkeys([*expected, *found]):
        layer, _, name = key.rpartition(".")
        if key not in found:
            yield Fault(layer, f"has no tensor `{name}`")
        elif key not in expected:
            yield Fault(layer, f"has a tensor `{name}` that the graph does not")
        elif found[key] != expected[key]:
            words = f"{shape(found[key]) or 'single'}, not {shape(expected[key]) or 'single'}"
            yield Fault(layer, f"`{name}` is {words}")


def check_shapes(network: Network, seen: Observation) -> Row:
    """The output shape of each layer, as hooks saw it."""
    checked = [node for node in network.nodes.values() if node.id in seen.shapes]
    faults = [
        Fault(node.id, f"puts out {shape(seen.shapes[node.id])}, not {shape(node.output_shape)}")
        for node in checked
        if seen.shapes[node.id] != node.output_shape
    ]
    logits = network.nodes[network.logits]
    if not faults and seen.error is not None:
        faults = [seen.error]
    elif not faults and seen.shapes.get("") != logits.output_shape:
        returned = seen.shapes.get("")
        words = "no tensor" if returned is None else shape(returned)
        faults = [Fault("", f"returns {words}, not {shape(logits.output_shape)}")]
    return Row.of("output shapes", f"{len(checked)} layers", faults)


def check_multiply_adds(network: Network, seen: Observation) -> Row:
    """The multiply-adds of each layer, as `torch.utils.flop_counter` counts them."""
    faults = list(_compare_counts(network, seen.multiply_adds, "multiply-adds"))
    total = seen.multiply_adds[""]
    if not faults and total != network.multiply_adds:
        words = f"has {exactly(total)} multiply-adds, not {exactly(network.multiply_adds)}"
        faults = [Fault("", words)]
    return Row.of("multiply-adds", exactly(total), faults)
