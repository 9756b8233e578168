"""SIGTERM and SIGHUP end a command as Ctrl-C does: what it had not finished is taken away."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from types import FrameType
from typing import Any

_WORDS = {"SIGTERM": "terminated", "SIGHUP": "hung up"}

_AGAIN = 1.0
"""Seconds in which signals that follow the first do not disturb what it has begun to take away:
a terminal that is closed sends two."""


class Ended(KeyboardInterrupt):
    """A signal asked the command to end; whoever handles Ctrl-C handles it alike."""


class Endings:
    """While it is entered, SIGTERM and SIGHUP raise `Ended`.

    A signal that is ignored, as nohup has SIGHUP ignored, stays so; commands that have a way of
    their own to end set their handlers meanwhile.
    """

    def __init__(self) -> None:
        self._number = 0
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Endings:
        for name in _WORDS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                with suppress(ValueError):  # signals are the main thread's
                    self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def came(self) -> bool:
        """Whether such a signal has come."""
        return self._number != 0

    @property
    def words(self) -> str:
        """What has ended the command; Ctrl-C where no signal of these has come."""
        return _WORDS[signal.Signals(self._number).name] if self._number else "interrupted"

    @property
    def code(self) -> int:
        """The exit code that says so: 128 and the signal's number."""
        return 128 + (self._number or signal.SIGINT)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._number and now - self._at < _AGAIN:
            return
        self._number, self._at = number, now
        raise Ended
