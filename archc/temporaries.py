"""Files that stand beside their place until they are complete, under names only archc gives.

``.archc-TARGET-BATCH-INDEX.tmp``: TARGET is a digest of the name the file is written for, so that
any name fits beside its temporary; BATCH is drawn for each act of writing. A temporary is locked
while its writer lives. One that nobody holds was left by a process that was killed, and the next
to write for the same name removes it.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from archc.locks import LockUnavailableError, lock, try_lock

_NAME = re.compile(r"\.archc-([0-9a-f]{12})-([0-9a-f]{12})-[0-9]+\.tmp")

_HELD = 64
"""How many temporaries of a folder one writer keeps open: a process has few descriptors."""

_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_AS_IT_IS = _OPEN | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Batch:
    """The temporaries of one act of writing; on leaving, those that are left are removed."""

    def __init__(self) -> None:
        self._token = _token()
        self._paths: list[Path] = []
        self._open: dict[Path, deque[BinaryIO]] = {}

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._paths:
            with suppress(OSError):
                path.unlink()
        for files in self._open.values():
            for file in files:
                with suppress(OSError):
                    file.close()

    def create(self, target: Path) -> tuple[Path, BinaryIO]:
        """A new temporary for a target, beside it, and open; the batch closes it.

        Of many in one folder only the last stay locked. They protect the others: none of a batch
        is removed while another one beside it is held.
        """
        index = len(self._paths)
        path = _named(target, self._token, index)
        self._paths.append(path)  # before it is made, so that no signal comes between
        file = create(path, 0o600)
        files = self._open.setdefault(path.parent, deque())
        files.append(file)
        if len(files) > _HELD:
            files.popleft().close()
        return path, file


def temporary_for(target: Path) -> Path:
    """The path of a new temporary for a target, for one who keeps it apart from a batch."""
    return _named(target, _token(), 0)


def create(path: Path, mode: int) -> BinaryIO:
    """Make a file and hold it, so that nobody takes it for one whose writer was killed.

    The file is unbuffered. Raises OSError, FileExistsError where something is at the path.
    """
    while True:
        file = os.fdopen(os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, mode), "w+b", buffering=0)
        try:
            lock(file.fileno())
        except LockUnavailableError:
            return file
        except BaseException:
            file.close()
            raise
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # somebody cleaning up was quicker than the lock


def reclaim(folder: Path, targets: Collection[str] | None = None) -> None:
    """Remove temporaries that nobody holds: those for some names in a folder, or all of them.

    Where files cannot be locked, nobody knows who holds what, and all of them stay.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return
    ours = {name: match for name in names if (match := _NAME.fullmatch(name))}
    if not ours:
        return
    marks = None if targets is None else {_mark(name) for name in targets}
    wanted = [name for name, match in ours.items() if marks is None or match[1] in marks]
    batches = {ours[name][2] for name in wanted}
    alive = {m[2] for name, m in ours.items() if m[2] in batches and _is_held(folder / name)}
    for name in wanted:
        if ours[name][2] not in alive:
            with taken(folder / name) as file:
                if file is not None:
                    (folder / name).unlink(missing_ok=True)


@contextmanager
def taken(path: Path) -> Iterator[BinaryIO | None]:
    """A regular file whose writer is gone, open and held meanwhile.

    None where there is none, where it is a link or of another kind, or where it is held.
    """
    file = _opened(path)
    if file is None:
        yield None
        return
    with file:
        try:
            is_free = try_lock(file.fileno())
        except LockUnavailableError:
            is_free = False
        yield file if is_free else None


def _is_held(path: Path) -> bool:
    file = _opened(path)
    if file is None:
        return False
    with file:
        try:
            return not try_lock(file.fileno(), shared=True)
        except LockUnavailableError:
            return True


def _opened(path: Path) -> BinaryIO | None:
    try:
        descriptor = os.open(path, _AS_IT_IS)
    except OSError:
        return None
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "r+b", buffering=0)


def _token() -> str:
    return os.urandom(6).hex()


def _named(target: Path, token: str, index: int) -> Path:
    return target.with_name(f".archc-{_mark(target.name)}-{token}-{index}.tmp")


def _mark(name: str) -> str:
    """What stands for the name of a target in those of its temporaries."""
    from hashlib import sha256

    return sha256(os.fsencode(name)).hexdigest()[:12]
