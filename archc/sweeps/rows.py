"""Variants as rows of a file that is whole whenever the sweep stops."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from array import array
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from operator import add
from pathlib import Path
from typing import BinaryIO

from archc.backends.table import csv_text
from archc.errors import OutputError, reason
from archc.files import make_folder, mode_of, reclaim_for, write_fully
from archc.locks import SUPPORTED
from archc.spec.factor import Factor
from archc.streams import open_stream
from archc.sweeps.axes import Axis, Choice, shown
from archc.sweeps.plan import METRICS, Variant
from archc.temporaries import create, taken, temporary_for

SUFFIXES = (".csv", ".json")
PARTIAL = "partial"
"""What the name of a file ends with that is not finished."""

_PAGE = 1 << 12
"""Rows are written so many bytes at a time, up to the next multiple of it in the file: Linux looks
for a kill between two pages of a write, so that none can tear what lies within one."""

_COPIED = 1 << 16
_MAX_NAME = 255
"""Bytes that a name may have on the file systems in use."""


class RowsFile:
    """A file of variants, CSV or a JSON list, that grows beside its place until it is finished.

    Until then it is ``FILE.partial``, or a temporary of archc's where another sweep is writing
    that, or somebody else's file has the name. Whatever has been written ends with a full row, and
    a JSON list with its bracket: so does what is left there where the disk fills up or the program
    is killed. The next sweep to the same place removes what is left, once nobody writes it any
    more. Where a stream stands at the place, rows are kept without a name until they are finished.
    Where each row lies is remembered only if they are ``sortable``.
    """

    def __init__(self, path: Path, axes: Sequence[Axis], *, sortable: bool = True):
        self.path = path
        self.rows = 0
        self._names = [*(axis.name for axis in axes), *METRICS]
        self._keys = [f"{json.dumps(name)}: " for name in self._names]
        self._sortable = sortable
        self._is_json = path.suffix.lower() == ".json"
        self._head, self._between, self._end = (
            (b"[\n", b",\n", b"\n]\n") if self._is_json else (_csv_line(self._names), b"", b"")
        )
        self._waiting: list[bytes] = []
        self._size = 0
        self._starts, self._lengths = array("q"), array("q")  # of each row, in bytes
        self._written = len(self._head + self._end)
        self.partial: Path | None = None
        try:
            self._stream = open_stream(path)
            if self._stream is not None:
                self._file: BinaryIO = _nameless()
            else:
                self.partial, self._file = _beside(path)
        except (OSError, ValueError, RuntimeError) as error:
            raise OutputError(path, reason(error)) from error
        try:
            self._put(self._head + self._end)
        except OSError as error:
            raise self._failure(error) from error

    def add(self, variant: Variant) -> None:
        """Append a variant; raises `OutputError` where the disk is full."""
        line = self._line(variant)
        size = len(self._between) + len(line)
        if self._written % _PAGE + self._size + size > _PAGE:
            self._flush()
        self._waiting.append(line)
        self._size += size

    def finish(self) -> None:
        """Put the file at its place; a stream that stands there is written to as it is."""
        self._flush()
        try:
            if self.partial is None:
                self._copy()
                return
            os.fsync(self._file.fileno())
            place = self.path.resolve()
            os.chmod(self.partial, mode_of(place))
            if not SUPPORTED:
                self._file.close()
            os.replace(self.partial, place)  # still held, so that nobody removes it before
            self._file.close()
        except OSError as error:
            raise self._failure(error) from error

    def _copy(self) -> None:
        """Write everything to the stream."""
        assert self._stream is not None
        with self._stream as stream, self._file as file:
            file.seek(0)
            while content := file.read(_COPIED):
                stream.write(content)

    def sort(self, order: Sequence[int]) -> None:
        """Bring the rows into another order, given as the places they have now.

        The rows as they came stay at their place until all are there in the new order.
        """
        self._flush()
        sorted_path = None if self.partial is None else temporary_for(self.path.resolve())
        try:
            file = _nameless() if sorted_path is None else create(sorted_path, 0o666)
            self._copy_rows(order, file)
            if not SUPPORTED:
                self._file.close()
            if sorted_path is not None and self.partial is not None:
                os.replace(sorted_path, self.partial)
        except BaseException as error:
            if sorted_path is not None:
                with suppress(OSError):
                    sorted_path.unlink()
            if isinstance(error, OSError):
                raise self._failure(error) from error
            raise
        self._file.close()
        self._file = file

    def _copy_rows(self, order: Sequence[int], file: BinaryIO) -> None:
        ready = bytearray(self._head)
        for index, place in enumerate(order):
            self._file.seek(self._starts[place])
            ready += self._between * (index > 0) + self._file.read(self._lengths[place])
            if len(ready) >= _COPIED:
                write_fully(file, ready)
                ready.clear()
        write_fully(file, ready + self._end)

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
        for line in self._waiting if self._sortable else ():
            self._starts.append(at)
            self._lengths.append(len(line))
            at += len(line) + len(self._between)
        self.rows += len(self._waiting)
        self._waiting, self._size = [], 0

    def _put(self, content: bytes) -> None:
        write_fully(self._file, content)

    def _failure(self, error: OSError) -> OutputError:
        with suppress(OSError):
            self._file.close()
        if self.partial is None:
            return OutputError(self.path, reason(error))
        if not self.rows:
            with suppress(OSError):
                self.partial.unlink()
            return OutputError(self.path, reason(error))
        kept = f"the {self.rows:,} variants so far are in {str(self.partial)!r}"
        return OutputError(self.path, f"{reason(error)}; {kept}")

    def _line(self, variant: Variant) -> bytes:
        cell = _json_cell if self._is_json else _csv_cell
        cells = [str(one) if type(one) is int else cell(one) for one in variant.settings]
        layers, params, multiply_adds = variant.numbers
        cells += str(layers), str(params), str(multiply_adds)
        if self._is_json:
            return f"{{{', '.join(map(add, self._keys, cells))}}}".encode()
        return f"{','.join(cells)}\n".encode()


def plain(choice: Choice) -> int | float | str | bool:
    """A setting as JSON has it."""
    return str(choice) if isinstance(choice, Factor) else choice


def _json_cell(choice: Choice) -> str:
    return json.dumps(plain(choice))


def _csv_cell(choice: Choice) -> str:
    """A setting as CSV has it: a word as a text, a number as it is written."""
    return _csv_word(choice) if isinstance(choice, str) else shown(choice)


@cache
def _csv_word(word: str) -> str:
    return _csv_line([csv_text(word)]).decode().removesuffix("\n")


def _beside(path: Path) -> tuple[Path, BinaryIO]:
    """A new file, held, beside the place where rows will stand."""
    if path.is_dir():
        raise OSError(None, "it is a folder")
    place = path.resolve()  # a link stays a link
    make_folder(place.parent)
    reclaim_for([place])
    partial = partial_for(place)
    with taken(partial) as left:
        if left is not None and _is_of_a_sweep(left, place.suffix.lower()):
            partial.unlink(missing_ok=True)
    with suppress(FileExistsError):  # another sweep's, or not a sweep's at all
        return partial, create(partial, 0o666)
    temporary = temporary_for(place)
    return temporary, create(temporary, 0o666)


def partial_for(place: Path) -> Path:
    """Where rows stand until they are finished; a name too long for that is cut."""
    if len(os.fsencode(place.name)) + len(PARTIAL) + 1 <= _MAX_NAME:
        return place.with_name(f"{place.name}.{PARTIAL}")
    from hashlib import sha256

    name = os.fsencode(place.name)
    ending = f"-{sha256(name).hexdigest()[:12]}.{PARTIAL}"
    kept = name[: _MAX_NAME - len(ending)].decode(errors="ignore")
    return place.with_name(kept + ending)


def _is_of_a_sweep(file: BinaryIO, suffix: str) -> bool:
    """Whether a file begins as a sweep's do, or holds nothing that could be lost."""
    begin = file.read(_COPIED).decode(errors="replace").splitlines()
    if suffix != ".json":
        return not begin or begin[0].split(",")[-len(METRICS) :] == list(METRICS)
    if len(begin) < 2 or begin[0] != "[":
        return not begin
    if begin[1] == "":
        return begin[2:] == ["]"]
    try:
        return list(json.loads(begin[1].removesuffix(",")))[-len(METRICS) :] == list(METRICS)
    except (ValueError, TypeError):
        return False


def _nameless() -> BinaryIO:
    """A file that no folder lists, so that nothing is left of it however the process ends."""
    return tempfile.TemporaryFile(buffering=0)


def _csv_line(cells: Sequence[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
