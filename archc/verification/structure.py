"""What can be checked of a module without running it on images: its tensors, shapes and counts."""

from __future__ import annotations

import inspect
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archc.backends.numbers import counted, exactly, shape
from archc.backends.pytorch import CLASSES
from archc.beside import others
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Shape, classifiers, key_of, split_key
from archc.graph.initial import Rule
from archc.ops import Role
from archc.running import fault_of
from archc.text import listing
from archc.verification.report import COUNTED, Fault, Row
from archc.verification.trail import Trail
from archc.weights.names import OPTIONAL

BATCH = 2


@dataclass
class Observation:
    """What a run showed: by module path, the first call's shape without the batch and the
    multiply-adds of all calls for one image; ``""`` is the whole, of whose outputs, where it
    returns several, ``outputs`` are the shapes by field; ``full`` are shapes with the batch.
    ``error`` is what ended the run, if any."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    full: dict[str, Shape] = field(default_factory=dict)
    multiply_adds: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    error: Fault | None = None


def observe(network: Network, module: nn.Module, device: torch.device) -> Observation:
    """Run a module of a network in the mode that it is in on images that are all zero, and note
    what its modules put out and compute."""
    seen = Observation()
    counter = _Counter()
    hooks = []
    for path, one in module.named_modules():
        hooks.append(one.register_forward_pre_hook(_entering(path, counter)))
        hooks.append(one.register_forward_hook(_leaving(path, counter, seen)))
    with counter, torch.no_grad(), Trail(module) as trail:
        try:
            images = torch.zeros(BATCH, *network.input_shape, device=device)
            module(images, *others(network, images))
        except Exception as error:
            seen.error = Fault(trail.end, fault_of(error))
    for hook in hooks:
        hook.remove()
    seen.multiply_adds = {path: flops // 2 // BATCH for path, flops in counter.flops.items()}
    if network.is_foreign:
        _note_foreign(network, seen, counter)
    return seen


def _note_foreign(network: Network, seen: Observation, counter: _Counter) -> None:
    """Note shapes as the graph has them where the images lie along another side, and what is
    computed once for all images."""
    for id, full in seen.full.items():
        node = network.nodes.get(id)
        if node is not None and _is_of_shape(full, node.output_shape):
            seen.shapes[id] = node.output_shape
    once = {id: counter.flops[id] // 2 for id in _constants(network) if id in counter.flops}
    seen.multiply_adds.update(once)
    total = counter.flops[""] // 2 - sum(once.values())
    seen.multiply_adds[""] = total // BATCH + sum(once.values())


def _is_of_shape(full: Shape, shape: Shape) -> bool:
    """Whether a value has a shape once, or for each image along one of its sides."""
    if full == shape:
        return True
    return len(full) == len(shape) and any(
        full == (*shape[:axis], BATCH * side, *shape[axis + 1 :]) for axis, side in enumerate(shape)
    )


def _constants(network: Network) -> set[str]:
    """The ids of what is computed of the model's tensors alone."""
    found: set[str] = set()
    for node in network.nodes.values():
        if node.op.is_tensor or (node.inputs and found.issuperset(node.inputs)):
            found.add(node.id)
    return found


def _entering(path: str, counter: _Counter) -> Any:
    return lambda _module, _inputs: counter.inside.append(path)


def _leaving(path: str, counter: _Counter, seen: Observation) -> Any:
    def hook(_module: nn.Module, _inputs: object, output: object) -> None:
        counter.inside.pop()
        if isinstance(output, Tensor):
            seen.shapes.setdefault(path, tuple(output.shape[1:]))  # another call may have its own
            seen.full.setdefault(path, tuple(output.shape))
        elif path == "" and isinstance(output, tuple):
            fields = zip(getattr(output, "_fields", ()), output, strict=False)
            seen.outputs = {
                name: tuple(one.shape[1:]) for name, one in fields if isinstance(one, Tensor)
            }

    return hook


