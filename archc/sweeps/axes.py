"""What a sweep varies: ``depth[2]=2..40:2``, ``width=x0.5..x2:0.25``, ``shortcut=A,B,C``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Protocol, TypeAlias

from archc.dataclassing import dataclass
from archc.source.caller import said
from archc.source.diagnostics import Findings
from archc.source.reader import MAX_DIGITS, scalar
from archc.source.validate import unknown
from archc.spec import Place, Source, Spec
from archc.spec.factor import Factor
from archc.spec.models import KEYS
from archc.text import quote

VARIED = ("input", "classes", "norm", "activation", "pre_activation")
"""The keys of the network that can be varied."""

EXAMPLE = "for example depth=2..8:2, depth[3]=4,6,23 or width=x0.5..x2:0.25"

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(
    rf"(?P<times>x?)(?P<first>{_NUMBER})\.\.(?P=times)(?P<last>{_NUMBER})(?::(?P<step>{_NUMBER}))?"
)


Choice: TypeAlias = int | str | bool | float | Factor


class Values(Protocol):
    """Values in order, not necessarily spelt out, and perhaps more than a list can have."""

    @property
    def count(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Choice]:
        """Each of them."""


def shown(choice: Choice) -> str:
    """A setting as specs and command lines write it."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


@dataclass(frozen=True)
class Axis:
    """An attribute of one stage, or of all where ``stage`` is None, and the values it takes.

    One that ``is_of_network`` is a key of the network's header or a variable.
    """

    attribute: str
    stage: int | None
    values: Values
    place: Place
    is_of_network: bool = False

    @property
    def is_of_spec(self) -> bool:
        """Whether a spec has to be read anew for each of its values."""
        return self.is_of_network or self.attribute == "block"

    @cached_property
    def spelt_out(self) -> list[Choice]:
        """The values as a list."""
        return list(self.values)

    @property
    def name(self) -> str:
        """``depth[2]``, or ``depth`` for all stages."""
        return self.attribute if self.stage is None else f"{self.attribute}[{self.stage}]"

    def concerns(self, stage: int) -> bool:
        """Whether it varies the stage of this number, counted from 1."""
        return self.stage in (None, stage)


def parse_axes(texts: Iterable[str], spec: Spec) -> tuple[Axis, ...]:
    """The axes that the options of a command line describe.

    Ranges are never spelt out. Raises `SpecError` with every mistake.
    """
    findings = Findings()
    axes: list[Axis] = []
    for text in texts:
        axis = _parse(re.sub(r"[\r\n]", " ", text), spec, findings)
        if axis is None:
            continue
        for other in axes:
            if axis.attribute == other.attribute and (
                None in (axis.stage, other.stage) or axis.stage == other.stage
            ):
                message = f"`{axis.name}` is already varied by `{_option(other.place.source)}`"
                findings.error(axis.place, message, code="duplicate-key")
        axes.append(axis)
    findings.check()
    return tuple(axes)


def _option(source: Source) -> str:
    return said(f"--vary {source.text}", source.text)


def _parse(text: str, spec: Spec, findings: Findings) -> Axis | None:
    source = Source(said("--vary", "vary"), text)
    form = re.fullmatch(r"\s*(\w+)\s*(?:\[\s*(\w*)\s*\])?\s*=(.*)", text)
    if form is None:
        message = f"`{source.name}` takes NAME=VALUES, not {quote(text)}"
        findings.error(source.start(), message, EXAMPLE, code="malformed-option")
        return None
    name, stage = form[1], form[2]
    place = Place(source, 1, form.start(1) + 1)
    of_network = (name in VARIED and stage is None) or name in spec.variables
    if not of_network and name not in spec.library.attributes:  # an axis may change the blocks
        _refuse(name, place, spec, findings)
        return None
    if name in spec.variables and stage is not None:
        where = Place(source, 1, form.start(2))
        findings.error(
            where, f"`{name}` is a variable of the spec, not of a stage", code="misplaced-key"
        )
        return None
    count = len(spec.stages)
    if not count and not of_network:
        findings.error(place, f"{spec.header.name} has no stages to vary", code="no-stages")
        return None
    if stage == "":
        where = Place(source, 1, form.start(2))
        findings.error(
            where,
            "the number of a stage is missing here",
            f"for example {name}[1]=...",
            code="malformed-option",
        )
        return None
    # Python refuses to convert thousands of digits.
    number = int(stage) if stage is not None and re.fullmatch("[0-9]{1,18}", stage) else 0
    if stage is not None and not 1 <= number <= count:
        where = Place(source, 1, form.start(2) + 1)
        has = f"{spec.header.name} has stages 1 to {count}"
        findings.error(where, f"there is no stage {quote(stage)}", has, code="unknown-stage")
        return None
    before = len(findings.found)
    segments = list(_segments(source, form[3], form.start(3) + 1, findings))
    if len(findings.found) > before:
        return None
    values = _Joined(tuple(segments))
    return Axis(name, number if stage else None, values, place, of_network)


