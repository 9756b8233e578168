"""The emitted module and the interpreter side by side, value by value.

Modules are matched by hook. An op between them is a call in some ``forward``: every tensor that a
call puts out is compared with the interpreter's values of the calls that are next.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archc.beside import others
from archc.graph import Network, Node
from archc.ops import Add, Arity
from archc.running import fault_of
from archc.text import a_type
from archc.verification.interpreter import seed_dropout
from archc.verification.report import Fault
from archc.verification.structure import has_to_be_a_module, named, outputs
from archc.verification.trail import Trail

Values = Mapping[str, Tensor]

AHEAD = 6
"""Among how many calls that have not been seen yet a value is looked for: expressions may be
evaluated in another order than the graph has."""

LEAST = 1e-30
"""What differences are divided by where all values are 0, as behind a last relu."""

CUT = "no gradient flows through it"
MISSING = "nothing in the module computes its value"


Outputs = Mapping[str, Tensor]
"""What a module returns, by the ids of what it should be: in training that of side heads, too."""


def follow(
    network: Network, module: nn.Module, images: Tensor, expected: Values
) -> tuple[Outputs | None, list[Fault]]:
    """Run a module and return its outputs and the layers that do not compute their values.

    ``expected`` are the interpreter's values. A layer is at fault where its own value differs and
    those that it reads do not; what follows from it is not told. Values must agree bit for bit
    and be finite.
    """
    watch = _Watch(network, module, expected)
    own = images.clone()  # a module that overwrote its images would change what is expected
    gradients = torch.is_grad_enabled()
    with Trail(module) as trail:
        try:
            with watch:
                output = module(own, *others(network, own))
        except Exception as error:
            fault = Fault(trail.end, fault_of(error))
            return None, [*watch.culprits(), fault][:1]
    returned = _returned(network, output, in_training=module.training)
    differences = {id: differs(one, expected[id]) for id, one in returned.items()}
    for id, difference in differences.items():
        if not difference:
            watch.handed_on(id)
    faults = watch.culprits(at_the_end=True) or watch.needless[:1]
    if not faults:
        faults = [
            Fault("", f"does not return the value of {id}: {difference}")
            for id, difference in differences.items()
            if difference
        ][:1]
    if not faults and not torch.equal(own, images):
        faults = [Fault("", "overwrites the images it is given")]
    if torch.is_grad_enabled() is not gradients:
        torch.set_grad_enabled(gradients)
        faults.append(Fault("", "turns gradients on or off permanently"))
    return {id: one for id, one in returned.items() if isinstance(one, Tensor)}, faults


def _returned(network: Network, output: object, *, in_training: bool) -> dict[str, object]:
    """What a module returned, by the id of the value that each tensor should be. Where a named
    tuple was expected and something else came, that is taken for the logits."""
    expected = outputs(network)
    if len(network.outputs) > 1 and isinstance(output, tuple):
        return dict(zip(network.outputs, output, strict=False))
    if not in_training or not network.sides or not isinstance(output, tuple):
        return {network.logits: output}
    fields = dict(zip(getattr(output, "_fields", ()), output, strict=False))
    return {id: fields.get(name) for name, id in expected.items()}


def check_predict(
    network: Network, module: nn.Module, images: Tensor, expected: Values
) -> Iterator[Fault]:
    """What ``predict`` returns and leaves, in a network whose output lies behind its logits."""
    if network.output == network.logits:
        return
    own = images.clone()
    mode, gradients = module.training, torch.is_grad_enabled()
    try:
        found = module.predict(own, *others(network, own))  # type: ignore[operator]
    except Exception as error:
        yield Fault(network.output, f"`predict` fails: {fault_of(error)}")
        return
    if difference := differs(found, expected[network.output].detach()):
        yield Fault(network.output, f"`predict` returns a different value: {difference}")
    if not torch.equal(own, images):
        yield Fault(network.output, "`predict` overwrites the images it is given")
    if module.training is not mode:
        yield Fault(network.output, "`predict` changes the module's mode")
    if torch.is_grad_enabled() is not gradients:
        torch.set_grad_enabled(gradients)
        yield Fault(network.output, "`predict` turns gradients on or off permanently")


def differs(found: object, expected: Tensor) -> str:
    """How a value differs from the one it should be, or nothing where it is the same bits."""
    if not isinstance(found, Tensor):
        return f"it is {a_type(found)}"
    if found.shape != expected.shape:
        shapes = ["x".join(map(str, one.shape)) for one in (found, expected)]
        return f"it is {shapes[0]}, not {shapes[1]}"
    if found.dtype != expected.dtype:
        return f"it is {found.dtype}, not {expected.dtype}".replace("torch.", "")
    if not is_finite(expected):
        return "it is not finite"
    if torch.equal(found, expected):
        return CUT if expected.requires_grad and not found.requires_grad else ""
    if not found.isfinite().all():
        return "it is not finite"
    return f"off by {distance(found, expected):.1e} of its largest value"


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are; their sum, which is quick to take, shows it nearly always."""
    tensor = tensor.detach()
    return math.isfinite(float(tensor.sum())) or bool(tensor.isfinite().all())


