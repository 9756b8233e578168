"""What a caller says of a spec: ``--with depth=3,4,11,3``, ``--set classes=10``,
``--input 3,32,32``, or data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.source.caller import said
from archc.source.diagnostics import Findings, Place, Source, fail
from archc.source.reader import INVALID, Entry, Value, scalar
from archc.text import quote

Override: TypeAlias = str | tuple[str, object]
"""``NAME=VALUE``, or a name and its value as data."""

OPTIONS = ("--with", "with_", "--set", "set", "--input", "input")
"""How sources of what callers say are called, on the command line and in Python."""

Size: TypeAlias = str | Sequence[int]
"""``C,H,W``, or the numbers as data."""


@dataclass(frozen=True, slots=True)
class Set:
    """``--set KEY=VALUE``: a key of the header, a variable or an attribute of stages.

    ``others`` are keys that the option takes besides, of other files than specs.
    """

    given: Override
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InputSize:
    """``--input C,H,W``."""

    size: Size


Change: TypeAlias = "Override | Set | InputSize"
"""One of the options that say how a spec differs; an `Override` by itself is a ``--with``."""


def parse_with(text: str, findings: Findings) -> tuple[str, Entry] | None:
    """``NAME=VALUE``, or a value per stage between commas; an empty one leaves a stage alone.

    Brackets hold a list as they do in a spec: ``kernel=[1,7],3`` is a kernel of two sides, then 3.

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
            code="malformed-option",
        )
        return None
    column = len(name) - len(name.lstrip()) + 1
    value = _values(source, values, len(name) + 2, findings, nests=True)
    return name.strip(), Entry(Place(source, 1, column), value)


def locate_with(name: str, data: object) -> tuple[str, Entry]:
    """An attribute and its value as a program gives them; types count as they do in a spec."""
    text = _line(written((name, data)))
    source = Source("with_", text)
    from archc.source.settings import located

    return name, Entry(source.start(), located(data, Place(source, 1, len(name) + 2)))


def written(override: Override) -> str:
    """An override as the command line would write it."""
    if isinstance(override, str):
        return override
    name, data = override
    from archc.source.settings import written as written_value

    return f"{name}={written_value(data)}"


def described(change: Change) -> str:
    """An option as the command line would have it."""
    if isinstance(change, InputSize):
        size = change.size
        return f"--input {size if isinstance(size, str) else ','.join(map(str, size))}"
    if isinstance(change, Set):
        return f"--set {written(change.given)}"
    return f"--with {written(change)}"


def option_of(change: Change) -> str:
    """What the caller calls the option."""
    if isinstance(change, InputSize):
        return said("--input", "input")
    return said("--set", "set") if isinstance(change, Set) else said("--with", "with_")


def is_set(place: Place) -> bool:
    """Whether a place lies in a `--set`."""
    return place.source.path is None and place.source.name in ("--set", "set")


def is_option(place: Place) -> bool:
    """Whether a place lies in an option rather than in a file."""
    return place.source.path is None and place.source.name in OPTIONS


def refuse_changes(place: Place, what: str, changes: Iterable[Change]) -> None:
    """Raise `SpecError` at a place where options of specs are given for something else: for
    ``what``, in words."""
    for change in changes:
        message = f"`{option_of(change)}` is for specs, and this is {what}"
        fail(place, message, code="inapplicable-option")


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
        findings.error(source.start(), message, "for example 3,224,224", code="malformed-option")
        value = Value(INVALID, source.start())
    return Entry(source.start(), value)


def _locate_input(size: Sequence[int]) -> Entry:
    """An image's size as a program gives it; what it may be is checked like a spec's."""
    from archc.source.settings import located

    source = Source("input", f"({', '.join(map(str, size))})")
    items, column = [], 2
    for number in size:
        items.append(located(number, Place(source, 1, column)))
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


def _values(
    source: Source, text: str, column: int, findings: Findings, *, nests: bool = False
) -> Value:
    """The scalars between commas; a single one stands for itself.

    Where it ``nests``, brackets hold lists.
    """
    start = Place(source, 1, column)
    if (bracket := _stray_bracket(text) if nests else re.search(r"[][{}]", text)) is not None:
        place = Place(source, 1, column + bracket.start())
        if nests:
            message = "write values separated by commas, with brackets only around lists"
            if text.count("[") != text.count("]"):
                message = "the brackets do not match"
            findings.error(
                place,
                message,
                "for example depth=3,4,11,3 or kernel=[1,7],3",
                code="malformed-option",
            )
        else:
            findings.error(
                place, "write values separated by commas, without brackets", code="malformed-option"
            )
        return Value(INVALID, start)
    items = _items(source, text, column, findings)
    return items[0] if len(items) == 1 else Value(tuple(items), start)


_LISTS = re.compile(r"\[(?:[^][{}]|\[[^][{}]*\])*\]")
"""A list, which may hold lists."""


def _stray_bracket(text: str) -> re.Match[str] | None:
    """The first bracket that does not belong to a list between commas."""
    for piece in re.finditer(rf"(?:{_LISTS.pattern}|[^,])+", text):
        if not _LISTS.fullmatch(piece[0].strip()):
            stray = re.compile(r"[][{}]").search(text, piece.start(), piece.end())
            if stray is not None:
                return stray
    return None


def _items(source: Source, text: str, column: int, findings: Findings) -> list[Value]:
    """The values between commas."""
    items = []
    for piece in _pieces(text):
        lead = len(piece) - len(piece.lstrip())
        word, place = piece.strip(), Place(source, 1, column + lead)
        if word.startswith("["):
            inside = word[1:-1]
            held = _items(source, inside, place.column + 1, findings) if inside.strip() else []
            items.append(Value(tuple(held), place))
        else:
            items.append(scalar(word, place, findings))
        column += len(piece) + 1
    return items


def _pieces(text: str) -> list[str]:
    """A text cut at the commas that are in no brackets.

    >>> _pieces("[1,7], 3,")
    ['[1,7]', ' 3', '']
    """
    depth, starts = 0, [0]
    for index, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            starts.append(index + 1)
    ends = [*(start - 1 for start in starts[1:]), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]
