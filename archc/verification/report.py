"""What a verification found: a row for each check, and the layers at fault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from archc.dataclassing import dataclass
from archc.shown import Shown

ORIGINAL = "original"
"""The check against the model of another library that a network was made of."""
COUNTED = "multiply-adds"
"""The check of multiply-adds, which a network may have ops without a rule for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A layer that is not what the graph says; ``layer`` is "" for the module as a whole."""

    layer: str
    message: str

    def __str__(self) -> str:
        return f"{self.layer or 'the module'}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A check: whether it passed (None where it could not be run), its number, its faults."""

    check: str
    passed: bool | None
    number: str
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, check: str, number: str, faults: Iterable[Fault] = ()) -> Row:
        """A row that passes where there are no faults."""
        found = tuple(faults)
        return cls(check, not found, number, found)

    @classmethod
    def skipped(cls, check: str) -> Row:
        """A row of a check that an earlier fault makes impossible."""
        return cls(check, None, "not run")


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """The verification of one network."""

    name: str
    device: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every check was run and passed; a model's original, which may not be there to be
        run, and the multiply-adds of ops without a rule only did not fail."""
        return all(
            row.passed or (row.check in (ORIGINAL, COUNTED) and row.passed is None)
            for row in self.rows
        )

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of all checks."""
        return tuple(fault for row in self.rows for fault in row.faults)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**asdict(self), "passed": self.passed}
