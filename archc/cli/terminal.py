"""What archc says in words: the one way to standard output and standard error.

File names, titles, keys of checkpoints and messages of other programs come from outside and may
hold anything, escape sequences and line breaks included. Whatever is said passes through `say`,
which shows each character that would disturb a terminal as a sign of its own, so that no command
has to think of it. JSON, CSV and the contents of files go through `put_out` instead, unchanged.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from archc.errors import ArchcWarning, WeightsWarning
from archc.text import visible

_PATTERNS = (
    # A path may hold colons itself: the place ends at the first `LINE:COLUMN: error:`.
    re.compile(r"(?P<place>\S.*?:\d+:\d+:) (?P<error>error:)"),
    re.compile(r"(?P<place>\S.*?:\d+:\d+:) (?P<note>note:)"),
    re.compile(r"(?P<error>(archc: )?(internal )?error:|Error:)", re.IGNORECASE),
    re.compile(r"(?P<note>archc: (warning|note):|(warning|note):)"),
    re.compile(r"(?P<hint>hint:)"),
    re.compile(r" +(?P<caret>\^)$"),
    re.compile(r"(?P<place>\S.*?:) (?P<error>error:)"),  # of a file without lines
)
"""How the lines of diagnostics begin. An excerpt of a source is indented, so none matches it."""

_COLOURS = {"place": None, "error": "red", "note": "cyan", "hint": "cyan", "caret": "green"}
"""What the parts of a diagnostic are coloured in, all of them bold."""


def say(*lines: str, err: bool = False) -> None:
    """Print lines on standard output, or with ``err`` on standard error.

    Each argument is one line: a line break in it is shown as a sign, as every character is that
    would disturb a terminal. On standard error the parts of diagnostics are coloured where
    `wants_colour` says so.
    """
    shown = [visible(line) for line in lines]
    coloured = err and wants_colour(sys.stderr)
    if coloured:
        shown = [_painted(line) for line in shown]
    text = "".join(f"{line}\n" for line in shown)
    click.echo(text, nl=False, err=err, color=True if coloured else None)


def say_heading(line: str) -> None:
    """Print a line on standard output, bold where that has colours."""
    shown = visible(line)
    coloured = wants_colour(sys.stdout)
    click.echo(
        click.style(shown, bold=True) if coloured else shown, color=True if coloured else None
    )


def wants_colour(stream: TextIO | None) -> bool:
    """Whether a stream shall have colours: a terminal, unless the environment says otherwise.

    NO_COLOR (no-color.org) wins over FORCE_COLOR (force-color.org); empty ones do not count.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _painted(line: str) -> str:
    """A line with the parts of a diagnostic that it has in their colours."""
    for pattern in _PATTERNS:
        if found := pattern.match(line):
            for name in reversed(found.groupdict()):
                start, end = found.span(name)
                part = click.style(line[start:end], fg=_COLOURS[name], bold=True)
                line = line[:start] + part + line[end:]
            return line
    return line


def say_click_error(error: click.ClickException) -> None:
    """Say what is wrong with a command line as click does, but with the prefix of all errors."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()  # which is the help
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    lines = []
    if context is not None:
        lines += context.get_usage().splitlines()
        lines += [f"Try '{context.command_path} --help' for help.", ""]
    message = error.format_message()
    if isinstance(error, click.MissingParameter):  # which lists choices line by line
        first, *more = message.expandtabs(4).splitlines()
        lines += [f"archc: error: {first}", *more]
    else:
        lines.append(f"archc: error: {message}")
    say(*lines, err=True)


@contextmanager
def say_warnings() -> Iterator[None]:
    """While it is entered, archc's own warnings are said on standard error, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", ArchcWarning)
        show = warnings.showwarning

        def say_one(message: Warning | str, category: type[Warning], *rest: object) -> None:
            if issubclass(category, ArchcWarning):
                kind = "note" if issubclass(category, WeightsWarning) else "warning"
                say(f"archc: {kind}: {message}", err=True)
            else:
                show(message, category, *rest)  # type: ignore[arg-type]

        warnings.showwarning = say_one  # type: ignore[assignment]
        yield
