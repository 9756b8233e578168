"""Where something is written, and what is wrong with it there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Literal, NoReturn, TypeAlias

from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.text import display_width, visible

Severity: TypeAlias = Literal["error", "warning"]

WINDOW = 100
"""How much of a long source line is shown around the place, in characters."""

MAX_DIAGNOSTICS = 50
"""How many mistakes of a spec are told; one more says where archc stopped looking."""


@dataclass(eq=False)
class Source:
    """A text that was read: a file, standard input, or an option of the command line.

    ``name`` is how diagnostics call it, ``path`` where it lies (None for what is no file),
    ``via`` the place of the ``extends`` that led to it, and ``kind`` what such a text is. Where the
    text is a part of what a user wrote, at its place, ``shown`` is the whole. With ``is_data`` it
    is a mapping that a program gave, written out: places are paths into it.
    """

    name: str
    text: str = field(default="", repr=False)
    path: str | None = None
    via: Place | None = None
    kind: str = "spec"
    shown: str | None = field(default=None, repr=False)
    folder: str = ""
    """Where paths in a text that is no file begin: the current folder, unless it is said."""
    is_data: bool = False

    @property
    def base(self) -> str:
        """The folder that paths in the text are relative to."""
        return os.path.dirname(self.path) if self.path else self.folder

    @property
    def is_of_user(self) -> bool:
        """Whether somebody wrote it for this network: it is not of the library."""
        return self.path is not None or self.kind == "spec"

    @cached_property
    def lines(self) -> list[str]:
        """The text line by line; YAML ends a line at LF, CR LF or CR."""
        text = self.text if self.shown is None else self.shown
        return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def start(self) -> Place:
        """The place of the text as a whole."""
        return Place(self, 1, 1)

    def place_after(self, before: str) -> Place:
        """The place behind the first characters of the text, given as these."""
        lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return Place(self, len(lines), len(lines[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column in a source, both from 1; a column counts characters."""

    source: Source
    line: int
    column: int

    def __str__(self) -> str:
        if self.source.is_data:
            from archc.source.data import path_of

            path = path_of(self)
            return f"{self.source.name}:{path}" if path else self.source.name
        return f"{self.source.name}:{self.line}:{self.column}"

    def within(self) -> Place:
        """The place itself, or the end of its line or text where it lies behind that.

        The YAML parser may find that something is missing one line behind the last.
        """
        lines = self.source.lines
        line = min(self.line, len(lines))
        end = len(lines[line - 1]) + 1
        column = min(self.column, end) if line == self.line else end
        return Place(self.source, line, column)


@dataclass(frozen=True)
class Note:
    """A second place that explains a diagnostic, inside its source."""

    place: Place
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.place.within())


class Advice(str):
    """A hint that says what to write instead, so that it can be applied.

    ``replacement`` is what to write. It takes the place of ``word`` where that is given (a key, a
    name in an expression), otherwise of the value that the diagnostic points at. ``is_certain``
    says that hardly anything else can be meant: `archc check --fix` applies such hints alone.
    """

    replacement: str
    word: str | None
    is_certain: bool

    def __new__(
        cls, hint: str, replacement: str, word: str | None = None, *, is_certain: bool = True
    ) -> Advice:
        """A hint with what it says to write."""
        made = super().__new__(cls, hint)
        made.replacement, made.word, made.is_certain = replacement, word, is_certain
        return made

    # Errors of worker processes are pickled.
    def __getnewargs__(self) -> tuple[str, str, str | None]:  # type: ignore[override]
        return str(self), self.replacement, self.word


