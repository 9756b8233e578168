"""A network as the source of a Python module that needs torch alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from archc.backends.pytorch.classes import (
    Class,
    Slot,
    classes_of,
    condition,
    numbers_of,
    value_of,
)
from archc.backends.pytorch.forward import forward_lines, written_call
from archc.backends.pytorch.text import (
    RESERVED,
    WIDTH,
    Call,
    Expression,
    Namespace,
    call,
    class_name,
    lay_out,
    prose,
    run_together,
)
from archc.graph import Network, Node, enclosing, walk
from archc.graph.modules import Group, Leaf, StructureError, fold
from archc.graph.schedule import Schedule
from archc.ops import Conv2d, Op


def emit(network: Network) -> str:
    """The source of a module with one class, the network's, in its ``__all__``.

    The class takes no arguments; its ``forward`` takes images ``(batch, channels, height,
    width)`` and returns the logits, ``predict`` applies the final softmax where there is one.
    Raises `StructureError` for a network whose ids describe no modules.
    """
    root = fold(network)
    classes, found = classes_of(root)
    names = Namespace(RESERVED)
    title = names.new(class_name(network.name))
    _name_classes(classes, _labels(network), names)
    writer = _Writer(found, Schedule.of(network, frozenset(_optional(root, found))))
    body: list[str] = []
    for lines in _own_modules(network):
        body += ["", *lines]
    for one in classes:
        body += ["", "", *writer.inner_class(one)]
    body += ["", "", *writer.network_class(network, root, title)]
    text = "\n".join(body)
    head = [*_docstring(network), "", *_imports(text), "", f'__all__ = ["{title}"]']
    return "\n".join(head) + "\n" + text + "\n"


def _optional(group: Group, classes: Mapping[Group, Class]) -> Iterator[str]:
    """The ids of children that some modules of a class do without.

    Where one is left out, its value is its input's, which is not its own to change.
    """
    one = classes.get(group)
    for child in group.children.values():
        if isinstance(child, Group):
            yield from _optional(child, classes)
        elif one is not None and one.optional == child.name:
            yield child.node.id


def _own_modules(network: Network) -> list[tuple[str, ...]]:
    """The source of archc's own modules that a network uses."""
    modules = [node.op.torch.module for node in network.nodes.values()]
    return list(dict.fromkeys([module.source for module in modules if module and module.source]))


def _docstring(network: Network) -> list[str]:
    origin = f"Compiled by archc from {network.source or network.name}; edit the spec, not this."
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
    return [
        *(["import torch"] if "torch." in text else []),
        *(["import torch.nn.functional as F"] if "F." in text else []),
        "from torch import Tensor, nn",
    ]


def _labels(network: Network) -> dict[str, str]:
    """The labels of regions, by the path that only their modules have in common."""
    labels: dict[str, str] = {}
    shared: set[str] = set()
    for region in walk(network.regions):
        if region.label and (path := enclosing(region.nodes)):
            if path in labels:
                shared.add(path)
            labels[path] = region.label
    return {path: label for path, label in labels.items() if path not in shared}


def _name_classes(classes: list[Class], labels: Mapping[str, str], names: Namespace) -> None:
    """Name a block's class by its label, one inside it by its place; outer ones choose first."""
    for one in sorted(classes, key=lambda one: one.instances[0].path.count(".")):
        group = one.instances[0]
        label = labels.get(group.path)
        parts = re.split(r"\W+", label) if label else group.name.split("_")
        words = "".join(part[:1].upper() + part[1:] for part in parts)
        one.name = names.new(words if words.isidentifier() else f"Block{words}")


