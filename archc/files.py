"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
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
    try:
        if path.exists() and not path.is_file():
            if path.is_dir():
                raise OutputError(path, "it is a folder")
            path.write_bytes(content)
            return
        path = path.resolve()  # a link stays a link
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise OutputError(path, (reason or str(error)).lower()) from error


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
