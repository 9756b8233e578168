"""What `--set` does to the stages that it is for, and what is said of the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from archc.blocks import Stage
from archc.blocks.scope import plain
from archc.source.diagnostics import Findings, Note, Place
from archc.source.reader import INVALID, Value
from archc.source.suggest import closest
from archc.source.validate import describe, kinds_of, tainted
from archc.spec.models import Attribute
from archc.text import listing

SHOWN = 4
"""How many stages a message names one by one."""


def numbered(stages: Sequence[int]) -> str:
    """Stages by number: ``stage 2``, ``stages 1, 2 and 4``; many are counted, not listed."""
    if len(stages) == 1:
        return f"stage {stages[0]}"
    words = [str(number) for number in stages[:SHOWN]]
    words += [f"{len(stages) - SHOWN:,} more"] if len(stages) > SHOWN else []
    return f"stages {listing(words, 'and')}"


_Met = dict[tuple[Place, str], list[tuple[int, type[Stage]]]]


class Options:
    """The `--set` of all stages, as far as stages have been gone through.

    ``spec`` is what messages call the spec: an option may be one of several specs.
    """

    def __init__(self, spec: str, findings: Findings) -> None:
        self.spec, self.findings = spec, findings
        self._using: set[tuple[Place, str]] = set()
        self._left: _Met = {}
        self._refused: set[Place] = set()
        self._rounded: dict[tuple[Place, str], list[tuple[int, Fraction, int]]] = {}

    def meet(self, name: str, attribute: Attribute, number: int, model: type[Stage]) -> None:
        """A stage gets an attribute from an option; its blocks may have none of this name."""
        option = (attribute.key, name)
        if name in model.model_fields:
            self._using.add(option)
        else:
            self._left.setdefault(option, []).append((number, model))

    def round(self, name: str, factor: Attribute, number: int, exact: Fraction) -> int:
        """A product as a whole number, of which its user is told."""
        from archc.spec.factor import rounded

        whole = rounded(exact)
        self._rounded.setdefault((factor.value.place, name), []).append((number, exact, whole))
        return whole

    def has_refused(self, factor: Place) -> bool:
        """Whether a factor has been complained of already, which from now on it has."""
        before = factor in self._refused
        self._refused.add(factor)
        return before

    def finish(self, belongs: Callable[[str], str]) -> list[Note]:
        """What is to be said when all stages have been gone through.

        An option that no stage can use is a mistake; ``belongs`` says which blocks have it.
        """
        notes = []
        for option, left in self._left.items():
            place, name = option
            if option not in self._using:
                self._complain(place, name, [model for _, model in left], belongs)
                continue
            which = numbered([number for number, _ in left])
            verb, are = ("has", "is") if len(left) == 1 else ("have", "are")
            told = f"{which} {verb} no attribute `{name}` and {are} left unchanged"
            notes.append(Note(place, told))
        for (place, name), rows in self._rounded.items():
            rows_ = [f"{float(exact):,.15g} to {whole:,}" for _, exact, whole in rows[:SHOWN]]
            rows_ += [f"{len(rows) - SHOWN:,} more"] if len(rows) > SHOWN else []
            which = numbered([number for number, *_ in rows])
            told = f"`{name}` of {which} is rounded: {listing(rows_, 'and')}"
            notes.append(Note(place, told))
        return notes

    def _complain(
        self,
        place: Place,
        name: str,
        models: Iterable[type[Stage]],
        belongs: Callable[[str], str],
    ) -> None:
        blocks = {model.definition.name: model for model in models}
        fields = dict.fromkeys(field for one in blocks.values() for field in one.model_fields)
        message = f"no stage of {self.spec} has an attribute `{name}`"
        if len(blocks) == 1:
            message = f"the `{next(iter(blocks))}` stages of {self.spec} have no attribute `{name}`"
        hint = closest(name, fields) or belongs(name)
        self.findings.error(place, message, hint, code="inapplicable-attribute")


def multiplied(
    number: int,
    attributes: Mapping[str, Attribute],
    factors: Mapping[str, Sequence[Attribute]],
    model: type[Stage],
    options: Options,
) -> dict[str, Attribute]:
    """The attributes of a stage, times their factors; one that is not given has its default.

    Products are exact, and then rounded to whole numbers where the attribute takes no others.
    """
    found = dict(attributes)
    for name, row in factors.items():
        for factor in row:
            if name not in model.model_fields:  # that it has none is told elsewhere
                found[name] = factor
                break
            before = found[name].value if name in found else None
            if before is None and not model.model_fields[name].is_required():
                default = model.model_fields[name].default
                before = Value(default, factor.value.place)
            value = _product(name, number, before, factor, model, options)
            found[name] = replace(factor, value=value)
    return found


def _product(
    name: str,
    number: int,
    before: Value | None,
    factor: Attribute,
    model: type[Stage],
    options: Options,
) -> Value:
    from archc.spec.factor import Factor, factor_in

    place, times = factor.value.place, factor_in(factor.value.data)
    assert isinstance(times, Factor)
    data = None if before is None else before.data
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not math.isfinite(data):
        if (before is None or not tainted(before)) and not options.has_refused(place):
            is_ = "has no value" if before is None or data is None else f"is {describe(before)}"
            message = f"`{name}` of stage {number} {is_} and cannot be multiplied"
            options.findings.error(place, message, "write the value itself", code="wrong-type")
        return Value(INVALID, place)
    exact = times.exactly(data)
    if "number" not in kinds_of(model, name) and (exact.denominator != 1 or exact < 1):
        exact = Fraction(options.round(name, factor, number, exact))
    result: Any = plain(exact)
    return Value(result, place, str(result))
