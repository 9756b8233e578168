"""Rows of layers from located YAML.

Whatever can be known of them where they are written is checked here: words, labels, fields; what
depends on shapes is found when a row is lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeAlias, get_args, get_origin

from archc.blocks.definition import Definition
from archc.blocks.expressions import Literal
from archc.blocks.layers import LAYERS, MERGES, Layer
from archc.blocks.names import (
    IDENTIFIER,
    NO_WORDS,
    RESERVED,
    Names,
    circle_through,
    condition,
    each_other,
    expression,
    hides,
    is_other,
    looks_like_one,
    outside,
    refuse_unknown_name,
    template,
)
from archc.blocks.possible import NUMBER, TRUTH, Possible, integers
from archc.blocks.tree import (
    INPUT,
    BlockItem,
    Branch,
    Expr,
    Field,
    GroupItem,
    Item,
    LabelItem,
    LayerItem,
    MergeItem,
    Row,
    SideItem,
    ValueItem,
)
from archc.dataclassing import dataclass
from archc.source.diagnostics import Findings, Note, Place
from archc.source.reader import Entry, Value
from archc.source.record import Record
from archc.source.suggest import closest
from archc.source.validate import (
    code_of,
    describe,
    expectation,
    is_nothing,
    tainted,
    unknown_keys,
    validate,
)
from archc.text import listing, quote

SIDE_WEIGHT = 0.3
"""The weight of a side head's loss by default (Szegedy et al. 2014)."""
ANY = "*"
"""Stands among broken blocks for all that a file may have which cannot be read."""
_BESIDE = ("name", "if", "repeat")
Lookup: TypeAlias = Callable[[str], "Definition | None"]