@dataclass(frozen=True)
class _Writer:
    """Writes classes, knowing which module is of which, and how the network runs."""

    classes: Mapping[Group, Class]
    schedule: Schedule

    def inner_class(self, one: Class) -> list[str]:
        """The source of a class that modules share."""
        model = one.model

        def look_up(slot: Slot) -> str:
            argument = one.argument(slot)
            return argument.name if argument else repr(one.literals[slot])

        body = []
        for child in model.children.values():
            if isinstance(child, Leaf) and not child.is_module:
                continue
            if child.name != one.optional:
                body += self._attribute("        ", child, "", look_up)
                continue
            body += [
                f"        if {' or '.join(condition(one))}:",
                *self._attribute("            ", child, "", look_up),
                "        else:",
                f"            self.{child.name} = nn.Identity()",
            ]
        return [
            f"class {one.name}(nn.Module):",
            *_signature(one),
            "        super().__init__()",
            *body,
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *forward_lines(model, self.schedule),
        ]

    def network_class(self, network: Network, root: Group, name: str) -> list[str]:
        """The source of the network's own class."""
        numbers = numbers_of(root)

        def look_up(slot: Slot) -> str:
            return repr(numbers[slot])

        body = []
        for child in root.children.values():
            if isinstance(child, Group) or child.is_module:
                body += self._attribute("        ", child, "", look_up)
        softmax = network.nodes[network.output]
        return [
            f"class {name}(nn.Module):",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *body,
            *_initialisation(network),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *forward_lines(root, self.schedule),
            *(_predict(softmax.op) if network.output != network.logits else []),
        ]

    def _attribute(
        self, indent: str, child: Group | Leaf, path: str, look_up: Callable[[Slot], str]
    ) -> list[str]:
        """The lines that give a module its child."""
        expression, named = self._module(child, path + child.name, look_up)
        lines = lay_out(indent, f"self.{child.name} = ", expression)
        for name, extra in named:
            lines += lay_out(indent, f'self.{child.name}.add_module("{name}", ', extra, ")")
        return lines

    def _module(
        self, child: Group | Leaf, path: str, look_up: Callable[[Slot], str]
    ) -> tuple[Expression, list[tuple[str, Expression]]]:
        """The expression that makes a child, and what a Sequential holds besides, by name."""
        if isinstance(child, Leaf):
            return self._construct(child.node, path, look_up), []
        if child in self.classes:
            return self._instance(child, path, look_up), []
        items: list[Expression] = []
        named: list[tuple[str, Expression]] = []
        for grandchild in child.children.values():
            expression, more = self._module(grandchild, f"{path}.{grandchild.name}", look_up)
            if more:
                raise StructureError(f"{path!r} mixes numbered and named modules too deep inside")
            if grandchild.name.isdigit():
                items.append(expression)
            else:
                named.append((grandchild.name, expression))
        return call("nn.Sequential", *run_together(items)), named

    def _instance(self, group: Group, path: str, look_up: Callable[[Slot], str]) -> Call:
        """A call of the class that a module shares; arguments by the numbers it has there."""
        one = self.classes[group]
        numbers = numbers_of(group)
        arguments: list[tuple[str, Expression]] = []
        for argument in one.arguments:
            inside, field = next(slot for slot in argument.slots if slot in numbers)
            text = look_up((f"{path}.{inside}", field))
            if argument.default is not None and text == repr(argument.default):
                continue
            by_name = field not in (
                "in_channels",
                "out_channels",
                "num_features",
                "in_features",
                "out_features",
            )
            arguments.append((argument.name if by_name else "", text))
        return Call(one.name, tuple(arguments))

    def _construct(self, node: Node, path: str, look_up: Callable[[Slot], str]) -> Call:
        how = node.op.torch.module
        if how is None:
            raise StructureError(f"no PyTorch source is known for the module {node.op.kind!r}")
        arguments: list[tuple[str, Expression]] = [("", look_up((path, f))) for f in how.positional]
        for name, default in how.keywords:
            text = look_up((path, name))
            # A default is a number, or another field whose number it is.
            usual = look_up((path, default)) if isinstance(default, str) else repr(default)
            if default is None or text != usual:
                arguments.append((name, text))
        arguments += how.fixed
        if node.op.torch.in_place and self.schedule.overwrites(node) is not None:
            arguments.append(("inplace", "True"))
        return Call(how.function, tuple(arguments))


def _signature(one: Class) -> list[str]:
    numbers = numbers_of(one.model)
    parameters = ["self"]
    for argument in one.arguments:
        kind = type(value_of(argument, numbers)).__name__
        default = "" if argument.default is None else f" = {argument.default!r}"
        parameters.append(f"{argument.name}: {kind}{default}")
    line = f"    def __init__({', '.join(parameters)}) -> None:"
    if len(line) <= WIDTH:
        return [line]
    inside = f"        {', '.join(parameters)}"
    rows = [inside] if len(inside) <= WIDTH else [f"        {p}," for p in parameters]
    return ["    def __init__(", *rows, "    ) -> None:"]


def _initialisation(network: Network) -> list[str]:
    """Convolutions start as in the authors' and torchvision's code, biases at zero.

    On the meta device there is nothing to draw, and torch takes a second to import what it would
    not draw it with.
    """
    convolutions = [node.op for node in network.nodes.values() if isinstance(node.op, Conv2d)]
    if not convolutions:
        return []
    lines = [
        "        for module in self.modules():",
        "            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:",
        '                nn.init.kaiming_normal_(module.weight, mode="fan_out")',
    ]
    biased = sum(op.bias for op in convolutions)
    if biased == len(convolutions):
        lines.append("                nn.init.zeros_(module.bias)")
    elif biased:
        lines += [
            "                if module.bias is not None:",
            "                    nn.init.zeros_(module.bias)",
        ]
    return lines


def _predict(softmax: Op) -> list[str]:
    return [
        "",
        "    def predict(self, x: Tensor) -> Tensor:",
        f"        return {written_call(softmax, 'self(x)')}",
    ]
