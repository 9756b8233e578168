"""Exported programs that are in memory, and modules, as programs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from archc.dataclassing import dataclass
from archc.errors import ArchcWarning
from archc.frontends.imported import Imported
from archc.frontends.patterns import gathered
from archc.frontends.program import Argument, Call, ForeignError, Program, Ref, Scope, Weight
from archc.frontends.torch_export.archive import (
    AUTOCAST_IS_ON,
    UNDER_AUTOCAST,
    WITHOUT_AUTOCAST,
    is_mode,
    plain_target,
)
from archc.frontends.torch_export.core import is_core, recomposed
from archc.frontends.torch_export.modes import require_eval_mode
from archc.frontends.torch_export.sizes import InputSizes, Sizes, hint_for, sizes_for
from archc.text import listing, quote, visible

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


def read_program(program: ExportedProgram, name: str = "program") -> Imported:
    """An exported program of torch. Raises `ForeignError` for one that archc cannot read."""
    plain = require_eval_mode(_Reading(program, name).program(), f"the {name}")
    read = gathered(recomposed(plain), exactly=True)

    def runner() -> _Running:
        shape = next(iter(read.inputs.values()))
        is_free = bool(getattr(program, "range_constraints", {}))
        batch = None if is_free else shape[0]
        place = _place_of_images(read)
        return _Running(program.module(), batch, place, is_torch=not is_core(plain))

    return Imported(read, name, runner)


def export_module(
    module: torch.nn.Module, input: InputSizes, name: str = "", source: str = ""
) -> Imported:
    """A module in eval mode, run by torch.export on an image ``(channels, height, width)``, or on
    that and others (see `InputSizes`).

    No image is computed: torch runs the module's code on tensors without values. ``source`` is what
    the user calls it. Warns with `ArchcWarning` where one size is that of several arguments. Raises
    `ForeignError` where it cannot be exported; the mode it was in is kept.
    """
    import torch

    what = type(module).__name__
    sizes = sizes_for(module, input)
    device, dtype = _placed(module)

    def one(size: Sequence[int]) -> torch.Tensor:
        return torch.empty(1, *size, device=device, dtype=dtype)

    try:
        with _silence(), in_eval_mode(module), torch.no_grad():
            given = tuple([one(size) for size in sizes.positional])
            named = {name: one(size) for name, size in sizes.named.items()}
            program = torch.export.export(module, given, named)
    except Exception as error:  # whatever the module's own code and torch.export raise
        why, hint = _reason(error, sizes)
        raise ForeignError(f"torch.export cannot export the {what}: {why}", hint) from error
    if sizes.shared:
        names = listing([quote(one) for one in sizes.shared], "and")
        size = "x".join(map(str, sizes.every[0]))
        warnings.warn(f"{what} takes {names}: each is {size}", ArchcWarning, stacklevel=2)
    read = gathered(_Reading(program, name or what).program(), exactly=True)
    place = _place_of_images(read)
    names_of = tuple(sizes.named)
    return Imported(read, source or name or what, lambda: _Running(module, None, place, names_of))


def _place_of_images(program: Program) -> int:
    """Which of its arguments a program takes images as."""
    ranks = [len(shape) for shape in program.inputs.values()]
    return ranks.index(4) if 4 in ranks else 0


def _reason(error: Exception, sizes: Sizes) -> tuple[str, str]:
    """Why an export ended, and what may help."""
    kind = type(error).__name__
    if "DataDependent" in kind:
        return (
            "its forward decides by the values of tensors",
            "torch.export runs a forward without values: the same ops for all images",
        )
    first = visible(str(error).strip().split("\n")[0])[:300]
    return f"{kind}: {first}", hint_for(sizes)


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing is printed, logged or warned of: torch prints whole graphs before it raises an error,
    and what a module prints it would print for images without values."""
    disabled = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        with redirect_stdout(StringIO()) as lost, redirect_stderr(lost), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _placed(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the type of a module's numbers."""
    import torch

    held = next(iter([*module.parameters(), *module.buffers()]), None)
    device = held.device if held is not None else torch.device("cpu")
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    return device, dtype


@contextmanager
def in_eval_mode(module: torch.nn.Module) -> Iterator[None]:
    """A module and those in it are in eval mode while it is entered, then as they were."""
    modes = {one: one.training for one in module.modules()}
    try:
        for one in modes:
            one.training = False
        yield
    finally:
        for one, mode in modes.items():
            one.training = mode


@contextmanager
def _call_by_call() -> Iterator[None]:
    """While it is entered, attention is computed by the calls that torch.export sees, which round
    otherwise than the kernel that torch has for all of them."""
    import torch

    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


@dataclass(frozen=True)
class _Running:
    """A module, or that of a program, as what computes; ``place`` is that of the images among what
    it takes, ``named`` are the last of these that it takes by name alone."""

    module: torch.nn.Module
    batch: int | None
    place: int = 0
    named: tuple[str, ...] = ()
    is_torch: bool = True
    """False for a program in core ATen, whose parts round otherwise than what they were."""

    def __call__(self, images: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The tensors that it puts out, in float32, where the images are."""
        import torch
        from torch.utils._pytree import tree_leaves

        device, dtype = _placed(self.module)
        given = [one.to(device, dtype if one.is_floating_point() else None) for one in others]
        given.insert(self.place, images.to(device, dtype))
        count = len(given) - len(self.named)
        named = dict(zip(self.named, given[count:], strict=True))
        with in_eval_mode(self.module), torch.no_grad(), _call_by_call():
            found = tree_leaves(self.module(*given[:count], **named))
        results = [one for one in found if isinstance(one, torch.Tensor)]
        return tuple([one.to(images.device, torch.float32) for one in results])


@dataclass(frozen=True)
class _Live:
    """The tensors of a program that is in memory."""

    held: Mapping[str, torch.Tensor]

    def read(self, keys: Collection[str]) -> dict[str, torch.Tensor]:
        """Those of these keys, which are the program's own."""
        return {key: self.held[key].detach().cpu() for key in keys}


def _live(program: ExportedProgram, keys: Collection[str]) -> _Live | None:
    """The tensors of a program by their keys, where they have values."""
    from torch import Tensor

    held = {**program.state_dict, **program.constants}
    found = {key: one for key, one in held.items() if key in keys and isinstance(one, Tensor)}
    without = any(one.is_meta or type(one).__name__ == "FakeTensor" for one in found.values())
    return None if without or len(found) < len(keys) else _Live(found)


class _Reading:
    """An exported program's graph as calls."""

    def __init__(self, program: ExportedProgram, name: str):
        self.exported, self.name = program, name
        signature = program.graph_signature
        self.keys: dict[str, str] = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **getattr(signature, "inputs_to_lifted_tensor_constants", {}),
        }
        self.learned = set(signature.inputs_to_parameters)
        self.lists: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}

    def program(self) -> Program:
        weights: dict[str, Weight] = {}
        inputs: dict[str, tuple[int, ...]] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        types: dict[str, str] = {}
        calls: list[Call] = []
        outputs: tuple[str, ...] = ()
        graph, mutated = self._graph()
        for node in graph.nodes:
            if node.op == "placeholder":
                shape = _shape_of(node.meta.get("val"))
                if shape is None:
                    continue
                shapes[node.name] = shape
                types[node.name] = _type_of(node.meta["val"])
                if node.name in self.keys:
                    key = self.keys[node.name]
                    weights[node.name] = Weight(key, shape, node.name in self.learned)
                else:
                    inputs[node.name] = shape
            elif node.op == "call_function":
                self._note(node, shapes, calls)
                for name, tensor in self._results(node):
                    types[name] = _type_of(tensor)
            elif node.op == "output":
                outputs = tuple([n.name for n in node.all_input_nodes if n.name not in mutated])
            else:
                raise ForeignError(f"the program has a node of the kind {node.op!r}")
        keys = {one.key for one in weights.values()}
        return Program(
            self.name,
            "aten",
            inputs,
            outputs,
            tuple(calls),
            weights,
            shapes,
            self.name,
            tensors=_live(self.exported, keys),
            types=types,
        )

    def _graph(self) -> tuple[Any, set[str]]:
        """The graph, with what is only run in another mode in its place, and the names of what it
        writes over buffers."""
        mutated = set(self.exported.graph_signature.buffers_to_mutate)
        nodes = self.exported.graph.nodes
        if not any(node.op == "call_function" and is_mode(_target(node.target)) for node in nodes):
            return self.exported.graph, mutated
        from torch.fx import Graph

        graph = Graph()
        made = self._copied(self.exported.graph_module, graph, {})
        return graph, {made[node].name for node in nodes if node.name in mutated and node in made}

    def _copied(self, module: Any, graph: Any, made: dict[Any, Any]) -> dict[Any, Any]:
        """The nodes of a module's graph, copied into another, by the nodes that they were; ``made``
        has those of what it takes."""
        for node in module.graph.nodes:
            if node in made:
                continue
            if node.op == "get_attr" and hasattr(inner := getattr(module, node.target), "graph"):
                made[node] = inner
            elif node.op == "call_function" and is_mode(_target(node.target)):
                made[node] = self._run_inside(node, graph, made)
            elif _target(node.target) == "_operator.getitem" and isinstance(
                made.get(node.args[0]), list
            ):
                made[node] = made[node.args[0]][node.args[1]]
            else:
                made[node] = graph.node_copy(node, made.__getitem__)
        return made

    def _run_inside(self, node: Any, graph: Any, made: Mapping[Any, Any]) -> list[Any]:
        """What a graph puts out that a node runs in another mode, copied to where the node is."""
        place = next(at for at, one in enumerate(node.args) if hasattr(made.get(one), "graph"))
        if "autocast" in _target(node.target) and node.args[AUTOCAST_IS_ON] is not False:
            raise ForeignError(f"{self.name} computes {UNDER_AUTOCAST}", WITHOUT_AUTOCAST)
        inner = made[node.args[place]]
        taken = [one for one in inner.graph.nodes if one.op == "placeholder"]
        given = [made[one] for one in node.args[place + 1 :]]
        end = next(one for one in inner.graph.nodes if one.op == "output")
        found = dict(zip(taken, given, strict=True))
        found[end] = None  # which is no node here
        self._copied(inner, graph, found)
        (results,) = end.args
        return [found.get(one) for one in results]

    def _results(self, node: Any) -> Iterator[tuple[str, Any]]:
        """What a call puts out that is no float32, by name."""
        value = node.meta.get("val")
        listed = self.lists.get(node.name, [node.name])
        several = value if isinstance(value, (list, tuple)) else [value]
        for name, one in zip(listed, several, strict=False):
            if hasattr(one, "dtype") and _type_of(one) != "float32":
                yield name, one

    def _note(self, node: Any, shapes: dict[str, tuple[int, ...]], calls: list[Call]) -> None:
        """Note a call; what takes an item of its results is no call of its own."""
        target = _target(node.target)
        if target == "_operator.getitem":
            listed, number = node.args
            if listed.name in self.lists:
                self.lists[listed.name][number] = node.name
                shape = _shape_of(node.meta.get("val"))
                if shape is not None:
                    shapes[node.name] = shape
                position = self.positions[listed.name]
                outputs = tuple(self.lists[listed.name])
                calls[position] = _with_outputs(calls[position], outputs)
            return
        value = node.meta.get("val")
        outputs = (node.name,)
        if isinstance(value, (list, tuple)):
            self.positions[node.name] = len(calls)
            self.lists[node.name] = [f"{node.name}[{number}]" for number in range(len(value))]
            outputs = tuple(self.lists[node.name])
            for one, tensor in zip(outputs, value, strict=True):
                if (shape := _shape_of(tensor)) is not None:
                    shapes[one] = shape
        elif (shape := _shape_of(value)) is not None:
            shapes[node.name] = shape
        scopes = tuple([Scope(path, _class(label)) for path, label in _stack(node)])
        calls.append(Call(node.name, target, _arguments(node), outputs, scopes))


