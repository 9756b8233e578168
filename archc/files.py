"""Writing files whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class OutputError(Exception):
    """A file cannot be written; the message says which and why."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"cannot write {str(path)!r}: {reason}")


def write(path: Path, content: bytes) -> None:
    """Put the content at the path, its folder being made; what was there stays until it is done.

    What is no regular file (a terminal, /dev/stdout, a pipe) is written to as it is. Raises
    `OutputError`, leaving nothing behind.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        try:
            path.write_bytes(content)
        except OSError as error:
            raise OutputError(path, reason(error)) from error
        return
    write_all({path: content})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Put contents at their paths, in this order, once all of them are on the disk.

    Until then nothing is changed: a full disk or a folder that cannot be written to raises
    `OutputError` and leaves no file behind.
    """
    ready: list[tuple[str, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            ready.append((_stage(path, content), path.resolve()))
        for temporary, path in ready:
            os.replace(temporary, path)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(path, reason(error)) from error
    finally:
        for temporary, _ in ready:
            with suppress(OSError):
                os.unlink(temporary)


def reason(error: Exception) -> str:
    """What an error of the operating system says, in the middle of a sentence."""
    words = error.strerror if isinstance(error, OSError) else None
    return (words or str(error)).lower()


def _stage(path: Path, content: bytes) -> str:
    """Write a content beside where it will stand; return where."""
    if path.is_dir():
        raise OSError(None, "it is a folder")
    path = path.resolve()  # a link stays a link
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_staged(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode_of(path))
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return temporary


def leftovers(path: Path) -> list[Path]:
    """Files that writing to a path has left beside it, its process having been killed."""
    return list(path.parent.glob(glob.escape(_staged(path)) + "*"))


def _staged(path: Path) -> str:
    """How the name of a file begins that will be put at a path."""
    return f".{path.name[:100]}."


def make_folder(folder: Path) -> None:
    """Make a folder and those around it; raises OSError in words where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(None, "a file stands where its folder should be") from error


def mode_of(path: Path) -> int:
    """The permissions of a file: those that it has, or those that a new one gets."""
    return path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
