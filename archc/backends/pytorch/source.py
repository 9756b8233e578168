"""A network as the source of a Python module that needs torch alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from archc.backends.pytorch.arguments import class_slots, numbers_of, paths_of
from archc.backends.pytorch.classes import Class, classes_of, takes_classes
from archc.backends.pytorch.forward import forward_lines, written_call
from archc.backends.pytorch.initial import initialisation
from archc.backends.pytorch.members import KIND, Path, Slot, members_of
from archc.backends.pytorch.text import RESERVED, WIDTH, Namespace, class_name, prose
from archc.backends.pytorch.writer import PARTS, Writer, kind_of, literal
from archc.errors import UnwrittenError
from archc.graph import Network, Node
from archc.graph.modules import Group, StructureError, fold
from archc.graph.schedule import Schedule
from archc.ops import Op
from archc.text import quote, quote_name

CLASSES = "num_classes"
"""The argument of a network's class, by torchvision's name."""


class EmitError(UnwrittenError):
    """A network cannot be written in PyTorch."""


def emit(network: Network) -> str:
    """The source of a module with one class, the network's, in its ``__all__``.

    The class needs no arguments. Where exactly one layer, besides those of side heads, puts out the
    classes (`classifiers` says which), it takes ``num_classes``. Its ``forward`` takes images
    ``(batch, channels, height, width)`` and returns the logits, ``predict`` applies the final
    softmax where there is one. With side heads it returns, in training, a named tuple of the
    logits and of what those put out.
    Raises `StructureError` for a network whose ids describe no modules, `EmitError` for one of
    another library with an op that archc cannot write.
    """
    if not network.is_foreign:
        return _emitted(network)
    network = writable(network)
    try:
        return _emitted(network)
    except StructureError as error:
        raise EmitError(f"{network.name} cannot be written in PyTorch: {error}") from error


def writable(network: Network) -> Network:
    """A network as it can be written: itself, or of a model of another library the network of all
    that this computes, call by call.

    Its state dict has the model's own keys where `network` has tensors in ops that archc knows by
    name alone. Raises `EmitError` where there is none.
    """
    if not network.is_foreign or not (why := _unwritten(network)):
        return network
    if network.model is None:
        raise EmitError(f"{network.name} cannot be written in PyTorch: {why}")
    try:
        found = network.model.explicit
    except EmitError:
        raise
    except UnwrittenError as error:
        raise EmitError(error.message) from error
    if found is network:
        raise EmitError(f"{network.name} cannot be written in PyTorch: {why}")
    return found


def _unwritten(network: Network) -> str:
    """Why a network cannot be written as it is, or nothing."""
    for node in network.nodes.values():
        op = node.op
        if op.is_given or op.kind == "outputs" or op.shares or op.plain is not op:
            if network.is_explicit:
                continue
            return "it is not written call by call"
        how = op.torch
        if not (how.module or how.call or how.parameter) and node.inputs:
            name = quote(op.called)
            return f"archc does not know how to write {name} at `{quote_name(node.id)}`"
    return ""


def _emitted(network: Network) -> str:
    root = fold(network)
    schedule = Schedule.of(network)
    classes, found = classes_of(root, lambda node: kind_of(node, schedule))
    names = Namespace(RESERVED)
    title = names.new(class_name(network.name))
    outputs = names.new(f"{title}Output") if network.sides else ""
    _name_classes(classes, names)
    schedule = Schedule.of(network, frozenset(_kept(classes, schedule)))
    writer = Writer(found, schedule)
    body: list[str] = []
    for one in classes:
        body += ["", "", *writer.inner_class(one)]
    body += ["", "", *_outputs_class(network, outputs)] if outputs else []
    body += ["", "", *_network_class(network, root, title, writer, outputs)]
    own = _own_modules(network)
    if any(re.search(r"\bParts\(", line) for line in body):
        own.append(PARTS)
    text = "\n".join([line for lines in own for line in ("", *lines)] + body)
    head = [*_docstring(network), "", *_imports(text), "", f'__all__ = ["{title}"]']
    return "\n".join(head) + "\n" + text + "\n"


def _kept(classes: Sequence[Class], schedule: Schedule) -> Iterator[str]:
    """The ids of values that are not written over though their readers could.

    Where a child is left out, its value is its input's, which is not its own to change; and what
    only some modules of a class may write over, none of them does.
    """
    for one in classes:
        optional = {
            deep.path for member in one.members for deep in member.all() if deep.test is not None
        }
        for group in one.instances:
            yield from (leaf.node.id for leaf, path in paths_of(group) if path in optional)
        readers: dict[Path, list[Node]] = {}
        for group in one.instances:
            for leaf, path in paths_of(group):
                readers.setdefault(path, []).append(leaf.node)
        for path, nodes in readers.items():
            differ = len({schedule.overwrites(node) is None for node in nodes}) > 1
            if differ and one.argument((path, KIND)) is None:
                yield from (node.inputs[0] for node in nodes)


def _outputs_class(network: Network, name: str) -> list[str]:
    """The source of what a network with side heads returns in training."""
    fields = ["logits", *[side.name for side in network.sides]]
    return [f"class {name}(NamedTuple):", *[f"    {field}: Tensor" for field in fields]]


def _network_class(
    network: Network, root: Group, name: str, writer: Writer, outputs: str
) -> list[str]:
    """The source of the network's own class, which returns ``outputs`` in training, if it has side
    heads."""
    numbers = numbers_of(root, writer.classes, lambda node: kind_of(node, writer.schedule))
    heads = class_slots([root]) if takes_classes(root, writer.classes) else set()

    def look_up(slot: Slot) -> str | None:
        if slot in heads:
            return CLASSES
        return literal(numbers[slot]) if slot in numbers else None

    usual = network.nodes[network.logits].output_shape[0]
    arguments = f"self, {CLASSES}: int = {usual}" if heads else "self"

    softmax = network.nodes[network.output]
    return [
        f"class {name}(nn.Module):",
        f"    def __init__({arguments}) -> None:",
        "        super().__init__()",
        *writer.attributes(members_of([root], writer.classes), look_up),
        *initialisation(network),
        "",
        *_signature(network, root, outputs),
        *forward_lines(root, writer.schedule, outputs=outputs),
        *(_predict(network, root, softmax.op, outputs) if network.output != network.logits else []),
    ]


def _signature(network: Network, root: Group, outputs: str, name: str = "forward") -> list[str]:
    """The first lines of the network's ``forward``, or of another method of its arguments."""
    taken = ["x", *root.arguments.values()]
    count = len(network.outputs)
    kind = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    result = f"{kind}{outputs and f' | {outputs}'}"
    arguments = [f"{one}: Tensor" for one in taken]
    line = f"    def {name}(self, {', '.join(arguments)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    rows = ["self", *arguments]
    inside = f"        {', '.join(rows)}"
    lines = [inside] if len(inside) <= WIDTH else [f"        {row}," for row in rows]
    return [f"    def {name}(", *lines, f"    ) -> {result}:"]