@dataclass(frozen=True)
class Edit:
    """A change of a text: what stands from ``start`` up to ``end`` becomes ``replacement``."""

    start: Place
    end: Place
    replacement: str
    is_certain: bool = True

    def as_dict(self) -> dict[str, object]:
        """The edit as plain data; columns count characters from 1, the last being excluded."""
        return {
            "file": self.start.source.name,
            "line": self.start.line,
            "column": self.start.column,
            "end_line": self.end.line,
            "end_column": self.end.column,
            "replacement": self.replacement,
            "certain": self.is_certain,
        }


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: where it is, inside its source, what it is, and what to do about it.

    ``code`` names its kind (``unknown-key``); `archc.source.codes` has them all. A diagnostic of
    severity ``warning`` is of something valid that is probably not meant.
    """

    place: Place
    message: str
    hint: str | None = None
    notes: tuple[Note, ...] = ()
    is_end: bool = False
    """Whether this is no mistake, but says that archc looked no further."""
    code: str = ""
    severity: Severity = "error"
    edit: Edit | None = None
    """The edit that mends it, where the hint does not say so itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.place.within())

    @property
    def end(self) -> Place:
        """Where what it points at ends: the place behind its last character."""
        from archc.source.spans import end_of

        return end_of(self.place)

    @property
    def fix(self) -> Edit | None:
        """The edit of the text that mends it, where one is known."""
        if self.edit is not None or not isinstance(self.hint, Advice):
            return self.edit
        from archc.source.spans import edit_of

        return edit_of(self.place, self.hint)

    @property
    def all_notes(self) -> Sequence[Note]:
        """The diagnostic's notes, and the way through ``extends`` to the file at fault."""
        way = []
        source = self.place.source
        while source.via is not None:
            how = "used" if source.kind == "block file" else "extended"
            way.append(Note(source.via, f"{source.name} is {how} here"))
            source = source.via.source
        return (*self.notes, *way)

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """The diagnostic as text: the message, the source line with a caret, hint and notes."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The lines of `render`, each without characters that would disturb a terminal."""
        kind = f" [{self.code}]" if self.severity == "warning" else ""
        first = f"{self.place}: {self.severity}: {self.message}{kind}"
        parts = [first, *excerpt(self.place)]
        if self.hint:
            parts.append(f"hint: {self.hint}")
        for note in self.all_notes:
            parts.append(f"{note.place}: note: {note.message}")
        return list(map(visible, parts))

    def as_dict(self) -> dict[str, object]:
        """The diagnostic as plain data; what lies from its place up to its end is what it is of."""
        end, fix = self.end, self.fix
        return {
            "file": self.place.source.name,
            "line": self.place.line,
            "column": self.place.column,
            "end_line": end.line,
            "end_column": end.column,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "fix": None if fix is None else fix.as_dict(),
            "notes": [
                {
                    "file": note.place.source.name,
                    "line": note.place.line,
                    "column": note.place.column,
                    "message": note.message,
                }
                for note in self.all_notes
            ],
        }


class Diagnostics(tuple[Diagnostic, ...]):
    """What there is to say of a spec, in order; printed as the command line shows it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(one.render() for one in self) or "no mistakes"

    @property
    def rows(self) -> list[dict[str, object]]:
        """Each as plain data, as in the command's JSON."""
        return [one.as_dict() for one in self]