@dataclass
class Rows:
    """Reads rows of layers.

    ``lookup`` finds the blocks that may be used as layers; ``values`` has each label with the
    conditions under which it is set, ``conditions`` those under which the row at hand is there,
    which ``tests`` are as they are written. ``within`` is the named group around, inside which no
    value of the ``outer`` ones can be read; ``own`` is the block whose rows they are, and ``rows``
    have its rows as they are written, or those of stem and head, by their keys, of which
    ``row_name`` is that of the row at hand. ``entries`` are the blocks of the same file, and
    ``told`` those that are known to use each other. ``broken`` blocks get no further messages.
    """

    names: Names
    lookup: Lookup
    known_blocks: Iterable[str]
    findings: Findings
    in_definition: bool
    values: dict[str, tuple[str, ...]] = field(default_factory=lambda: {INPUT: ()})
    conditions: tuple[str, ...] = ()
    tests: tuple[Expr, ...] = ()
    within: str = ""
    outer: frozenset[str] = frozenset()
    own: str = ""
    rows: Mapping[str, Value] = field(default_factory=dict)
    row_name: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def row(self, value: Value, what: str) -> Row:
        """The items of a list; those that are not valid are left out."""
        if not isinstance(value.data, tuple):
            if not tainted(value):
                words = "has no value" if is_nothing(value) else f"not {describe(value)}"
                message = f"{what} must be a list of layers, {words}"
                if is_nothing(value):
                    message = f"{what} has no value"
                self.findings.error(
                    value.place,
                    message,
                    "for example [conv: {width: 64, kernel: 3}]",
                    code=code_of(value),
                )
            return ()
        found = [self.item(one) for one in value.data]
        return tuple([one for one in found if one is not None])

    def item(self, value: Value) -> Item | None:
        """One item, or None, what is wrong with it being noted."""
        if isinstance(value.data, str) and value.data:
            return self._word(value.data, value.place, None, {})
        if not isinstance(value.data, dict) or not value.data:
            if not tainted(value):
                self._complain_of_form(value)
            return None
        beside = {key: one for key, one in value.data.items() if key in _BESIDE}
        rest = [key for key in value.data if key not in _BESIDE]
        if len(rest) != 1:
            if "weight" in rest and "side" in rest and len(rest) == 2:
                rest.remove("weight")
            else:
                self._complain_of_form(value)
                return None
        (word,) = rest
        entry = value.data[word]
        if word == "side":
            return self._side(entry, beside, value.data.get("weight"))
        return self._word(word, entry.key, entry.value, beside)

    def _word(
        self, word: str, place: Place, value: Value | None, beside: Mapping[str, Entry]
    ) -> Item | None:
        common = self._common(place, beside)
        if common is None:
            return None
        inner = self
        test = common.condition
        if test is not None:
            inner = self._under(test)
        if common.repeat is not None and common.name is not None:
            self._check_repeated_name(common)
        if word == "layers":
            return self._group(common, value, inner)
        if word in MERGES:
            return inner._merge(word, common, value)
        if word == "label":
            return inner._label(common, value)
        if word in LAYERS:
            return inner._layer(word, LAYERS[word], common, value)
        if word in self.values:
            return self._recall(word, common, value)
        block = self.lookup(word)
        if block is not None:
            return inner._block(block, common, value)
        self._complain_of_word(word, place)
        return None

    def _common(
        self, place: Place, beside: Mapping[str, Entry], its_name: str = "a name"
    ) -> Item | None:
        """What may stand beside a layer: its name, `if`, `repeat`."""
        name = test = None
        repeat: Expr | int | None = None
        valid = True
        if "if" in beside:
            test = condition(beside["if"].value, self.names, self.findings)
            valid = test is not None
        if "repeat" in beside:
            repeat = self._repeat(beside["repeat"].value)
            valid = valid and repeat is not None
        if "name" in beside:
            names = self.names.beside("repeat") if repeat is not None else self.names
            name = template(beside["name"].value, names, self.findings, its_name)
            valid = valid and name is not None
        if test is not None and test.text == "false":
            self.findings.error(
                test.place, "this layer is never there", "leave it out", code="never-true"
            )
        return Item(place=place, name=name, condition=test, repeat=repeat) if valid else None

    def _repeat(self, value: Value) -> Expr | int | None:
        if type(value.data) is int and 0 <= value.data <= 10_000:
            return value.data
        is_name = isinstance(value.data, str) and IDENTIFIER.fullmatch(value.data)
        if is_name or (isinstance(value.data, str) and looks_like_one(value.data, self.names)):
            found = expression(value, self.names, self.findings, NO_WORDS)
            if found is None or not (instead := is_other(found, integers(), self.names)):
                return found
            words = f"`repeat` must be an integer from 0 to 10,000, not {instead}"
            self.findings.error(found.place, words, code="expression-type")
        elif not tainted(value):
            words = f"`repeat` must be an integer from 0 to 10,000, not {describe(value)}"
            self.findings.error(value.place, words, code="wrong-type")
        return None

    def _under(self, test: Expr) -> Rows:
        """The rows that are there where a condition holds; noted if it never does here."""
        tests = (*self.tests, test)
        if not isinstance(test.node, Literal) and not self._never(self.tests):
            self._check_holds(test)
        return replace(self, conditions=(*self.conditions, test.text), tests=tests)

    def _never(self, tests: Sequence[Expr]) -> bool:
        return self.names.possible.never_hold([(one.text, one.node) for one in tests])

    def _check_holds(self, test: Expr) -> None:
        """Note a condition that never holds, by itself or under those around it."""
        what = "this layer is never there"
        if self._never([test]):
            message = f"{what}: {quote(test.text)} never holds"
            self.findings.error(
                test.place, message, "leave the layer out, or correct its `if`", code="never-true"
            )
            return
        if not self._never([*self.tests, test]):
            return
        against = next(([one] for one in self.tests if self._never([one, test])), self.tests)
        others = listing([quote(one.text) for one in against], "and")
        message = f"{what}: {quote(test.text)} never holds where {others} does"
        if len(against) > 1:
            message = f"{what}: {quote(test.text)} never holds where {others} do"
        notes = [Note(one.place, "this condition is around it") for one in against]
        self.findings.error(test.place, message, notes=notes, code="never-true")

    def _check_type(self, expr: Expr, model: type[Any], name: str, shown: str) -> None:
        """Note an expression that is never of a type that a field takes."""
        takes = _takes(model, name)
        if not takes.is_nothing and (instead := is_other(expr, takes, self.names)):
            wanted = expectation(model.model_properties[name])
            self.findings.error(
                expr.place, f"`{shown}` must be {wanted}, not {instead}", code="expression-type"
            )

    def _check_repeated_name(self, common: Item) -> None:
        assert common.name is not None
        parts = [one for one in common.name.parts if isinstance(one, Expr)]
        if not any("repeat" in one.names for one in parts) and common.repeat not in (0, 1):
            hint = f'for example "{common.name.text}{{repeat}}"'
            self.findings.error(
                common.name.place,
                "what is repeated needs a name with `{repeat}` in it",
                hint,
                code="missing-placeholder",
            )

    # Kinds of items

    def _layer(
        self, word: str, model: type[Layer], common: Item, value: Value | None
    ) -> Item | None:
        entries = layer_entries(word, model, common.place, value, self.findings)
        if entries is None:
            return None
        fields, ready = self._fields(entries, model, word, common.place)
        if ready is None and not any(isinstance(one.value, Expr) for one in fields.values()):
            return None
        if word == "softmax" and self.in_definition:
            hint = "put it at the end of `head`"
            self.findings.error(
                common.place, "`softmax` must be the last layer", hint, code="misplaced-layer"
            )
            return None
        if word == "conv" and self.in_definition and _says_no_norm(fields) and "bias" not in fields:
            self.findings.error(
                fields["norm"].place,
                "a `conv` without a norm must say whether it has a `bias`",
                "`bias: true`, or `bias: norm == none` for one where the network has no norms",
                code="missing-bias",
            )
        return LayerItem(
            **_common_of(common),
            word=word,
            model=model,
            fields=fields,
            ready=ready,
        )

    def _fields(
        self, entries: Mapping[str, Entry], model: type[Any], word: str, place: Place
    ) -> tuple[dict[str, Field], Any]:
        """The fields of a layer: expressions where they are meant as such, otherwise data; and the
        model that they make, or None where that depends on expressions or something is wrong."""
        before = len(self.findings.found)
        fields: dict[str, Field] = {}
        for name, entry in entries.items():
            if name not in model.model_fields:
                continue
            value = entry.value
            if isinstance(value.data, str) and self._is_meant(value.data, model, name):
                words = _words_in(model, name) | {"none"}
                expr = expression(value, self.names, self.findings, frozenset(words))
                if expr is not None:
                    shown = word if name == getattr(model, "scalar", None) else name
                    self._check_type(expr, model, name, shown)
                    fields[name] = Field(value.place, expr)
            elif not self._is_unknown(value, model, name):
                fields[name] = Field(value.place, value.plain)  # type: ignore[arg-type]
        # What a comma has cut off an expression is not a key that anybody meant.
        broken = len(self.findings.found) > before
        keys = {name: one for name, one in entries.items() if not (broken and name.endswith(")"))}
        meant = unknown_keys(keys, model, f"`{word}` has no attribute", self.findings)
        literal = {
            name: entries[name] for name, one in fields.items() if not isinstance(one.value, Expr)
        }
        ready = validate(
            model,
            literal,
            place,
            f"`{word}`",
            self.findings,
            rename=word if getattr(model, "scalar", None) else None,
            excused=[*meant, *entries],
        )
        return fields, ready if len(literal) == len(fields) else None

    def _is_meant(self, text: str, model: type[Record], name: str) -> bool:
        """Whether a field's text is meant as an expression: it looks like one, or it is nearly a
        name where no word may stand."""
        if looks_like_one(text, self.names):
            return True
        return not _words_in(model, name) and closest(text, self.names.known) is not None

    def _is_unknown(self, value: Value, model: type[Record], name: str) -> bool:
        """Whether a field's text is noted as a name that there is not: where names may be read
        besides those that every stem and head has."""
        if not isinstance(value.data, str) or value.data in _words_in(model, name):
            return False
        has_names = self.in_definition or self.names.known > outside().known
        return has_names and refuse_unknown_name(value, model, name, self.names, self.findings)

    def _block(self, block: Definition, common: Item, value: Value | None) -> Item | None:
        entries: Mapping[str, Entry] = {}
        word = block.name
        required = [f"`{name}`" for name, one in block.attributes.items() if one.is_required]
        if value is not None and isinstance(value.data, dict):
            entries = value.data
        elif value is not None and not is_nothing(value):
            if not tainted(value):
                words = f"`{word}` takes a mapping of its attributes, not {describe(value)}"
                self.findings.error(value.place, words, code="wrong-type")
            return None
        if not entries and required:
            self.findings.error(
                common.place, f"`{word}` needs {listing(required, 'and')}", code="missing-key"
            )
            return None
        fields, _ = self._fields(entries, block.fields, word, common.place)
        return BlockItem(**_common_of(common), block=block, fields=fields)

    def _group(self, common: Item, value: Value | None, inner: Rows) -> Item | None:
        if value is None:
            return None
        if common.name is not None:
            inner = inner._module(_group_called(common.name.text))
            inner.names = self.names
        layers = inner.row(value, "`layers`")
        return GroupItem(**_common_of(common), layers=layers)

    def _module(self, what: str) -> Rows:
        """The same inside a module, which can read nothing but what comes in."""
        return replace(self, values={}, within=what, outer=self.outer | self.values.keys())

    def _label(self, common: Item, value: Value | None) -> Item | None:
        if value is None or not isinstance(value.data, str) or not IDENTIFIER.fullmatch(value.data):
            place = common.place if value is None else value.place
            if value is None or not tainted(value):
                self.findings.error(
                    place, "`label` takes a name", "for example `label: a`", code="malformed-layer"
                )
            return None
        name = value.data
        taken = self._taken(name)
        if taken:
            self.findings.error(
                value.place, f"`{name}` cannot be a label: {taken}", code="invalid-name"
            )
            self.values.setdefault(name, self.conditions)  # of what reads it nothing more is said
            return None
        self.values[name] = self.conditions
        return LabelItem(**_common_of(common), label=name)

    def _taken(self, name: str) -> str:
        if name in self.values:
            return "a value has that name already" if name != INPUT else "it is the block's input"
        if name in LAYERS or name in MERGES or name in ("layers", "label", "side"):
            return "there is a layer of that name"
        if why := hides(name):
            return why
        if name in self.names.known or name in RESERVED:
            return "expressions read something by that name"
        return "there is a block of that name" if name in self.known_blocks else ""

    def _recall(self, word: str, common: Item, value: Value | None) -> Item | None:
        if value is not None and not is_nothing(value):
            self.findings.error(
                value.place, f"`{word}` is a value and takes nothing", code="malformed-layer"
            )
            return None
        return (
            ValueItem(**_common_of(common), value=word)
            if self._may_read(word, common.place)
            else None
        )

    def _may_read(self, name: str, place: Place) -> bool:
        """Whether a value is surely there; noted if not."""
        missing = [one for one in self.values[name] if one not in self.conditions]
        if missing:
            words = f"`{name}` is there only if {missing[0]}"
            self.findings.error(
                place, words, "put this under the same `if`", code="unreachable-value"
            )
        return not missing

    # Merges and side heads

    def _merge(self, word: str, common: Item, value: Value | None) -> Item | None:
        branches, meets = self._branches(word, common.place, value)
        if branches is None:
            return None
        return MergeItem(**_common_of(common), word=word, meets=meets, branches=tuple(branches))

    def _branches(
        self, word: str, place: Place, value: Value | None
    ) -> tuple[list[Branch] | None, bool]:
        example = f"for example `{word}: input`, or a list of branches"
        if value is None or is_nothing(value):
            self.findings.error(
                place, f"`{word}` needs what it merges", example, code="malformed-merge"
            )
            return None, False
        if isinstance(value.data, str):
            return self._named_branch(value.data, value.place, example)
        if isinstance(value.data, dict):
            if len(value.data) != 1 or next(iter(value.data)) not in self.values:
                self._complain_of_branch(word, value, value.data)
                return None, False
            ((name, entry),) = value.data.items()
            if not self._may_read(name, entry.key):
                return None, False
            return [Branch(entry.key, name, self.row(entry.value, f"`{name}`"))], True
        if not isinstance(value.data, tuple):
            if not tainted(value):
                words = f"`{word}` takes branches, not {describe(value)}"
                self.findings.error(value.place, words, example, code="malformed-merge")
            return None, False
        if len(value.data) < 2:
            words = f"`{word}` needs two branches at least"
            self.findings.error(value.place, words, example, code="malformed-merge")
            return None, False
        found = [self._branch(one) for one in value.data]
        return [one for one in found if one is not None], False

    def _complain_of_branch(self, word: str, value: Value, data: Mapping[str, Entry]) -> None:
        """Say what is wrong with a mapping that is not one value with its layers."""
        name = next((one for one in data if one not in self.values), "")
        if len(data) > 1 and data.keys() <= self.values.keys():
            words = f"`{word}` takes one value with its layers, not {len(data)}"
            branches = ", ".join([f"{{{one}: [...]}}" for one in data])
            hint = f"write several branches as a list: `{word}: [identity, {branches}]`"
        elif name == "identity" or name in LAYERS or self.lookup(name) is not None:
            words = f"`{word}` takes the name of one value with its layers, not {quote(name)}"
            branch = "[...]" if name == "identity" else f"{{{name}: ...}}"
            hint = f"write branches as a list: `{word}: [identity, {branch}]`"
        elif data:
            self._complain_of_value(name, data[name].key, f"for example `{word}: input`")
            return
        else:
            words, hint = f"`{word}` needs what it merges", f"for example `{word}: input`"
        self.findings.error(value.place, words, hint, code="malformed-merge")

    def _named_branch(
        self, name: str, place: Place, example: str
    ) -> tuple[list[Branch] | None, bool]:
        if name not in self.values:
            self._complain_of_value(name, place, example)
            return None, False
        return ([Branch(place, name, ())], True) if self._may_read(name, place) else (None, False)

    def _complain_of_value(self, name: str, place: Place, example: str) -> None:
        if name in self.outer:
            self._complain_of_outside(name, place)
        elif not self._complain_of_label(name, place):
            message = f"there is no value {quote(name)} here"
            if name == "identity":
                message = "`identity` is the current value, and cannot be merged with itself"
            here = f"values here are {listing(map(quote, self.values), 'and')}"
            hint = closest(name, self.values) or (here if self.values else example)
            self.findings.error(place, message, hint, code="unknown-value")

    def _complain_of_outside(self, name: str, place: Place, notes: Iterable[Note] = ()) -> None:
        hint = "put the merge after the group"
        if self.within.startswith("the side head"):
            hint = f"a side head begins with one value: `side: {{{name}: [...]}}`"
        words = f"{self.within} is a module: it cannot read {quote(name)}"
        self.findings.error(place, words, hint, notes, code="unreachable-value")

    def _complain_of_label(self, name: str, place: Place) -> bool:
        """Say why a label that is written somewhere else cannot be read here, if it is one."""
        blocks = {f"the block `{one}`": entry.value for one, entry in self.entries.items()}
        blocks.pop(f"the block `{self.own}`", None)
        rows = [*self.rows.items(), *blocks.items()]
        everywhere = ((row, one) for row, value in rows for one in labels_in(value, name))
        row, (there, within) = next(everywhere, ("", (place, "")))
        if not row:
            return False
        notes = [Note(there, f"{quote(name)} is labelled here")]
        if row != self.row_name:
            message = f"{quote(name)} is a value of {row}, which cannot be read here"
            hint = f"values of {row} can be read only there"
        elif within == self.within:
            message = f"there is no value {quote(name)} here yet"
            hint = "a value can be read only after its label"
        elif within:
            message = f"{quote(name)} is inside {within}, which is a module"
            hint = "a module puts out one value: put the label outside it"
        else:
            self._complain_of_outside(name, place, notes)
            return True
        self.findings.error(place, message, hint, notes, code="unreachable-value")
        return True

    def _branch(self, value: Value) -> Branch | None:
        """A branch of a list: a layer, a list of layers, the name of a value."""
        data = value.data
        if data == "identity":
            return Branch(value.place, None, ())
        if isinstance(data, str) and data in self.values:
            return Branch(value.place, data, ()) if self._may_read(data, value.place) else None
        if isinstance(data, dict) and len(data) == 1 and next(iter(data)) in self.values:
            ((name, entry),) = data.items()
            if not self._may_read(name, entry.key):
                return None
            return Branch(entry.key, name, self.row(entry.value, f"`{name}`"))
        if isinstance(data, tuple):
            return Branch(value.place, None, self.row(value, "a branch"))
        if isinstance(data, dict) and "if" in data:
            hint = "put it in brackets, a list of one layer, which then may be absent"
            self.findings.error(
                data["if"].key, "a branch has no `if`", hint, code="malformed-merge"
            )
            return None
        item = self.item(value)
        return None if item is None else Branch(value.place, None, (item,))

    def _side(self, entry: Entry, beside: Mapping[str, Entry], weight: Entry | None) -> Item | None:
        common = self._common(entry.key, beside, "the name of a side head")
        if common is None or not self._may_stand_here(common):
            return None
        assert common.name is not None
        if common.repeat is not None:
            self._check_repeated_name(common)
        share = SIDE_WEIGHT if weight is None else self._weight(weight.value)
        if share is None:
            return None
        test = common.condition
        inner = replace(self) if test is None else self._under(test)
        value, begins_with = entry.value, None
        if isinstance(value.data, dict) and len(value.data) == 1:
            ((begins_with, at),) = value.data.items()
            if begins_with not in self.values:
                self._complain_of_value(begins_with, at.key, "for example `side: {a: [...]}`")
                return None
            if not inner._may_read(begins_with, at.key):
                return None
            value = at.value
        own = inner._module(_side_called(common.name.text))
        layers = own.row(value, "`side`")
        return SideItem(
            **_common_of(common), branch=Branch(entry.key, begins_with, layers), weight=share
        )

    def _may_stand_here(self, side: Item) -> bool:
        """Whether a side head has a name, and its place is one of the network; noted if not."""
        if self.in_definition or self.within:
            words = "a side head cannot be inside a module"
            self.findings.error(
                side.place, words, "write it under `stem` or `head`", code="misplaced-layer"
            )
        elif side.name is None:
            words, hint = "a side head needs a `name`", "for example `name: aux1`"
            self.findings.error(side.place, words, hint, code="missing-key")
        else:
            return True
        return False

    def _weight(self, value: Value) -> float | None:
        """What the loss of a side head counts."""
        data = value.data
        if isinstance(data, (int, float)) and not isinstance(data, bool) and 0 < data <= 10:
            return float(data)
        if not tainted(value):
            words = f"`weight` must be a number above 0 and up to 10, not {describe(value)}"
            self.findings.error(value.place, words, code="wrong-type")
        return None

    # Faults

    def _complain_of_word(self, word: str, place: Place) -> None:
        if word in self.outer:
            self._complain_of_value(word, place, "")
            return
        if word in self.broken or ANY in self.broken:
            return
        if word == self.own:
            self.findings.error(
                place, f"the block `{word}` cannot use itself", code="circular-definition"
            )
            return
        if word in self.known_blocks:
            if self.own in self.told:
                return
            message = f"the block `{word}` is not there yet"
            hint = f"write `{word}` before the blocks that use it"
            uses = {name: _words_of(one.value) for name, one in self.entries.items()}
            if circle := circle_through(self.own, uses, word):
                self.told |= set(circle)
                message = f"the blocks {each_other(circle)} use each other"
                hint = "a block can use only blocks that are written before it"
            self.findings.error(
                place,
                message,
                hint,
                code="circular-definition" if circle else "used-before-definition",
            )
            return
        if self._complain_of_label(word, place):
            return
        words = [*LAYERS, *MERGES, *self.values, *self.known_blocks]
        hint = closest(word, words) or (
            f"the layers are {listing(LAYERS, 'and')}; the merges are {listing(MERGES, 'and')}; "
            f"the blocks are {listing(dict.fromkeys(self.known_blocks), 'and')}"
        )
        self.findings.error(place, f"there is no layer {quote(word)}", hint, code="unknown-layer")

    def _complain_of_form(self, value: Value) -> None:
        """Say what is wrong with what is neither a word nor one key."""
        hint = "for example `relu`, or `linear: 1000`"
        what = describe(value)
        if is_nothing(value):
            self.findings.error(
                value.place, "a layer is missing here", hint, code="malformed-layer"
            )
            return
        if isinstance(value.data, dict) and value.data:
            words = [key for key in value.data if key not in _BESIDE] or list(value.data)
            what = f"{len(words)} keys, {listing(map(quote, words[:4]), 'and')}"
            if len(words) == 1:
                what = f"only {listing(map(quote, words), 'and')}"
            if words[0] in LAYERS and value.data[words[0]].value.data is None:
                hint = f"indent what belongs to `{words[0]}` further"
            elif all(word in LAYERS for word in words):
                hint = "begin each layer with its own `- `"
            elif words[0] in LAYERS and all(
                one in LAYERS[words[0]].model_fields for one in words[1:]
            ):
                hint = f"`{words[1]}` goes inside: `{words[0]}: {{{words[1]}: ...}}`"
            elif "block" in words or "depth" in words:
                hint = "stages are written under `stages`"
        message = f"a layer is a word, or one key with its value, not {what}"
        self.findings.error(value.place, message, hint, code="malformed-layer")


