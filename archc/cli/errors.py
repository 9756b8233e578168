"""Errors of the library in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from archc.backends.figure import FigureError
from archc.backends.onnx import OnnxError
from archc.build import ConflictError
from archc.devices import DeviceError, RunError
from archc.errors import TrainingError
from archc.files import OutputError, reason
from archc.spec import SpecError
from archc.sweeps import SweepError
from archc.watch import WatchError
from archc.weights import WeightsError

_PLAIN = (
    OutputError,
    FigureError,
    ModuleNotFoundError,
    DeviceError,
    RunError,
    OnnxError,
    WatchError,
)
"""Errors whose message says it all."""


def explain(error: Exception) -> Iterator[str]:
    """The lines to print for an error."""
    if isinstance(error, SpecError):
        for diagnostic in error.diagnostics:
            yield from diagnostic.lines()
    elif isinstance(error, ConflictError):
        yield from (f"archc: error: {words}" for words in error.reasons)
        yield f"hint: {error.hint}"
    elif isinstance(error, (SweepError, TrainingError)):
        yield f"archc: error: {error}"
        if error.hint:
            yield f"hint: {error.hint}"
    elif isinstance(error, WeightsError):
        first, *more = error.message.split("\n")
        yield f"archc: error: {error.file}: {first}"
        yield from more
        if error.hint:
            yield f"hint: {error.hint}"
    elif isinstance(error, _PLAIN):
        yield f"archc: error: {error}"
    elif isinstance(error, OSError):
        which = f" {error.filename!r}" if isinstance(error.filename, str) else ""
        yield f"archc: error: cannot read or write{which}: {reason(error)}"
    else:
        yield f"archc: error: internal error: {type(error).__name__}: {error}"
        yield "hint: this is a bug in archc; set ARCHC_DEBUG=1 for a traceback"