def _with_outputs(call: Call, outputs: tuple[str, ...]) -> Call:
    return Call(call.name, call.target, call.arguments, outputs, call.scopes)


def _type_of(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _target(target: Any) -> str:
    name = str(target)
    if getattr(target, "__name__", "") == "getitem":
        return "_operator.getitem"
    return plain_target(name)


def _stack(node: Any) -> Iterable[tuple[str, Any]]:
    """The modules around a node, outermost first, as paths and classes."""
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack", {})
    return stack.values()


def _class(label: Any) -> str:
    return label if isinstance(label, str) else f"{label.__module__}.{label.__qualname__}"


def _arguments(node: Any) -> Mapping[str, Argument]:
    """A call's arguments by the names of torch's schema."""
    schema = getattr(node.target, "_schema", None)
    names = [one.name for one in schema.arguments] if schema is not None else []
    given = {
        names[i] if i < len(names) else str(i): _argument(one) for i, one in enumerate(node.args)
    }
    return {**given, **{name: _argument(one) for name, one in node.kwargs.items()}}


def _argument(value: Any) -> Argument:
    if hasattr(value, "all_input_nodes"):
        return Ref(value.name)
    if isinstance(value, (list, tuple)):
        return tuple([_argument(one) for one in value])
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    size = _size_of(value)
    return "?" if size is None else size


def _shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of a tensor; of sizes that are computed, the sample's."""
    if not hasattr(value, "shape"):
        return None
    sizes = [_size_of(side) for side in value.shape]
    return None if None in sizes else tuple([size for size in sizes if size is not None])


def _size_of(side: Any) -> int | None:
    if isinstance(side, int):
        return side
    node = getattr(side, "node", None)
    hint = getattr(node, "hint", None)
    return hint if isinstance(hint, int) else None