def _words_of(value: Value) -> list[str]:
    """The words and keys in what is written of a block: its layers, and more."""
    found = list[str]()
    left = [value]
    while left:
        data = left.pop().data
        if isinstance(data, str):
            found.append(data)
        elif isinstance(data, tuple):
            left += data
        elif isinstance(data, dict):
            found += data
            left += [entry.value for entry in data.values()]
    return found


def labels_in(value: Value, name: str, within: str = "") -> Iterator[tuple[Place, str]]:
    """Where a row, or what is written of one, has a label of this name, each with the module that
    it is in."""
    data = value.data
    if isinstance(data, tuple):
        for one in data:
            yield from labels_in(one, name, within)
    elif isinstance(data, dict):
        if "label" in data and data["label"].value.data == name:
            yield data["label"].value.place, within
        if ("layers" in data or "side" in data) and "name" in data:
            called = str(data["name"].value.data)
            within = (_group_called if "layers" in data else _side_called)(called)
        for entry in data.values():
            yield from labels_in(entry.value, name, within)


def _group_called(name: str) -> str:
    return f"the group {quote(name)}"


def _side_called(name: str) -> str:
    return f"the side head {quote(name)}"


def _common_of(item: Item) -> dict[str, Any]:
    return {
        "place": item.place,
        "name": item.name,
        "condition": item.condition,
        "repeat": item.repeat,
    }


