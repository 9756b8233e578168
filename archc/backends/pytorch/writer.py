"""Classes as source: constructors, and what is called in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from typing import TypeAlias

from archc.backends.pytorch.arguments import value_in
from archc.backends.pytorch.classes import Class
from archc.backends.pytorch.conditions import Test
from archc.backends.pytorch.forward import forward_lines
from archc.backends.pytorch.layout import is_counted, is_numbered, rises, without_gaps
from archc.backends.pytorch.members import Kind, Member, Path, Slot, Value
from archc.backends.pytorch.text import (
    WIDTH,
    Call,
    Expression,
    Items,
    Repeat,
    call,
    is_name,
    keyed,
    lay_out,
    ordered,
    run_together,
)
from archc.dataclassing import dataclass
from archc.graph import Node
from archc.graph.modules import Group, Leaf, StructureError
from archc.graph.schedule import Schedule

POSITIONAL = (
    *("in_channels", "out_channels", "num_features", "num_channels"),
    *("in_features", "out_features", "input", "output"),
)
"""Fields whose numbers stand by position where a module is made of a class: they count channels."""

LookUp: TypeAlias = Callable[[Slot], "str | None"]
"""The source of a slot's number where a module is made; None where there is none."""
PARTS = tuple(
    '''
class Parts(nn.Module):
    """Modules with tensors beside them, each of which is used by its name."""

    def __init__(self, parts: dict[str, nn.Module | Tensor]) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

    def __getitem__(self, name: str | int) -> nn.Module | Tensor:
        held = {**self._modules, **self._parameters, **self._buffers}
        return held[str(name)]
'''.splitlines()
)
"""What holds the children of a module that has no forward of its own, where torch has nothing that
does."""

_INDENT = " " * 8
_Held: TypeAlias = "Member | dict[str, _Held]"


def kind_of(node: Node, schedule: Schedule) -> Kind:
    """What makes the module of an op without arguments."""
    how = node.op.torch.module
    if how is None:
        raise StructureError(f"no PyTorch source is known for the module {node.op.kind!r}")
    arguments = [
        f"{name}={getattr(node.op, name)!r}"
        for name, usual in how.keywords
        if usual is None or isinstance(usual, str) or getattr(node.op, name) != usual
    ]
    arguments += [f"{name}={text}" for name, text in how.fixed]
    if node.op.torch.in_place and schedule.overwrites(node) is not None:
        arguments.append("inplace=True")
    inside = ", ".join([how.function, *arguments])
    return Kind(f"partial({inside})" if arguments else how.function)