_ATTENTION_ON_CPUS = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Which `flop_registry` does not have."""


def _attention_flops(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Those of the products of queries with keys, and of their weights with values."""
    return 2 * query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


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
        if formula is None and func.overloadpacket is _ATTENTION_ON_CPUS:
            formula = _attention_flops
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
        held[named(network, key)[0]] += parameter.numel()
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
    faults = list(_compare_state(network, network.state, found))
    faults = faults or list(_compare_types(network, state))
    faults += [
        Fault(layer, f"`{name}` is not a tensor")
        for layer, name in (named(network, key) for key in state if key not in found)
    ]
    return Row.of("state dict", counted(len(found), "tensor"), faults)


def check_classes(network: Network, module: nn.Module) -> list[Fault]:
    """What is wrong with the tensors of a module of another number of classes: those of the layers
    that put them out have to be larger, and no others.

    Nothing is where the class that a file exports takes no such number, or a function makes it.
    """
    heads = classifiers(network)
    kind = type(module)
    exported = getattr(sys.modules.get(kind.__module__), "__all__", ())
    is_asked = heads and list(exported) == [kind.__name__]
    if not is_asked or CLASSES not in inspect.signature(kind).parameters:
        return []
    count = network.nodes[heads[0]].output_shape[0]
    asked = f"with `{CLASSES}={count + 1}`"
    try:
        try:
            with torch.device("meta"):
                made = kind(**{CLASSES: count + 1})
        except Exception:  # perhaps of the device
            with torch.device("cpu"):
                made = kind(**{CLASSES: count + 1})
        found = made.state_dict()
    except Exception as error:
        return [Fault("", f"cannot be constructed {asked}: {fault_of(error)}")]
    expected = {
        key: (count + 1, *size[1:]) if split_key(key, network.nodes)[0] in heads else size
        for key, size in network.state.items()
    }
    shapes = {key: tuple(one.shape) for key, one in found.items()}
    return [
        Fault(one.layer, f"{asked} {one.message}")
        for one in _compare_state(network, expected, shapes)
    ]


def named(network: Network, key: str) -> tuple[str, str]:
    """The layer that a tensor of a module is of, and what messages call the tensor."""
    layer, name = split_key(key, network.nodes)
    return layer, name or key.rpartition(".")[2]


def _compare_state(
    network: Network, expected: Mapping[str, Shape], found: Mapping[str, Shape]
) -> Iterator[Fault]:
    for key in dict.fromkeys([*expected, *found]):
        layer, name = named(network, key)
        if key not in found:
            yield Fault(layer, f"has no tensor `{name}`")
        elif key not in expected:
            yield Fault(layer, f"has a tensor `{name}` that the graph does not")
        elif found[key] != expected[key]:
            words = f"{shape(found[key]) or 'single'}, not {shape(expected[key]) or 'single'}"
            yield Fault(layer, f"`{name}` is {words}")


def _compare_types(network: Network, state: Mapping[str, object]) -> Iterator[Fault]:
    """Tensors that are not of torch's default dtype; counters are of their own."""
    for key, tensor in state.items():
        layer, name = named(network, key)
        if isinstance(tensor, Tensor) and name != OPTIONAL:
            usual = network.buffer_types.get(key, torch.get_default_dtype())
            found, expected = (str(one).removeprefix("torch.") for one in (tensor.dtype, usual))
            if found != expected:
                yield Fault(layer, f"`{name}` is {found}, not {expected}")


def check_initial_values(network: Network, module: nn.Module) -> Row:
    """What a fresh module's tensors hold.

    Weights are drawn by the network's rules, or as torch draws them: uniform within
    1 / sqrt(fan-in). Of what is drawn, the deviation has to be about right.
    """
    faults: list[Fault] = []
    state = module.state_dict()
    for node in network.nodes.values():
        for name in node.op.state:
            key = key_of(node.id, name)
            if words := _starts_otherwise(network, node, name, state[key]):
                faults.append(Fault(node.id, f"`{named(network, key)[1]}` starts {words}"))
    return Row.of("initial values", counted(len(state), "tensor"), faults)


