"""Warnings, and why a network cannot be trained or tested; torch is not needed for them."""

from __future__ import annotations


class ArchcWarning(UserWarning):
    """Something was done, but not quite as its user may expect; the message says what and why."""


class TrainingError(Exception):
    """Training cannot begin or go on; ``hint`` says what to do about it.

    ``of_one_process`` is whether other processes that train together do not meet the error.
    """

    def __init__(self, message: str, hint: str | None = None, *, of_one_process: bool = False):
        super().__init__(message)
        self.hint = hint
        self.of_one_process = of_one_process


class DataError(TrainingError):
    """The images are not there, not whole, or not what the network takes."""


class Interrupted(Exception):
    """Training was asked to stop, by a signal's number, and has saved its state."""

    def __init__(self, iteration: int, signal: int):
        super().__init__(f"interrupted at iteration {iteration:,}")
        self.iteration = iteration
        self.signal = signal


class WeightsWarning(ArchcWarning):
    """Weights fit another shipped spec as well, which computes something else from them."""
