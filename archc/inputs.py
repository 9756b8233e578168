"""What a command reads may not be what it writes: every reader and every writer passes here.

Whoever opens a file that a user named calls `note_input`, whoever is about to write one calls
`note_output`, as early as the name is known; the first call that completes a clash raises. So a
command line that names one file twice is refused when the file is read, before anything is computed
or written, and no command has to know what its readers open.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING

from archc.dataclassing import dataclass
from archc.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

_Identity = tuple[int, int]


@dataclass
class _Seen:
    """The files that were read, by what identifies them, with how they are called; and the paths
    to be written, with what identified the file that was there when it was noted: what a command
    has written itself it may read back."""

    inputs: dict[_Identity, str] = field(default_factory=dict)
    outputs: dict[str, _Identity | None] = field(default_factory=dict)


_SEEN: ContextVar[_Seen | None] = ContextVar("seen", default=None)


@contextmanager
def guarded_inputs() -> Iterator[None]:
    """Keep what is read inside from being written; outside of it nothing is noted or refused."""
    token = _SEEN.set(_Seen())
    try:
        yield
    finally:
        _SEEN.reset(token)


def note_input(path: str | os.PathLike[str] | int, name: str | None = None) -> None:
    """Note that a file, by its path or descriptor, is read; ``name`` is how messages call it.

    Raises `OutputError` where it is also to be written.
    """
    seen, identity = _SEEN.get(), _identity(path)
    if seen is None or identity is None:
        return
    seen.inputs[identity] = name or repr(str(path))
    for output, there in seen.outputs.items():
        _refuse(seen, output, there)


def note_output(path: Path) -> None:
    """Note that a path is to be written. Raises `OutputError` where a file that is read is there,
    by this path or another one."""
    seen = _SEEN.get()
    if seen is not None:
        there = seen.outputs.setdefault(str(path), _identity(path))
        _refuse(seen, str(path), there)


def inputs_in(folder: Path) -> list[str]:
    """The names in a folder by which files are found that have been read."""
    seen = _SEEN.get()
    if seen is None or not folder.is_dir():
        return []
    return [name for name in os.listdir(folder) if _identity(folder / name) in seen.inputs]


def _refuse(seen: _Seen, output: str, identity: _Identity | None) -> None:
    read = seen.inputs.get(identity) if identity else None
    if read is None:
        return
    if read == repr(output):
        raise OutputError(output, "this command also reads it")
    raise OutputError(output, f"it is the same file as {read}, which this command reads")


def _identity(path: str | os.PathLike[str] | int) -> _Identity | None:
    """What two paths of one file have in common.

    None where there is none, and for terminals, pipes and devices: they lose nothing.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None
