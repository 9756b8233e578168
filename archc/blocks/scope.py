"""What names stand for where a block is lowered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archc.blocks.around import Around
from archc.blocks.expressions import ExpressionError, Value, Word, shown, whole
from archc.blocks.tree import Expr, Template
from archc.dataclassing import dataclass
from archc.graph import ShapeError
from archc.source.diagnostics import Note, Place

if TYPE_CHECKING:
    from archc.blocks.definition import Definition


class LayerFault(ShapeError):
    """A layer of a definition cannot be made with the values that its names have.

    ``place`` is where the definition says so; ``causes`` are the attributes of the block that the
    failing part read, in order; ``notes`` lead there, and ``values`` are those of its names.
    ``is_in_order`` says that the first cause that an author gave is to blame, or else the last.
    """

    def __init__(
        self,
        message: str,
        place: Place,
        *,
        causes: Iterable[str] = (),
        hint: str | None = None,
        notes: Iterable[Note] = (),
        field: str | None = None,
        values: str = "",
        is_in_order: bool = False,
        code: str = "expression-value",
    ):
        super().__init__(message, attribute=field, hint=hint, code=code)
        self.place = place
        self.causes = tuple(causes)
        self.notes = tuple(notes)
        self.values = values
        self.is_in_order = is_in_order

    def saying(
        self, message: str, notes: Iterable[Note] | None = None, values: str | None = None
    ) -> LayerFault:
        """The same fault in other words, and with other notes and values where they are given."""
        same = LayerFault(
            message,
            self.place,
            causes=self.causes,
            hint=self.hint,
            notes=self.notes if notes is None else notes,
            field=self.attribute,
            values=self.values if values is None else values,
            is_in_order=self.is_in_order,
            code=self.code,
        )
        same.whose = self.whose
        return same


_SIMPLE = 1_000_000
"""The largest denominator of a fraction that a float is taken for."""


def value_of(data: object) -> Value:
    """Plain data as expressions have it: a float as the simple fraction that it is the float of
    (16/3 stays that on its way through an attribute), or exactly as it is written in decimals."""
    if isinstance(data, bool):
        return data
    if isinstance(data, int):
        return whole(data)
    if isinstance(data, float):
        simple = Fraction(data).limit_denominator(_SIMPLE)
        return simple if float(simple) == data else Fraction(repr(data))
    if isinstance(data, str):
        return Word(data)
    return data  # type: ignore[return-value]  # a size of two: passed on as it is, never computed


def plain(value: Value) -> object:
    """A value as plain data: integers as such, other numbers as floats."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return str(value) if isinstance(value, Word) else value


@dataclass
class Scope(Mapping[str, Value]):
    """The values of names: those that are given, those under ``let``, the network's.

    ``let`` is evaluated when it is asked for, once. ``absent`` are optional attributes that were
    not given; ``channels`` gives the channels that reach the layer at hand. ``definition`` is the
    block whose names they are, if they are a block's.
    """

    around: Around
    given: dict[str, Value]
    let: Mapping[str, Expr] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    channels: Callable[[], int] | None = None
    definition: Definition | None = None

    def __getitem__(self, name: str) -> Value:
        found: Value | None = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or the default."""
        found = self.given.get(name)
        if found is not None:
            return found
        if name in self.let:
            self.given[name] = found = self.evaluate(self.let[name])
            return found
        if name == "channels" and self.channels is not None:
            return whole(self.channels())
        return self.around.names.get(name, default)

    def __contains__(self, name: object) -> bool:
        return (
            name in self.given
            or name in self.let
            or name in self.around.names
            or (name == "channels" and self.channels is not None)
        )

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self.given, *self.let, *self.around.names])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def evaluate(self, expr: Expr) -> Value:
        """What an expression comes to; raises `LayerFault` where it comes to nothing."""
        try:
            if self.around.watch is not None:
                self.around.watch(expr, self)
            return expr.compute(self)
        except ExpressionError as error:
            raise LayerFault(
                error.message,
                expr.at(error.start),
                causes=self.causes([expr]),
                hint=error.hint,
                values=self.told([expr]),
            ) from None

    def holds(self, expr: Expr) -> bool:
        """Whether a condition holds."""
        found = self.evaluate(expr)
        if not isinstance(found, bool):
            raise self._fault(f"a condition must be true or false, not `{shown(found)}`", expr)
        return found

    def count(self, expr: Expr | int, most: int) -> int:
        """An integer from 0 to a limit, as of a repeat."""
        if isinstance(expr, int):
            return expr
        found = self.evaluate(expr)
        if isinstance(found, Fraction) and found.denominator == 1 and 0 <= found <= most:
            return found.numerator
        words = f"`repeat` must be an integer from 0 to {most:,}, not {shown(found)}"
        raise self._fault(words, expr)

    def name(self, template: Template) -> str:
        """A name with its numbers filled in."""
        return "".join(
            part if isinstance(part, str) else self._number(part) for part in template.parts
        )

    def _number(self, expr: Expr) -> str:
        found = self.evaluate(expr)
        if isinstance(found, Fraction) and found.denominator == 1 and found >= 0:
            return str(found.numerator)
        raise self._fault(f"a name takes integers from 0, not {shown(found)}", expr)

    def _fault(self, message: str, expr: Expr) -> LayerFault:
        """What an expression comes to cannot be used."""
        causes, values = self.causes([expr]), self.told([expr])
        return LayerFault(message, expr.place, causes=causes, values=values)

    def text(self, template: Template) -> str:
        """A message with its values filled in, numbers with separators."""

        def written(expr: Expr) -> str:
            found = self.evaluate(expr)
            if isinstance(found, Fraction) and found.denominator == 1 and found >= 10_000:
                return f"{found.numerator:,}"
            return shown(found)

        return "".join(part if isinstance(part, str) else written(part) for part in template.parts)

    def causes(self, exprs: Iterable[Expr]) -> list[str]:
        """The names that expressions read in the end, those under ``let`` replaced by what they
        read themselves."""
        found: dict[str, None] = {}
        for expr in exprs:
            for name in expr.names:
                if name in self.let:
                    found |= dict.fromkeys(self.causes([self.let[name]]))
                else:
                    found[name] = None
        return list(found)

    def setting(self, exprs: Iterable[Expr]) -> str:
        """The values of names for a fault of shapes: what comes in, then what expressions read.

        Where they read nothing, the block's own attributes are shown: the shapes follow from them.
        """
        names = dict.fromkeys(name for expr in exprs for name in self._all(expr))
        if not names and self.definition is not None:
            names = dict.fromkeys(self.definition.attributes)
            if self.definition.reads("stride"):
                names["stride"] = None
        return self._pairs({"in": None, **names} if self.definition is not None else names)

    def told(self, exprs: Iterable[Expr]) -> str:
        """The values of the names that expressions read: ``in = 24, expand = 2.6``."""
        return self._pairs(dict.fromkeys(name for expr in exprs for name in self._all(expr)))

    def _pairs(self, names: Iterable[str]) -> str:
        pairs = []
        for name in names:
            try:
                if name in self:
                    pairs.append(f"{name} = {shown(self[name])}")
            except ShapeError:
                continue
        return ", ".join(pairs)

    def _all(self, expr: Expr) -> Iterator[str]:
        for name in expr.names:
            if name in self.let:
                yield from self._all(self.let[name])
            yield name
