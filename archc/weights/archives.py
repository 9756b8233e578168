"""Zip archives of tensors: what is in one, and what reading it would take, known before anything is
unpacked. What is not packed, as torch and NumPy write it, is read where it lies."""

from __future__ import annotations

import stat
import zipfile
import zlib
from mmap import mmap
from typing import Any

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

_UTF8, _ENCRYPTED = 0x800, 0x1
"""Flags of a part: how its name is written, and that it cannot be read."""


class _Stream:
    """A file as zipfile reads it, which stops at a list of parts that is too long.

    zipfile reads the list in one piece, as long as the file says it is, and makes an object of each
    entry.
    """

    def __init__(self, contents: mmap):
        self._contents = contents
        self.is_open = False

    def read(self, size: int = -1) -> bytes:
        if not self.is_open and min(size, len(self._contents)) > MAX_PARTS * _LONGEST_ENTRY:
            raise ArchiveLimitError(f"has a list of parts of {size:,} bytes")
        data = self._contents.read(size)
        if not self.is_open and data.count(b"PK\x01\x02") > MAX_PARTS:
            raise ArchiveLimitError(f"has more than {MAX_PARTS:,} parts")
        return data

    def seek(self, at: int, whence: int = 0) -> int:
        self._contents.seek(at, whence)  # type: ignore[arg-type]
        return self._contents.tell()

    def seekable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contents, name)


class Archive:
    """An archive in the bytes of a file, its list of parts read but no part.

    ``names`` are those of its parts. Raises `ArchiveLimitError` where there are too many, or too
    much would come out of them, `DamagedArchiveError`, and whatever zipfile does where there is no
    list.
    """

    def __init__(self, contents: mmap):
        stream = _Stream(contents)
        self._contents = contents
        self._zip = zipfile.ZipFile(stream)
        stream.is_open = True
        _check_end(contents, self._zip)
        parts = self._zip.infolist()
        unpacked = sum(part.file_size for part in parts)
        if unpacked > max(MAX_UNPACKED, MAX_RATIO * len(contents)):
            raise ArchiveLimitError(f"would unpack to {unpacked:,} bytes from {len(contents):,}")
        if sum(part.compress_size for part in parts) > len(contents):
            raise DamagedArchiveError("parts overlap")
        for part in parts:
            if part.external_attr & stat.FILE_ATTRIBUTE_DIRECTORY and not part.is_dir():
                # torch would take it for a folder, and leave the tensor as its memory was before.
                raise DamagedArchiveError(f"{part.filename} is called a folder")
        self.names = tuple(part.filename for part in parts)
        self._parts = {part.filename: part for part in parts}
        if len(self._parts) < len(parts):
            raise DamagedArchiveError("two parts have one name")

    def size(self, name: str) -> int:
        """How many bytes a part has when it is unpacked."""
        return self._parts[name].file_size

    def read(self, name: str) -> memoryview | bytearray:
        """The bytes of a part, compared with their checksum: in their place, if not packed.

        Raises `DamagedArchiveError` where they differ, or where there is no such part, and whatever
        zipfile does where it cannot be unpacked.
        """
        part = self._parts.get(name)
        if part is None:
            raise DamagedArchiveError("a part is missing")
        found: memoryview | bytearray
        if part.compress_type == zipfile.ZIP_STORED:
            start = self._start(part)
            found = memoryview(self._contents)[start : start + part.compress_size]
        else:
            found = self._unpacked(part)
        if len(found) != part.file_size:
            raise DamagedArchiveError(f"{name} is too short")
        if part.CRC and zlib.crc32(found) != part.CRC:  # torch can be told to compute none
            raise DamagedArchiveError(f"{name} has changed")
        return found

    def _start(self, part: zipfile.ZipInfo) -> int:
        """Where the bytes of a part begin: behind a header, which has its name once more."""
        at = part.header_offset
        header = self._contents[at : at + 30]
        name_size, extra_size = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
        name = self._contents[at + 30 : at + 30 + name_size]
        encoding = "utf-8" if part.flag_bits & _UTF8 else "cp437"
        if not header.startswith(b"PK\x03\x04") or name.decode(encoding) != part.orig_filename:
            raise DamagedArchiveError(f"{part.filename} is not where the list says")
        if part.flag_bits & _ENCRYPTED:
            raise DamagedArchiveError(f"{part.filename} is encrypted")
        return at + 30 + name_size + extra_size

    def _unpacked(self, part: zipfile.ZipInfo) -> bytearray:
        found = bytearray()
        with self._zip.open(part) as stream:
            while data := stream.read(2**20):  # no more than the list says: within the limit
                found += data
        return found


def _check_end(contents: mmap, archive: zipfile.ZipFile) -> None:
    """Check that there is only one way to find the list of parts: torch does not use zipfile."""
    size = len(contents)
    end = contents[max(0, size - 42) :]
    locator, last = end[:-22], end[-22:]
    records = 76 if locator.startswith(b"PK\x06\x07") else 0  # zip64's
    if archive.comment or not last.startswith(b"PK\x05\x06"):
        raise DamagedArchiveError("there is data after the list of parts")
    if records and int.from_bytes(locator[8:16], "little") != size - 22 - records:
        raise DamagedArchiveError("the list of parts is not where the archive says")
