"""The body of ``forward``: a module's children as a few lines of expressions."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from archc.backends.pytorch.text import WIDTH, Namespace
from archc.backends.pytorch.tree import Group, Leaf, StructureError
from archc.ops import Op


def written_call(op: Op, *operands: str) -> str:
    """The source of an op that is no module; raises `StructureError` where there is none."""
    if op.torch.call is None:
        raise StructureError(f"no PyTorch source is known for the call {op.kind!r}")
    return op.torch.call.write(*operands)


Child = Group | Leaf


Wiring = Mapping[str, tuple[Child, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Statement:
    """A line of ``forward``; ``onto`` is the value that its own is written over, if any, by an
    augmented ``operator`` (``+=``)."""

    result: str
    text: str
    reads: tuple[str, ...]
    onto: str | None = None
    operator: str = ""


def forward_lines(group: Group, overwritable: Set[str], ahead: Set[str]) -> list[str]:
    """The lines of a module's ``forward``, its argument being ``x``.

    A line ends at a relu, a pool or a sub-module, at a value that is read twice, and where it
    would grow too long. A variable is used again when its value is dead. Of values named by their
    ids, those ``overwritable`` are changed in place by the relu or the sum that reads them, and
    those that run ``ahead`` have variables of their own.
    """
    if not group.children:
        return ["        return x"]
    wiring = {child.name: (child, sources) for child, sources in group.wiring()}
    return _Forward(wiring, _last(group), overwritable, ahead).lines()


def _last(group: Group) -> str:
    for name, child in group.children.items():
        if child.result == group.result:
            return name
    raise AssertionError("a module whose output is none of its children's")


def _ends_line(child: Child) -> bool:
    """Whether people end a line with it: a sub-module of several ops, a relu, a pooling."""
    return isinstance(child, Group) or child.node.op.torch.ends_line


def _operator(child: Child) -> str:
    """The augmented assignment of an op that stands between its operands; empty for others."""
    if isinstance(child, Group) or child.is_module or child.node.op.torch.call is None:
        return ""
    return child.node.op.torch.call.augmented


def _key(value: str) -> str:
    return f"v_{value}"


def _line(statement: _Statement, variables: Mapping[str, str], before: str) -> str:
    operands = {_key(value): variables[value] for value in statement.reads}
    return f"        {before}{statement.text.format(**operands)}"


@dataclass(frozen=True)
class _Forward:
    """Writes the ``forward`` of a module: its children by name, each with the ones it reads."""

    wiring: Wiring
    result: str
    overwritable: Set[str]
    ahead: Set[str]

    def lines(self) -> list[str]:
        """The body, line by line."""
        stored = self._line_ends()
        for name in self.wiring:
            # Front to back, so that no expression is nested deeper than one line holds. Variables
            # have no names yet, and seldom longer ones than these.
            statement = self._statement(name, stored)
            before = "return " if statement.onto is None else f"out2 {statement.operator} "
            names = {value: f"{self._wish(value)}2" for value in statement.reads}
            if len(_line(statement, names, before)) > WIDTH:
                stored |= set(self.wiring[name][1]) - {""}
        return self._write(stored)

    def _line_ends(self) -> set[str]:
        """The children whose values are kept in a variable."""
        reads: dict[str, list[str]] = {}
        for name, (_, sources) in self.wiring.items():
            for source in sources:
                reads.setdefault(source, []).append(name)
        ends = {self.result}
        for name, (child, sources) in self.wiring.items():
            readers = [self.wiring[reader] for reader in reads.get(name, [])]
            ends_line = _ends_line(child)
            # A shortcut's module stands in the sum that reads it, unless it runs ahead. A sum does
            # only in the first place: sums associate to the left, and in another order they round
            # otherwise.
            alone = isinstance(child, Leaf) and child.node.op.torch.in_place
            in_sum = len(readers) == 1 and bool(_operator(readers[0][0])) and not alone
            apart = in_sum and bool(_operator(child)) and readers[0][1][0] != name
            if len(readers) > 1 or (ends_line and not in_sum) or apart or self._runs_ahead(name):
                ends.add(name)
            if self._adds_in_place(name):
                ends |= {name, sources[0]}
        return ends

    def _runs_ahead(self, value: str) -> bool:
        return value != "" and self.wiring[value][0].result in self.ahead

    def _wish(self, value: str) -> str:
        """What the variable is called that a value is given, if it is a new one."""
        return value if self._runs_ahead(value) else "out"

    def _adds_in_place(self, name: str) -> bool:
        child, sources = self.wiring[name]
        return bool(_operator(child)) and len(sources) == 2 and self._may_overwrite(sources[0])

    def _may_overwrite(self, value: str) -> bool:
        child = self.wiring[value][0] if value else None
        return isinstance(child, Leaf) and child.node.id in self.overwritable

    def _write(self, stored: Set[str]) -> list[str]:
        statements = [self._statement(name, stored) for name in self.wiring if name in stored]
        last_read = {"": -1}
        for index, statement in enumerate(statements):
            for value in statement.reads:
                last_read[value] = index
        if any(self._runs_ahead(statement.result) for statement in statements):
            last_read[""] = len(statements)  # beside a shortcut, x stays what goes into the block
        variables = {"": "x"}
        names = Namespace({"x", "self", "nn", "F", "torch"})
        lines: list[str] = []
        for index, statement in enumerate(statements):
            is_last = statement.result == self.result
            if statement.onto is not None:
                variable = variables[statement.onto]
                lines.append(_line(statement, variables, f"{variable} {statement.operator} "))
                if is_last:
                    lines.append(f"        return {variable}")
            elif is_last:
                lines.append(_line(statement, variables, "return "))
                continue
            else:
                dead = [v for v in statement.reads if last_read[v] == index]
                wish = self._wish(statement.result)
                variable = variables[dead[0]] if dead else names.new(wish)
                lines.append(_line(statement, variables, f"{variable} = "))
            variables[statement.result] = variable
        return lines

    def _statement(self, name: str, stored: Set[str]) -> _Statement:
        reads: list[str] = []

        def text(value: str) -> str:
            if value == "" or (value in stored and value != name):
                reads.append(value)
                return "{" + _key(value) + "}"
            child, sources = self.wiring[value]
            operands = [text(source) for source in sources]
            if isinstance(child, Leaf) and not child.is_module:
                in_place = child.node.op.torch.in_place and self._may_overwrite(sources[0])
                return written_call(child.node.op, *operands, *["inplace=True"] * in_place)
            return f"self.{child.name}({', '.join(operands)})"

        if self._adds_in_place(name):
            onto, summand = self.wiring[name][1]
            written = text(summand)
            operator = _operator(self.wiring[name][0])
            return _Statement(name, written, tuple(dict.fromkeys(reads)), onto, operator)
        written = text(name)
        return _Statement(name, written, tuple(dict.fromkeys(reads)))
