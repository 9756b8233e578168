"""How far a spec with mistakes is valid: what comes before the first item that has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from archc.dataclassing import dataclass
from archc.source.diagnostics import Place
from archc.source.reader import Value
from archc.spec.files import open_spec
from archc.spec.models import Spec
from archc.spec.overrides import Change
from archc.spec.resolve import Faulty, resolve_faulty


@dataclass(frozen=True)
class Beginning:
    """The ``spec`` of what comes before the first item of stem, stages or head with a mistake.

    ``where`` is that item, ``stage 3``, ``stem`` or ``head``, and ``message`` is what is wrong.
    """

    spec: Spec
    where: str
    message: str


def load_beginning(spec: str, changes: Sequence[Change] = ()) -> Beginning | None:
    """How far a spec is valid that has mistakes; None where that is not known, as where it is no
    YAML, or where no item of stem, stages or head is at fault.

    Raises `SpecError` where the file cannot be read or has too many mistakes.
    """
    faulty = resolve_faulty(open_spec(spec), changes)
    return None if faulty is None else _beginning(faulty)


def _beginning(faulty: Faulty) -> Beginning | None:
    stem, stages, head = faulty.rows
    rows = [*stem, *stages, *head]
    spec, faults = faulty.spec, faulty.error.diagnostics
    at = [_row_of(fault.place, rows) for fault in faults]
    valid = [one.place for one in spec.stages]
    valid += [one.written.place for one in (*spec.stem, *spec.head)]
    broken = [place for place, row in enumerate(rows) if place in at or row.place not in valid]
    if not broken:
        return None
    first = broken[0]
    told = faults[at.index(first)] if first in at else faults[0]
    kept = [row.place for row in rows[:first]]
    cut = replace(
        spec,
        stem=tuple([one for one in spec.stem if one.written.place in kept]),
        stages=tuple([one for one in spec.stages if one.place in kept]),
        head=tuple([one for one in spec.head if one.written.place in kept]),
    )
    return Beginning(cut, _where(first, len(stem), len(stages)), told.message)


def _where(row: int, stem: int, stages: int) -> str:
    if row < stem:
        return "stem"
    return f"stage {row - stem + 1}" if row < stem + stages else "head"


def _row_of(place: Place, rows: Sequence[Value]) -> int | None:
    """Which of the rows a place lies in, if it lies in one."""
    found = None
    for number, row in enumerate(rows):
        begins, ends = row.place, max(_lines(row))
        if begins.source is not place.source or place.line > ends:
            continue
        if (begins.line, begins.column) <= (place.line, place.column):
            before = None if found is None else rows[found].place
            if before is None or (before.line, before.column) < (begins.line, begins.column):
                found = number
    return found


def _lines(value: Value) -> Iterator[int]:
    """The lines on which a value and what is in it begin."""
    yield value.place.line
    if isinstance(value.data, dict):
        for entry in value.data.values():
            yield entry.key.line
            yield from _lines(entry.value)
    elif isinstance(value.data, tuple):
        for one in value.data:
            yield from _lines(one)