def _own_modules(network: Network) -> list[tuple[str, ...]]:
    """The source of archc's own modules that a network uses."""
    written = [node.op.torch for node in network.nodes.values()]
    sources = [how.module.source for how in written if how.module]
    sources += [how.call.source for how in written if how.call]
    return list(dict.fromkeys(filter(None, sources)))


def _docstring(network: Network) -> list[str]:
    origin = f"Compiled by archc from {network.source or network.name}"
    origin += "." if network.model else "; edit the spec, not this."
    title = prose(network.title, WIDTH - 4) or [network.name]
    description = prose(network.description)
    return [
        f'"""{title[0]}',
        *title[1:],
        "",
        *description,
        *([""] if description else []),
        *prose(origin),
        *([f"Digest of the resolved spec: sha256 {network.digest[:16]}"] if network.digest else []),
        '"""',
    ]


def _imports(text: str) -> list[str]:
    standard = [
        *(["from collections import OrderedDict"] if "OrderedDict(" in text else []),
        *(["from collections.abc import Callable"] if "Callable[" in text else []),
        *(["from functools import partial"] if "partial(" in text else []),
        *(["from typing import NamedTuple"] if "(NamedTuple)" in text else []),
    ]
    return [
        *([*standard, ""] if standard else []),
        *(["import torch"] if "torch." in text else []),
        *(["import torch.nn.functional as F"] if "F." in text else []),
        "from torch import Tensor, nn",
    ]


def _name_classes(classes: list[Class], names: Namespace) -> None:
    """Name a block's class by its label, one inside it by its place; outer ones choose first."""
    for one in sorted(classes, key=lambda one: one.instances[0].path.count(".")):
        group = one.instances[0]
        parts = re.split(r"\W+", group.label) if group.label else re.split(r"[\W_]+", group.name)
        words = "".join(part[:1].upper() + part[1:] for part in parts)
        one.name = names.new(words if words.isidentifier() else f"Block{words}")


def _predict(network: Network, root: Group, softmax: Op, outputs: str = "") -> list[str]:
    if not outputs:
        head = _signature(network, root, "", "predict")
        taken = ", ".join(["x", *root.arguments.values()])
        return ["", *head, f"        return {written_call(softmax, f'self({taken})')}"]
    head = ["", "    def predict(self, x: Tensor) -> Tensor:"]
    return [
        *head,
        "        logits = self(x).logits if self.training else self(x)",
        f"        return {written_call(softmax, 'logits')}",
    ]
