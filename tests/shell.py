"""The command line as a shell runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from archc.schemas import schema


def archc(
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
