"""What a run measures as it goes, as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from archc.errors import TrainingError
from archc.files import OutputError, reason, write
from archc.inputs import note_input


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


def append(path: Path, row: Row) -> None:
    """Write a row to the end of a file, which it makes. Raises `OutputError`."""
    try:
        with path.open("a") as file:
            file.write(row.line() if file.tell() else HEADING + row.line())
    except OSError as error:
        raise OutputError(path, reason(error)) from error


def cut(path: Path, iteration: int) -> None:
    """Forget what was measured after an iteration, as training goes on from there."""
    rows = [row for row in _whole_rows(path) if row.iteration <= iteration]
    write(path, (HEADING + "".join(row.line() for row in rows)).encode())


def read_metrics(path: Path) -> Sequence[Row]:
    """The rows of a file, without one that is still being written.

    Raises `TrainingError` for a file that is missing or no such file.
    """
    note_input(path)
    if not path.is_file():
        raise TrainingError(f"there is no {str(path)!r}: nothing has been measured yet")
    rows = _whole_rows(path)
    if not rows:
        raise TrainingError(f"{str(path)!r} has no rows: nothing has been measured yet")
    return rows


def _whole_rows(path: Path) -> list[Row]:
    """The rows that are whole: the last may still be being written, or have been."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainingError(f"{str(path)!r} cannot be read: {reason(error)}") from None
    lines = text.splitlines(keepends=True)
    if lines[:1] not in ([], [HEADING]):
        what = f"{str(path)!r} is no file of metrics: its first line is another"
        raise TrainingError(what, "move it away; training goes on without it")
    rows = []
    for line in lines[1:]:
        cells = line.rstrip("\n").split(",")
        if not line.endswith("\n") or len(cells) != len(COLUMNS):
            continue
        try:
            first, rest = int(cells[0]), [float(cell) if cell else None for cell in cells[1:]]
        except ValueError:
            continue
        rows.append(Row(first, rest[0] or 0.0, rest[1] or 0.0, *rest[2:]))
    return rows
