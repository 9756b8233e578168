"""The body of ``forward``: the lines of a module's schedule as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.backends.pytorch.layout import reached
from archc.backends.pytorch.text import WIDTH, Namespace, call, is_name, lay_out, wrapped
from archc.dataclassing import dataclass
from archc.graph.modules import Group, Leaf, StructureError
from archc.graph.schedule import ARGUMENT, Line, Schedule, Wiring, augmented, last_of
from archc.ops import Op


def written_call(op: Op, *operands: str, in_place: bool = False) -> str:
    """The source of an op that is no module; raises `StructureError` where there is none."""
    call = op.torch.call
    if call is None:
        raise StructureError(f"no PyTorch source is known for the call {op.kind!r}")
    numbers = [repr(getattr(op, field)) for field in call.fields]
    return call.write(*operands, *numbers, *["inplace=True"] * in_place)


def forward_lines(
    group: Group,
    schedule: Schedule,
    indent: str = " " * 8,
    outputs: str = "",
    *,
    keeps_input: bool = False,
    is_list: bool = False,
) -> list[str]:
    """The lines of a module's ``forward``, its argument being ``x``, which with ``keeps_input``
    stays what it is.

    ``is_list`` says that the module is one of numbered children; ``outputs`` is the named tuple
    that a network with side heads returns in training.
    """
    if not group.children:
        return [f"{indent}return x"]
    wiring = {child.name: (child, sources) for child, sources in group.wiring()}
    return _Forward(group, wiring, schedule, indent, outputs, keeps_input, is_list).lines()


@dataclass(frozen=True)
class _Forward:
    """Writes the ``forward`` of a module."""

    group: Group
    wiring: Wiring
    schedule: Schedule
    indent: str
    outputs: str = ""
    keeps_input: bool = False
    is_list: bool = False

    def lines(self) -> list[str]:
        """The body, line by line."""
        given = {name: name for name in self.group.arguments.values()}
        names = Namespace({"x", "self", "nn", "F", "torch", *given})
        called = {} if self.keeps_input else {ARGUMENT: "x"}
        values = {"": "x", **given}
        written: list[str] = []
        in_training = False
        for line in self.schedule.lines(self.group, self._is_too_long):
            if line.training_only and not in_training:
                written.append(f"{self.indent}if self.training:")
            in_training = line.training_only
            if line.variable is None:
                written += wrapped(self._written(line, values, "return "))
                continue
            if line.variable not in called:
                called[line.variable] = names.new(self._wish(line.result))
            variable = called[line.variable]
            operator = "" if line.onto is None else augmented(self.wiring[line.result][0])
            deeper = "    " * line.training_only
            text = self._written(line, values, f"{variable} {operator or '='} ")
            written += wrapped(deeper + text)
            if line.returns:
                written.append(f"{self.indent}return {variable}")
            values[line.result] = variable
        if self.group.sides:
            written += self._returned(values)
        return written

    def _returned(self, values: Mapping[str, str]) -> list[str]:
        """What a network with side heads returns."""
        logits = values[last_of(self.group)]
        fields = [logits, *[values[name] for name in self.group.sides]]
        deeper = f"{self.indent}    "
        return [
            f"{self.indent}if self.training:",
            *lay_out(deeper, "return ", call(self.outputs, *fields)),
            f"{self.indent}return {logits}",
        ]

    def _is_too_long(self, line: Line) -> bool:
        """Whether a line does not fit; variables, nameless yet, seldom have longer names."""
        operator = augmented(self.wiring[line.result][0])
        before = "return " if line.onto is None else f"out2 {operator} "
        names = {value: f"{self._wish(value)}2" for value in line.reads}
        return len(self._written(line, names, before)) > WIDTH

    def _wish(self, value: str) -> str:
        """What the variable is called that a value is given, if it is a new one."""
        if value in self.group.arguments.values():
            return value
        ahead = value != "" and self.wiring[value][0].result in self.schedule.ahead
        if value in self.group.sides:
            return value
        child = self.wiring[value][0] if ahead else None
        if isinstance(child, Leaf) and child.node.op.kind == "call":
            return "out"  # its place has no name that anybody gave it
        name = value.rpartition(".")[2]
        return name if ahead and is_name(name) else "out"

    def _reached(self, child: Group | Leaf) -> str:
        return reached(child.name, self.group, is_list=self.is_list)

    def _lent(self, child: Leaf, operands: Sequence[str]) -> str:
        """Another call of a module, or a tensor of one."""
        lender = self._reached_leaf(child.lender)
        if child.is_tensor:
            name = getattr(child.node.op, "name", "")
            return f"{lender}.{name}" if name else lender  # which is a tensor itself
        parameter = child.node.op.plain.torch.parameter
        if parameter is not None:
            return parameter.use(lender, *operands)
        return f"{lender}({', '.join(operands)})"

    def _reached_leaf(self, name: str) -> str:
        if name not in self.group.children:
            raise StructureError(f"a module that is called twice, {name!r}, lies elsewhere")
        return reached(name, self.group, is_list=self.is_list)

    def _written(self, line: Line, names: Mapping[str, str], before: str) -> str:
        inline = set(line.computes)

        def text(value: str) -> str:
            if value not in inline:
                return names[value]
            child, sources = self.wiring[value]
            operands = [text(source) for source in sources]
            if isinstance(child, Leaf) and child.node.op.shares:
                return self._lent(child, operands)
            parameter = None if isinstance(child, Group) else child.node.op.torch.parameter
            if parameter is not None:
                return parameter.use(self._reached(child), *operands)
            if isinstance(child, Group) or child.is_module:
                return f"{self._reached(child)}({', '.join(operands)})"
            op = child.node.op
            in_place = op.torch.in_place and self.schedule.overwrites(child.node) is not None
            return written_call(op, *operands, in_place=in_place)

        value = line.result if line.onto is None else self.wiring[line.result][1][1]
        return f"{self.indent}{before}{text(value)}"
