"""Variants as rows of a file that is whole whenever the sweep stops."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from array import array
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from archc.backends.table import csv_text
from archc.files import OutputError, make_folder, mode_of, reason
from archc.sweeps.axes import Axis, Choice, Factor, shown
from archc.sweeps.plan import METRICS, Variant

SUFFIXES = (".csv", ".json")
PARTIAL = "partial"
"""What the name of a file ends with that is not finished."""

_CHUNK = 1 << 16


class RowsFile:
    """A file of variants, CSV or a JSON list, that grows beside its place until it is finished.

    Whatever has been written ends with a whole row, and a JSON list with its bracket: so does
    what is left beside the file's place where the disk fills up or the program is killed.
    """

    def __init__(self, path: Path, axes: Sequence[Axis]):
        self.path = path
        self.rows = 0
        self._names = [*(axis.name for axis in axes), *METRICS]
        self._is_json = path.suffix.lower() == ".json"
        self._head, self._between, self._end = (
            (b"[\n", b",\n", b"\n]\n") if self._is_json else (_csv_line(self._names), b"", b"")
        )
        self._waiting: list[bytes] = []
        self._size = 0
        self._starts, self._lengths = array("q"), array("q")  # of each row, in bytes
        self._written = len(self._head + self._end)
        try:
            self.partial, self._file = _beside(path)
        except OSError as error:
            raise OutputError(path, reason(error)) from error
        try:
            self._put(self._head + self._end)
        except OSError as error:
            raise self._failure(error) from error

    def add(self, variant: Variant) -> None:
        """Append a variant; raises `OutputError` where the disk is full."""
        line = self._line(variant)
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Put the file at its place; what is no regular file there is written to as it is."""
        self._flush()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            place = self.path.resolve()
            if _is_special(place):
                with open(self.partial, "rb") as rows, open(place, "wb") as out:
                    shutil.copyfileobj(rows, out)
                self.partial.unlink()
            else:
                os.chmod(self.partial, mode_of(place))
                os.replace(self.partial, place)
        except OSError as error:
            raise self._failure(error) from error

    def sort(self, order: Sequence[int]) -> None:
        """Bring the rows into another order, given as the places they have now."""
        self._flush()
        sorted_rows = self.partial.with_name(f"{self.partial.name}.sorted")
        try:
            with open(sorted_rows, "wb") as file:
                file.write(self._head)
                for index, place in enumerate(order):
                    self._file.seek(self._starts[place])
                    row = self._file.read(self._lengths[place])
                    file.write(self._between * (index > 0) + row)
                file.write(self._end)
            self._file.close()
            os.replace(sorted_rows, self.partial)
            self._file = open(self.partial, "r+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            with suppress(OSError):
                sorted_rows.unlink()
            raise self._failure(error) from error

    def _flush(self) -> None:
        if not self._waiting:
            return
        start = self._written - len(self._end)
        content = (self._between if self.rows else b"") + self._between.join(self._waiting)
        at = start + len(self._between) * (self.rows > 0)
        try:
            self._file.seek(start)
            self._put(content + self._end)
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(start)
                self._file.seek(start)
                self._file.write(self._end)
            raise self._failure(error) from error
        self._written = start + len(content) + len(self._end)
        for line in self._waiting:
            self._starts.append(at)
            self._lengths.append(len(line))
            at += len(line) + len(self._between)
        self.rows += len(self._waiting)
        self._waiting, self._size = [], 0

    def _put(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def _failure(self, error: OSError) -> OutputError:
        with suppress(OSError):
            self._file.close()
        if not self.rows:
            with suppress(OSError):
                self.partial.unlink()
            return OutputError(self.path, reason(error))
        kept = f"the {self.rows:,} variants so far are in {str(self.partial)!r}"
        return OutputError(self.path, f"{reason(error)}; {kept}")

    def _line(self, variant: Variant) -> bytes:
        if self._is_json:
            cells = [*map(plain, variant.settings), *variant.numbers]
            row = dict(zip(self._names, cells, strict=True))
            return json.dumps(row, separators=(", ", ": ")).encode()
        return _csv_line([*map(_csv_setting, variant.settings), *variant.numbers])


def plain(choice: Choice) -> int | float | str | bool:
    """A setting as JSON has it."""
    return str(choice) if isinstance(choice, Factor) else choice


def _csv_setting(choice: Choice) -> str:
    """A setting as CSV has it: a word as a text, a number as it is written."""
    return csv_text(choice) if isinstance(choice, str) else shown(choice)


def _beside(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the place where rows will stand, or elsewhere where that is a device."""
    if path.is_dir():
        raise OSError(None, "it is a folder")
    place = path.resolve()  # a link stays a link
    if _is_special(place):
        handle, name = tempfile.mkstemp(prefix="archc-", suffix=f".{PARTIAL}")
        return Path(name), os.fdopen(handle, "w+b", buffering=0)
    make_folder(place.parent)
    for number in count(1):
        suffix = PARTIAL if number == 1 else f"{PARTIAL}-{number}"
        with suppress(FileExistsError):  # another sweep's, or what one has left
            partial = place.with_name(f"{place.name}.{suffix}")
            return partial, open(partial, "x+b", buffering=0)
    raise AssertionError("numbers do not end")


def _is_special(place: Path) -> bool:
    """Whether something stands there that is no regular file: a pipe, a terminal, a device."""
    return place.exists() and not place.is_file()


def _csv_line(cells: Sequence[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
