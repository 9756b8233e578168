"""Definitions of blocks from located YAML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from math import inf
from typing import Any, get_args

from archc.blocks.around import ACTIVATIONS, NormName
from archc.blocks.definition import NETWORK, Attribute, Check, Definition, Kind, Stage
from archc.blocks.layers import LAYERS, MERGES
from archc.blocks.names import (
    HEADER_NAMES,
    IDENTIFIER,
    PLACE_NAMES,
    RESERVED,
    USUAL_VALUES,
    Names,
    circles,
    condition,
    each_other,
    expression,
    hides,
    is_other,
    looks_like_one,
    template,
)
from archc.blocks.possible import ANYTHING, NUMBER, TRUTH, Known, Possible, integers
from archc.blocks.rows import Lookup, Rows
from archc.blocks.tree import Expr, Row
from archc.dataclassing import dataclass
from archc.ops import MAX_CHANNELS
from archc.source.diagnostics import Findings, Place
from archc.source.reader import Entry, Value
from archc.source.suggest import closest
from archc.source.validate import code_of, describe, is_nothing, tainted, unknown
from archc.text import listing, quote

KEYS = (
    *("description", "attributes", "let", "check", "layers", "end", "numbered", "inline"),
    *("class", "norm", "activation", "replaces"),
)
"""What may be said of a block."""

MAX_LAYERS = 20_000
"""Layers that a block may have, those of the blocks that it uses counted in."""

_NORMS, _ACTIVATIONS = get_args(NormName), tuple(ACTIVATIONS)
KINDS: tuple[Kind, ...] = ("int", "number", "bool", "size", "activation", "norm")
"""The types that an attribute may have."""
_LONG = ("type", "default", "min", "max", "one_of", "or", "optional", "description")
_EXAMPLE = "for example `width: int`, `groups: 1` or `{type: int, default: 4, min: 1}`"
_WORD = re.compile(r"(?=[0-9_]*[A-Za-z])[A-Za-z0-9_]{1,32}")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}")


@dataclass
class Reader:
    """Reads definitions.

    ``lookup`` finds the blocks written before, ``blocks`` are their names; ``variables`` are the
    spec's, with the words that those may be which stand for one, and ``possible`` what each may be.
    Of ``broken`` blocks nothing more is said. ``entries`` are the blocks of the file at hand as
    they are written, and ``told`` those that are known to use each other.
    """

    lookup: Lookup
    blocks: Sequence[str]
    variables: Mapping[str, frozenset[str]]
    findings: Findings
    is_own: bool
    is_library: bool = False
    broken: set[str] = field(default_factory=set)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    possible: Mapping[str, Possible] = field(default_factory=dict)

    def read(self, name: str, entry: Entry) -> Definition | None:
        """A definition, or None, what is wrong with it being noted."""
        before = len(self.findings.found)
        if not (self.is_library or is_name_of_block(name, entry.key, self.findings)):
            return None
        data = entry.value.data
        if not isinstance(data, dict):
            if not tainted(entry.value):
                words = f"a block is a mapping, not {describe(entry.value)}"
                if is_nothing(entry.value):
                    words = f"the block `{name}` has no value"
                self.findings.error(
                    entry.value.place,
                    words,
                    "for example `{layers: [conv: {...}]}`",
                    code=code_of(entry.value),
                )
            return None
        for key, one in data.items():
            if key not in KEYS:
                unknown(key, one.key, "a block has no key", KEYS, self.findings)
        if "layers" not in data:
            self.findings.error(entry.key, f"the block `{name}` needs `layers`", code="missing-key")
            return None
        made = _Definition(self, name, entry.key, data).made()
        return made if len(self.findings.found) == before else None


def is_name_of_block(name: str, place: Place, findings: Findings) -> bool:
    """Whether a block may have a name; noted if not."""
    if not IDENTIFIER.fullmatch(name):
        words = (
            f"a block's name is letters, digits and `_`, beginning with a letter, not {quote(name)}"
        )
        findings.error(place, words, code="invalid-name")
        return False
    taken = name in LAYERS and name != "conv"  # which is the library's, too
    if taken or name in MERGES or name in ("layers", "label", "side", *RESERVED):
        findings.error(
            place,
            f"a block cannot be called `{name}`: that is a word of the language",
            code="invalid-name",
        )
        return False
    # Used as a layer without a name of its own, it is a module of this name.
    if why := hides(name, is_module=True):
        findings.error(place, f"a block cannot be called `{name}`: {why}", code="invalid-name")
        return False
    return True


@dataclass
class _Definition:
    """One definition as it is read."""

    reader: Reader
    name: str
    place: Place
    data: Mapping[str, Entry]

    def made(self) -> Definition:
        findings = self.reader.findings
        attributes = self._attributes()
        names = Names({*HEADER_NAMES, *PLACE_NAMES, *self.reader.variables})
        names.words |= {"norm": frozenset([*_NORMS, "none"])}
        names.words |= {key: words for key, words in self.reader.variables.items() if words}
        written = self.data["attributes"].value.data if "attributes" in self.data else {}
        if isinstance(written, dict):
            names.known |= written.keys()  # of one that is not valid nothing more is said
        values = {**USUAL_VALUES, **self.reader.possible}
        for one in attributes.values():
            names.words[one.name] = _words_of(one)
            values[one.name] = _possible(one)
        # The library's own definitions are checked by its tests, not whenever they are read.
        names.possible = Known(values, is_checked=not self.reader.is_library)
        names.possible.cover(names.known)
        self._defaults(attributes, names)
        self._check_circles(attributes)
        let = self._let(names)
        checks = tuple(self._checks(names, attributes))
        rows = self._rows(names)
        layers = rows("layers")
        end = rows("end")
        made = Definition(
            name=self.name,
            place=self.place,
            source={key: one.value.plain for key, one in self.data.items() if key != "replaces"},
            description=self._text("description"),
            attributes=attributes,
            let=let,
            checks=checks,
            layers=layers,
            end=end,
            numbered=self._flag("numbered"),
            inline=self._flag("inline"),
            classes=tuple(self._classes(names)),
            norm=self._word("norm", (*_NORMS, "none")),
            activation=self._word("activation", (*_ACTIVATIONS, "none")),
            is_own=self.reader.is_own,
        )
        if not findings.found:
            self._check_use(made, names)
            if (count := made.size) > MAX_LAYERS:
                words = f"the block has {count:,} layers; at most {MAX_LAYERS:,} are allowed"
                findings.error(self.place, words, code="limit-exceeded")
        return made

    # Attributes

    def _attributes(self) -> dict[str, Attribute]:
        entry = self.data.get("attributes")
        if entry is None:
            return {}
        found = {}
        for name, one in self._mapping(entry, "attributes", _EXAMPLE).items():
            if self._may_be_name(name, one.key, "an attribute", allowed=("norm", "activation")):
                attribute = self._attribute(name, one)
                if attribute is not None:
                    found[name] = attribute
        return found

    def _may_be_name(self, name: str, place: Place, what: str, allowed: Sequence[str] = ()) -> bool:
        findings = self.reader.findings
        if not IDENTIFIER.fullmatch(name):
            words = f"{what} is letters, digits and `_`, beginning with a letter, not {quote(name)}"
            findings.error(place, words, code="invalid-name")
            return False
        taken = (
            name in RESERVED
            or name == "definition"
            or hasattr(Stage, name)
            or name in ("true", "false", "and", "or", "not", "if", "else")
        )
        of = (
            "the spec has a variable of that name" if name in self.reader.variables else hides(name)
        )
        if (taken and name not in allowed) or of:
            if taken:
                of = "that has a meaning already"
            findings.error(place, f"{what} cannot be called `{name}`: {of}", code="invalid-name")
            return False
        return True

    def _attribute(self, name: str, entry: Entry) -> Attribute | None:
        value = entry.value
        if isinstance(value.data, dict):
            return self._long(name, entry, value.data)
        kind, default = _short(name, value)
        if kind is None:
            if not tainted(value):
                what = "has no value" if is_nothing(value) else f"is {describe(value)}"
                message = f"the attribute `{name}` {what}: it takes a type or a default"
                self.reader.findings.error(value.place, message, _EXAMPLE, code=code_of(value))
            return None
        if kind in ("norm", "activation") or name not in ("norm", "activation"):
            return Attribute(name, kind, entry.key, default, least=_least(name, kind))
        self.reader.findings.error(
            entry.key, f"an attribute called `{name}` has to be one", code="wrong-type"
        )
        return None

    def _long(self, name: str, entry: Entry, data: Mapping[str, Entry]) -> Attribute | None:
        findings = self.reader.findings
        before = len(findings.found)
        for key, one in data.items():
            if key not in _LONG:
                unknown(key, one.key, f"the attribute `{name}` has no key", _LONG, findings)
        words = self._word_list(data.get("one_of"), "one_of")
        words += self._word_list(data.get("or"), "or")
        kind: Kind | None = "word" if "one_of" in data else None
        if "type" in data:
            given = data["type"].value
            if given.data in KINDS and "one_of" not in data:
                kind = given.data
            elif "one_of" in data:
                message = f"`{name}` has a `type` or `one_of`, not both"
                findings.error(
                    data["type"].key, message, "leave `type` out", code="conflicting-keys"
                )
            elif not tainted(given):
                message = f"`type` must be {listing(KINDS)}, not {describe(given)}"
                findings.error(given.place, message, code="invalid-choice")
        default = data["default"].value if "default" in data else None
        if kind is None and default is not None and len(findings.found) == before:
            kind, _ = _short(name, default)
        if kind is None and len(findings.found) == before:
            message = f"the attribute `{name}` needs its `type`, a `default`, or `one_of`"
            findings.error(entry.key, message, _EXAMPLE, code="missing-key")
        if len(findings.found) > before or kind is None:
            return None
        made = Attribute(
            name,
            kind,
            entry.key,
            None if default is None else _default_of(default),
            optional=self._flag_of(data.get("optional"), "optional"),
            words=words,
            least=self._bound(data, "min", _least(name, kind)),
            most=self._bound(data, "max", None),
            description=self._text_of(data.get("description"), "description"),
        )
        return made if len(findings.found) == before else None

    def _word_list(self, entry: Entry | None, key: str) -> tuple[str, ...]:
        if entry is None:
            return ()
        data = entry.value.data
        items = data if isinstance(data, tuple) else ()
        words = tuple([str(one.data) for one in items if isinstance(one.data, str)])
        are_words = len(words) == len(items) > 0 and all(map(_WORD.fullmatch, words))
        if not are_words and not tainted(entry.value):
            message = f"`{key}` is a list of words: letters, digits and `_`"
            example = f"for example `{key}: [A, B, none]`"
            self.reader.findings.error(entry.value.place, message, example, code="wrong-type")
        return words

    def _bound(self, data: Mapping[str, Entry], key: str, otherwise: float | None) -> float | None:
        if key not in data:
            return otherwise
        value = data[key].value
        if isinstance(value.data, (int, float)) and not isinstance(value.data, bool):
            return value.data
        if not tainted(value):
            self.reader.findings.error(
                value.place, f"`{key}` must be a number, not {describe(value)}", code="wrong-type"
            )
        return otherwise

    def _defaults(self, attributes: dict[str, Attribute], names: Names) -> None:
        """Read the defaults that are expressions, and check the others by the attribute's type."""
        findings = self.reader.findings
        for name, one in list(attributes.items()):
            written = self.data["attributes"].value.data
            assert isinstance(written, dict)
            value = written[name].value
            if isinstance(value.data, dict):
                if "default" not in value.data:
                    continue
                value = value.data["default"].value
            known = Names(names.known - {name}, names.words, names.used)
            if isinstance(value.data, str) and looks_like_one(value.data, known):
                if one.kind in KINDS and value.data in KINDS:
                    continue
                known.possible = names.possible
                expr = expression(value, known, findings, _words_of(one))
                if expr is not None:
                    attributes[name] = _with_default(one, expr)
                    if instead := is_other(expr, _possible(one), names):
                        message = f"the default of `{name}` must be {_takes(one)}, not {instead}"
                        findings.error(expr.place, message, code="expression-type")
                    # Nothing bounds what it comes to.
                    names.possible.values[name] = _possible(one).without_bounds
            elif one.default is not None and not _fits(one, one.default):
                takes = _takes(one)
                message = f"the default of `{name}` must be {takes}, not {describe(value)}"
                findings.error(value.place, message, code="wrong-type")

    def _check_circles(self, attributes: dict[str, Attribute]) -> None:
        """Refuse defaults that are computed from each other."""
        exprs = {name: one.default for name, one in attributes.items()}
        reads = {name: one.names for name, one in exprs.items() if isinstance(one, Expr)}
        for circle in circles(reads):
            name = circle[0]
            expr = exprs[name]
            if name in attributes and isinstance(expr, Expr):
                del attributes[name]  # nothing more can be computed from it
                message = f"the defaults of {each_other(circle)} read each other"
                hint = "one of them needs a default that does not read the others"
                self.reader.findings.error(expr.place, message, hint, code="circular-definition")

    # The rest

    def _let(self, names: Names) -> dict[str, Expr]:
        found: dict[str, Expr] = {}
        entry = self.data.get("let")
        if entry is None:
            return found
        entries = self._mapping(entry, "let", "for example `{out: width * 4}`")
        names.later = set(entries) - names.known
        names.reads = {
            name: re.findall(r"[A-Za-z_]\w*", str(one.value.data)) for name, one in entries.items()
        }
        for name, one in entries.items():
            names.at = name
            expr = self._let_value(name, one, names)
            if expr is not None:
                found[name] = expr
            names.later.discard(name)
        return found

    def _let_value(self, name: str, entry: Entry, names: Names) -> Expr | None:
        findings = self.reader.findings
        if not self._may_be_name(name, entry.key, "a value under `let`"):
            names.known.add(name)  # of what reads it nothing more is said
            names.possible.cover([name])
            return None
        if name in names.known:
            message = f"there is `{name}` already: a value needs a name of its own"
            findings.error(entry.key, message, code="duplicate-name")
            return None
        expr = self._expression(entry.value, f"`{name}`", names)
        names.known.add(name)
        names.words[name] = names.all_words() if expr is None else _words_in(expr, names)
        names.possible.values[name] = ANYTHING
        if expr is not None:
            names.possible.values[name] = names.possible.check(expr.node, expr.text)
            names.possible.let[name] = expr.node
        return expr

    def _expression(self, value: Value, what: str, names: Names) -> Expr | None:
        findings = self.reader.findings
        if isinstance(value.data, str) and value.data.strip():
            return expression(value, names, findings, names.all_words())
        if type(value.data) in (int, float, bool) and value.text is not None:
            inner = Value(value.text, value.place, value.text)
            return expression(inner, names, findings, names.all_words())
        if not tainted(value):
            words = (
                "has no value" if is_nothing(value) else f"is an expression, not {describe(value)}"
            )
            findings.error(value.place, f"{what} {words}", code=code_of(value))
        return None

    def _checks(self, names: Names, attributes: Mapping[str, Attribute]) -> Iterator[Check]:
        entry = self.data.get("check")
        if entry is None:
            return
        findings = self.reader.findings
        example = '[{that: width % 8 == 0, hint: "widths are multiples of 8"}]'
        items = entry.value.data
        if not isinstance(items, tuple):
            if not tainted(entry.value):
                findings.error(
                    entry.value.place,
                    "`check` is a list of rules",
                    f"for example `check: {example}`",
                    code="wrong-type",
                )
            return
        for item in items:
            data = item.data
            if not isinstance(data, dict) or "that" not in data:
                if not tainted(item):
                    findings.error(
                        item.place,
                        "a rule has `that`, a condition",
                        f"for example `{example}`",
                        code="missing-key",
                    )
                continue
            for key, one in data.items():
                if key not in ("that", "message", "hint", "at"):
                    keys = ("that", "message", "hint", "at")
                    unknown(key, one.key, "a rule has no key", keys, findings)
            that = condition(data["that"].value, names, findings)
            if that is None:
                continue
            message = None
            if "message" in data:
                value = data["message"].value
                message = template(value, names, findings, "`message`", is_module=False)
            hint = self._text_of(data.get("hint"), "hint") or None
            yield Check(that, message, hint, self._blamed(data.get("at"), attributes))

    def _blamed(self, entry: Entry | None, attributes: Mapping[str, Attribute]) -> tuple[str, ...]:
        if entry is None:
            return ()
        data = entry.value.data
        items = data if isinstance(data, tuple) else (entry.value,)
        for one in items:
            if one.data not in attributes and one.data != "stride" and not tainted(one):
                hint = closest(str(one.data), attributes)
                message = f"`at` takes attributes of the block, not {describe(one)}"
                self.reader.findings.error(one.place, message, hint, code="unknown-name")
        return tuple([str(one.data) for one in items])

    def _rows(self, names: Names) -> Callable[[str], Row]:
        blocks, findings = tuple(self.reader.blocks), self.reader.findings
        rows = Rows(names, self.reader.lookup, blocks, findings, True, own=self.name)
        rows.broken = self.reader.broken
        keys = [key for key in ("layers", "end") if key in self.data]
        rows.rows = {f"`{key}`": self.data[key].value for key in keys}
        rows.entries, rows.told = self.reader.entries, self.reader.told

        def read(key: str) -> Row:
            if key not in self.data:
                return ()
            rows.row_name = f"`{key}`"
            if key == "layers" and self.data[key].value.data == ():
                example = "for example [conv: {width: 64, kernel: 3}]"
                message = f"the block `{self.name}` has no layers"
                findings.error(self.data[key].value.place, message, example, code="no-layers")
            found = rows.row(self.data[key].value, f"`{key}`")
            rows.values = {"input": ()}
            return found

        return read

    def _classes(self, names: Names) -> Iterator[tuple[str, Expr | None]]:
        entry = self.data.get("class")
        if entry is None:
            return
        findings, value = self.reader.findings, entry.value
        for name, place in _classes_in(entry):
            if _CLASS.fullmatch(name) and (why := hides(name)):
                findings.error(
                    place, f"a class cannot be called `{name}`: {why}", code="invalid-name"
                )
        if isinstance(value.data, str) and _CLASS.fullmatch(value.data):
            yield value.data, None
            return
        example = "it begins with a capital letter, for example `class: Bottleneck`"
        if not isinstance(value.data, dict):
            if not tainted(value):
                message = f"`class` must be the name of a class, not {describe(value)}"
                findings.error(value.place, message, example, code="wrong-type")
            return
        for name, one in value.data.items():
            if not _CLASS.fullmatch(name):
                findings.error(
                    one.key,
                    f"{quote(name)} is not the name of a class",
                    example,
                    code="invalid-name",
                )
                continue
            test = condition(one.value, names, findings)
            if test is not None:
                yield name, test

    def _check_use(self, made: Definition, names: Names) -> None:
        """Attributes, and values under `let`, that nothing reads."""
        findings = self.reader.findings
        for name, one in made.attributes.items():
            if name not in names.used and one.kind not in ("norm", "activation"):
                findings.error(
                    one.place,
                    f"nothing in the block reads its attribute `{name}`",
                    code="unused-attribute",
                )
        for name, expr in made.let.items():
            if name not in names.used:
                findings.error(
                    expr.place, f"nothing in the block reads `{name}`", code="unused-attribute"
                )

    # Plain values

    def _mapping(self, entry: Entry, key: str, example: str) -> Mapping[str, Entry]:
        if isinstance(entry.value.data, dict):
            return entry.value.data
        if not tainted(entry.value):
            what = (
                "has no value"
                if is_nothing(entry.value)
                else f"must be a mapping, not {describe(entry.value)}"
            )
            self.reader.findings.error(
                entry.value.place, f"`{key}` {what}", example, code=code_of(entry.value)
            )
        return {}

    def _flag(self, key: str) -> bool:
        return self._flag_of(self.data.get(key), key)

    def _flag_of(self, entry: Entry | None, key: str) -> bool:
        if entry is None:
            return False
        if not isinstance(entry.value.data, bool) and not tainted(entry.value):
            message = f"`{key}` must be true or false, not {describe(entry.value)}"
            self.reader.findings.error(entry.value.place, message, code="wrong-type")
        return entry.value.data is True

    def _text(self, key: str) -> str:
        return self._text_of(self.data.get(key), key)

    def _text_of(self, entry: Entry | None, key: str) -> str:
        if entry is None:
            return ""
        if not isinstance(entry.value.data, str):
            if not tainted(entry.value):
                message = f"`{key}` must be text, not {describe(entry.value)}"
                self.reader.findings.error(entry.value.place, message, code="wrong-type")
            return ""
        return " ".join(entry.value.data.split())

    def _word(self, key: str, words: Sequence[str]) -> str | None:
        entry = self.data.get(key)
        if entry is None:
            return None
        if entry.value.data in words:
            return str(entry.value.data)
        if not tainted(entry.value):
            message = f"`{key}` must be {listing(words)}, not {describe(entry.value)}"
            hint = closest(str(entry.value.data), words)
            self.reader.findings.error(entry.value.place, message, hint, code="invalid-choice")
        return None


