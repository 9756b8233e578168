"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from archc.errors import OutputError, reason
from archc.locks import SUPPORTED
from archc.streams import kind_of, open_stream
from archc.temporaries import Batch, reclaim


def write(path: Path, content: bytes) -> None:
    """Put the content at the path, its folder being made; what was there stays until it is done.

    What is not a regular file (a terminal, /dev/stdout, a pipe) is written to as it is. Raises
    `OutputError`, leaving nothing behind.
    """
    try:
        stream = open_stream(path)
        if stream is not None:
            with stream:
                stream.write(content)
            return
    except (OSError, ValueError) as error:
        raise OutputError(path, reason(error)) from error
    write_all({path: content})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Put contents at their paths, in this order, once all of them are on the disk.

    Until then nothing is changed: a full disk or a folder that cannot be written to raises
    `OutputError` and leaves no file behind. So does a pipe, a device or a folder at a path.
    """
    take_steps(contents.items())


def take_steps(steps: Iterable[tuple[Path, bytes | None]]) -> None:
    """Like `write_all`; a path may come more than once, and None removes what is there.

    Whoever is killed in between has taken the first so many of the steps.
    """
    steps = list(steps)
    places: dict[Path, Path] = {}
    ready: list[tuple[Path | None, Path]] = []
    path = Path()
    with Batch() as batch:
        try:
            for path, content in steps:
                if content is not None:
                    places[path] = _place(path)
            reclaim_for(places.values())
            for path, content in steps:
                if content is None:
                    ready.append((None, path))
                else:
                    ready.append((_stage(places[path], content, batch), places[path]))
            for temporary, path in ready:
                if temporary is None:
                    path.unlink(missing_ok=True)
                else:
                    os.replace(temporary, path)
        except (OSError, ValueError, RuntimeError) as error:
            raise OutputError(path, reason(error)) from error


def reclaim_for(places: Iterable[Path]) -> None:
    """Remove what processes that were killed have left of writing to these places."""
    names: dict[Path, set[str]] = {}
    for place in places:
        names.setdefault(place.parent, set()).add(place.name)
    for folder, targets in names.items():
        reclaim(folder, targets)


def refuse_special(path: Path) -> None:
    """Raise OSError, in words, where something stands at a path that is not a regular file.

    Opening a pipe waits for whoever writes to it, and a device may be read without end.
    """
    try:
        kind = kind_of(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if kind is not None:
        raise OSError(None, f"it is {kind}")


def _place(path: Path) -> Path:
    """Where a file will stand: a link stays a link. Its folder is made."""
    refuse_special(path)
    place = path.resolve()
    make_folder(place.parent)
    return place


def _stage(place: Path, content: bytes, batch: Batch) -> Path:
    """Write a content beside where it will stand; return where."""
    temporary, file = batch.create(place)
    write_fully(file, content)
    os.fsync(file.fileno())
    os.chmod(temporary, mode_of(place))
    if not SUPPORTED:  # an open file is of no use then, and Windows renames none
        file.close()
    return temporary


def write_fully(file: BinaryIO, content: bytes | bytearray) -> None:
    """Write all of a content to an unbuffered file, which may take a part of it at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def make_folder(folder: Path) -> None:
    """Make a folder and those around it; raises OSError in words where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(None, "a file is in the place of its folder") from error


def mode_of(path: Path) -> int:
    """The permissions of a file: those that it has, or those that a new one gets."""
    return path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