class SpecError(ArchcError):
    """A spec cannot be used; ``diagnostics`` says why, in the order of the text.

    Of a single one, ``message`` and ``hint`` are its own; of several, ``message`` has them all as
    they are shown, hints included. After `MAX_DIAGNOSTICS` mistakes
    archc looks no further; one more diagnostic, the last, is then at the first mistake that is not
    told.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(diagnostic.render() for diagnostic in self.diagnostics))
        if len(self.diagnostics) == 1:
            self.message, self.hint = self.diagnostics[0].message, self.diagnostics[0].hint

    def lines(self) -> Iterator[str]:
        """The diagnostics, each with its line of the source and its hint."""
        for diagnostic in self.diagnostics:
            yield from diagnostic.lines()


@dataclass
class Findings:
    """Collects the mistakes of a spec, each once, and apart from them what is to be warned of."""

    found: dict[tuple[Place, str], Diagnostic] = field(default_factory=dict)
    warned: dict[tuple[Place, str], Diagnostic] = field(default_factory=dict)

    def error(
        self,
        place: Place,
        message: str,
        hint: str | None = None,
        notes: Iterable[Note] = (),
        *,
        code: str = "",
        fix: Edit | None = None,
    ) -> None:
        """Note a mistake of a kind; raise `SpecError` if there are too many."""
        self._note(Diagnostic(place, message, hint, tuple(notes), code=code, edit=fix))

    def warning(
        self,
        place: Place,
        message: str,
        hint: str | None = None,
        notes: Iterable[Note] = (),
        *,
        code: str,
        fix: Edit | None = None,
    ) -> None:
        """Note what is valid but probably not meant, unless a comment in its line, or alone on the
        line above, allows it: ``# archc: allow CODE``."""
        found = Diagnostic(
            place, message, hint, tuple(notes), code=code, severity="warning", edit=fix
        )
        if not is_allowed(found):
            self.warned.setdefault((place, message), found)

    def add(self, error: SpecError) -> None:
        """Note the mistakes that ended a part of the work."""
        for fault in error.diagnostics:
            self._note(fault)

    def check(self) -> None:
        """Raise `SpecError` if there are mistakes."""
        if self.found:
            raise SpecError(in_order(self.found.values()))

    def _note(self, fault: Diagnostic) -> None:
        place, message = fault.place, fault.message
        if (place, message) in self.found:
            return
        if len(self.found) == MAX_DIAGNOSTICS:
            more = f"there are more mistakes from here on; archc stops after {MAX_DIAGNOSTICS}"
            end = Diagnostic(place, more, is_end=True, code="too-many-mistakes")
            raise SpecError([*in_order(self.found.values()), end])
        self.found[place, message] = fault


_ALLOWED = re.compile(r"#\s*archc:\s*allow\s+([a-z][a-z, -]*)")


def is_allowed(warning: Diagnostic) -> bool:
    """Whether a comment where a warning points says that this is meant."""
    lines, number = warning.place.source.lines, warning.place.line
    line = lines[number - 1] if number <= len(lines) else ""
    above = lines[number - 2] if number > 1 else ""
    comments = [line, above if above.lstrip().startswith("#") else ""]
    found = [_ALLOWED.search(comment) for comment in comments]
    codes = [code for one in found if one for code in re.split(r"[,\s]+", one[1])]
    return warning.code in codes


def in_order(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Diagnostics in the order of the text, file by file."""
    found = list(found)
    order: dict[Source, int] = {}
    for one in found:
        order.setdefault(one.place.source, len(order))
    return sorted(found, key=lambda d: (order[d.place.source], d.place.line, d.place.column))


def merged(faults: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The mistakes of several specs, each once.

    One in a file that several of them extend, or in an option, has the notes of all of them.
    """
    found: dict[object, Diagnostic] = {}
    for fault in faults:
        place = fault.place
        path = place.source.path
        where = os.path.realpath(path) if path else (place.source.name, place.source.text)
        key = (where, place.line, place.column, fault.message)
        if key in found:
            told = {(str(note.place), note.message) for note in found[key].all_notes}
            more = [n for n in fault.all_notes if (str(n.place), n.message) not in told]
            fault = replace(found[key], notes=(*found[key].notes, *more))
        found[key] = fault
    return list(found.values())


def fail(
    place: Place,
    message: str,
    hint: str | None = None,
    notes: Iterable[Note] = (),
    *,
    code: str = "",
    fix: Edit | None = None,
) -> NoReturn:
    """Raise a `SpecError` of one diagnostic of a kind."""
    raise SpecError([Diagnostic(place, message, hint, tuple(notes), code=code, edit=fix)])


def excerpt(place: Place) -> list[str]:
    """The source line around a place and a caret under it; nothing where there is none to show."""
    lines = place.source.lines
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if not line.strip():
        return []
    at = min(place.column - 1, len(line))
    start = max(0, min(at - WINDOW // 2, len(line) - WINDOW))
    piece = line[start : start + WINDOW]
    head = "…" if start else ""
    tail = "…" if start + WINDOW < len(line) else ""
    before = head + visible(line[start:at])
    shown = head + visible(piece) + tail
    return [f"  {shown}".rstrip(), f"  {' ' * display_width(before)}^"]
