"""What the system may run short of while pages are served: told once, and waited out."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

NUMBERS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""File descriptors, of the process or of the system, and memory for sockets."""

QUIET = 60
"""Seconds without a failure after which the next one is reported again."""


class Shortage:
    """Passes one line on to ``tell`` however many attempts fail one after another."""

    def __init__(self, tell: Callable[[str], None]):
        self._tell = tell
        self._last = -float(QUIET)

    def covers(self, error: BaseException | None) -> bool:
        """Whether an error is such a shortage; if so, it has been told."""
        if not is_shortage(error):
            return False
        now = time.monotonic()
        if now - self._last >= QUIET:
            self._tell("too many open files: the page waits until some are closed")
        self._last = now
        return True


def is_shortage(error: BaseException | None) -> bool:
    """Whether an error will pass once others have closed what they opened."""
    if isinstance(error, OSError):
        return error.errno in NUMBERS
    # watchfiles gives the number in the words of Rust alone.
    return any(f"(os error {number})" in str(error) for number in NUMBERS)


def can_open() -> bool:
    """Whether this process can open a file now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True
