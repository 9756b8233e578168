"""Who wrote the options: messages name them as the caller writes them.

The command line says ``--input 3,32,32``, a Python program ``input=(3, 32, 32)``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)
_OPTIONS: ContextVar[Collection[str] | None] = ContextVar("options", default=None)


@contextmanager
def on_command_line() -> Iterator[None]:
    """While it is entered, options are the command line's."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


@contextmanager
def with_options(options: Collection[str]) -> Iterator[None]:
    """While it is entered, a command runs that takes these options (``--partial``)."""
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)


def takes(option: str) -> bool:
    """Whether the command that runs takes an option; Python functions are said to take all."""
    options = _OPTIONS.get()
    return options is None or option in options


def said(command_line: str, python: str) -> str:
    """The words for an option that the caller uses."""
    return command_line if _ON_COMMAND_LINE.get() else python