def _says_no_norm(fields: Mapping[str, Field]) -> bool:
    return "norm" in fields and fields["norm"].value == "none"


def _words_in(model: type[Record], name: str) -> set[str]:
    """The words that a field may be."""
    found: set[str] = set()

    def look(kind: object) -> None:
        for one in get_args(kind):
            if isinstance(one, str):
                found.add(one)
            else:
                look(one)

    look(model.model_fields[name].annotation)
    return found


def _takes(model: type[Record], name: str) -> Possible:
    """What an expression may come to for a field: any number, where it takes numbers."""
    found = Possible()

    def look(kind: object) -> None:
        nonlocal found
        if isinstance(kind, str):
            found = replace(found, words=found.words | {kind})
        elif kind is bool:
            found = replace(found, truths=TRUTH.truths)
        elif kind in (int, float):
            found = replace(found, numbers=NUMBER.numbers)
        elif get_origin(kind) is tuple:
            found = replace(found, is_size=True)
        elif get_origin(kind) is not list:
            for one in get_args(kind):
                look(one)

    look(model.model_fields[name].annotation)
    return found


def layer_entries(
    word: str,
    model: type[Layer],
    place: Place,
    value: Value | None,
    findings: Findings,
) -> Mapping[str, Entry] | None:
    """What a layer's value gives its fields, or None where it is not of the layer's form."""
    example = f"for example `{model.example}`"
    required = [f"`{name}`" for name, info in model.model_fields.items() if info.is_required()]
    if value is None and not required:
        return {}
    if isinstance(getattr(value, "data", None), dict) and not value.data and not required:  # type: ignore[union-attr]
        return {}
    if value is None or (is_nothing(value) and required):
        needs = "its value" if model.scalar else listing(required, "and")
        findings.error(place, f"`{word}` needs {needs}", example, code="missing-key")
    elif tainted(value):
        return None
    elif is_nothing(value):
        instead = f"write just `{word}`" + (f", or {example}" if model.scalar else "")
        if not model.scalar:
            instead += f"; with a name beside it, `{word}: {{}}`"
        findings.error(
            value.place, f"`{word}` has no value after its `:`", instead, code="missing-value"
        )
    elif not model.model_fields:
        findings.error(
            value.place, f"`{word}` takes no value", f"write just `{word}`", code="malformed-layer"
        )
    elif model.scalar and isinstance(value.data, dict) and len(model.model_fields) > 1:
        return value.data
    elif isinstance(value.data, dict) == bool(model.scalar):
        form = "a plain value" if model.scalar else "a mapping"
        findings.error(
            value.place, f"`{word}` takes {form}, not {describe(value)}", example, code="wrong-type"
        )
    elif model.scalar:
        return {model.scalar: Entry(place, value)}
    elif isinstance(value.data, dict):
        return value.data
    return None
