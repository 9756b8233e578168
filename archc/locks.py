"""Locks on open files, which the kernel releases however their holder ends."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""Whether the system has such locks; a file system may lack them all the same."""


class LockUnavailableError(Exception):
    """Files cannot be locked here; the message says why, in the middle of a sentence."""


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file or folder; False where somebody else holds the lock.

    A ``shared`` lock excludes exclusive ones only. Raises `LockUnavailableError` where the file
    system or the system has no such locks.
    """
    return _flock(descriptor, shared=shared, wait=False)


def lock(descriptor: int) -> None:
    """Lock an open file or folder, waiting for whoever holds the lock.

    Raises `LockUnavailableError`.
    """
    _flock(descriptor, shared=False, wait=True)


def _flock(descriptor: int, *, shared: bool, wait: bool) -> bool:
    if fcntl is None:
        raise LockUnavailableError("this system does not support file locks")
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # as network file systems answer that have none
        raise LockUnavailableError((error.strerror or str(error)).lower()) from None
    return True
