"""The command line as a shell runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archc.cli import main
from archc.schemas import schema


def archc(
    *arguments: str, cwd: Path | None = None, stdin: str | None = None, together: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process: nothing is imported anew, all else is as in a shell.

    With ``together`` what it says as an error is among its output, as on a terminal. It has
    streams, arguments and a directory of its own; what it changes of the process is put back.
    `spawned` is a real process.
    """
    before = os.getcwd()
    if cwd is not None:
        os.chdir(cwd)
    try:
        with (
            _streams(stdin, together) as texts,
            warnings.catch_warnings(),
            pytest.MonkeyPatch.context() as m,
        ):
            m.setattr(sys, "argv", ["archc", *arguments])
            warnings.resetwarnings()
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(arguments, code, *texts)


@contextmanager
def _streams(stdin: str | None, together: bool) -> Iterator[list[str]]:
    """Files in the place of the standard streams; what was written is there at the end."""
    texts: list[str] = []
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write((stdin or "").encode())
        files[0].seek(0)
        saved = [os.dup(number) for number in range(3)]
        modes = ("r", "w", "w")
        try:
            for number, file in enumerate([*files[:2], files[1 if together else 2]]):
                os.dup2(file.fileno(), number)
            with pytest.MonkeyPatch.context() as m, ExitStack() as wrappers:
                for number, (name, mode) in enumerate(zip(NAMES, modes, strict=True)):
                    stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
                    m.setattr(sys, name, wrappers.enter_context(stream))
                yield texts
        finally:
            for number, descriptor in enumerate(saved):
                os.dup2(descriptor, number)
                os.close(descriptor)
            for file in files[1:]:
                file.seek(0)
                texts.append(file.read().decode())


NAMES = ("stdin", "stdout", "stderr")


def spawned(
    *arguments: str, cwd: Path | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "archc", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def record_of(name: str, text: str) -> Any:
    """The JSON of a command, checked against its schema."""
    value = json.loads(text)
    form = schema(name)
    jsonschema.Draft202012Validator.check_schema(form)
    jsonschema.validate(value, form)
    return value
