"""What can be checked of a module without running it on images: its tensors, shapes and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archc.backends.numbers import counted, exactly, shape
from archc.graph import Network, Node, Shape
from archc.ops import Op, Role
from archc.running import fault_of
from archc.verification.report import Fault, Row
from archc.verification.trail import Trail
from archc.weights.fit import OPTIONAL

BATCH = 2


@dataclass
class Observation:
    """What a run showed: by module path, shapes without the batch and multiply-adds for one image;
    ``""`` is the whole. ``error`` is what ended the run, if any."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    multiply_adds: dict[str, int] = field(default_factory=dict)
    error: Fault | None = None


def observe(module: nn.Module, input_shape: Shape, device: torch.device) -> Observation:
    """Run a module on images that are all zero, and note what its modules put out and compute."""
    seen = Observation()
    counter = _Counter()
    hooks = []
    for path, one in module.named_modules():
        hooks.append(one.register_forward_pre_hook(_entering(path, counter)))
        hooks.append(one.register_forward_hook(_leaving(path, counter, seen)))
    with counter, torch.no_grad(), Trail(module) as trail:
        try:
            module(torch.zeros(BATCH, *input_shape, device=device))
        except Exception as error:
            seen.error = Fault(trail.end, fault_of(error))
    for hook in hooks:
        hook.remove()
    seen.multiply_adds = {path: flops // 2 // BATCH for path, flops in counter.flops.items()}
    return seen


def _entering(path: str, counter: _Counter) -> Any:
    return lambda _module, _inputs: counter.inside.append(path)


def _leaving(path: str, counter: _Counter, seen: Observation) -> Any:
    def hook(_module: nn.Module, _inputs: object, output: object) -> None:
        counter.inside.pop()
        if isinstance(output, Tensor):
            seen.shapes[path] = tuple(output.shape[1:])

    return hook


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs by torch's own formulas, for each of the modules that are running.

    `FlopCounterMode` does the same, but for it torch imports its compilers, two seconds long.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: Counter[str] = Counter({"": 0})
        self.inside: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            flops = formula(*args, **(kwargs or {}), out_val=result)
            for path in {"", *self.inside}:
                self.flops[path] += flops
        return result


def check_parameters(network: Network, module: nn.Module) -> Row:
    """As many parameters in each layer as the graph says, and no more anywhere; those that two
    layers share are the first one's."""
    held: Counter[str] = Counter()
    for key, parameter in module.named_parameters():
        held[key.rpartition(".")[0]] += parameter.numel()
    expected = {node.id: node.params for node in network.nodes.values()}
    faults = list(_compare_counts(expected, held, "parameter"))
    for path, count in held.items():
        if path not in expected:
            faults.append(Fault(path, f"has {counted(count, 'parameter')} that the graph does not"))
    return Row.of("parameters", exactly(held.total()), faults)


def _compare_counts(
    expected: Mapping[str, int], found: Mapping[str, int], what: str
) -> Iterator[Fault]:
    """The layers of which something does not hold as many as the graph says."""
    for layer, count in expected.items():
        if found.get(layer, 0) != count:
            yield Fault(layer, f"has {counted(found.get(layer, 0), what)}, not {exactly(count)}")


def check_modes(module: nn.Module) -> Iterator[Fault]:
    """The modules that are not in training mode when they have been constructed."""
    for path, one in module.named_modules():
        if not one.training:
            yield Fault(path, "is constructed in eval mode")


def check_state(network: Network, module: nn.Module) -> Row:
    """The keys of the state dict, the shapes of its tensors and their types."""
    state = module.state_dict()
    found = {key: tuple(one.shape) for key, one in state.items() if isinstance(one, Tensor)}
    faults = list(_compare_state(network.state, found)) or list(_compare_types(state))
    faults += [
        Fault(key.rpartition(".")[0], f"`{key.rpartition('.')[2]}` is not a tensor")
        for key in state
        if key not in found
    ]
    return Row.of("state dict", counted(len(found), "tensor"), faults)


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


def _compare_types(state: Mapping[str, object]) -> Iterator[Fault]:
    """Tensors that are not of torch's default dtype; counters are of their own."""
    for key, tensor in state.items():
        layer, _, name = key.rpartition(".")
        if isinstance(tensor, Tensor) and name != OPTIONAL:
            found, expected = (
                str(one).removeprefix("torch.") for one in (tensor.dtype, torch.get_default_dtype())
            )
            if found != expected:
                yield Fault(layer, f"`{name}` is {found}, not {expected}")


def check_initial_values(network: Network, module: nn.Module) -> Row:
    """What a fresh module's tensors hold.

    Convolutions' weights are normal with variance 2 / fan-out, as in He et al. 2015, "Delving Deep
    into Rectifiers", their biases 0; linear layers' tensors are uniform within 1 / sqrt(fan-in), as
    torch draws them; norms do nothing. Of what is drawn, the deviation has to be about right.
    """
    faults: list[Fault] = []
    state = module.state_dict()
    for node in network.nodes.values():
        for name in node.op.state:
            if words := _starts_otherwise(node.op, name, state[f"{node.id}.{name}"]):
                faults.append(Fault(node.id, f"`{name}` starts {words}"))
    return Row.of("initial values", counted(len(state), "tensor"), faults)


def _starts_otherwise(op: Op, name: str, tensor: Tensor) -> str:
    role = op.roles[name]
    is_map = any(len(shape) > 2 for shape in op.state.values())
    if role is Role.KERNEL and is_map:
        return _drawn_otherwise(tensor, math.sqrt(2 / (len(tensor) * tensor[0, 0].numel())))
    if role is Role.KERNEL or (role is Role.BIAS and not is_map):
        bound = 1 / math.sqrt(op.state["weight"][1])
        if not (tensor.abs() <= bound).all():
            return f"with values beyond {bound:.2g}"
        return _drawn_otherwise(tensor, bound / math.sqrt(3))
    value = int(role.start or 0)
    return "" if (tensor == value).all() else f"with values other than {value}"


TELLING, ROUGHLY = 200, 1.25
"""Of how many values the deviation tells, and by what factor it may be off: that of 200 normal
values is, by chance, about once in 200,000 times."""


def _drawn_otherwise(tensor: Tensor, deviation: float) -> str:
    """Whether values look as if drawn around zero with another standard deviation."""
    values = tensor.detach().double().flatten()
    if len(values) > 1 and (values == values[0]).all():
        return f"with only {float(values[0]):.2g}"
    found = float(values.square().mean().sqrt())
    if len(values) >= TELLING and not deviation / ROUGHLY <= found <= deviation * ROUGHLY:
        return f"with a standard deviation of {found:.2g}, not {deviation:.2g}"
    return ""


def check_shapes(network: Network, seen: Observation) -> Row:
    """The output shape of each layer, as hooks saw it."""
    checked = [node for node in network.nodes.values() if node.id in seen.shapes]
    faults = list(_compare_shapes(network, seen))
    logits = network.nodes[network.logits]
    if not faults and seen.error is not None:
        faults = [seen.error]
    elif not faults and seen.shapes.get("") != logits.output_shape:
        returned = seen.shapes.get("")
        words = "no tensor" if returned is None else shape(returned)
        faults = [Fault("", f"returns {words}, not {shape(logits.output_shape)}")]
    return Row.of("output shapes", counted(len(checked), "layer"), faults)


def _compare_shapes(network: Network, seen: Observation) -> Iterator[Fault]:
    """The layers whose shape is wrong while those of what they read are right, and the modules
    that a whole run has not shown."""
    wrong: set[str] = set()
    for node in network.nodes.values():
        found = seen.shapes.get(node.id)
        if found == node.output_shape:
            continue
        follows = not wrong.isdisjoint(node.inputs)
        if follows or found is not None:
            wrong.add(node.id)
        if found is not None and not follows:
            yield Fault(node.id, f"has output {shape(found)}, not {shape(node.output_shape)}")
        elif found is None and seen.error is None and has_to_be_a_module(node):
            yield Fault(node.id, "the module is missing or is never called")


def has_to_be_a_module(node: Node) -> bool:
    """Whether a layer cannot be a function: it holds tensors, or drops what verification has to
    know."""
    return bool(node.op.state) or node.op.trains_only


def check_multiply_adds(network: Network, seen: Observation) -> Row:
    """The multiply-adds of each layer, as `torch.utils.flop_counter` counts them."""
    if seen.error is not None:
        return Row.skipped("multiply-adds")
    expected = {
        node.id: node.multiply_adds
        for node in network.nodes.values()
        if seen.shapes.get(node.id) in (None, node.output_shape)  # another shape is told already
    }
    faults = list(_compare_counts(expected, seen.multiply_adds, "multiply-add"))
    total = seen.multiply_adds[""]
    if not faults and total != network.multiply_adds:
        words = f"has {counted(total, 'multiply-add')}, not {exactly(network.multiply_adds)}"
        faults = [Fault("", words)]
    return Row.of("multiply-adds", exactly(total), faults)
