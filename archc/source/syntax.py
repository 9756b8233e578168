"""What the YAML parser stumbles on, in archc's own words and at the place that has to change."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from archc.dataclassing import dataclass
from archc.source.diagnostics import Diagnostic, Note, Place, Source
from archc.text import quote

NOT_A_TAG = "write just the value; a condition is negated with `not`, not with `!`"
COMPARED = "a comparison begins with what it compares, for example `width {} 3`"
DIRECTIVES = "the only line with `%` allowed is `%YAML 1.2`"

_SPACED = "a key is written `key: value`, with a space after the `:`"
_ALIKE = "indent all keys of a mapping equally"
_QUOTES = "put all of the text in quotes"

_COLON = re.compile(r":(\s|$)")
_LIST_ENTRY = re.compile(r"\s*-(\s|$)")


@dataclass(frozen=True, slots=True)
class _Stumble:
    """Where the parser stopped, and where what it was reading began, if it says so."""

    here: Place
    start: Place | None

    @property
    def character(self) -> str:
        """The character at the place; empty at the end of a line."""
        return _line(self.here)[self.here.column - 1 : self.here.column]

    @property
    def before(self) -> str:
        """What stands before the place in its line."""
        return _line(self.here)[: self.here.column - 1]

    @property
    def at_end(self) -> bool:
        """Whether nothing but blank lines and comments follows."""
        rest = [_line(self.here)[self.here.column - 1 :], *_lines(self.here)[self.here.line :]]
        return all(re.fullmatch(r"\s*(#.*)?", line) for line in rest)

    def above(self) -> Place | None:
        """The beginning of the nearest line above that says something."""
        lines = _lines(self.here)
        for number in range(self.here.line - 1, 0, -1):
            text = lines[number - 1]
            if text.strip() and not text.lstrip().startswith("#"):
                return _indented(Place(self.here.source, number, 1))
        return None


def explain(error: yaml.YAMLError, source: Source) -> Diagnostic:
    """A diagnostic for what the parser refused."""
    problem = str(getattr(error, "problem", None) or "")
    context = str(getattr(error, "context", None) or "")
    begun = getattr(error, "context_mark", None)
    here = _place(source, getattr(error, "problem_mark", None) or begun)
    stumble = _Stumble(here, _place(source, begun) if begun else None)
    problem = next((c for python, c in _IN_PYTHON if re.search(python, problem)), problem)
    if problem == _EXPECTED_KEY and "block collection" in context:
        problem = _EXPECTED_ENTRY
    for words, rule in _RULES:
        if words in problem or words in context:
            return rule(stumble)
    hint = "a spec is a mapping that begins with `name:`" if source.kind == "spec" else None
    return Diagnostic(here, "this is not YAML", hint, code="yaml-syntax")


def _here(
    message: str, hint: str | None = None, *, code: str = "yaml-syntax"
) -> Callable[[_Stumble], Diagnostic]:
    return lambda stumble: Diagnostic(stumble.here, message, hint, code=code)


def _start(
    message: str, hint: str | None = None, *, code: str = "yaml-syntax"
) -> Callable[[_Stumble], Diagnostic]:
    return lambda stumble: Diagnostic(stumble.start or stumble.here, message, hint, code=code)


def _second_colon(stumble: _Stumble) -> Diagnostic:
    """A `:` where no key can be: in a text, after a line without one, or indented too far."""
    if _COLON.search(stumble.before):
        hint = "put text that contains `: ` in quotes"
        return Diagnostic(
            stumble.here, "a second `:` is not expected here", hint, code="yaml-syntax"
        )
    above = stumble.above()
    if above is not None and not _LIST_ENTRY.match(_line(above)):
        if not _COLON.search(_line(above)):
            return Diagnostic(
                above, "this line has no `: ` after its key", _SPACED, code="yaml-syntax"
            )
        message = "this key is misplaced: the line above already has a value"
        return Diagnostic(_indented(stumble.here), message, _ALIKE, code="yaml-indentation")
    return Diagnostic(
        stumble.here, "a `:` is not expected here", f"{_QUOTES}, if it is one", code="yaml-syntax"
    )


def _unexpected(around: str) -> Callable[[_Stumble], Diagnostic]:
    """A rule for what is not the next of the keys, or of a list's entries, around it."""

    def rule(stumble: _Stumble) -> Diagnostic:
        rest = _line(stumble.here)[stumble.here.column - 1 :]
        if stumble.character in tuple("]}"):
            message = f"this {quote(stumble.character)} closes nothing that was opened"
            return Diagnostic(stumble.here, message, code="yaml-unclosed")
        if stumble.before.strip():
            message = "this cannot follow the value before it"
            return Diagnostic(
                stumble.here, message, f"{_QUOTES}, and close all quotes", code="yaml-syntax"
            )
        if _COLON.match(rest):
            return Diagnostic(stumble.here, "a key is missing before this `:`", code="invalid-key")
        hint = "indent all entries of a list equally" if _LIST_ENTRY.match(rest) else _ALIKE
        return Diagnostic(
            stumble.here,
            f"this does not match the {around} around it",
            hint,
            code="yaml-indentation",
        )

    return rule


