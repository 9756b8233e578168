"""The emitted module and the interpreter side by side, value by value.

Modules are matched by hook. An op between them is a call in some ``forward``: every tensor that a
call puts out is compared with the interpreter's values of the calls that are next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archc.graph import Network
from archc.graph.ops import Input
from archc.verify.interpreter import seed_dropout
from archc.verify.report import Fault
from archc.verify.trail import Trail, in_words

Values = Mapping[str, Tensor]

AHEAD = 6
"""Among how many calls that have not been seen yet a value is looked for: expressions may be
evaluated in another order than the graph has."""


def follow(
    network: Network, module: nn.Module, images: Tensor, expected: Values
) -> tuple[Tensor | None, list[Fault]]:
    """Run a module and return its output and the layers that do not compute their values.

    ``expected`` are the interpreter's values. A layer is at fault where its own value differs and
    those that it reads do not; what follows from it is not told. Values must agree bit for bit
    and be finite.
    """
    watch = _Watch(network, module, expected)
    with Trail(module) as trail:
        try:
            with watch:
                output = module(images)
        except Exception as error:
            return None, [*watch.culprits(), Fault(trail.end, in_words(error))][:1]
    faults = watch.culprits(at_the_end=True)
    if not faults:
        difference = differs(output, expected[network.logits])
        faults = [Fault("", f"returns another value than {network.logits}: {difference}")]
        faults = faults if difference else []
    return output, faults


def differs(found: object, expected: Tensor) -> str:
    """How a value differs from the one it should be, or nothing where it is the same bits."""
    if not isinstance(found, Tensor):
        return f"it is a {type(found).__name__}"
    if found.shape != expected.shape:
        shapes = ["x".join(map(str, one.shape)) for one in (found, expected)]
        return f"it is {shapes[0]}, not {shapes[1]}"
    if not expected.isfinite().all():
        return "it is not finite"
    if torch.equal(found, expected):
        return ""
    return f"off by {distance(found, expected):.1e} of its largest value"


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value."""
    largest = expected.detach().abs().max().double()
    return float((found.detach().double() - expected.detach().double()).abs().max() / largest)


class _Watch(TorchFunctionMode):
    """Compares what a module computes while it runs."""

    def __init__(self, network: Network, module: nn.Module, expected: Values):
        super().__init__()
        self.network, self.expected = network, expected
        self.wrong: dict[str, str] = {}
        self.called: Counter[str] = Counter()
        self._inside = 0
        self._handles: list[Any] = []
        self._modules = {path: one for path, one in module.named_modules() if path in network.nodes}
        last = list(network.nodes).index(network.logits)
        self._relevant = [
            node
            for node in list(network.nodes.values())[: last + 1]
            if not isinstance(node.op, Input)
        ]
        self._pending = {
            node.id: expected[node.id] for node in self._relevant if node.id not in self._modules
        }

    def __enter__(self) -> _Watch:
        for path, one in self._modules.items():
            self._handles.append(one.register_forward_pre_hook(self._before(path)))
            self._handles.append(one.register_forward_hook(self._after(path)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *arguments: Any) -> None:
        super().__exit__(*arguments)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self._inside and isinstance(result, Tensor):
            self._match(result)
        return result

    def culprits(self, at_the_end: bool = False) -> list[Fault]:
        """The layers that are wrong while all that they read is right."""
        wrong = dict(self.wrong)
        if at_the_end:
            wrong |= dict.fromkeys(self._pending, "no op puts out its value")
            for node in self._relevant:
                if node.id in self._modules and self.called[node.id] != 1:
                    wrong[node.id] = f"is called {self.called[node.id]} times"
        return [
            Fault(node.id, self._finite(node.id) or wrong[node.id])
            for node in self._relevant
            if node.id in wrong and not any(source in wrong for source in node.inputs)
        ]

    def _finite(self, node_id: str) -> str:
        return "" if self.expected[node_id].isfinite().all() else "its value is not finite"

    def _match(self, result: Tensor) -> None:
        alike = (
            (node_id, value)
            for node_id, value in self._pending.items()
            if value.shape == result.shape
        )
        for node_id, value in islice(alike, AHEAD):
            if torch.equal(result.detach(), value.detach()):
                del self._pending[node_id]
                return

    def _before(self, path: str) -> Any:
        (source,) = self.network.nodes[path].inputs

        def hook(one: nn.Module, inputs: Sequence[object]) -> None:
            self._inside += 1
            if difference := differs(inputs[0], self.expected[source]):
                self.wrong[path] = f"reads another value than {source}: {difference}"
            if isinstance(one, nn.Dropout):
                seed_dropout(path)

        return hook

    def _after(self, path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            difference = differs(output, self.expected[path])
            if difference and path not in self.wrong:
                self.wrong[path] = f"puts out another value: {difference}"
            self.called[path] += 1
            self._inside -= 1

        return hook


def compare_gradients(
    network: Network, module: nn.Module, state: Values, tolerance: float
) -> tuple[str, list[Fault]]:
    """How the gradients of a module's parameters agree with the interpreter's, in words, and the
    layers where they do not: further than ``tolerance``, the norm of the difference over the norm.
    """
    worst, equal = 0.0, 0
    wrong: dict[str, str] = {}
    parameters = dict(module.named_parameters())
    for key, parameter in parameters.items():
        layer = key.rpartition(".")[0]
        ours, theirs = parameter.grad, state[key].grad
        if ours is None or theirs is None:
            wrong.setdefault(layer, f"`{key.removeprefix(f'{layer}.')}` has no gradient")
        elif not theirs.isfinite().all():
            wrong.setdefault(layer, "its gradients are not finite")
        elif torch.equal(ours, theirs):
            equal += 1
        else:
            norm = float((ours - theirs).double().norm() / theirs.double().norm().clamp(min=1e-30))
            worst = max(worst, norm)
            if not norm <= tolerance:
                wrong.setdefault(layer, f"its gradients are off by {norm:.1e} of their norm")
    words = f"{equal} of {len(parameters)} bit-equal"
    if equal < len(parameters) and not wrong:
        words += f", the rest within {worst:.0e}"
    return words, list(_nearest_to_the_output(network, wrong))


def _nearest_to_the_output(network: Network, wrong: Mapping[str, str]) -> Iterator[Fault]:
    """Gradients flow backwards: the last layer that is wrong, and how many more there are."""
    order = [node_id for node_id in network.nodes if node_id in wrong]
    if order:
        more = f" (and of {len(order) - 1} layers before it)" if len(order) > 1 else ""
        yield Fault(order[-1], wrong[order[-1]] + more)
