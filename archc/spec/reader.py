"""YAML to located values: a strict subset with YAML 1.2 meaning, read event by event.

PyYAML's C parser makes the events; everything that a spec may not hold (aliases, tags, deep
nesting) is refused as its event comes by, before anything is built from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from archc.spec.diagnostics import Findings, Note, Place, Source, fail, quote

MAX_BYTES = 1_000_000
MAX_LEVELS = 64
MAX_DIGITS = 18
MAX_FINDINGS = 20


class Invalid:
    """Stands for a value that has been complained of already."""


INVALID = Invalid()


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place and its value."""

    key: Place
    value: Value


Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its place. A sequence is a tuple of values, a mapping a dict of entries.

    ``text`` is how a plain scalar is written (``0x10``, ``yes``); None for everything else.
    """

    data: Scalar | tuple[Value, ...] | dict[str, Entry] | Invalid
    place: Place
    text: str | None = None

    @property
    def plain(self) -> object:
        """The value without places: what a model validates."""
        if isinstance(self.data, tuple):
            return [item.plain for item in self.data]
        if isinstance(self.data, dict):
            return {key: entry.value.plain for key, entry in self.data.items()}
        return self.data


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS = {"", "~", "null", "Null", "NULL"}


def read(source: Source, findings: Findings) -> Value:
    """Read a spec's text.

    Mistakes that leave the rest readable go into ``findings``; a text that is no YAML at all, or
    holds more than a spec may, raises `SpecError` at once.
    """
    return _Reader(source, findings).document()


def scalar(text: str, place: Place, findings: Findings) -> Value:
    """A plain scalar as YAML 1.2 reads it, integers decimal, booleans only true and false."""
    if text in _NULLS:
        return Value(None, place, text)
    if text in ("true", "false"):
        return Value(text == "true", place, text)
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) > MAX_DIGITS:
            findings.error(place, f"a number may have {MAX_DIGITS} digits, not more")
            return Value(INVALID, place, text)
        return Value(int(text), place, text)
    if _SPECIAL.fullmatch(text):
        return Value(float(text.replace(".", "")), place, text)
    # A number with a leading zero is decimal to YAML 1.2 and octal to YAML 1.1: it stays text.
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
        return Value(float(text), place, text)
    return Value(text, place, text)


class _Reader:
    def __init__(self, source: Source, findings: Findings):
        self.source = source
        self.findings = findings
        self.complaints = 0

    def document(self) -> Value:
        """The one document of the text."""
        events = self._events()
        next(events)  # the stream's start
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            fail(
                self.source.start(),
                "the spec is empty",
                "a spec begins with `name:`, see docs/language.md",
            )
        if event.tags:
            fail(self._place(event), "`%TAG` is not part of a spec's YAML")
        value = self._value(next(events), events, 1)
        next(events)  # the document's end
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            fail(self._place(event), "a spec is one YAML document; a second one begins here")
        return value

    def _events(self) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(self.source.text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            place, message, hint = _explain_syntax(error, self.source)
            fail(place, message, hint)

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1)

    def _complain(
        self, place: Place, message: str, hint: str | None = None, notes: tuple[Note, ...] = ()
    ) -> None:
        """Note a mistake; with too many of them the text is no spec, and reading ends."""
        self.findings.error(place, message, hint, notes)
        self.complaints += 1
        if self.complaints >= MAX_FINDINGS:
            self.findings.check()

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], level: int) -> Value:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            self._complain(
                place,
                f"the alias {quote('*' + event.anchor)} is not part of a spec's YAML",
                "say shared attributes once under `defaults`, or in a spec that others extend",
            )
            return Value(INVALID, place)
        self._refuse_properties(event, place)
        if isinstance(event, yaml.ScalarEvent):
            if event.style in (None, ""):
                return scalar(event.value, place, self.findings)
            return Value(event.value, place)
        if level > MAX_LEVELS:
            fail(place, f"this is nested deeper than {MAX_LEVELS} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return Value(self._sequence(events, level), place)
        return Value(self._mapping(events, level), place)

    def _refuse_properties(self, event: yaml.Event, place: Place) -> None:
        if event.anchor is not None:
            self._complain(
                place,
                f"the anchor {quote('&' + event.anchor)} is not part of a spec's YAML",
                "say shared attributes once under `defaults`, or in a spec that others extend",
            )
        if event.tag is not None:
            self._complain(
                place,
                f"the tag {quote(_short_tag(event.tag))} is not part of a spec's YAML",
                "write the value alone",
            )

    def _sequence(self, events: Iterator[yaml.Event], level: int) -> tuple[Value, ...]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, level + 1))
        return tuple(items)

    def _mapping(self, events: Iterator[yaml.Event], level: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, events, level)
            place = self._place(event)
            value = self._value(next(events), events, level + 1)
            if key is None:
                continue
            if key in entries:
                first = Note(entries[key].key, f"{quote(key)} is given first here")
                self._complain(place, f"{quote(key)} is given twice", notes=(first,))
                continue
            entries[key] = Entry(place, value)
        return entries

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], level: int) -> str | None:
        """The key that an event begins, or None where it cannot be one."""
        place = self._place(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, events, level + 1)
            self._complain(place, "a key is a word, not a list or a mapping")
            return None
        self._refuse_properties(event, place)
        if event.value == "<<" and event.style in (None, ""):
            self._complain(
                place,
                "the merge key `<<` is not part of a spec's YAML",
                "say shared attributes once under `defaults`, or in a spec that others extend",
            )
            return None
        if not event.value:
            self._complain(place, "a key is missing before this `:`")
            return None
        return str(event.value)


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


# What the parser says, and what archc says instead. Whether the place is where the parser
# stopped ("here") or where the thing it was reading began ("start") is the last column.
_SYNTAX: list[tuple[str, str, str | None, str]] = [
    ("could not find expected ':'", "this key has no `:` behind it", None, "start"),
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "check the indentation; put text that holds `: ` between quotes",
        "here",
    ),
    (
        "block sequence entries are not allowed",
        "a list entry `- ` is not expected here",
        "begin a list on a line of its own, indented alike",
        "here",
    ),
    ("found a tab character", "a tab cannot indent: use spaces", None, "here"),
    ("found character that cannot start any token", "", None, "here"),
    (
        "found unexpected end of stream",
        "this quote is never closed",
        None,
        "start",
    ),
    ("found unexpected document indicator", "this quote is never closed", None, "start"),
    (
        "found unknown escape character",
        "there is no such escape in a double-quoted text",
        "write a backslash as `\\\\`, or use single quotes",
        "here",
    ),
    ("expected hexdecimal number", "this escape needs hexadecimal digits", None, "here"),
    ("invalid Unicode character escape", "this escape names no character", None, "here"),
    ("expected ',' or ']'", "this list is never closed with `]`", None, "start"),
    ("expected ',' or '}'", "this mapping is never closed with `}`", None, "start"),
    (
        "did not find expected key",
        "this does not fit the keys around it",
        "indent the keys of one mapping alike",
        "here",
    ),
    (
        "did not find expected '-' indicator",
        "this does not fit the list around it",
        "indent the entries of one list alike, each with `- `",
        "here",
    ),
    (
        "did not find expected <document start>",
        "a spec is one mapping; something else begins here",
        None,
        "here",
    ),
    ("did not find expected node content", "a value is expected here", None, "here"),
    (
        "incompatible YAML document",
        "a spec's YAML has no `%YAML` line of this version",
        None,
        "here",
    ),
    ("undefined tag handle", "tags are not part of a spec's YAML", None, "here"),
    (
        "expected alphabetic or numeric",
        "anchors and aliases are not part of a spec's YAML",
        None,
        "here",
    ),
]


def _explain_syntax(error: yaml.MarkedYAMLError, source: Source) -> tuple[Place, str, str | None]:
    """The place, the message and the hint for what the parser stumbled on."""
    here = error.problem_mark or error.context_mark
    for problem, message, hint, where in _SYNTAX:
        if problem in (error.problem or ""):
            mark = (error.context_mark or here) if where == "start" else here
            place = _place_of_mark(source, mark)
            return place, message or _explain_character(place), hint
    return _place_of_mark(source, here), "this is not YAML", "see docs/language.md"


def _explain_character(place: Place) -> str:
    line = place.source.lines[place.line - 1]
    character = line[place.column - 1 : place.column]
    if character == "\t":
        return "a tab cannot indent: use spaces"
    return f"a value cannot begin with {quote(character)}: put it between quotes"


def _place_of_mark(source: Source, mark: yaml.Mark | None) -> Place:
    if mark is None:
        return source.start()
    line = min(mark.line, len(source.lines) - 1)
    return Place(source, line + 1, mark.column + 1)