@dataclass(frozen=True)
class Writer:
    """Writes classes, knowing which module is of which, and how the network runs."""

    classes: Mapping[Group, Class]
    schedule: Schedule

    def inner_class(self, one: Class) -> list[str]:
        """The source of a class that modules share."""

        def look_up(slot: Slot) -> str | None:
            argument = one.argument(slot)
            if argument is not None:
                return argument.name
            if slot in one.derived:
                return f"({look_up(one.derived[slot])} - 1) // 2"
            return literal(one.literals[slot]) if slot in one.literals else None

        kept = {
            str(variant.test): _kept_test(variant.test, variant.flag)
            for variant in one.variants
            if variant.test is not None and variant.flag != variant.test.parts[0].left
        }
        if _is_list(one):
            lines = self._sequential_class(one, look_up)
        else:
            lines = [
                f"class {one.name}(nn.Module):",
                *signature(one),
                "        super().__init__()",
                *_computed(one),
                *_flags(one),
                *self.attributes(one.members, look_up, kept),
            ]
        if not one.variants:
            return lines
        taken = "".join(f", {name}: Tensor" for name in one.model.arguments.values())
        head = f"    def forward(self, x: Tensor{taken}) -> Tensor:"
        return [*lines, "", head, *self._forward(one)]

    def _forward(self, one: Class) -> list[str]:
        """The body of ``forward``: what all ways to run begin with once, then each way's own."""
        shared, bodies = self._bodies(one, keeps_input=False)
        if len(bodies) > 1:
            more, others = self._bodies(one, keeps_input=True)
            if len(more) > len(shared):
                shared, bodies = more, others
        lines = [*shared]
        for variant, body in zip(one.variants, bodies, strict=True):
            if variant.test is not None:
                lines.append(f"        if {_kept_test(variant.test, variant.flag)}:")
            lines += body
        return lines

    def _bodies(self, one: Class, *, keeps_input: bool) -> tuple[list[str], list[list[str]]]:
        """The lines that all ways to run begin with, and the other lines of each."""
        bodies = []
        for variant in one.variants:
            indent = _INDENT if variant.test is None else f"{_INDENT}    "
            bodies.append(
                forward_lines(
                    variant.model,
                    self.schedule,
                    indent,
                    keeps_input=keeps_input,
                    is_list=_is_list(one),
                )
            )
        shared: list[str] = []
        while all(len(body) > 1 for body in bodies):
            (first, *others) = {body[0].strip() for body in bodies}
            if others or not _is_statement(bodies[-1][0]):
                break
            shared.append(_INDENT + first)
            bodies = [body[1:] for body in bodies]
        return shared, bodies

    def _sequential_class(self, one: Class, look_up: LookUp) -> list[str]:
        """The source of a class whose modules are numbered, but for a ``forward`` of its own."""
        head = [f"class {one.name}(nn.Sequential):", *signature(one), *_computed(one)]
        if any(_test(member) for member in one.members):
            rows = self._list("layers", one.members, look_up)
            return [*head, *rows, "        super().__init__(*layers)"]
        items, named = self._counted(one.members, look_up)
        if named:
            items = [ordered(named)]
        return [*head, *lay_out(_INDENT, "", call("super().__init__", *run_together(items)))]

    # Attributes

    def attributes(
        self, members: Sequence[Member], look_up: LookUp, kept: Mapping[str, str] | None = None
    ) -> list[str]:
        """The lines that give a module what it holds; ``kept`` has the attributes that keep what
        tests have found."""
        tree: dict[str, _Held] = {}
        for member in members:
            *path, name = member.name.split(".")
            level = tree
            for part in path:
                inner = level.setdefault(part, {})
                assert isinstance(inner, dict)  # or folding would have refused the ids
                level = inner
            level[name] = member
        lines: list[str] = []
        rows = [
            (name, held, held.test if isinstance(held, Member) else None)
            for name, held in tree.items()
        ]
        for test, run in groupby(rows, key=lambda row: row[2]):
            row = [(name, held) for name, held, _ in run]
            text = "" if test is None else (kept or {}).get(str(test), str(test))
            lines += self._run(row, text, look_up)
        return lines

    def _run(self, row: Sequence[tuple[str, _Held]], test: str, look_up: LookUp) -> list[str]:
        """The lines of attributes that are there where a test holds, if there is one."""
        indent = _INDENT + "    " if test else _INDENT
        lines = [
            line for name, held in row for line in self._attribute(indent, name, held, look_up)
        ]
        if not test:
            return lines
        missing = [name for name, held in row if isinstance(held, Member) and held.stands_in]
        lines = [f"{_INDENT}if {test}:", *lines]
        if missing:
            lines.append(f"{_INDENT}else:")
            for name in missing:
                lines += _set(indent, name, Call("nn.Identity"))
        return lines

    def _attribute(self, indent: str, name: str, held: _Held, look_up: LookUp) -> list[str]:
        """The lines that give a module its child, or a container of children."""
        if not isinstance(held, Member):
            return _set(indent, name, self._container(held, look_up))
        if not held.chain:
            return _set(indent, name, self._module(held, look_up))
        if any(_test(member) for member in held.chain):
            local = name if is_name(name) and look_up(((), name)) is None else "layers"
            lines = self._list(local, held.chain, look_up)
            lines += _set(_INDENT, name, f"nn.Sequential(*{local})")
            return [indent[len(_INDENT) :] + line for line in lines]
        items, named = self._counted(held.chain, look_up)
        if not items or not is_name(name):
            return _set(indent, name, self._module(held, look_up))
        lines = _set(indent, name, call("nn.Sequential", *run_together(items)))
        for key, extra in named.items():
            lines += lay_out(indent, "", call(f"self.{name}.add_module", f'"{key}"', extra))
        return lines

    def _list(self, name: str, members: Sequence[Member], look_up: LookUp) -> list[str]:
        """The lines that put modules into a list, some of them only where a test holds."""
        lines: list[str] = []
        last: str | None = None
        for test, run in groupby(members, key=lambda member: _test(member)):
            row = list(run)
            items = run_together(self._module(member, look_up) for member in row)
            if not lines:
                made = Items(()) if test else Items(tuple(items))
                lines += lay_out(_INDENT, f"{name}: list[nn.Module] = ", made)
                if not test:
                    continue
            if test:
                word = "else" if last is not None and _are_opposite(last, test) else f"if {test}"
                lines.append(f"{_INDENT}{word}:")
            last = test
            indent = _INDENT + "    " if test else _INDENT
            if len(row) == 1:
                lines += lay_out(indent, "", call(f"{name}.append", items[0]))
            else:
                lines += lay_out(indent, f"{name} += ", Items(tuple(items)))
        return lines

    # Modules

    def _module(self, member: Member, look_up: LookUp) -> Expression:
        """The expression that makes a module."""
        if isinstance(member.child, Leaf):
            if member.maker:
                return Call(member.maker)
            return self._construct(member.child.node, member.path, look_up)
        if member.child in self.classes:
            return self._instance(self.classes[member.child], member.path, look_up)
        items, named = self._counted(member.chain, look_up)
        if not named:
            return call("nn.Sequential", *run_together(items))
        return call("nn.Sequential", ordered(self._named(member.chain, look_up)))

    def _named(self, members: Sequence[Member], look_up: LookUp) -> dict[str, Expression]:
        return {member.name: self._module(member, look_up) for member in members}

    def _counted(
        self, members: Sequence[Member], look_up: LookUp
    ) -> tuple[list[Expression], dict[str, Expression]]:
        """The modules of a chain that are numbered, with something in the gaps, and those that
        stand behind them under names; all of them under names where they are mixed."""
        made = self._named(members, look_up)
        numbered = list(takewhile(str.isdigit, made))
        named = {name: one for name, one in made.items() if name not in numbered}
        if any(name.isdigit() for name in named) or not rises(numbered):
            return [], made
        return without_gaps({name: made[name] for name in numbered}), named

    def _container(self, tree: Mapping[str, _Held], look_up: LookUp) -> Expression:
        """Modules that are called one by one."""
        made = {
            name: self._module(held, look_up)
            if isinstance(held, Member)
            else self._container(held, look_up)
            for name, held in tree.items()
        }
        kind = _kind_of_container(tree)
        if not kind:
            return call("Parts", keyed(made))
        if is_counted(list(made)):
            items = run_together(without_gaps(made))
            if len(items) == 1 and isinstance(items[0], Repeat):
                return call(f"nn.{kind}List", replace(items[0], is_unpacked=False))
            return call(f"nn.{kind}List", Items(tuple(items)))
        return call(f"nn.{kind}Dict", keyed(made))

    def _instance(self, one: Class, path: Path, look_up: LookUp) -> Call:
        """A call of the class that a module shares; arguments by the numbers it has there."""
        arguments: list[tuple[str, Expression]] = []
        for argument in one.arguments:
            if argument.formula:
                continue
            found = (
                (text, what)
                for inside, what in argument.slots
                if (text := look_up(((*path, *inside), what))) is not None
            )
            text, what = next(found, (literal(argument.default), argument.slots[0][1]))
            if argument.has_default and text == literal(argument.default):
                continue
            by_name = what not in POSITIONAL or argument.has_default
            arguments.append((argument.name if by_name else "", text))
        return Call(one.name, tuple(arguments))

    def _construct(self, node: Node, path: Path, look_up: LookUp) -> Call:

        def number(name: str) -> str:
            text = look_up((path, name))
            return repr(getattr(node.op, name)) if text is None else text

        parameter = node.op.torch.parameter
        if parameter is not None:
            tensor = parameter.tensor(*[number(name) for name in parameter.fields])
            return call(parameter.made, tensor)
        how = node.op.torch.module
        if how is None:
            raise StructureError(f"no PyTorch source is known for the module {node.op.kind!r}")
        arguments: list[tuple[str, Expression]] = [("", number(name)) for name in how.positional]
        for name, default in how.keywords:
            text = number(name)
            # A default is a number, or another field whose number it is.
            usual = number(default) if isinstance(default, str) else repr(default)
            if default is None or text != usual:
                arguments.append((name, text))
        arguments += how.fixed
        if node.op.torch.in_place and self.schedule.overwrites(node) is not None:
            arguments.append(("inplace", "True"))
        return Call(how.function, tuple(arguments))


