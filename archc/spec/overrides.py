"""What a caller says of a spec: ``--with depth=3,4,11,3``, ``--input 3,32,32``, or data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral
from typing import TypeAlias

from archc.source.caller import said
from archc.source.diagnostics import Findings, Place, Source
from archc.source.reader import INVALID, Entry, Value, scalar
from archc.text import quote

Override: TypeAlias = str | tuple[str, object]
"""``NAME=VALUE``, or a name and its value as data."""

OPTIONS = ("--with", "with_", "--input", "input")
"""How sources of what callers say are called, on the command line and in Python."""

Size: TypeAlias = str | Sequence[int]
"""``C,H,W``, or the numbers as data."""


def parse_with(text: str, findings: Findings) -> tuple[str, Entry] | None:
    """``NAME=VALUE``, or a value per stage between commas; an empty one leaves a stage alone.

    Returns None, the mistake being noted, if the text is not of this form.
    """
    text = _line(text)
    source = Source(said("--with", "with_"), text)
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        findings.error(
            source.start(),
            f"`{source.name}` takes NAME=VALUE, not {quote(text)}",
            "for example depth=3,4,11,3",
        )
        return None
    column = len(name) - len(name.lstrip()) + 1
    value = _values(source, values, len(name) + 2, findings)
    return name.strip(), Entry(Place(source, 1, column), value)


def locate_with(name: str, data: object) -> tuple[str, Entry]:
    """An attribute and its value as a program gives them; types count as they do in a spec."""
    text = _line(written((name, data)))
    source = Source("with_", text)
    return name, Entry(source.start(), _located(data, Place(source, 1, len(name) + 2)))


def written(override: Override) -> str:
    """An override as the command line would write it."""
    if isinstance(override, str):
        return override
    name, data = override
    return f"{name}={_written(data)}"


def _written(data: object) -> str:
    if isinstance(data, (list, tuple)):
        return ",".join(map(_written, data))
    if data is None:
        return "null"
    return str(data).lower() if isinstance(data, bool) else str(data)


def _located(data: object, place: Place) -> Value:
    if isinstance(data, (list, tuple)):
        return Value(tuple([_located(item, place) for item in data]), place)
    if isinstance(data, Integral) and not isinstance(data, bool):
        data = int(data)  # NumPy's, too
    if data is None or isinstance(data, (bool, int, float)):
        return Value(data, place, said(_written(data), str(data)))
    return Value(str(data), place)


def parse_input(size: Size, findings: Findings) -> Entry:
    """``C,H,W``, or three numbers as data."""
    if not isinstance(size, str):
        return _locate_input(size)
    text = _line(size)
    source = Source(said("--input", "input"), text)
    value = _values(source, text, 1, findings)
    if value.data is not INVALID and len(text.split(",")) != 3:
        given = quote(text) if text.strip() else "nothing"
        message = f"`{source.name}` takes channels, height and width, not {given}"
        findings.error(source.start(), message, "for example 3,224,224")
        value = Value(INVALID, source.start())
    return Entry(source.start(), value)


def _locate_input(size: Sequence[int]) -> Entry:
    """An image's size as a program gives it; what it may be is checked like a spec's."""
    source = Source("input", f"({', '.join(map(str, size))})")
    items, column = [], 2
    for number in size:
        items.append(_located(number, Place(source, 1, column)))
        column += len(f"{number}, ")
    return Entry(source.start(), Value(tuple(items), source.start()))


def channels_last(value: Value) -> str | None:
    """What to say of an image's size that seems to be height, width, channels; else None."""
    if not isinstance(value.data, tuple) or len(value.data) != 3:
        return None
    numbers = [item.data for item in value.data if type(item.data) is int]
    if len(numbers) != 3:
        return None
    first, second, last = numbers
    seems = last in (1, 3, 4) and min(first, second) > 4 and (last == 3 or first == second)
    if not seems:
        return None
    given, meant = f"{first},{second},{last}", f"{last},{first},{second}"
    name = value.place.source.name
    if name == "input":
        given, meant = (f"({text.replace(',', ', ')})" for text in (given, meant))
    elif not name.startswith("--"):
        given, meant = (f"[{text.replace(',', ', ')}]" for text in (given, meant))
    return f"{given} looks like height, width, channels; channels come first: {meant}"


def _line(text: str) -> str:
    """An option's text on one line, for its places to count along."""
    return re.sub(r"[\r\n]", " ", text)


def _values(source: Source, text: str, column: int, findings: Findings) -> Value:
    """The scalars between commas; a single one stands for itself."""
    start = Place(source, 1, column)
    if bracket := re.search(r"[][{}]", text):
        place = Place(source, 1, column + bracket.start())
        findings.error(place, "write values separated by commas, without brackets")
        return Value(INVALID, start)
    items = []
    for piece in text.split(","):
        lead = len(piece) - len(piece.lstrip())
        items.append(scalar(piece.strip(), Place(source, 1, column + lead), findings))
        column += len(piece) + 1
    return items[0] if len(items) == 1 else Value(tuple(items), start)
