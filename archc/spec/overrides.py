"""What the command line says of a spec: ``--with depth=3,4,11,3`` and ``--input 3,32,32``."""

from __future__ import annotations

import re

from archc.spec.diagnostics import Findings, Place, Source, quote
from archc.spec.reader import INVALID, Entry, Value, scalar


def parse_with(text: str, findings: Findings) -> tuple[str, Entry] | None:
    """``NAME=VALUE``, or a value per stage between commas; an empty one leaves a stage alone.

    Returns None, the mistake being noted, if the text is not of this form.
    """
    text = _line(text)
    source = Source("--with", text)
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        findings.error(
            source.start(),
            f"`--with` takes NAME=VALUE, not {quote(text)}",
            "for example depth=3,4,11,3",
        )
        return None
    column = len(name) - len(name.lstrip()) + 1
    value = _values(source, values, len(name) + 2, findings)
    return name.strip(), Entry(Place(source, 1, column), value)


def parse_input(text: str, findings: Findings) -> Entry:
    """``C,H,W``."""
    text = _line(text)
    source = Source("--input", text)
    value = _values(source, text, 1, findings)
    if value.data is not INVALID and len(text.split(",")) != 3:
        given = quote(text) if text.strip() else "nothing"
        message = f"`--input` takes channels, height and width, not {given}"
        findings.error(source.start(), message, "for example 3,224,224")
        value = Value(INVALID, source.start())
    return Entry(source.start(), value)


def _line(text: str) -> str:
    """An option's text on one line, for its places to count along."""
    return re.sub(r"[\r\n]", " ", text)


def _values(source: Source, text: str, column: int, findings: Findings) -> Value:
    """The scalars between commas; a single one stands for itself."""
    start = Place(source, 1, column)
    if bracket := re.search(r"[][{}]", text):
        place = Place(source, 1, column + bracket.start())
        findings.error(place, "values are written with commas between them, without brackets")
        return Value(INVALID, start)
    items = []
    for piece in text.split(","):
        lead = len(piece) - len(piece.lstrip())
        items.append(scalar(piece.strip(), Place(source, 1, column + lead), findings))
        column += len(piece) + 1
    return items[0] if len(items) == 1 else Value(tuple(items), start)
