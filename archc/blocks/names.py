"""Expressions, conditions and names of modules where they are written: what they may read there."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import get_args

from archc.blocks.around import ACTIVATIONS, NormName
from archc.blocks.definition import NETWORK
from archc.blocks.expressions import (
    FUNCTIONS,
    NOT_CLOSED,
    Binary,
    Call,
    Choice,
    ExpressionError,
    Literal,
    Name,
    Node,
    Unary,
    parse,
)
from archc.blocks.possible import (
    TRUTH,
    Known,
    Possible,
    TypeMistakeError,
    described,
    integers,
    one_of,
)
from archc.blocks.tree import INPUT, Expr, Template
from archc.dataclassing import dataclass
from archc.graph.authored import NOT_FOR_MODULES
from archc.source.diagnostics import Advice, Findings, Place
from archc.source.reader import Value
from archc.source.record import Record
from archc.source.suggest import closest
from archc.source.validate import code_of, describe, expected, guess, is_nothing, kinds_of, tainted
from archc.text import listing, quote

HEADER_NAMES = ("classes", "norm", "pre_activation")
"""The keys of a network's header that expressions may read."""
PLACE_NAMES = ("in", "channels", "index", "total", "stride")
"""What a block knows of its place."""
RESERVED = (
    *HEADER_NAMES,
    *PLACE_NAMES,
    *("block", "depth", "name", "stages", "stage", "number", "repeat", INPUT, "identity"),
)
"""Names that no attribute, value or variable may have."""


_NORMS, _ACTIVATIONS = get_args(NormName), tuple(ACTIVATIONS)
NO_WORDS = frozenset[str]()
_EVERY_WORD = frozenset([*_NORMS, *_ACTIVATIONS, NETWORK, "none", "depthwise"])

_SIGNS = re.compile(
    r"[-+*/%<>=!()]|\b(and|or|not|if|else)\b"
    # Those of other languages, too: what is meant by them has its hint.
    r"|[?&|^~$@{\[≤≥≠×÷\N{MINUS SIGN}]|[A-Za-z_]\w*\.[A-Za-z_]"
)
_NAME = re.compile(r"[0-9]*[A-Za-z_][A-Za-z0-9_]*")
_MAX_LISTED = 8
"""Names of a circle that a message has."""
_PRODUCT = re.compile(r"([0-9]+)([A-Za-z_][A-Za-z0-9_]*)")
_NOT_NAMES = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null", "none"])
"""What other formats have for truth values, and for nothing."""
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_NOT_FOR_VALUES = frozenset(
    [
        *("self", "super", "forward", "training", "torch", "nn", "F", "math"),
        *("int", "float", "bool", "str", "tuple", "list", "range", "len", "abs"),
        *("min", "max", "round"),
    ]
)
"""What emitted source calls by its name, so that no argument of a class may hide it."""

USUAL_VALUES: Mapping[str, Possible] = {
    "classes": integers(1),
    "norm": one_of([*get_args(NormName), "none"], "a norm"),
    "pre_activation": TRUTH,
    **dict.fromkeys(("in", "channels", "stride", "stage", "number"), integers(1)),
    **dict.fromkeys(("index", "total", "stages", "block", "repeat"), integers(0)),
}
"""What the names may be that every block, stem and head can read."""


def hides(name: str, *, is_module: bool = False) -> str:
    """Why a name would be in the way of the emitted Python source, as the name of a value or of a
    module; nothing where it is not."""
    if keyword.iskeyword(name):
        return "that is a word of Python"
    if is_module:
        return "torch's modules have it" if name in NOT_FOR_MODULES else ""
    return "the emitted source needs that name" if name in _NOT_FOR_VALUES else ""