def _kind_of_container(tree: Mapping[str, _Held]) -> str:
    """What torch's containers of this are called; empty where they hold no such mixture."""
    leaves = [held.child for held in tree.values() if isinstance(held, Member)]
    tensors = [
        leaf.node for leaf in leaves if isinstance(leaf, Leaf) and leaf.node.op.torch.parameter
    ]
    if not tensors:
        return "Module"
    is_mixed = len(tensors) < len(tree) or any(node.op.buffers for node in tensors)
    return "" if is_mixed else "Parameter"


def _is_list(one: Class) -> bool:
    """Whether a class is a Sequential: a chain, or numbered children that it calls itself."""
    if one.is_chain:
        return True
    is_plain = len(one.variants) == 1 and not any(member.test for member in one.members)
    return is_plain and is_numbered(one.model)


def _is_statement(line: str) -> bool:
    """Whether a line of ``forward`` is one by itself, inside of nothing."""
    return line[len(_INDENT)] not in " )" and line[-1] not in "([{:"


def _test(member: Member) -> str:
    """What has to hold for a member of a row to be there; nothing for one that always is."""
    return "" if member.test is None else str(member.test)


def _set(indent: str, name: str, module: Expression) -> list[str]:
    """The lines that make a module an attribute."""
    if is_name(name):
        return lay_out(indent, f"self.{name} = ", module)
    return lay_out(indent, "", call("self.add_module", f'"{name}"', module))


