"""Variants as rows of a file that is whole whenever the sweep stops."""

from __future__ import annotations

import csv
import io
import json
import os
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from archc.files import OutputError, reason
from archc.sweeps.axes import Axis, Choice, Factor
from archc.sweeps.plan import METRICS, Variant

SUFFIXES = (".csv", ".json")

_CHUNK = 1 << 16


class RowsFile:
    """A file of variants, CSV or a JSON list, that grows beside its place until it is finished.

    Whatever has been written ends with a whole row, and a JSON list with its bracket: so does
    what is left beside the file's place where the disk fills up or the program is killed.
    """

    def __init__(self, path: Path, axes: Sequence[Axis]):
        self.path = path.resolve()
        self.partial = self.path.with_name(f"{self.path.name}.partial")
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
            if self.path.is_dir():
                raise OSError(None, "it is a folder")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = open(self.partial, "w+b", buffering=0)  # noqa: SIM115
            self._put(self._head + self._end)
        except OSError as error:
            raise OutputError(path, reason(error)) from error

    def add(self, variant: Variant) -> None:
        """Append a variant; raises `OutputError` where the disk is full."""
        line = self._line(variant)
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Put the file at its place."""
        self._flush()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.partial, self.path)
        except OSError as error:
            raise OutputError(self.path, reason(error)) from error

    def sort(self, order: Sequence[int]) -> None:
        """Bring the rows into another order, given as the places they have now."""
        self._flush()
        sorted_rows = self.partial.with_name(f"{self.path.name}.sorted")
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
        kept = f"the {self.rows:,} variants so far are in {str(self.partial)!r}"
        return OutputError(self.path, f"{reason(error)}; {kept}")

    def _line(self, variant: Variant) -> bytes:
        cells = [*map(plain, variant.settings), *variant.numbers]
        if self._is_json:
            row = dict(zip(self._names, cells, strict=True))
            return json.dumps(row, separators=(", ", ": ")).encode()
        return _csv_line(cells)


def plain(choice: Choice) -> int | float | str | bool | None:
    """A setting as a cell has it."""
    return str(choice) if isinstance(choice, Factor) else choice


def _csv_line(cells: Sequence[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
