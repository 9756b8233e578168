"""The body of ``forward``: the lines of a module's schedule as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archc.backends.pytorch.text import WIDTH, Namespace
from archc.graph.modules import Group, StructureError
from archc.graph.schedule import ARGUMENT, Line, Schedule, Wiring, augmented
from archc.ops import Op


def written_call(op: Op, *operands: str) -> str:
    """The source of an op that is no module; raises `StructureError` where there is none."""
    if op.torch.call is None:
        raise StructureError(f"no PyTorch source is known for the call {op.kind!r}")
    return op.torch.call.write(*operands)


def forward_lines(group: Group, schedule: Schedule) -> list[str]:
    """The lines of a module's ``forward``, its argument being ``x``."""
    if not group.children:
        return ["        return x"]
    wiring = {child.name: (child, sources) for child, sources in group.wiring()}
    return _Forward(group, wiring, schedule).lines()


@dataclass(frozen=True)
class _Forward:
    """Writes the ``forward`` of a module."""

    group: Group
    wiring: Wiring
    schedule: Schedule

    def lines(self) -> list[str]:
        """The body, line by line."""
        names = Namespace({"x", "self", "nn", "F", "torch"})
        called = {ARGUMENT: "x"}
        values = {"": "x"}
        written: list[str] = []
        for line in self.schedule.lines(self.group, self._is_too_long):
            if line.variable is None:
                written.append(self._written(line, values, "return "))
                continue
            if line.variable not in called:
                called[line.variable] = names.new(self._wish(line.result))
            variable = called[line.variable]
            operator = "" if line.onto is None else augmented(self.wiring[line.result][0])
            written.append(self._written(line, values, f"{variable} {operator or '='} "))
            if line.returns:
                written.append(f"        return {variable}")
            values[line.result] = variable
        return written

    def _is_too_long(self, line: Line) -> bool:
        """Whether a line does not fit; variables, nameless yet, seldom have longer names."""
        operator = augmented(self.wiring[line.result][0])
        before = "return " if line.onto is None else f"out2 {operator} "
        names = {value: f"{self._wish(value)}2" for value in line.reads}
        return len(self._written(line, names, before)) > WIDTH

    def _wish(self, value: str) -> str:
        """What the variable is called that a value is given, if it is a new one."""
        ahead = value != "" and self.wiring[value][0].result in self.schedule.ahead
        return value if ahead else "out"

    def _written(self, line: Line, names: Mapping[str, str], before: str) -> str:
        inline = set(line.computes)

        def text(value: str) -> str:
            if value not in inline:
                return names[value]
            child, sources = self.wiring[value]
            operands = [text(source) for source in sources]
            if isinstance(child, Group) or child.is_module:
                return f"self.{child.name}({', '.join(operands)})"
            op = child.node.op
            in_place = op.torch.in_place and self.schedule.overwrites(child.node) is not None
            return written_call(op, *operands, *["inplace=True"] * in_place)

        value = line.result if line.onto is None else self.wiring[line.result][1][1]
        return f"        {before}{text(value)}"