def changed(network: Network, module: nn.Module, state: Values) -> Collection[Fault]:
    """The layers whose parameters and buffers are not those of a state, bit for bit; buffers that
    a state dict leaves out are a module's own affair."""
    faults: dict[str, Fault] = {}
    kept = module.state_dict()
    for key, found in [*module.named_parameters(), *module.named_buffers()]:
        layer, name = named(network, key)
        expected = state.get(key)
        difference = "the graph has no such value" if key in kept else ""
        if expected is not None:
            difference = differs(found.detach(), expected.detach())
        if difference:
            faults.setdefault(layer, Fault(layer, f"`{name}`: {difference}"))
    return faults.values()


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value; infinite between other shapes."""
    if found.shape != expected.shape:
        return math.inf
    largest = expected.detach().abs().max().double().clamp(min=LEAST)
    return float((found.detach().double() - expected.detach().double()).abs().max() / largest)


def norm_distance(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm."""
    norm = expected.double().norm().clamp(min=LEAST)
    return float((found - expected).double().norm() / norm)


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors hold the same values; what torch cannot compare does not."""
    if found.shape != expected.shape or found.device != expected.device:
        return False
    try:
        return torch.equal(found.detach(), expected.detach())
    except RuntimeError:  # a sparse one, or one that a transform runs on
        return False


def _as_they_run(network: Network) -> Iterator[Node]:
    """The nodes of a forward in its order: a side head as soon as what it reads is there."""
    sides: dict[str, list[Node]] = {}
    for side in network.sides:
        own = [network.nodes[id] for id, name in network.side_of.items() if name == side.name]
        sides.setdefault(network.side_source(side), []).extend(own)
    for node in network.inference.nodes.values():
        is_run = node.id != network.output or node.id == network.logits
        if is_run and node.op.arity is not Arity.NONE and node.op.kind != "outputs":
            yield node
        yield from sides.get(node.id, ())


class _Watch(TorchFunctionMode):
    """Compares what a module computes while it runs."""

    def __init__(self, network: Network, module: nn.Module, expected: Values):
        super().__init__()
        self.network, self.expected = network, expected
        self.wrong: dict[str, str] = {}
        self._cut: dict[str, Tensor] = {}
        self._seen: WeakValueDictionary[int, Tensor] = WeakValueDictionary()
        self.called: Counter[str] = Counter()
        self._inside = 0
        self._handles: list[Any] = []
        self._relevant = [node for node in _as_they_run(network) if node.id in expected]
        ids = {node.id for node in self._relevant}
        self._turns = {id: [id] for id in ids}
        """The calls of each module, in order."""
        for node in self._relevant:
            if node.op.shares in ids and not node.op.is_tensor:
                self._turns[node.op.shares].append(node.id)
        self._modules = {path: one for path, one in module.named_modules() if path in ids}
        idle = {side.name for side in network.sides if side.result not in expected}
        self._idle = {path: one for path, one in module.named_modules() if path in idle}
        self.needless: list[Fault] = []
        self._pending = {
            node.id: expected[node.id]
            for node in self._relevant
            if node.id not in self._modules or not has_to_be_a_module(node)
        }

    def __enter__(self) -> _Watch:
        for path, one in self._modules.items():
            before = one.register_forward_pre_hook(self._before(path), with_kwargs=True)
            self._handles.append(before)
            self._handles.append(one.register_forward_hook(self._after(path)))
        for path, one in self._idle.items():
            self._handles.append(one.register_forward_pre_hook(self._needless(path)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *arguments: Any) -> None:
        super().__exit__(*arguments)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self._inside:
            self._look_at([*args, *(kwargs or {}).values()])
        cut = any(isinstance(one, Tensor) and not one.requires_grad for one in args)
        result = func(*args, **(kwargs or {}))
        if not self._inside:
            if func is Tensor.__setitem__:
                self._match(args[0], cut=False)
            elif isinstance(result, Tensor):
                self._match(result, cut)
        return result

    def _look_at(self, args: Iterable[object]) -> None:
        """Values that reach a call without having been seen: what a script puts out, or an autograd
        function, of which only what it does inside is seen, where there are no gradients."""
        for one in args:
            if isinstance(one, (list, tuple)):
                self._look_at(one)
            elif isinstance(one, Tensor):
                for node_id, value in list(self._cut.items()):
                    if one.requires_grad and same(one, value):
                        self.handed_on(node_id)
                if self._seen.get(id(one)) is not one:
                    self._match(one, cut=False)

    def handed_on(self, node_id: str) -> None:
        """Take a value as computed, with its gradient, that has been found where it is read."""
        self._pending.pop(node_id, None)
        self._cut.pop(node_id, None)

    def culprits(self, at_the_end: bool = False) -> list[Fault]:
        """The layers that are wrong while all that they read is right."""
        wrong = dict.fromkeys(self._cut, CUT) | self.wrong
        if at_the_end:
            wrong = dict.fromkeys(self._pending, MISSING) | wrong
            for node in filter(has_to_be_a_module, self._relevant):
                times = self.called[node.id]
                if node.id in self._modules and times != len(self._turns[node.id]):
                    wrong[node.id] = f"is called {times} times" if times else "is not called"
        for node in reversed(self._relevant):  # a module that is wrong may lack what it should read
            for source in node.inputs if node.id in wrong else ():
                if source in self._pending:
                    wrong.setdefault(source, MISSING)
        if wrong:
            ids = [node.id for node in self._relevant if not is_finite(self.expected[node.id])]
            wrong |= dict.fromkeys(ids, "its value is not finite")
        return [
            Fault(node.id, wrong[node.id])
            for node in self._relevant
            if node.id in wrong and not any(source in wrong for source in node.inputs)
        ]

    def _match(self, result: Tensor, cut: bool) -> None:
        self._seen[id(result)] = result
        alike = (
            (node_id, value)
            for node_id, value in self._pending.items()
            if value.shape == result.shape
        )
        for node_id, value in islice(alike, AHEAD):
            if same(result, value):
                del self._pending[node_id]
                if value.requires_grad and not result.requires_grad:
                    self._cut[node_id] = value
                elif cut and self._merges_gradients(node_id):
                    does = "adds" if isinstance(self.network.nodes[node_id].op, Add) else "merges"
                    self.wrong[node_id] = f"{does} a value, but {CUT}"
                return

    def _merges_gradients(self, node_id: str) -> bool:
        """Whether a node merges values to each of which a gradient flows: none does to what the
        network takes beside images."""
        node = self.network.nodes[node_id]
        values = [self.expected[source] for source in node.inputs]
        return node.op.arity is Arity.SEVERAL and all(value.requires_grad for value in values)

    def _serves_another(self, path: str) -> bool:
        """Whether a module has computed its own layer already and may now compute those of others,
        as a single ReLU of a block does."""
        return self.called[path] > 0 and not has_to_be_a_module(self.network.nodes[path])

    def _before(self, path: str) -> Any:
        def hook(_module: nn.Module, args: Sequence[object], named: Mapping[str, object]) -> None:
            self._inside += 1
            node = self.network.nodes[self._turn(path)]
            if len(node.inputs) == 1 and not self._serves_another(path):
                (source,) = node.inputs
                found = next(iter([*args, *named.values()]), None)
                if difference := differs(found, self.expected[source]):
                    self.wrong[node.id] = f"does not read the value of {source}: {difference}"
                else:
                    self.handed_on(source)
            if node.op.trains_only:
                seed_dropout(path)

        return hook

    def _note(self, value: Tensor) -> None:
        self._seen[id(value)] = value

    def _turn(self, path: str) -> str:
        """The id of the call of a module that is its next."""
        turns = self._turns[path]
        return turns[min(self.called[path], len(turns) - 1)]

    def _needless(self, path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object) -> None:
            self.needless.append(Fault(path, "the side head is computed outside training, too"))

        return hook

    def _after(self, path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if not self._serves_another(path):
                id = self._turn(path)
                difference = differs(output, self.expected[id])
                if difference and id not in self.wrong:
                    self.wrong[id] = f"has a different output: {difference}"
                self.called[path] += 1
                if not difference:
                    self.handed_on(id)
                if isinstance(output, Tensor):
                    self._note(output)
            elif isinstance(output, Tensor):
                self._match(output, cut=False)
            self._inside -= 1

        return hook


def compare_gradients(
    network: Network, module: nn.Module, state: Values, tolerance: float
) -> tuple[str, list[Fault]]:
    """How the gradients of a module's parameters agree with the interpreter's, in words, and the
    layers where they do not: further than ``tolerance``, the norm of the difference over the norm.
    """
    worst, equal, unused = 0.0, 0, 0
    wrong: dict[str, str] = {}
    parameters = dict(module.named_parameters())
    for key, parameter in parameters.items():
        layer, name = named(network, key)
        ours, theirs = parameter.grad, state[key].grad
        if ours is None and theirs is None:
            unused += 1
        elif ours is None or theirs is None:
            wrong.setdefault(layer, f"`{name}` has no gradient")
        elif not theirs.isfinite().all():
            wrong.setdefault(layer, "its gradients are not finite")
        elif torch.equal(ours, theirs):
            equal += 1
        else:
            norm = norm_distance(ours, theirs)
            worst = max(worst, norm)
            if not norm <= tolerance:
                wrong.setdefault(layer, f"its gradients are off by {norm:.1e} of their norm")
    used = len(parameters) - unused
    words = f"{equal} of {used} bit-equal" if used else "no parameter has any"
    if equal < used and not wrong:
        words += f", the rest within {worst:.0e}"
    return words, list(_nearest_to_the_output(network, wrong))


def gradients_differ(found: Tensor | None, expected: Tensor | None, tolerance: float) -> str:
    """How a gradient differs from the one it should be, if that is a finite one; or nothing."""
    if expected is None or not expected.isfinite().all():
        return ""
    if found is None:
        return "is missing"
    off = 0.0 if torch.equal(found, expected) else norm_distance(found, expected)
    return "" if off <= tolerance else f"is off by {off:.1e} of its norm"


def first_without_gradient(network: Network, module: nn.Module) -> str:
    """The layer where the way back through a module ended: the last one without a gradient."""
    layers = {named(network, key)[0] for key, one in module.named_parameters() if one.grad is None}
    return next((node_id for node_id in reversed(list(network.nodes)) if node_id in layers), "")


def _nearest_to_the_output(network: Network, wrong: Mapping[str, str]) -> Iterator[Fault]:
    """Gradients flow backwards: the last layer that is wrong, and how many more there are."""
    order = [node_id for node_id in network.nodes if node_id in wrong]
    if order:
        more = f" (and of {len(order) - 1} layers before it)" if len(order) > 1 else ""
        yield Fault(order[-1], wrong[order[-1]] + more)