def _are_opposite(one: str, other: str) -> bool:
    """Whether one of two tests of a single comparison holds where the other does not."""
    if " or " in one + other or " and " in one + other:
        return False
    pairs = [(one, other), (other, one)]
    return any(a in (f"not {b}", b.replace(" == ", " != ")) and a != b for a, b in pairs)


def literal(value: Value) -> str:
    """A number or a word as source."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _computed(one: Class) -> Iterator[str]:
    """The lines that compute what follows from the arguments."""
    for argument in one.arguments:
        if argument.formula:
            yield f"        {argument.name} = {argument.formula}"


def _flags(one: Class) -> Iterator[str]:
    """The lines that keep what ``forward`` asks."""
    kept = set()
    for variant in one.variants:
        if variant.test is None:
            continue
        (first, *more) = variant.test.parts
        text = first.left if not more and variant.flag == first.left else str(variant.test)
        if variant.flag not in kept:
            yield f"        self.{variant.flag} = {text}"
        kept.add(variant.flag)


def _kept_test(test: Test, flag: str) -> str:
    """How what the constructor has kept is asked."""
    (first, *more) = test.parts
    if more or first.left != flag:
        return f"self.{flag}"
    return str(replace(first, left=f"self.{flag}"))


def signature(one: Class) -> list[str]:
    """The first lines of a constructor."""
    parameters = ["self"]
    for argument in one.arguments:
        if argument.formula:
            continue
        values = [value_in(argument, table) for table in one.tables]
        kinds = dict.fromkeys(_annotation(value) for value in values)
        # Type checkers take an int where a float is asked for.
        kind = " | ".join(
            one
            for one in sorted(kinds, key=lambda one: one == "None")
            if (one, "float" in kinds) != ("int", True)
        )
        default = f" = {literal(argument.default)}" if argument.has_default else ""
        parameters.append(f"{argument.name}: {kind}{default}")
    line = f"    def __init__({', '.join(parameters)}) -> None:"
    if len(line) <= WIDTH:
        return [line]
    inside = f"        {', '.join(parameters)}"
    rows = [inside] if len(inside) <= WIDTH else [f"        {p}," for p in parameters]
    return ["    def __init__(", *rows, "    ) -> None:"]


def _annotation(value: Value) -> str:
    """The type of an argument that takes such a value."""
    if value is None:
        return "None"
    if isinstance(value, Kind):
        return "Callable[[], nn.Module]"
    if not isinstance(value, tuple):
        return type(value).__name__
    if all(isinstance(part, int) for part in value):
        return f"tuple[{', '.join(['int'] * len(value))}]"
    return "tuple[float, ...]"
