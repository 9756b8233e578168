"""What a run measures as it goes, as a CSV file."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from archc.dataclassing import dataclass
from archc.errors import OutputError, TrainingError, reason
from archc.files import write
from archc.inputs import note_input
from archc.recipes.models import MAX_ITERATIONS
from archc.source.diagnostics import Diagnostic, Findings, Place, Source
from archc.text import quote, quote_name


@dataclass(frozen=True)
class Row:
    """A line of metrics.csv: of the training since the last such line, or of a test.

    Errors are in percent, ``epoch`` counts passes over the training images, ``seconds`` the time
    that this sitting has taken so far.
    """

    iteration: int
    epoch: float
    learning_rate: float
    training_loss: float | None = None
    training_error: float | None = None
    test_loss: float | None = None
    test_error: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None

    def line(self) -> str:
        """The row as text; what was not measured is empty."""
        cells = ["" if value is None else f"{value:.6g}" for value in astuple(self)[1:]]
        return ",".join([str(self.iteration), *cells]) + "\n"


COLUMNS = [field.name for field in fields(Row)]
HEADING = ",".join(COLUMNS) + "\n"

_PERCENT = ("training_error", "test_error")
_DECIMAL = r"[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?"


def append(path: Path, row: Row) -> None:
    """Write a row to the end of a file, which it makes. Raises `OutputError`."""
    try:
        with path.open("a") as file:
            file.write(row.line() if file.tell() else HEADING + row.line())
    except OSError as error:
        raise OutputError(path, reason(error)) from error


def cut(path: Path, iteration: int) -> None:
    """Forget what was measured after an iteration, as training goes on from there.

    What no run measures is dropped with it: a damaged file of metrics does not stop training.
    """
    rows = [row for row, _ in _rows(path) if row is not None and row.iteration <= iteration]
    write(path, (HEADING + "".join(row.line() for row in rows)).encode())


def read_metrics(path: Path) -> Sequence[Row]:
    """The rows of a file, without one that is still being written.

    Raises `TrainingError` for a file that is missing or no such file, and `SpecError`, at the
    lines that are at fault, where one holds what no run measures.
    """
    note_input(path)
    if not path.is_file():
        raise TrainingError(f"there is no {str(path)!r}: nothing has been measured yet")
    findings, rows = Findings(), []
    for row, faults in _rows(path):
        for fault in faults:
            findings.error(fault.place, fault.message, code=fault.code)
        rows += [row] if row else []
    findings.check()
    if not rows:
        raise TrainingError(f"{str(path)!r} has no rows: nothing has been measured yet")
    return rows


def _rows(path: Path) -> list[tuple[Row | None, Collection[Diagnostic]]]:
    """The rows that are whole, or what is wrong with them: the last may still be being written, or
    have been."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainingError(f"{str(path)!r} cannot be read: {reason(error)}") from None
    source = Source(quote_name(str(path)), text, str(path), kind="file of metrics")
    if text and source.lines[0] + "\n" != HEADING:
        what = f"{str(path)!r} is not a metrics file: its first line differs"
        raise TrainingError(what, "move it away; training continues without it")
    lines = [(number, line.split(",")) for number, line in enumerate(source.lines[1:-1], 2)]
    return [
        _row(cells, Place(source, number, 1))
        for number, cells in lines
        if len(cells) == len(COLUMNS)
    ]


def _row(cells: Sequence[str], start: Place) -> tuple[Row | None, Collection[Diagnostic]]:
    """A line's cells as a row, or what is wrong with them."""
    findings = Findings()
    numbers: list[float | None] = []
    column = 1
    for name, cell in zip(COLUMNS, cells, strict=True):
        place = Place(start.source, start.line, column)
        numbers.append(_number(name, cell, place, findings))
        column += len(cell) + 1
    if findings.found:
        return None, findings.found.values()
    first, *rest = numbers
    return Row(int(first or 0), rest[0] or 0.0, rest[1] or 0.0, *rest[2:]), ()


def _number(name: str, cell: str, place: Place, findings: Findings) -> float | None:
    """A cell's number, None where nothing was measured; what a run cannot measure is noted."""
    if name == COLUMNS[0]:
        # Within bounds by its length first: Python refuses to convert thousands of digits.
        if re.fullmatch("[0-9]{1,18}", cell) and int(cell) <= MAX_ITERATIONS:
            return int(cell)
        allowed = f"an integer from 0 to {MAX_ITERATIONS:,}"
    elif not cell:
        return None
    elif name in _PERCENT:
        if re.fullmatch(_DECIMAL, cell) and float(cell) <= 100:
            return float(cell)
        allowed = "a number from 0 to 100"
    else:  # a loss that has diverged is nan or inf
        if re.fullmatch(rf"-?({_DECIMAL}|inf|nan)", cell):
            return float(cell)
        allowed = "a number"
    findings.error(
        place,
        f"`{name}` must be {allowed}, not {quote(cell) if cell else 'nothing'}",
        code="malformed-record",
    )
    return None
