"""The tensors of foreign models, read when they are needed: numpy arrays, without torch or onnx.

Nothing of a file is executed, and no more is read than it has.
"""

from __future__ import annotations

import stat
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeAlias

from archc.errors import reason
from archc.extras import require
from archc.frontends.program import ForeignError
from archc.text import quote, visible

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.generic]

Source: TypeAlias = Path | bytes
"""A file, or what is in it."""

MAX_REPEATED = 2**26
"""Bytes of tensors beyond what their files hold: those that say the same number again and again."""

MAX_USES = 4
"""How often all that a file holds may be in its tensors: some share theirs with others."""

BFLOAT16 = "bfloat16"
"""numpy has no such type: its numbers are read as float32, which holds them exactly."""


class Tensors:
    """Where a model's tensors lie. ``file`` is what the user calls it."""

    def __init__(self, source: Source, file: str):
        self.source, self.file = source, file
        self.stamp = None if isinstance(source, bytes) else _stamp(source, file)
        self.room = MAX_REPEATED

    def read(self, keys: Collection[str]) -> dict[str, Array]:
        """The tensors of these keys.

        Raises `ForeignError` where the file lacks one or has changed since its program was read,
        ModuleNotFoundError without numpy.
        """
        require("numpy", "reading the weights of a model", "onnx")
        source = self.source
        size = len(source) if isinstance(source, bytes) else _stamp(source, self.file)[0]
        self.room = MAX_REPEATED + MAX_USES * size
        with self._opened() as stream:
            return {key: self._read(stream, key) for key in keys}

    def claim(self, key: str, size: int) -> None:
        """Note the bytes of a tensor before it is made. Raises `ForeignError` where those of all
        together are far more than their files hold."""
        self.room -= size
        if self.room < 0:
            self.fail(key, "is too large: the tensors would take far more memory than the file")

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if isinstance(self.source, bytes):
            yield BytesIO(self.source)
            return
        if _stamp(self.source, self.file) != self.stamp:
            raise ForeignError(f"{self.file} has changed since it was read")
        try:
            with self.source.open("rb") as stream:
                yield stream
        except OSError as error:
            raise ForeignError(f"cannot read {self.file}: {reason(error)}") from error

    @abstractmethod
    def _read(self, stream: BinaryIO, key: str) -> Array:
        """A tensor."""

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise the error that says so of a tensor."""
        raise ForeignError(f"{self.file}: the tensor {quote(visible(key))} {what}")

    def array(self, data: bytes, code: str, key: str) -> Array:
        """Numbers as they lie in a file, the lower bytes first."""
        import numpy as np

        if code == BFLOAT16:
            halves = np.frombuffer(data, "<u2").astype(np.uint32)
            return (halves << 16).view(np.float32)
        dtype = np.dtype(code).newbyteorder("<")
        if len(data) % dtype.itemsize:
            self.fail(key, "ends in the middle of a number")
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))


def width(code: str) -> int:
    """Bytes of a number."""
    return 2 if code == BFLOAT16 else 1 if code == "?" else int(code[1:])


def _stamp(path: Path, file: str) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ForeignError(f"cannot read {file}: {reason(error)}") from error
    return found.st_size, found.st_mtime_ns, found.st_ino


def beside(path: Path, location: str, file: str) -> Path | None:
    """A file that a model keeps its tensors in: one in the model's own folder or below it; None
    where there is none.

    Raises `ForeignError` for any other, whatever links lead there, and for what is no file.
    """
    shown = quote(visible(location))
    parts = location.replace("\\", "/").split("/")
    is_plain = location and "\0" not in location and ":" not in location
    if not is_plain or any(part in ("", "..") for part in parts):
        raise ForeignError(f"{file} stores tensors in {shown}, outside its own folder")
    try:
        folder = path.parent.resolve()
        found = (folder / Path(*parts)).resolve()
        if not found.is_relative_to(folder):
            raise ForeignError(f"{file} stores tensors in {shown}, outside its own folder")
        if not found.exists():
            return None
        if not stat.S_ISREG(found.stat().st_mode):
            raise ForeignError(f"{file} stores tensors in {shown}, which is not a regular file")
    except (OSError, ValueError, RuntimeError) as error:
        words = reason(error) if isinstance(error, OSError) else "it cannot be found"
        raise ForeignError(f"{file} stores tensors in {shown}: {words}") from error
    return found


# Exported programs

_CODES: Mapping[int, str] = {
    **{1: "u1", 2: "i1", 3: "i2", 4: "i4", 5: "i8", 6: "f2", 7: "f4", 8: "f8"},
    **{10: "c8", 11: "c16", 12: "?", 13: BFLOAT16, 28: "u2"},
}
"""The types of elements by their numbers in torch/_export/serde/schema.py."""


class ArchiveTensors(Tensors):
    """The tensors of a ``.pt2`` file: raw bytes in members of a zip, none of them pickled.

    ``config`` says of each what it is; ``members`` are the archive's names of the members by those
    under its root, ``shapes`` what the graph says of the tensors by their keys.
    """

    def __init__(
        self,
        source: Source,
        file: str,
        config: Mapping[str, Any],
        members: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
    ):
        super().__init__(source, file)
        self.config, self.members, self.shapes = config, members, shapes

    def _read(self, stream: BinaryIO, key: str) -> Array:
        import zipfile  # which ONNX files do without

        try:
            return self._laid_out(stream, key)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ForeignError(f"{self.file} is damaged, or not as torch writes it") from error
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
            raise ForeignError(f"{self.file} is a truncated or damaged archive") from error

    def _laid_out(self, stream: BinaryIO, key: str) -> Array:
        from numpy.lib.stride_tricks import as_strided

        if key not in self.config:
            self.fail(key, "is not in the file")
        entry = self.config[key]
        meta, name = entry["tensor_meta"], entry["path_name"]
        if entry["use_pickle"]:
            self.fail(key, "is pickled, and archc unpickles nothing")
        code = _CODES.get(meta["dtype"])
        if code is None:
            self.fail(key, "has a data type that archc does not read")
        sizes, strides = (self._numbers(meta[one]) for one in ("sizes", "strides"))
        (offset,) = self._numbers([meta["storage_offset"]])
        if tuple(sizes) != self.shapes.get(key, tuple(sizes)):
            self.fail(key, "does not have the shape that the graph gives it")
        self.claim(key, prod(sizes) * width(code))
        flat = self.array(self._member(stream, key, name), code, key)
        if 0 in sizes:
            return flat[:0].reshape(sizes)
        last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        if min((offset, *strides)) < 0 or last >= flat.size:
            self.fail(key, "has too little data for its shape")
        steps = [step * flat.itemsize for step in strides]
        return as_strided(flat[offset:], sizes, steps, writeable=False).copy()

    def _numbers(self, given: Sequence[Any]) -> list[int]:
        numbers = [one["as_int"] for one in given]
        if not all(type(one) is int for one in numbers):
            raise TypeError("not integers")
        return numbers

    def _member(self, stream: BinaryIO, key: str, name: str) -> bytes:
        """The bytes of a member, of which there are no more than the archive has."""
        import zipfile

        folders = ("data/weights/", "data/constants/")
        found = next((f"{one}{name}" for one in folders if f"{one}{name}" in self.members), None)
        if found is None:
            self.fail(key, "is not in the file")
        with zipfile.ZipFile(stream) as archive:
            info = archive.getinfo(self.members[found])
            if info.compress_type != zipfile.ZIP_STORED:
                self.fail(key, "is compressed, which torch never does")
            return archive.read(info)
