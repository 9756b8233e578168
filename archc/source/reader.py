"""YAML to located values: a strict subset with YAML 1.2 meaning, read event by event.

PyYAML's parser makes the events; everything that a spec may not hold (aliases, tags, deep
nesting) is refused as its event comes by, before anything is built from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from archc.dataclassing import dataclass
from archc.source.diagnostics import Findings, Note, Place, Source, SpecError, fail
from archc.text import quote

MAX_BYTES = 1_000_000
MAX_LEVELS = 64
MAX_DIGITS = 18
MAX_VALUES = 50_000

SHARING = "put shared attributes under `defaults`, or in a spec that others extend"


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


REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Characters that YAML 1.2 does not allow, the three that end a line in YAML 1.1 alone, and a byte
order mark that is not the first character."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS = {"", "~", "null", "Null", "NULL"}


def read(source: Source, findings: Findings) -> Value:
    """Read a spec's text.

    Mistakes that leave the rest readable go into ``findings``; a text that is no YAML at all, or
    holds more than a spec may, raises `SpecError` at once.
    """
    check_characters(source)
    return _Reader(source, findings).document()


def scalar(text: str, place: Place, findings: Findings) -> Value:
    """A plain scalar as YAML 1.2 reads it, integers decimal, booleans only true and false."""
    if text in _NULLS:
        return Value(None, place, text)
    if text in ("true", "false"):
        return Value(text == "true", place, text)
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) > MAX_DIGITS:
            findings.error(
                place, f"a number may have at most {MAX_DIGITS} digits", code="limit-exceeded"
            )
            return Value(INVALID, place, text)
        return Value(int(text), place, text)
    if _SPECIAL.fullmatch(text):
        return Value(float(text.replace(".", "")), place, text)
    # A number with a leading zero is decimal to YAML 1.2 and octal to YAML 1.1: it stays text.
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
        return Value(float(text), place, text)
    return Value(text, place, text)


def is_plain(text: str) -> bool:
    """Whether a word that is written without quotes is read as this text: ``null`` is not."""
    return scalar(text, Source("").start(), Findings()).data == text


def quoted(text: str) -> str:
    """A text in quotes that is read back as it was, whatever characters it has.

    Letters stay legible; what is invisible, or turns the reading direction, becomes an escape.
    Lone surrogates, as Python has for bytes of file names that are not UTF-8, cannot be written.
    """
    body = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in body)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def check_characters(source: Source, hint: str | None = None) -> None:
    """Raise `SpecError` at the first character of a text that no YAML may have."""
    refused = REFUSED.search(source.text)
    if refused is not None:
        what = f"the character U+{ord(refused[0]):04X} is not allowed in a {source.kind}"
        fail(source.place_after(source.text[: refused.start()]), what, hint, code="bad-encoding")


def loader() -> Any:
    """PyYAML's parser in C; the slower one in Python where PyYAML was built without libyaml."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Reader:
    def __init__(self, source: Source, findings: Findings):
        self.source = source
        self.findings = findings
        self.kind = source.kind
        self.sharing = SHARING if source.kind == "spec" else None
        self.values = 0
        self.anchors = set[str]()

    def document(self) -> Value:
        """The one document of the text."""
        events = self._events()
        next(events)  # the stream's start
        event = next(events)
        if not isinstance(event, yaml.DocumentStartEvent):
            hint = "a spec begins with `name:`" if self.kind == "spec" else None
            fail(self.source.start(), f"the {self.kind} is empty", hint, code="empty-file")
        if event.tags or event.version not in (None, (1, 2)):
            from archc.source.syntax import DIRECTIVES

            fail(self._place(event), DIRECTIVES, code="yaml-feature")
        value = self._value(next(events), events, 1)
        next(events)  # the document's end
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            what = f"a {self.kind} is one YAML document; a second one begins here"
            fail(self._place(event), what, code="yaml-feature")
        return value

    def _events(self) -> Iterator[yaml.Event]:
        try:
            for event in yaml.parse(self.source.text, Loader=loader()):
                self.values += isinstance(event, yaml.NodeEvent)
                if SURROGATE.search(getattr(event, "value", "")):  # libyaml refuses them itself
                    fail(
                        self._place(event),
                        "an escape in this text is not a character",
                        code="bad-encoding",
                    )
                if self.values > MAX_VALUES:
                    most = f"at most {MAX_VALUES:,} keys and values"
                    fail(
                        self._place(event),
                        f"a {self.kind} has {most}; this is one more",
                        code="limit-exceeded",
                    )
                yield event
        except yaml.YAMLError as error:
            from archc.source.syntax import explain

            raise SpecError([explain(error, self.source)]) from None

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None
        return Place(self.source, mark.line + 1, mark.column + 1)

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], level: int) -> Value:
        place = self._place(event)
        if level > MAX_LEVELS and not isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            fail(place, f"this is nested deeper than {MAX_LEVELS} levels", code="limit-exceeded")
        if self._refused(event, place):
            self._skip(event, events, level)
            return Value(INVALID, place)
        if isinstance(event, yaml.ScalarEvent):
            if event.style in (None, ""):
                return scalar(event.value, place, self.findings)
            return Value(event.value, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return Value(self._sequence(events, level), place)
        return Value(self._mapping(events, level), place)

    def _refused(self, event: yaml.Event, place: Place) -> bool:
        """Whether a value is none that a spec may have; an anchor is noted, and its value read."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        kind, mark = ("alias", "*") if isinstance(event, yaml.AliasEvent) else ("anchor", "&")
        if anchor is not None:
            what = f"the {kind} {quote(mark + anchor)} is not part of a {self.kind}'s YAML"
            hint = self.sharing
            if kind == "anchor":
                self.anchors.add(anchor)
            elif anchor not in self.anchors:  # it refers to nothing: a name may be meant
                hint = f"an expression reads {quote(anchor)} without the `*`; shared attributes go "
                hint += "under `defaults`"
            self.findings.error(place, what, hint, code="yaml-feature")
        if tag is not None:
            short = tag.replace("tag:yaml.org,2002:", "!!")
            what = f"the tag {quote(short)} is not part of a {self.kind}'s YAML"
            from archc.source.syntax import COMPARED, NOT_A_TAG

            hint = "write just the value" if short.startswith("!!") else NOT_A_TAG
            self.findings.error(
                place, what, COMPARED.format("!=") if short == "!=" else hint, code="yaml-feature"
            )
        return kind == "alias" or tag is not None

    def _skip(self, event: yaml.Event, events: Iterator[yaml.Event], level: int) -> None:
        """Read over a value of which nothing more is to be said."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if level + depth - 1 > MAX_LEVELS:
                fail(
                    self._place(event),
                    f"this is nested deeper than {MAX_LEVELS} levels",
                    code="limit-exceeded",
                )
            if not depth:
                return
            event = next(events)

    def _sequence(self, events: Iterator[yaml.Event], level: int) -> tuple[Value, ...]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, level + 1))
        return tuple(items)

    def _mapping(self, events: Iterator[yaml.Event], level: int) -> dict[str, Entry] | Invalid:
        """The entries of a mapping; invalid where a key that is none leaves open what they are."""
        entries: dict[str, Entry] = {}
        bare: list[tuple[str, Place]] = []
        valid = True
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            place = self._place(event)
            key = self._key(event, place)
            if key is None:
                valid = False
                self._skip(event, events, level + 1)
                self._skip(next(events), events, level + 1)
                continue
            value = self._value(next(events), events, level + 1)
            is_bare = value.data is None and not value.text
            if not is_bare:
                self._end_list(entries, bare)
                bare = []
            elif key not in entries or key in dict(bare):
                bare.append((key, place))
            if is_bare and key in entries and key in dict(bare):
                continue
            if key in entries:
                first = Note(entries[key].key, f"{quote(key)} is given first here")
                self.findings.error(
                    place, f"{quote(key)} is given twice", notes=[first], code="duplicate-key"
                )
                continue
            entries[key] = Entry(place, value)
        self._end_list(entries, bare)
        return entries if valid else INVALID

    def _end_list(self, entries: dict[str, Entry], bare: list[tuple[str, Place]]) -> None:
        """Complain of a key that comes again in a row of keys without values: in ``{depth: 2, 2,
        2}`` a list was meant, whose items are taken away."""
        keys = [key for key, _ in bare]
        again = [i for i, key in enumerate(keys) if key in keys[:i]]
        if not again:
            return
        place = bare[again[0]][1]
        names = list(entries)
        begins = names[max(names.index(keys[0]) - 1, 0)]
        before = entries[begins]
        hint = None
        if before.value.text and before.key.line == place.line:
            hint = f"a list has brackets: `{begins}: [{', '.join([before.value.text, *keys])}]`"
            entries[begins] = Entry(before.key, Value(INVALID, before.value.place))
            for key in set(keys):
                del entries[key]
            again = again[:1]
        for index in again:
            key, place = bare[index]
            notes = [Note(dict(reversed(bare))[key], f"{quote(key)} is given first here")]
            message = f"{quote(key)} is given twice"
            self.findings.error(place, message, hint, notes, code="duplicate-key")

    def _key(self, event: yaml.Event, place: Place) -> str | None:
        """The key that an event is, or None where it cannot be one."""
        refused = self._refused(event, place)
        if not isinstance(event, yaml.ScalarEvent):
            if not refused:
                self.findings.error(
                    place, "a key is a word, not a list or a mapping", code="invalid-key"
                )
        elif event.value == "<<" and event.style in (None, ""):
            what = f"the merge key `<<` is not part of a {self.kind}'s YAML"
            self.findings.error(place, what, self.sharing, code="yaml-feature")
        elif not event.value:
            self.findings.error(place, "a key is missing before this `:`", code="invalid-key")
        else:
            return str(event.value)
        return None
