"""Zip archives as torch writes them: what is in one, and what reading it would take, known before
anything is unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
from copy import copy
from typing import Any, BinaryIO

from archc.weights.pickles import MAX_BYTES, PickleLimitError, Scan

MAX_PARTS = 50_000
"""How many parts an archive may have: one for each tensor."""

MAX_UNPACKED = 2**26
"""How many bytes may come out of an archive of any size."""

MAX_RATIO = 8
"""How often its size in bytes may come out of a large one. torch packs nothing; weights that others
have packed shrink by a tenth, or with what was pruned set to zero by a few times."""


class ArchiveLimitError(Exception):
    """An archive takes more than a checkpoint does; the message says what."""


class DamagedArchiveError(Exception):
    """The parts of an archive are not what they are said to be."""


_LONGEST_ENTRY = 320
"""Bytes of an entry in the list of parts: its name has at most 255 or so."""


class _Stream:
    """A file as zipfile reads it, which stops at a list of parts that is too long.

    zipfile reads the list in one piece, as long as the file says it is, and makes an object of each
    entry.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.size = stream.seek(0, os.SEEK_END)
        self.is_open = False

    def read(self, size: int = -1) -> bytes:
        if not self.is_open and min(size, self.size) > MAX_PARTS * _LONGEST_ENTRY:
            raise ArchiveLimitError(f"has a list of parts of {size:,} bytes")
        data = self._stream.read(size)
        if not self.is_open and data.count(b"PK\x01\x02") > MAX_PARTS:
            raise ArchiveLimitError(f"has more than {MAX_PARTS:,} parts")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_archive(stream: BinaryIO) -> zipfile.ZipFile:
    """An archive, its list of parts read but no part.

    Raises `ArchiveLimitError` where there are too many, or too much would come out of them,
    `DamagedArchiveError`, and whatever zipfile does where there is no list.
    """
    limited = _Stream(stream)
    archive = zipfile.ZipFile(limited)
    limited.is_open = True
    _check_end(stream, archive, limited.size)
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > max(MAX_UNPACKED, MAX_RATIO * limited.size):
        raise ArchiveLimitError(f"would unpack to {unpacked:,} bytes from {limited.size:,}")
    if sum(part.compress_size for part in parts) > limited.size:
        raise DamagedArchiveError("parts overlap")
    return archive


def _check_end(stream: BinaryIO, archive: zipfile.ZipFile, size: int) -> None:
    """Check that there is only one way to find the list of parts: torch does not use zipfile."""
    stream.seek(max(0, size - 42))
    locator, last = stream.read(20), stream.read(22)
    records = 76 if locator.startswith(b"PK\x06\x07") else 0  # zip64's
    if archive.comment or not last.startswith(b"PK\x05\x06"):
        raise DamagedArchiveError("there is data after the list of parts")
    if records and int.from_bytes(locator[8:16], "little") != size - 22 - records:
        raise DamagedArchiveError("the list of parts is not where the archive says")


def check_parts(archive: zipfile.ZipFile) -> None:
    """Check that the pickle of an archive asks for no more than a checkpoint needs, and then that
    all parts are as they were written: torch compares no checksums.

    Raises `PickleLimitError`, `DamagedArchiveError`, and whatever zipfile does where a part cannot
    be read.
    """
    parts = archive.infolist()
    for part in parts:
        if part.external_attr & stat.FILE_ATTRIBUTE_DIRECTORY and not part.is_dir():
            # torch would take it for a folder, and leave the tensor as its memory happens to be.
            raise DamagedArchiveError(f"{part.filename} is called a folder")
    _check_pickles(archive)
    for part in parts:
        if part.CRC:  # torch can be told to compute none
            with archive.open(part) as stream:  # which compares the checksum at the end
                while stream.read(2**20):
                    pass


def _check_pickles(archive: zipfile.ZipFile) -> None:
    """Follow what torch would unpickle. It finds parts whether their names are in capitals or not,
    and of two with one name either."""
    names = {part.filename.partition("/")[2].encode() for part in archive.infolist()}
    for part in archive.infolist():
        if part.filename.partition("/")[2].lower() != "data.pkl":
            continue
        if part.file_size > MAX_BYTES:
            raise PickleLimitError(f"holds a pickle of more than {MAX_BYTES:,} bytes")
        known = copy(part)
        if not part.CRC:
            del known.CRC  # nothing to compare with
        with archive.open(known) as stream:
            scan = Scan(stream.read())
        if scan.follow() and any(b"data/" + key not in names for key in scan.storages):
            raise DamagedArchiveError("the data of a tensor is missing")
