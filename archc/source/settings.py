"""``KEY=VALUE`` as command lines and programs give it: the key, and a value that YAML types.

``depth=3,4,11,3`` has a list, as has ``depth=[3,4,11,3]``; ``kernel=[1,7],3`` has a list in a list,
``title="a, b"`` a text. ``depth[3]=20`` is of one item. Knows neither specs nor recipes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from numbers import Integral, Real

from archc.dataclassing import dataclass
from archc.source.caller import said
from archc.source.diagnostics import Findings, Place, Source, SpecError
from archc.source.reader import INVALID, Entry, Value, check_characters, read, scalar
from archc.text import quote

KIND = "setting"
"""The `Source.kind` of settings."""

_KEY = re.compile(r"\s*([^\s=\[\]]+)\s*(?:\[\s*([^\]=]*?)\s*\])?\s*")
_OPENING, _CLOSING = "([{", ")]}"
_QUOTES = "\"'"


@dataclass(frozen=True)
class Setting:
    """A setting: its ``key`` and, between brackets, the ``item`` of it, each at its place.

    ``text`` is the value as it is written, and ``given`` what a program gave in its place.
    """

    key: str
    place: Place
    item: str | None
    item_place: Place
    text: str
    text_place: Place
    given: Value | None = None

    def without(self, prefix: str) -> Setting:
        """The setting of a key that stands behind a prefix, ``spec.``."""
        if not self.key.startswith(prefix):
            return self
        place = Place(self.place.source, 1, self.place.column + len(prefix))
        parts = (self.item, self.item_place, self.text, self.text_place, self.given)
        return Setting(self.key.removeprefix(prefix), place, *parts)

    def value(self, findings: Findings) -> Value:
        """The value; commas make a list. It is invalid where a mistake of it has been noted."""
        if self.given is not None:
            return self.given
        pieces = list(_pieces(self.text))
        if len(pieces) == 1:
            return self._read(self.text, 0, findings)
        items = []
        for start, end in pieces:
            if not self.text[start:end].strip():
                findings.error(self._at(start), "a value is missing here", code="missing-value")
                return Value(INVALID, self.text_place)
            items.append(self._read(self.text[start:end], start, findings))
        return Value(tuple(items), self._at(0))

    def whole(self, findings: Findings) -> Value:
        """The value where commas are a part of it, as of a title."""
        return self._read(self.text, 0, findings) if self.given is None else self.given

    def _at(self, start: int) -> Place:
        """Where a part of the value begins, its blanks left out; the end where there is none."""
        text = self.text[start:]
        lead = len(text) - len(text.lstrip()) if text.strip() else 0
        return Place(self.text_place.source, 1, self.text_place.column + start + lead)

    def _read(self, text: str, start: int, findings: Findings) -> Value:
        place, word = self._at(start), text.strip()
        if not word or word[0] not in "[{" + _QUOTES:
            return scalar(word, place, findings)
        # YAML with blanks before it, so that places count along the setting as it is shown.
        whole = place.source
        source = Source(whole.name, " " * (place.column - 1) + word, kind=KIND, shown=whole.text)
        try:
            return read(source, findings)
        except SpecError as error:
            findings.add(error)
            return Value(INVALID, place)


def parse_setting(text: str, option: str, example: str, findings: Findings) -> Setting | None:
    """The setting that a text is; ``option`` is what its caller calls it.

    Returns None, the mistake being noted, if it is none.
    """
    source = Source(option, re.sub(r"[\r\n]", " ", text), kind=KIND)
    try:
        check_characters(source)
    except SpecError as error:
        findings.add(error)
        return None
    head, equals, value = source.text.partition("=")
    form = _KEY.fullmatch(head)
    if not equals or form is None or not value.strip():
        message = f"`{option}` needs KEY=VALUE, not {quote(text)}"
        findings.error(source.start(), message, f"for example {example}", code="malformed-option")
        return None
    key = Place(source, 1, form.start(1) + 1)
    item = key if form[2] is None else Place(source, 1, form.start(2) + 1)
    return Setting(form[1], key, form[2], item, value, Place(source, 1, len(head) + 2))


def locate_setting(
    key: str, data: object, option: str, example: str, findings: Findings
) -> Setting | None:
    """The setting of a key by a program, its value given as data; None as for `parse_setting`."""
    found = parse_setting(f"{key}=null", option, example, findings)
    if found is None:
        return None
    text = re.sub(r"[\r\n]", " ", written(data))
    source = Source(option, f"{found.place.source.text.removesuffix('null')}{text}", kind=KIND)
    places = [
        Place(source, 1, place.column)
        for place in (found.place, found.item_place, found.text_place)
    ]
    return Setting(
        found.key, places[0], found.item, places[1], text, places[2], located(data, places[2])
    )


def written(data: object) -> str:
    """A value as the command line would have it."""
    if isinstance(data, (list, tuple)):
        return ",".join(map(_item_written, data))
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{key}: {_item_written(one)}" for key, one in data.items()) + "}"
    if data is None:
        return "null"
    return str(data).lower() if isinstance(data, bool) else str(data)


def _item_written(data: object) -> str:
    """An item of a list, with brackets where it is a list itself."""
    text = written(data)
    return f"[{text}]" if isinstance(data, (list, tuple)) else text


def located(data: object, place: Place) -> Value:
    """A value that a program gives, its parts at their places in what is `written` for it."""
    if isinstance(data, (list, tuple)):
        items, column = [], place.column
        for item in data:
            inside = isinstance(item, (list, tuple))  # behind its bracket
            items.append(located(item, Place(place.source, 1, column + inside)))
            column += len(_item_written(item)) + 1
        return Value(tuple(items), place)
    if isinstance(data, Mapping):
        entries, column = {}, place.column + 1
        for key, item in data.items():
            at = Place(place.source, 1, column)
            inside = isinstance(item, (list, tuple))
            value = Place(place.source, 1, column + len(f"{key}: ") + inside)
            entries[str(key)] = Entry(at, located(item, value))
            column += len(f"{key}: {_item_written(item)}, ")
        return Value(entries, place)
    if isinstance(data, Integral) and not isinstance(data, bool):
        data = int(data)  # NumPy's, too
    elif isinstance(data, Real) and not isinstance(data, bool):
        data = float(data)
    if data is None or isinstance(data, (bool, int, float)):
        return Value(data, place, said(written(data), str(data)))
    return Value(str(data), place)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where a text's parts between commas begin and end; commas in brackets and quotes are none.

    >>> list(_pieces("[1,7], 3"))
    [(0, 5), (6, 8)]
    """
    start, depth, before = 0, 0, ""
    index = 0
    while index < len(text):
        character = text[index]
        if character in _QUOTES and before in ("", ",", ":", *_OPENING):
            index = _end_of_quote(text, index)
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        elif character == "," and depth == 0:
            yield start, index
            start = index + 1
        before = before if character.isspace() else character
        index += 1
    yield start, len(text)


def _end_of_quote(text: str, start: int) -> int:
    """Where a quoted text ends that begins here: at its last quote, or at the end of the text."""
    quote_, index = text[start], start + 1
    while index < len(text):
        is_twice = quote_ == "'" and text[index : index + 2] == "''"
        if is_twice or (quote_ == '"' and text[index] == "\\"):
            index += 1
        elif text[index] == quote_:
            return index
        index += 1
    return len(text)