def _short(name: str, value: Value) -> tuple[Kind | None, Any]:
    """The type and the default of an attribute in its short form."""
    data = value.data
    is_size = name in ("kernel", "padding")
    if isinstance(data, str):
        if data in KINDS:
            return ("size" if is_size and data == "int" else data), None
        if data in _ACTIVATIONS:
            return "activation", data
        return ("norm", data) if data in _NORMS else (None, None)
    if isinstance(data, bool):
        return "bool", data
    if isinstance(data, int):
        return ("size" if is_size else "int"), data
    if isinstance(data, float):
        return "number", data
    default = _default_of(value)
    return ("size", default) if isinstance(default, tuple) else (None, None)


def _default_of(value: Value) -> Any:
    """A default as plain data."""
    data = value.data
    if isinstance(data, tuple) and len(data) == 2 and all(type(one.data) is int for one in data):
        return tuple([one.data for one in data])
    return data if isinstance(data, (str, int, float, bool)) else None


def _least(name: str, kind: Kind) -> float | None:
    return 0 if kind == "size" and name == "padding" else None


def _with_default(one: Attribute, default: Expr) -> Attribute:
    return replace(one, default=default)


def _classes_in(entry: Entry) -> Iterator[tuple[str, Place]]:
    """The names that ``class`` gives, with their places."""
    data = entry.value.data
    if isinstance(data, str):
        yield data, entry.value.place
    elif isinstance(data, dict):
        yield from ((name, one.key) for name, one in data.items())