def _refuse(name: str, place: Place, spec: Spec, findings: Findings) -> None:
    """Complain of a name that nothing to vary has."""
    if name in KEYS:
        what = f"`{name}` cannot be varied"
        if name in VARIED:
            what = f"`{name}` is a key of the network, not of a stage"
        findings.error(place, what, code="misplaced-key")
        return
    of_stages = [key for one in spec.stages for key in type(one.model).model_fields]
    known = dict.fromkeys([*VARIED, *spec.variables, *of_stages])
    what = f"{spec.header.name} has no key, variable or stage attribute"
    unknown(name, place, what, known, findings)


def _segments(source: Source, text: str, column: int, findings: Findings) -> Iterator[Values]:
    for piece in text.split(","):
        item = piece.strip()
        place = Place(source, 1, column + len(piece) - len(piece.lstrip()))
        column += len(piece) + 1
        if not item:
            findings.error(place, "a value is missing here", EXAMPLE, code="malformed-option")
        elif any(len(number) > MAX_DIGITS for number in re.findall(_NUMBER, item)):
            findings.error(
                place, f"a number may have at most {MAX_DIGITS} digits", code="limit-exceeded"
            )
        elif span := _RANGE.fullmatch(item):
            yield from _range(span, item, place, findings)
        elif ".." in item:
            message = f"{quote(item)} is not a range"
            findings.error(
                place,
                message,
                "a range is FIRST..LAST or FIRST..LAST:STEP",
                code="malformed-option",
            )
        elif re.fullmatch(rf"x{_NUMBER}", item):
            yield _Words((Factor(Fraction(item[1:])),))
        else:
            data = scalar(item, place, findings).data
            if data is None:
                message = f"{quote(item)} leaves a stage unchanged and is not a value"
                findings.error(
                    place, message, "x1 is the spec's own value", code="malformed-option"
                )
            elif isinstance(data, (str, int, float)):
                yield _Words((data,))


def _range(span: re.Match[str], item: str, place: Place, findings: Findings) -> Iterator[Values]:
    first, last = Fraction(span["first"]), Fraction(span["last"])
    step = Fraction(span["step"] or 1)
    if step == 0:
        findings.error(
            place,
            f"the range {quote(item)} has a step of 0",
            "the step must be above 0",
            code="empty-range",
        )
    elif last < first:
        times = span["times"]
        hint = f"write {times}{span['last']}..{times}{span['first']}"
        findings.error(
            place,
            f"the range {quote(item)} is empty: it ends before it begins",
            hint,
            code="empty-range",
        )
    elif span["times"]:
        yield _Steps(first, step, int((last - first) / step) + 1, Factor)
    elif first.denominator * last.denominator * step.denominator != 1:
        hint = f"write multiples of the spec's value as x{span['first']}..x{span['last']}"
        findings.error(
            place,
            f"the range {quote(item)} is not a range of integers",
            hint,
            code="malformed-option",
        )
    else:
        yield _Steps(first, step, int((last - first) / step) + 1, int)


@dataclass(frozen=True)
class _Words:
    words: tuple[Choice, ...]

    @property
    def count(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.words)


@dataclass(frozen=True)
class _Steps:
    first: Fraction
    step: Fraction
    count: int
    make: Callable[[Fraction], Choice]

    def __iter__(self) -> Iterator[Choice]:
        value, left = self.first, self.count
        while left:
            yield self.make(value)
            value, left = value + self.step, left - 1


@dataclass(frozen=True)
class _Joined:
    segments: tuple[Values, ...]

    @property
    def count(self) -> int:
        return sum(segment.count for segment in self.segments)

    def __iter__(self) -> Iterator[Choice]:
        return chain.from_iterable(self.segments)
