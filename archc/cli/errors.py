"""Errors of the library in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from archc.build import ConflictError
from archc.files import OutputError
from archc.spec import SpecError


def explain(error: Exception) -> Iterator[str]:
    """The lines to print for an error."""
    if isinstance(error, SpecError):
        yield from (diagnostic.render() for diagnostic in error.diagnostics)
    elif isinstance(error, ConflictError):
        yield from (f"archc: error: {reason}" for reason in error.reasons)
        yield "hint: `--force` overwrites; nothing has been written"
    elif isinstance(error, OutputError) or type(error).__name__ == "FigureError":
        yield f"archc: error: {error}"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        yield f"archc: error: this needs the package {error.name!r}, which is not installed"
    elif isinstance(error, OSError):
        yield f"archc: error: cannot read or write: {(error.strerror or str(error)).lower()}"
    else:
        yield f"archc: internal error: {type(error).__name__}: {error}"
        yield "hint: this is a fault of archc; ARCHC_DEBUG=1 shows where"