def _unclosed(what: str, end: str) -> Callable[[_Stumble], Diagnostic]:
    """A rule for a list or a mapping between brackets that is not closed where it should be."""

    def rule(stumble: _Stumble) -> Diagnostic:
        here, start = stumble.here, stumble.start or stumble.here
        if stumble.at_end:
            return Diagnostic(
                start, f"this {what} is not closed with `{end}`", code="yaml-unclosed"
            )
        if re.fullmatch(r"\s*[\w.-]+", stumble.before):
            here = _indented(here)  # the next key of the mapping around it
        note = Note(start, f"the {what} begins here")
        # A text with braces, as names of modules have them, would begin a mapping.
        is_in_a_text = stumble.character == "{" and re.search(r"[\w.-]$", stumble.before)
        hint = _QUOTES if is_in_a_text else None
        if stumble.character == "[" and re.search(r"\s(not )?in\s+$", stumble.before):
            hint = "there are no lists in expressions: write `a == 1 or a == 2`"
        elif stumble.character == ":" and re.search(r"\s\?\s", stumble.before):
            hint = "a choice is written `b if a else c`"
        above = stumble.above()
        is_first = not _line(stumble.here)[: stumble.here.column - 1].strip()
        if is_first and above is not None and re.search(r"\s#", _line(above)):
            hint = "` #` begins a comment: put text that contains it in quotes"
        return Diagnostic(
            here, f"a `,` or `{end}` is missing before this", hint, (note,), code="yaml-unclosed"
        )

    return rule


def _outside(stumble: _Stumble) -> Diagnostic:
    above = stumble.above()
    if above is not None and _line(above).startswith("..."):
        return Diagnostic(stumble.here, "the `...` above ended the spec", code="yaml-syntax")
    return Diagnostic(
        stumble.here,
        "this does not belong to the mapping above it",
        _ALIKE,
        code="yaml-indentation",
    )


def _missing_value(stumble: _Stumble) -> Diagnostic:
    if stumble.character:
        message = f"a value is missing before this {quote(stumble.character)}"
        return Diagnostic(stumble.here, message, code="yaml-syntax")
    opening = _open_bracket(stumble) if stumble.at_end else None
    if opening is not None:
        place, what, end = opening
        return Diagnostic(place, f"this {what} is not closed with `{end}`", code="yaml-unclosed")
    return Diagnostic(stumble.here, "a value is missing here", code="yaml-syntax")


_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|(?:^|(?<=\s))#[^\n]*|[][{}]""")


def _open_bracket(stumble: _Stumble) -> tuple[Place, str, str] | None:
    """The innermost list or mapping that is open at the end of a text: where, what, its end."""
    lines = _lines(stumble.here)
    opened: list[tuple[Place, str, str]] = []
    for number, line in enumerate(lines, 1):
        for token in _TOKEN.finditer(line):
            if token[0] in "[{":
                what, end = ("list", "]") if token[0] == "[" else ("mapping", "}")
                place = Place(stumble.here.source, number, token.start() + 1)
                opened.append((place, what, end))
            elif token[0] in "]}" and opened:
                opened.pop()
    return opened[-1] if opened else None


def _bad_character(stumble: _Stumble) -> Diagnostic:
    if stumble.character == "\t" and stumble.before.strip():
        return Diagnostic(stumble.here, "use a space here, not a tab", code="yaml-indentation")
    if stumble.character == "\t":
        return Diagnostic(stumble.here, "indent with spaces, not tabs", code="yaml-indentation")
    name = "a backquote" if stumble.character == "`" else quote(stumble.character)
    hint = _quoted_bound(stumble.here) or _QUOTES
    if stumble.character == "%":
        hint += "; `%` is written between two numbers, for example `width % 8`"
    return Diagnostic(stumble.here, f"a value cannot begin with {name}", hint, code="yaml-syntax")


