"""A sweep as Python programs have it: axes of Python values, variants as named records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

from archc.choices import check_choice
from archc.dataclassing import dataclass
from archc.shown import Shown
from archc.spec import Source
from archc.spec.overrides import Change
from archc.sweeps.axes import parse_axes
from archc.sweeps.plan import METRICS, Plan, Unbuildable
from archc.sweeps.rows import plain
from archc.text import a_type

Setting: TypeAlias = int | float | str | bool
Metric: TypeAlias = Literal["layers", "params", "multiply_adds"]


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A variant: what it sets, by axis (``depth[3]``, ``width``), and its numbers."""

    settings: dict[str, Setting]
    layers: int
    params: int
    multiply_adds: int

    def as_dict(self) -> dict[str, Setting]:
        """The variant as plain data, a key for each axis and number, as in the command's JSON."""
        numbers = {name: getattr(self, name) for name in METRICS}
        return {**self.settings, **numbers}


@dataclass(frozen=True, slots=True)
class SweepFault:
    """A variant that cannot be built: what it sets, and why there is no such network."""

    settings: dict[str, Setting]
    reason: str


class Sweep(Shown):
    """Every variant of a spec along some axes, counted as they are asked for, in order.

    Iterating over it gives a `SweepRow` or a `SweepFault` for each variant, the last axis varying
    first, from the beginning each time; its length is their number.
    """

    def __init__(self, source: Source, vary: object, changes: Sequence[Change] = ()):
        self._source, self._changes = source, changes
        self._axes = parse_axes(axis_texts(vary), Plan(source, (), changes).spec)

    @property
    def name(self) -> str:
        """The name of the spec."""
        return self._plan.spec.header.name

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of what varies."""
        return tuple(axis.name for axis in self._axes)

    @property
    def _plan(self) -> Plan:
        return Plan(self._source, self._axes, self._changes)

    def __len__(self) -> int:
        return self._plan.count

    def __iter__(self) -> Iterator[SweepRow | SweepFault]:
        names = self.axes
        for one in self._plan.variants():
            settings = dict(zip(names, map(plain, one.settings), strict=True))
            if isinstance(one, Unbuildable):
                yield SweepFault(settings, one.reason)
            else:
                yield SweepRow(settings, *one.numbers)

    @property
    def rows(self) -> list[dict[str, Setting]]:
        """The variants that can be built as plain data, each with its settings and numbers."""
        return [one.as_dict() for one in self if isinstance(one, SweepRow)]

    @property
    def faults(self) -> list[SweepFault]:
        """The variants that cannot be built."""
        return [one for one in self if isinstance(one, SweepFault)]

    def best(
        self, count: int = 10, by: Metric = "multiply_adds", *, most: bool = False
    ) -> list[SweepRow]:
        """The variants with the fewest layers, params or multiply_adds, or with the ``most``.

        Raises ValueError for another number to sort by.
        """
        check_choice("by", by, METRICS)
        sign = -1 if most else 1
        rows = (one for one in self if isinstance(one, SweepRow))
        return nsmallest(count, rows, key=lambda row: sign * int(getattr(row, by)))


def axis_texts(vary: object) -> list[str]:
    """Axes as the command line writes them: from such texts, or from a mapping of names to values.

    Values are a range, any other iterable, one value alone, or a text such as ``2..8:2``. Raises
    TypeError for anything else, ValueError for a text in a list that would be several values.
    """
    if isinstance(vary, Mapping):
        return [f"{name}={_written(name, values)}" for name, values in vary.items()]
    if isinstance(vary, str) or not isinstance(vary, Sequence):
        raise TypeError("`vary` must be a list of NAME=VALUES, or a mapping of names to values")
    if not all(isinstance(text, str) for text in vary):
        raise TypeError("`vary` as a list has texts such as 'depth=2,3'")
    return [str(text) for text in vary]


def _written(name: object, values: Any) -> str:
    if isinstance(values, str):
        return values
    if isinstance(values, range) and values and values.step > 0 and values.start >= 0:
        return f"{values.start}..{values[-1]}:{values.step}"
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        return _item(name, values)
    return ",".join(_item(name, value) for value in values)


def _item(name: object, value: Any) -> str:
    """A value as the command line writes it."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # a scalar of NumPy's
    if isinstance(value, str):
        if "," in value or ".." in value:
            raise ValueError(f"a value of `{name}` is {value!r}, which would be several")
        return value
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, (list, tuple)) and name == "input" and value:
        return "x".join(str(number) for number in value)
    hint = "it may be a number, a text or a boolean"
    if isinstance(value, (list, tuple)):
        hint = f"to vary stages by themselves, use `{name}[1]`, `{name}[2]` and so on"
    raise TypeError(f"a value of `{name}` in `vary` is {a_type(value)}: {hint}")
