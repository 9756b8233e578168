"""Errors and warnings that programs may catch, all of one kind; importing them costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ArchcError(Exception):
    """Something cannot be done: ``message`` says what and why, ``hint`` what to do about it.

    Every error that archc raises for what it was given is one. A wrong call (an argument of a
    wrong type, a number out of range) is a TypeError or a ValueError, a package that is not
    installed a ModuleNotFoundError.
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")  # below the message in a traceback

    def lines(self) -> Iterator[str]:
        """The lines in which the command line shows it."""
        yield from self._lines()
        if self.hint:
            yield f"hint: {self.hint}"

    def _lines(self) -> Iterator[str]:
        """Those before the hint."""
        yield f"archc: error: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is, whatever its constructor takes: worker processes send it to their parent.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[ArchcError], args: tuple[object, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class OutputError(ArchcError):
    """A file cannot be written; the message says which and why."""

    def __init__(self, path: Path | str, reason: str):
        where = "to standard output" if str(path) == "-" else repr(str(path))
        super().__init__(f"cannot write {where}: {reason}")


def reason(error: Exception) -> str:
    """What an error of the operating system says, in the middle of a sentence."""
    words = error.strerror if isinstance(error, OSError) else None
    return (words or str(error)).lower()


class UnwrittenError(ArchcError):
    """A network has an op that archc cannot write in the form that is asked for."""


class SweepError(ArchcError):
    """A sweep cannot be made."""


class TrainingError(ArchcError):
    """Training cannot begin or go on.

    ``of_one_process`` is whether other processes that train together do not meet the error.
    """

    def __init__(self, message: str, hint: str | None = None, *, of_one_process: bool = False):
        super().__init__(message, hint)
        self.of_one_process = of_one_process


class DataError(TrainingError):
    """The images are not there, not whole, or not what the network takes."""


class Interrupted(Exception):
    """Training was asked to stop, by a signal's number, and has saved its state."""

    def __init__(self, iteration: int, signal: int):
        super().__init__(f"interrupted at iteration {iteration:,}")
        self.iteration = iteration
        self.signal = signal


class ArchcWarning(UserWarning):
    """Something was done, but not quite as its user may expect; the message says what and why."""


class SpecWarning(ArchcWarning):
    """A spec is valid, but says what is probably not meant."""


class WeightsWarning(ArchcWarning):
    """Weights fit another shipped spec as well, which computes something else from them."""
