"""Errors of the library in words for the terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator

from archc.errors import ArchcError, reason


def explain(error: Exception) -> Iterator[str]:
    """The lines to print for an error."""
    if isinstance(error, ArchcError):
        yield from error.lines()
    elif isinstance(error, ModuleNotFoundError):
        yield f"archc: error: {error}"
    elif isinstance(error, OSError):
        which = f" {error.filename!r}" if isinstance(error.filename, str) else ""
        yield f"archc: error: cannot read or write{which}: {reason(error)}"
    else:
        yield f"archc: error: internal error: {type(error).__name__}: {error}"
        yield "hint: this is a bug in archc; set ARCHC_DEBUG=1 for a traceback"


def is_debugging() -> bool:
    """Whether the user wants the traceback of an error, too."""
    return bool(os.environ.get("ARCHC_DEBUG"))
