"""What the command line says of a spec: ``--with depth=3,4,11,3`` and ``--input 3,32,32``."""

from __future__ import annotations

from archc.spec.diagnostics import Findings, Place, Source, fail
from archc.spec.reader import Entry, Value, scalar


def parse_with(text: str, findings: Findings) -> tuple[str, Entry]:
    """``NAME=VALUE``, or a value per stage between commas; an empty one leaves a stage alone."""
    source = Source("--with", text)
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        fail(source.start(), "this must be NAME=VALUE", "for example --with depth=3,4,11,3")
    column = len(name) - len(name.lstrip()) + 1
    value = _values(source, values, len(name) + 2, findings)
    return name.strip(), Entry(Place(source, 1, column), value)


def parse_input(text: str, findings: Findings) -> Entry:
    """``C,H,W``."""
    source = Source("--input", text)
    value = _values(source, text, 1, findings)
    return Entry(source.start(), value)


def _values(source: Source, text: str, column: int, findings: Findings) -> Value:
    start = Place(source, 1, column)
    items = []
    for piece in text.split(","):
        lead = len(piece) - len(piece.lstrip())
        items.append(scalar(piece.strip(), Place(source, 1, column + lead), findings))
        column += len(piece) + 1
    return items[0] if len(items) == 1 else Value(tuple(items), start)
