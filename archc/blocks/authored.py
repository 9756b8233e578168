"""What definitions say, put so that emitted source can say it: conditions and formulas.

Only what Python computes exactly as the language does is put so; the rest becomes numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from archc.blocks.expressions import (
    COMPARISONS,
    Binary,
    Call,
    Literal,
    Name,
    Node,
    Unary,
    Value,
    Word,
)
from archc.blocks.scope import Scope, plain
from archc.blocks.tree import Expr, walk
from archc.graph import ShapeError
from archc.graph.authored import Authored, Comparison, Condition, Formula, Known, Ref

if TYPE_CHECKING:
    from archc.blocks.definition import Definition

_OPPOSITE = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "": "not",
    "not": "",
}
_STRENGTH = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}


def authored(definition: Definition, scope: Scope) -> Authored:
    """What a definition says of a module whose names have these values."""
    return Authored(*definition.said, Values(scope))


class Values(Mapping[str, Known]):
    """The values of a module's names, each found when it is asked for."""

    def __init__(self, scope: Scope):
        self._scope = scope

    def __getitem__(self, name: str) -> Known:
        try:
            value = self._scope.given.get(name)
            if value is None and name in self._scope.let:
                value = self._scope[name]
        except ShapeError:  # a name that this module does not use
            value = None
        found = None if value is None else plain(value)
        if not isinstance(found, (int, float, str)):
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._scope.given, *self._scope.let]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def said(definition: Definition) -> tuple[tuple[Condition, ...], Mapping[str, Formula]]:
    """The conditions of a definition, and the formulas of its names under ``let``."""
    names = {"in", "stride", *definition.attributes, *definition.let}
    exprs = [item.condition for item in walk(definition.layers) if item.condition is not None]
    exprs += [test for _, test in definition.classes if test is not None]
    conditions = (_condition(expr.node, definition.let, names) for expr in exprs)
    formulas = {name: _formula(expr.node, names) for name, expr in definition.let.items()}
    return (
        tuple(dict.fromkeys(one for one in conditions if one is not None)),
        {name: Formula(tuple(one)) for name, one in formulas.items() if one is not None},
    )


# Conditions


def _condition(node: Node, let: Mapping[str, Expr], names: set[str]) -> Condition | None:
    """A condition of comparisons, if it is that; a name under ``let`` is what it stands for."""
    if isinstance(node, Name) and node.name in let:
        return _condition(let[node.name].node, let, names)
    if isinstance(node, Binary) and node.operator in ("and", "or"):
        left, right = (_condition(one, let, names) for one in (node.left, node.right))
        return None if left is None or right is None else Condition((left, right), node.operator)
    if isinstance(node, Unary) and node.operator == "not":
        inner = _condition(node.operand, let, names)
        return None if inner is None else _opposite(inner)
    return _single(node, names)


def _opposite(condition: Condition) -> Condition:
    parts = [
        _opposite(part)
        if isinstance(part, Condition)
        else Comparison(part.left, _OPPOSITE[part.operator], part.right)
        for part in condition.parts
    ]
    return Condition(tuple(parts), "and" if condition.joint == "or" else "or")


def _single(node: Node, names: set[str]) -> Condition | None:
    if isinstance(node, Name):
        return Condition((Comparison(Ref(node.name), ""),)) if node.name in names else None
    if not isinstance(node, Binary) or node.operator not in COMPARISONS:
        return None
    left, right = _side(node.left, names), _side(node.right, names)
    if not isinstance(left, Ref) or right is None:
        return None
    if isinstance(right, bool):
        plainly = right is (node.operator == "==")
        return Condition((Comparison(left, "" if plainly else "not"),))
    return Condition((Comparison(left, node.operator, right),))


def _side(node: Node, names: set[str]) -> Ref | Known | None:
    if isinstance(node, Name):
        return Ref(node.name) if node.name in names else node.name
    return _known(node.value) if isinstance(node, Literal) else None


def _known(value: Value) -> Known | None:
    found = plain(value)
    return found if isinstance(found, (int, float, str)) else None


# Formulas


def _formula(node: Node, names: set[str], strength: int = 0) -> list[str | Ref] | None:
    """Arithmetic of integers, in parentheses where what is around it binds more strongly."""
    if isinstance(node, Name):
        return [Ref(node.name)] if node.name in names else None
    if isinstance(node, Literal):
        value = node.value
        is_whole = isinstance(value, Fraction) and value.denominator == 1
        return [str(value)] if is_whole and not isinstance(value, Word) else None
    if isinstance(node, Call):
        return _called(node, names, strength)
    if not isinstance(node, Binary) or node.operator not in _STRENGTH:
        return None
    own = _STRENGTH[node.operator]
    left, right = _formula(node.left, names, own), _formula(node.right, names, own + 1)
    if left is None or right is None:
        return None
    found = [*left, f" {node.operator} ", *right]
    return ["(", *found, ")"] if own < strength else found


def _called(node: Call, names: set[str], strength: int) -> list[str | Ref] | None:
    if node.function in ("round", "floor", "ceil"):  # of an integer they are nothing
        return _formula(node.arguments[0], names, strength)
    if node.function not in ("min", "max"):
        return None
    found: list[str | Ref] = [f"{node.function}("]
    for number, argument in enumerate(node.arguments):
        inner = _formula(argument, names)
        if inner is None:
            return None
        found += [", "] * (number > 0) + inner
    return [*found, ")"]
