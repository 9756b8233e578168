"""What is written to as it is: terminals, pipes, devices, and descriptors that are open already.

``/dev/stdout`` names a descriptor. Where a shell has redirected that to a file, resolving the name
leads to the file, and opening or replacing it would destroy what ``>> log`` was to keep: the
descriptor itself is written to.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_DESCRIPTOR = re.compile(r"/proc/(?P<process>[0-9]+)(/task/[0-9]+)?/fd/(?P<number>[0-9]+)")
_HERE = re.compile(r"/dev/fd/(?P<number>[0-9]+)")
"""Descriptors of this process, where /dev/fd is not a link into /proc."""

_MAX_LINKS = 40
"""As many links as Linux itself follows."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a disk"),
    (stat.S_ISCHR, "a device"),
)


class Stream:
    """A descriptor of this process's own, written to where it stands; closed on leaving."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def write(self, content: bytes) -> None:
        """Write everything, waiting for readers. Raises OSError."""
        rest = memoryview(content)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody else made the descriptor a non-blocking one
                _wait(self._descriptor)
            except OSError as error:
                if error.errno == errno.EBADF:
                    raise OSError(None, "it is open for reading only") from None
                raise

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            os.close(self._descriptor)
        except OSError:
            if kind is None:
                raise


def is_stream(path: Path) -> bool:
    """Whether `open_stream` would find a stream at a path; nothing is opened.

    Raises OSError where the path cannot be looked up, by its length for example.
    """
    return _descriptor_at(path) is not None or _special_mode(path) is not None


def open_stream(path: Path) -> Stream | None:
    """The stream that a path names, opened; None where it names a regular file, or nothing yet.

    A pipe waits for its reader. Raises OSError, also for disks: they are not written to.
    """
    found = _descriptor_at(path)
    if isinstance(found, int):
        return Stream(_duplicate(found))
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
    if found is not None:  # another process's: what it has written already stays
        return Stream(os.open(found, flags | os.O_APPEND))
    mode = _special_mode(path)
    if mode is None:
        return None
    if stat.S_ISBLK(mode):
        raise OSError(None, f"it is {kind_of(mode)}")
    return Stream(os.open(path, flags))


def kind_of(mode: int) -> str | None:
    """What stands at a path, by its ``st_mode``: "a folder", "a pipe"; None for regular files."""
    if stat.S_ISREG(mode):
        return None
    return next((words for fits, words in _KINDS if fits(mode)), "not a regular file")


def _special_mode(path: Path) -> int | None:
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else mode


def _descriptor_at(path: Path) -> int | str | None:
    """The descriptor that a path names: a number of this process's, or the path of another's."""
    name = os.fspath(path)
    for _ in range(_MAX_LINKS):
        name = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
        if match := _HERE.fullmatch(name):
            return int(match["number"])
        if match := _DESCRIPTOR.fullmatch(name):
            return int(match["number"]) if int(match["process"]) == os.getpid() else name
        if not os.path.islink(name):
            return None
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


def _duplicate(descriptor: int) -> int:
    """A second descriptor of what one writes to, behind what was printed so far."""
    own = {1: sys.__stdout__, 2: sys.__stderr__}
    if descriptor in own and own[descriptor] is None:  # its number may be another file's by now
        raise OSError(None, "it is closed")
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.flush()
    try:
        return os.dup(descriptor)
    except OSError:
        raise OSError(None, "no such descriptor is open") from None


def _wait(descriptor: int) -> None:
    import select

    select.select([], [descriptor], [])