def _quoted_bound(start: Place) -> str | None:
    """The hint for a value such as ``> 25M``, which has nothing to compare with, unless its key
    takes a condition."""
    bound = re.match(r">=?\s*[0-9][0-9_.]*\s*[A-Za-z]*", _line(start)[start.column - 1 :])
    if bound is None or re.search(r"\b(if|check)\s*:\s*$", _line(start)[: start.column - 1]):
        return None
    return f'put the comparison in quotes: "{bound[0].rstrip()}"'


def _block_text(stumble: _Stumble) -> Diagnostic:
    """A `>` or `|` at the start of a value, with something behind it in the same line."""
    start = stumble.start or stumble.here
    sign = _line(start)[start.column - 1 : start.column]
    message = f"a value that begins with {quote(sign)} is a text on the lines below it"
    hint = "put the text in quotes, or begin it on the next line"
    if sign == ">":
        hint = _quoted_bound(start) or COMPARED.format(sign)
    return Diagnostic(start, message, hint, code="yaml-syntax")


_EXPECTED_KEY = "did not find expected key"
_EXPECTED_ENTRY = "did not find expected '-' indicator"

_IN_PYTHON = [
    ("expected <block end>, but found", _EXPECTED_KEY),
    ("expected ',' or ']', but got", "did not find expected ',' or ']'"),
    ("expected ',' or '}', but got", "did not find expected ',' or '}'"),
    ("expected the node content, but found", "did not find expected node content"),
    ("expected '<document start>', but found", "did not find expected <document start>"),
    ("^sequence entries are not allowed", "block sequence entries are not allowed"),
    ("found unexpected document separator", "found unexpected document indicator"),
    ("expected escape sequence of . hexadecimal", "expected hexdecimal number"),
]
"""What PyYAML's parser in Python says, where it has other words than libyaml for the same."""

_RULES: list[tuple[str, Callable[[_Stumble], Diagnostic]]] = [
    ("found a tab character", _here("indent with spaces, not tabs", code="yaml-indentation")),
    ("cannot start any token", _bad_character),
    ("could not find expected ':'", _start("this line has no `: ` after its key", _SPACED)),
    ("mapping values are not allowed", _second_colon),
    ("mapping keys are not allowed", _here("a `? ` is not expected here", _QUOTES)),
    (
        "block sequence entries are not allowed",
        _here("a list cannot begin here", "start it on its own line, or write it as [a, b]"),
    ),
    (_EXPECTED_KEY, _unexpected("keys")),
    (_EXPECTED_ENTRY, _unexpected("list")),
    ("did not find expected ',' or ']'", _unclosed("list", "]")),
    ("did not find expected ',' or '}'", _unclosed("mapping", "}")),
    ("did not find expected node content", _missing_value),
    ("did not find expected <document start>", _outside),
    ("found unexpected ':'", _here("a space is missing after this `:`", _SPACED)),
    ("found unexpected end of stream", _start("this quote is not closed", code="yaml-unclosed")),
    (
        "found unexpected document indicator",
        _start("this quote is not closed", code="yaml-unclosed"),
    ),
    (
        "found unknown escape character",
        _here(
            "this is not a valid escape in double quotes",
            "write a backslash as `\\\\`, or use single quotes",
        ),
    ),
    ("expected hexdecimal number", _here("this escape needs hexadecimal digits")),
    (
        "invalid Unicode character escape",
        _here("this escape is not a character", code="bad-encoding"),
    ),
    ("while scanning a block scalar", _block_text),
    ("directive", _here(DIRECTIVES, code="yaml-feature")),
    ("YAML document", _here(DIRECTIVES, code="yaml-feature")),
    ("tag", _start("a tag is not part of a spec's YAML", NOT_A_TAG, code="yaml-feature")),
    (
        "while scanning an a",  # an anchor, an alias
        _start(
            "anchors and aliases are not part of a spec's YAML",
            "a value cannot begin with `&` or `*`, unless it is in quotes",
            code="yaml-feature",
        ),
    ),
]
"""What the parser says, in its problem or its context, and what archc makes of it."""


def _place(source: Source, mark: yaml.Mark | None) -> Place:
    if mark is None:
        return source.start()
    # The parser's end of text may lie behind the last line.
    line = min(mark.line, len(source.lines) - 1)
    column = mark.column if line == mark.line else len(source.lines[line])
    return Place(source, line + 1, column + 1)


def _lines(place: Place) -> list[str]:
    return place.source.lines


def _line(place: Place) -> str:
    return _lines(place)[place.line - 1]


def _indented(place: Place) -> Place:
    """The first character of a place's line that is no space and no `- ` of a list."""
    text = _line(place)
    return Place(place.source, place.line, len(text) - len(text.lstrip()) + 1)
