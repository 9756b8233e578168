"""A three-line variant of a spec, to start from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from archc.spec.diagnostics import Findings, Place, Source, fail
from archc.spec.files import shipped_names
from archc.spec.models import Header
from archc.spec.reader import Entry, Value, is_plain, quoted
from archc.spec.resolve import load_spec
from archc.spec.validate import validate
from archc.text import quote_name


def variant(name: str, parent: str, path: Path) -> str:
    """The text of a spec called ``name`` that extends ``parent`` and will lie at ``path``.

    The parent is a path or a shipped name, not standard input, which no file can extend. Raises
    `SpecError` if the name is none that a spec may have, or the parent is not valid.
    """
    _check_name(name)
    spec = load_spec(parent)
    depths = [stage.model.depth for stage in spec.stages]
    lines = [f"extends: {reference(parent, path)}", f"name: {_word(name)}"]
    if depths:
        lines.append(f"with: {{depth: {json.dumps(depths)}}}")
    notes = [
        "# the spec to start from: a path relative to this file, or a shipped name (archc list)",
        "# letters, digits, _ . - ; figures show the title, if you give one",
        "# stage attributes, one value for all stages or one per stage; null leaves one alone",
    ]
    width = max(map(len, lines))
    rows = [f"{line:<{width}}  {note}" for line, note in zip(lines, notes, strict=False)]
    return "\n".join(rows) + "\n"


def _check_name(name: str) -> None:
    source = Source("NAME", name)
    findings = Findings()
    entry = Entry(source.start(), Value(name, source.start(), name))
    validate(Header, {"name": entry}, Place(source, 1, 1), "the spec", findings)
    findings.check()


def reference(parent: str, path: Path) -> str:
    """How a file at ``path`` calls its parent, as YAML.

    Raises `SpecError` for a file whose name no YAML can hold.
    """
    if not os.path.lexists(parent) and parent.removesuffix(".yaml") in shipped_names():
        return parent
    relative = os.path.relpath(parent, path.parent)
    try:
        relative.encode()
    except UnicodeEncodeError:
        source = Source(quote_name(parent), path=parent)
        fail(source.start(), "no spec can extend this file: its name is not UTF-8", "rename it")
    return _word(relative) if relative.replace("/", "").isalnum() else quoted(relative)


def _word(text: str) -> str:
    """A word without quotes where it can do without: ``null`` and ``123`` would be no text."""
    return text if is_plain(text) else quoted(text)