_NOUNS = {"activation": "an activation", "norm": "a norm", "word": "a word", "size": "a size"}


def _possible(one: Attribute) -> Possible:
    """What an attribute may be where it is given."""
    if one.kind == "bool":
        found = TRUTH
    elif one.kind == "number":
        found = replace(_bounded(one), is_whole=False, noun=NUMBER.noun)
    elif one.kind in ("int", "size"):
        found = replace(_bounded(one), is_size=one.kind == "size")
    else:
        found = Possible()
    noun = _NOUNS.get(one.kind, found.noun)
    return replace(found, words=_words_of(one), noun=f"{_takes(one)}" if one.words else noun)


def _bounded(one: Attribute) -> Possible:
    """The numbers that an attribute may be."""
    bounds = {"ge": 1 if one.kind == "size" else -inf, "le": inf}
    if one.name == "width" and one.kind == "int":
        bounds = {"ge": 1, "le": MAX_CHANNELS}
    return integers(
        bounds["ge"] if one.least is None else one.least,
        bounds["le"] if one.most is None else one.most,
    )


def _words_of(one: Attribute) -> frozenset[str]:
    """The words that an attribute may be."""
    if one.kind == "activation":
        return frozenset([*_ACTIVATIONS, NETWORK, "none"])
    if one.kind == "norm":
        return frozenset([*_NORMS, NETWORK, "none"])
    return frozenset(one.words)


def _words_in(expr: Expr, names: Names) -> frozenset[str]:
    """The words that an expression may come to."""
    words = {name for name in expr.names if name not in names.known}
    return frozenset(words).union(*(names.words.get(name, frozenset()) for name in expr.names))


def _fits(one: Attribute, default: object) -> bool:
    if isinstance(default, str):
        return default in _words_of(one)
    if isinstance(default, bool) or one.kind == "bool":
        return isinstance(default, bool) and one.kind == "bool"
    if one.kind == "number":
        return isinstance(default, (int, float))
    if one.kind == "size":
        return isinstance(default, (int, tuple))
    return one.kind == "int" and isinstance(default, int)


def _takes(one: Attribute) -> str:
    nouns = {"int": "an integer", "number": "a number", "bool": "true or false"}
    nouns |= {"size": "an integer or [height, width]"}
    words = [nouns[one.kind]] if one.kind in nouns else []
    return listing([*words, *sorted(_words_of(one))])