def _starts_otherwise(network: Network, node: Node, name: str, tensor: Tensor) -> str:
    role, op = node.op.roles[name], node.op
    if drawn := getattr(op, "deviation", None):
        return _drawn_otherwise(tensor, drawn)
    if role not in (Role.KERNEL, Role.BIAS):
        value = op.start(name) or 0
        return _not_all(tensor, value)
    weight = op.state["weight"]
    rule = network.initial.rule(node.id, is_convolution=len(weight) > 2)
    rule = Rule() if op.draws_as_torch else rule
    if role is Role.BIAS and rule.bias is not None:
        return _not_all(tensor, rule.bias)
    deviation = None if role is Role.BIAS else rule.deviation(weight)
    if deviation is None:
        bound = 1 / math.sqrt(math.prod(weight[1:]))
        if not (tensor.abs() <= bound).all():
            return f"with values beyond {bound:.2g}"
        deviation = bound / math.sqrt(3)
    return _drawn_otherwise(tensor, deviation)


def _not_all(tensor: Tensor, value: float) -> str:
    """Whether a tensor holds anything but one value, in its own precision."""
    expected = torch.full_like(tensor, value)
    return "" if torch.equal(tensor, expected) else f"with values other than {value:g}"


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
    if not faults and seen.error is not None:
        faults = [seen.error]
    elif not faults and (words := _returns_otherwise(network, seen)):
        faults = [Fault("", words)]
    return Row.of("output shapes", counted(len(checked), "layer"), faults)


def _returns_otherwise(network: Network, seen: Observation) -> str:
    """What a run in training returned that it should not, or nothing."""
    logits = network.nodes[network.logits].output_shape
    returned = seen.shapes.get("")
    if len(network.outputs) > 1:
        return "" if returned is None else f"returns {shape(returned)}, not several values"
    if not network.sides:
        words = "no tensor" if returned is None else shape(returned)
        return "" if returned == logits else f"returns {words}, not {shape(logits)}"
    expected = {name: network.nodes[id].output_shape for name, id in outputs(network).items()}
    if list(seen.outputs) != list(expected):
        return f"returns no named tuple of {listing(list(expected), 'and')} in training"
    wrong = [name for name in expected if seen.outputs[name] != expected[name]]
    return "; ".join(
        [f"returns {shape(seen.outputs[n])} as `{n}`, not {shape(expected[n])}" for n in wrong]
    )


def outputs(network: Network) -> dict[str, str]:
    """The ids of what a network returns in training, by the fields of its named tuple."""
    return {"logits": network.logits, **{side.name: side.result for side in network.sides}}


def returned(network: Network) -> tuple[str, ...]:
    """The ids of what a network returns in eval mode, in order."""
    return tuple(network.outputs) if len(network.outputs) > 1 else (network.logits,)


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
    """Whether a layer cannot be a function: it holds tensors by name, or drops what verification
    has to know."""
    return any(node.op.state) or node.op.trains_only


def check_multiply_adds(network: Network, seen: Observation) -> Row:
    """The multiply-adds of each layer, as `torch.utils.flop_counter` counts them; of the total,
    those of side heads are left out, which a run in training computes, too."""
    if seen.error is not None:
        return Row.skipped(COUNTED)
    if unknown := {node.op.called for node in network.nodes.values() if not node.op.has_rule}:
        return Row(COUNTED, None, f"no rule for {listing(sorted(unknown), 'and')}")
    expected: Counter[str] = Counter()
    for node in network.nodes.values():
        called = node.op.shares or node.id
        shape_of_first = network.nodes[called].output_shape
        if node.op.kind != "call" and seen.shapes.get(called) in (None, shape_of_first):
            expected[called] += node.multiply_adds  # of another shape, that is a fault of its own
    faults = list(_compare_counts(expected, seen.multiply_adds, "multiply-add"))
    total = seen.multiply_adds[""] - sum(expected.get(id, 0) for id in network.side_of)
    if not faults and total != network.multiply_adds:
        words = f"has {counted(total, 'multiply-add')}, not {exactly(network.multiply_adds)}"
        faults = [Fault("", words)]
    return Row.of(COUNTED, exactly(total), faults)