@dataclass
class Names:
    """The names that expressions may read where they stand, and the words that some may be.

    ``words`` has for each name that stands for a word what it may be; ``used`` collects what is
    read; ``possible`` is what is known of their values. Names beyond these are a mistake. Those
    that are there ``later`` get a message of their own: ``reads`` has the names in the text of
    each value, ``at`` is the one that is being read, and ``told`` those in circles that have been
    noted.
    """

    known: set[str]
    words: dict[str, frozenset[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    hint: str = ""
    later: set[str] = field(default_factory=set)
    reads: dict[str, list[str]] = field(default_factory=dict)
    at: str = ""
    told: set[str] = field(default_factory=set)
    possible: Known = field(default_factory=Known)

    def all_words(self) -> frozenset[str]:
        """Every word that something may be here."""
        return _EVERY_WORD.union(*self.words.values())

    def beside(self, *more: str) -> Names:
        """With some names more."""
        known = self.known | set(more)
        return Names(known, self.words, self.used, self.hint, possible=self.possible)

    def listed(self) -> str:
        """Which names there are, for a hint."""
        return f"names here are {listing(sorted(self.known), 'and')}"


def outside(variables: Iterable[str] = (), possible: Mapping[str, Possible] | None = None) -> Names:
    """The names of a stem or a head, with what variables may be."""
    words = {"norm": frozenset([*_NORMS, "none"])}
    known = {*HEADER_NAMES, "in", "channels", "total", "stages", *variables}
    names = Names(known, words)
    names.possible = Known({**USUAL_VALUES, **(possible or {})}, is_checked=True)
    names.possible.cover(known)
    return names


def circle_through(start: str, reads: Mapping[str, Iterable[str]], by: str) -> list[str]:
    """The names that need each other, ``start`` first and ``by`` next; none where ``by`` does not
    need ``start``. ``reads`` says what each reads."""
    came_from = {by: start}
    queue = [by] if by in reads else []
    for name in queue:
        if name == start:
            break
        for one in reads[name]:
            if one in reads and one not in came_from:
                came_from[one] = name
                queue.append(one)
    if start not in queue:
        return []
    circle = [start]
    while (name := came_from[circle[-1]]) != start:
        circle.append(name)
    return [start, *circle[:0:-1]]


def circles(reads: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Names that need each other, one circle at least where there is any."""
    done = set[str]()
    for start in reads:
        path = {start: iter(reads[start])} if start not in done else {}
        while path:
            name, rest = next(reversed(path.items()))
            found = next((one for one in rest if one in reads and one not in done), None)
            if found is None:
                done.add(name)
                del path[name]
            elif found in path:
                names = list(path)
                yield names[names.index(found) :]
            else:
                path[found] = iter(reads[found])


def each_other(circle: Sequence[str]) -> str:
    """The names of a circle in words, as many as anybody reads."""
    words = [f"`{one}`" for one in circle[:_MAX_LISTED]]
    words += [f"{len(circle) - _MAX_LISTED:,} more"] if len(circle) > _MAX_LISTED else []
    return listing(words, "and")


# Expressions


def looks_like_one(text: str, names: Names) -> bool:
    """Whether a text is meant as an expression: it has an operator or a call, or is a name."""
    if _SIGNS.search(text):
        return not re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", text.strip())
    return text.strip() in names.known


def expression(
    value: Value, names: Names, findings: Findings, words: frozenset[str]
) -> Expr | None:
    """A text as an expression; ``words`` are what it may come to besides numbers."""
    assert isinstance(value.data, str)
    place = begins(value)
    try:
        found = Expr.of(parse(value.data), value.data, place)
    except ExpressionError as error:
        at = Place(place.source, place.line, place.column + error.start)
        hint = error.hint
        if error.message == NOT_CLOSED and value.text is not None:
            hint = "inside { } a comma ends a value: put this in quotes, or name it under `let`"
        elif error.start >= len(value.data.rstrip()) and _ends_in_comment(value):
            hint = "` #` begins a comment, which ends the value"
        findings.error(at, error.message, hint, code="expression-syntax")
        return None
    if not _check_names(found, found.node, names, findings, words):
        return None
    try:
        names.possible.check(found.node, found.text)
    except TypeMistakeError as mistake:
        findings.error(found.at(mistake.node.start), str(mistake), code="expression-type")
        return None
    return found


def _ends_in_comment(value: Value) -> bool:
    """Whether a comment follows a text without quotes in its line."""
    line = value.place.source.lines[value.place.line - 1]
    rest = line[value.place.column - 1 + len(str(value.data)) :]
    return value.text is not None and re.match(r"\s+#", rest) is not None


def begins(value: Value) -> Place:
    """Where a text begins: after the quote, where it has one."""
    place = value.place
    return place if value.text is not None else Place(place.source, place.line, place.column + 1)


def _check_names(
    expr: Expr, node: Node, names: Names, findings: Findings, words: frozenset[str]
) -> bool:
    """Whether every name of a part is known, and every word one that may stand there."""
    if isinstance(node, Name):
        if node.name in names.known:
            names.used.add(node.name)
            return True
        if node.name in words:
            return True
        _complain_of_name(expr, node, names, findings, words)
        return False
    if isinstance(node, Binary) and node.operator in ("==", "!="):
        left, right = (
            _words_of(other, names) if isinstance(one, Name) else NO_WORDS
            for one, other in ((node.left, node.right), (node.right, node.left))
        )
        return all(
            [
                _check_names(expr, node.left, names, findings, left),
                _check_names(expr, node.right, names, findings, right),
            ]
        )
    if isinstance(node, Choice):
        parts = [(node.condition, NO_WORDS), (node.then, words), (node.otherwise, words)]
    elif isinstance(node, Binary):
        parts = [(node.left, NO_WORDS), (node.right, NO_WORDS)]
    elif isinstance(node, Unary):
        parts = [(node.operand, NO_WORDS)]
    else:
        parts = [(one, NO_WORDS) for one in (node.arguments if isinstance(node, Call) else ())]
    checked = [_check_names(expr, one, names, findings, more) for one, more in parts]
    return all(checked)


def _words_of(node: Node, names: Names) -> frozenset[str]:
    """The words that a part may be."""
    if isinstance(node, Name):
        return names.words.get(node.name, NO_WORDS)
    if isinstance(node, Choice):
        return _words_of(node.then, names) | _words_of(node.otherwise, names)
    return NO_WORDS


def _complain_of_name(
    expr: Expr, node: Name, names: Names, findings: Findings, words: frozenset[str]
) -> None:
    place = expr.at(node.start)
    if words - {"none"} and words != names.all_words():  # where any may stand, a name is missing
        message = f"{quote(node.name)} is neither a name nor one of {listing(sorted(words))}"
        findings.error(
            place, message, closest(node.name, [*words, *names.known]), code="unknown-name"
        )
        return
    if node.name in names.later:
        if not {names.at, node.name} <= names.told:
            circle = circle_through(names.at, names.reads, node.name)
            _complain_of_later(node.name, circle, place, findings)
            names.told.update(circle)
        return
    hint = _meant(node.name, names, FUNCTIONS)
    findings.error(place, f"there is no name {quote(node.name)} here", hint, code="unknown-name")


def _meant(name: str, names: Names, more: Iterable[str] = ()) -> str:
    """What may have been meant by a name that there is not."""
    if (product := _PRODUCT.fullmatch(name)) and product[2] in names.known:
        told = f"{product[1]} * {product[2]}"
        return Advice(f"write `{told}`", told, name)
    if name == "repeat":
        return "`repeat` can be read only in the `name` beside it: all repetitions are equal"
    return closest(name, [*names.known, *more]) or names.hint or names.listed()


def _complain_of_later(name: str, circle: Sequence[str], place: Place, findings: Findings) -> None:
    """Say why a value under `let` cannot read one that is written after it, or itself."""
    in_order = "values under `let` are computed in order"
    if not circle:
        message, hint = f"there is no name `{name}` here yet", f"write `{name}` before this one"
    elif len(circle) == 1:
        message, hint = f"`{name}` reads itself", "a value can read only those written before it"
    else:
        message = f"{each_other(circle)} read each other"
        hint = "one of them has to be computed without the others"
    findings.error(
        place,
        message,
        f"{in_order}: {hint}",
        code="circular-definition" if circle else "used-before-definition",
    )


def refuse_unknown_name(
    value: Value, model: type[Record], name: str, names: Names, findings: Findings
) -> bool:
    """Whether a field's text must be meant as a name that there is not, which then is noted.

    Where a number or a truth value may be, a word that is not like any that may be is such a name.
    """
    text = value.data
    if not isinstance(text, str) or not _NAME.fullmatch(text) or text.lower() in _NOT_NAMES:
        return False
    if not {"integer", "number", "boolean"} & kinds_of(model, name) or guess(model, name, value):
        return False
    hint = _meant(text, names)
    if hint == names.listed():
        hint = f"it must be {expected(model, name)}; {hint}"
    findings.error(begins(value), f"there is no name {quote(text)} here", hint, code="unknown-name")
    return True


def condition(value: Value, names: Names, findings: Findings) -> Expr | None:
    """The condition of an ``if``: something that is true or false."""
    if value.data is True or value.data is False:
        text = str(value.data).lower()
        return Expr.of(Literal(0, len(text), value.data), text, value.place)
    if isinstance(value.data, str) and value.data.strip():
        found = expression(value, names, findings, NO_WORDS)
        if found is not None and _never_true_or_false(found.node):
            findings.error(
                found.place,
                "a condition must be true or false, and this is a number",
                code="expression-type",
            )
            return None
        if found is not None and (instead := is_other(found, TRUTH, names)):
            findings.error(
                found.place,
                f"a condition must be true or false, not {instead}",
                code="expression-type",
            )
            return None
        return found
    if not tainted(value):
        what = "has no value" if is_nothing(value) else f"takes a condition, not {describe(value)}"
        findings.error(
            value.place, f"`if` {what}", "for example `if: stride == 1`", code=code_of(value)
        )
    return None


def is_other(expr: Expr, takes: Possible, names: Names) -> str:
    """What an expression is that can never be what it has to be; nothing where it can."""
    found = names.possible.check(expr.node, expr.text)
    return "" if found.meets(takes) else described(expr.node, found, expr.text)


def _never_true_or_false(node: Node) -> bool:
    if isinstance(node, Literal):
        return not isinstance(node.value, bool)
    arithmetic = isinstance(node, Binary) and node.operator in ("+", "-", "*", "/", "//", "%")
    return (
        arithmetic or isinstance(node, Call) or (isinstance(node, Unary) and node.operator == "-")
    )


def template(
    value: Value, names: Names, findings: Findings, what: str, *, is_module: bool = True
) -> Template | None:
    """A text with expressions in braces: the name of a module, or a message."""
    if is_module and type(value.data) is int and 0 <= value.data < 10**4:
        return Template(value.place, (str(value.data),))
    if not isinstance(value.data, str) or not value.data:
        if not tainted(value):
            hint = None
            if isinstance(value.data, dict) and len(value.data) == 1:
                (word,) = value.data
                hint = f'put it in quotes: "{{{word}}}"'
            words = "has no value" if is_nothing(value) else f"is text, not {describe(value)}"
            findings.error(value.place, f"{what} {words}", hint, code=code_of(value))
        return None
    place = begins(value)
    parts: list[str | Expr] = []
    at = 0
    for found in re.finditer(r"\{([^{}]*)\}", value.data):
        parts.append(value.data[at : found.start()])
        column = place.column + found.start(1)
        inner = Value(found[1], Place(place.source, place.line, column), found[1])
        expr = expression(inner, names, findings, NO_WORDS)
        if expr is None:
            return None
        if is_module and (instead := is_other(expr, integers(), names)):
            findings.error(
                expr.place, f"a name takes integers from 0, not {instead}", code="expression-type"
            )
            return None
        parts.append(expr)
        at = found.end()
    parts.append(value.data[at:])
    made = Template(place, tuple(part for part in parts if part != ""))
    return made if not is_module or _is_module_path(made, what, findings) else None


def _is_module_path(made: Template, what: str, findings: Findings) -> bool:
    sample = "".join(part if isinstance(part, str) else "0" for part in made.parts)
    if not _MODULE.fullmatch(sample) or len(sample) > 128:
        hint = "for example `conv1`, `features.0` or `block{stage}-{block}`"
        words = f"{what} must be letters, digits, `_` and `-`, in parts with a `.` between"
        findings.error(made.place, f"{words}, not {quote(made.text)}", hint, code="invalid-name")
        return False
    for part in sample.split("."):
        why = "torch's modules have it" if part.startswith("__") else hides(part, is_module=True)
        if why:
            findings.error(
                made.place, f"{what} cannot be {quote(part)}: {why}", code="invalid-name"
            )
            return False
    return True
