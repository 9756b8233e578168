"""Tests and numbers as the definition of a block says them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from archc.backends.pytorch.arguments import RESULT, SOURCE, Argument, value_in
from archc.backends.pytorch.conditions import Part, Test
from archc.backends.pytorch.members import Slot, Value
from archc.dataclassing import dataclass
from archc.graph.authored import Authored, Comparison, Condition, Known, Ref
from archc.graph.modules import Group


def definition_of(groups: Sequence[Group]) -> list[Authored] | None:
    """The definition of modules, with the values of each; None where they are not all of one."""
    found = [group.written.authored for group in groups if group.written is not None]
    authored = [one for one in found if one is not None]
    if len(authored) < len(groups) or len({id(one.conditions) for one in authored}) > 1:
        return None
    return authored


def conditions_for(
    authored: Sequence[Authored], pattern: Sequence[bool | None]
) -> Iterator[tuple[bool, Condition]]:
    """The conditions of a definition that hold where a pattern says so, or whose opposites do; and
    which of both it is."""
    values = [one.values for one in authored]
    for condition in authored[0].conditions:
        relevant = condition.relevant(values)
        if relevant is None:
            continue
        pairs = zip((relevant.holds(one) for one in values), pattern, strict=True)
        agree = {holds is there for holds, there in pairs if there is not None}
        if len(agree) == 1:
            yield agree.pop(), relevant


@dataclass
class Definition:
    """What the modules of a class have been defined as.

    ``arguments`` are those of the class's constructor, which new ones are added to; ``tables`` has
    their numbers, ``called`` what the definition calls the number of some slots.
    """

    authored: Sequence[Authored]
    arguments: list[Argument]
    tables: Sequence[dict[Slot, Value]]
    called: Callable[[Sequence[Slot]], str]
    new_name: Callable[[str], str]

    def test(
        self, pattern: Sequence[bool | None], *, may_add: bool = True, may_ask: bool = True
    ) -> Test | None:
        """A condition of the definition, or its opposite, that holds where the pattern says so.

        Without ``may_add`` it takes no new argument, without ``may_ask`` it is a comparison rather
        than an argument's own truth.
        """
        found = list(conditions_for(self.authored, pattern))
        # One that needs no new argument comes first, and among these one that is said as it is.
        for as_it_is, condition in sorted(found, key=self._cost):
            if not may_add and self._cost((as_it_is, condition))[0]:
                return None
            if not may_ask and any(part.operator in ("", "not") for part in condition.comparisons):
                continue
            before = len(self.arguments)
            test = self._in_arguments(condition)
            if test is not None:
                found_test = test if as_it_is else test.opposite()
                if self._holds(found_test, pattern):
                    return found_test
            del self.arguments[before:]
        return None

    def _holds(self, test: Test, pattern: Sequence[bool | None]) -> bool:
        """Whether a test holds where a pattern says so, also where modules are not given all."""
        for table, there in zip(self.tables, pattern, strict=True):
            values = {one.name: value_in(one, table) for one in self.arguments}
            if there is not None and test.holds(values) is not there:
                return False
        return True

    def switch(self, pattern: Sequence[bool | None]) -> str | None:
        """The attribute, of words, that is ``none`` where the pattern says no, and only there."""
        for name in self.authored[0].values:
            column = self.column(name)
            if all(isinstance(value, str) for value in column) and all(
                there is None or (value != "none") is there
                for value, there in zip(column, pattern, strict=True)
            ):
                return name
        return None

    def _cost(self, row: tuple[bool, Condition]) -> tuple[int, bool]:
        new = [name for name in _names(row[1]) if self._argument(name) is None]
        return len(new), not row[0]

    def _in_arguments(self, condition: Condition) -> Test | None:
        """A condition as a test of the constructor's arguments."""
        parts = []
        for part in condition.comparisons:
            left = self._named(part.left.name)
            right = self._named(part.right.name) if isinstance(part.right, Ref) else part.right
            if left is None or (isinstance(part.right, Ref) and right is None):
                return None
            is_word = isinstance(part.right, str)
            parts.append(Part(left, part.operator, right, is_word))
        return Test(tuple(parts), condition.joint)

    def _named(self, name: str) -> str | None:
        """The argument that has a name's values, made if there is none yet."""
        return self._argument(name) or self._made(name)

    def _argument(self, name: str) -> str | None:
        """The argument that has a name's values, and stands for it."""
        column = self.column(name)
        for argument in self.arguments:
            if self._stands_for(argument, name) and self._agrees(argument, column):
                return argument.name
        return None

    def _stands_for(self, argument: Argument, name: str) -> bool:
        if SOURCE in argument.slots and name == "in":
            return True
        if RESULT in argument.slots and name != "in":
            return True
        return name in (argument.name, self.called(argument.slots))

    def _agrees(self, argument: Argument, column: Sequence[Known | None]) -> bool:
        return all(
            value == value_in(argument, table)
            for value, table in zip(column, self.tables, strict=True)
            if any(slot in table for slot in argument.slots)
        )

    def _made(self, name: str) -> str | None:
        """A new argument with a name's values, by default the most common; of strides, 1."""
        column = self.column(name)
        known = [value for value in column if value is not None]
        if len(known) < len(column) or len({type(value) for value in known}) > 1:
            return None
        ((usual, _),) = Counter(known).most_common(1)
        usual = 1 if name == "stride" else usual
        own = self.new_name(name)
        slot = ((), own)
        self.arguments.append(Argument(own, (slot,), usual, True))
        for value, table in zip(known, self.tables, strict=True):
            table[slot] = value
        return own

    def column(self, name: str) -> list[Known | None]:
        """The values of a name, module by module."""
        return [one.values.get(name) for one in self.authored]

    def formula(self, argument: Argument, name: str) -> str | None:
        """The arithmetic that gives an argument's number from the others', if there is one."""
        formula = self.authored[0].formulas.get(name)
        if formula is None or not self._agrees(argument, self.column(name)):
            return None
        text, given, constants = "", 0, 0
        for part in formula.parts:
            if isinstance(part, str):
                text += part
                continue
            column = self.column(part.name)
            other = self._argument(part.name)
            if other == argument.name or not all(type(value) is int for value in column):
                return None
            if other is None and len(set(column)) > 1:
                return None
            given, constants = given + (other is not None), constants + (other is None)
            text += str(column[0]) if other is None else other
        # With more numbers in it, the arithmetic would say less than its outcome.
        return text if given and constants <= 1 else None


def _names(condition: Condition) -> Iterator[str]:
    for part in condition.comparisons:
        yield from _names_in(part)


def _names_in(part: Comparison) -> Iterator[str]:
    yield part.left.name
    if isinstance(part.right, Ref):
        yield part.right.name
