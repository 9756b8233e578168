"""The stages of a spec: what each is given, and whether its block type can use it.

Precedence: defaults < the stage's own attributes < `with`, eldest first.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from archc.blocks import MAX_BLOCKS, Around, Library, Stage, StageAttributes
from archc.blocks.expressions import shown
from archc.blocks.names import (
    Names,
    expression,
    looks_like_one,
    refuse_unknown_name,
    template,
)
from archc.blocks.rows import ANY
from archc.blocks.scope import LayerFault, Scope, plain
from archc.blocks.tree import Expr, Template
from archc.dataclassing import dataclass
from archc.ops import MAX_CHANNELS
from archc.source.caller import said
from archc.source.diagnostics import Advice, Findings, Note, Place
from archc.source.reader import INVALID, Entry, Value
from archc.source.record import Field, Record
from archc.source.suggest import closest
from archc.source.validate import (
    accepted,
    backticked,
    code_of,
    describe,
    expected,
    is_nothing,
    kinds_of,
    tainted,
    unknown,
    validate,
)
from archc.spec.models import KEYS, SETTABLE, Attribute, Overlay, PlacedStage
from archc.spec.options import SHOWN, Options, multiplied, numbered
from archc.text import listing, quote

USUAL = ("basic", "bottleneck", "conv")
"""The block types of ResNets and VGGs, whose attributes every message about attributes names."""


@dataclass(frozen=True)
class Written:
    """What a spec and its ancestors say of stages.

    ``own`` are the defaults of the spec itself; ``overlays`` each ``with``, eldest first, then the
    options. ``name`` is what messages call the spec, ``variables`` are the spec's.
    """

    rows: tuple[Value, ...]
    defaults: Mapping[str, Entry] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    overlays: Sequence[Overlay] = ()
    name: str = "the spec"
    variables: Mapping[str, Entry] = field(default_factory=dict)


def place_stages(
    written: Written,
    library: Library,
    around: Around,
    findings: Findings,
    broken: Container[str] = (),
    variables: Iterable[str] = (),
    notes: list[Note] | None = None,
) -> list[PlacedStage]:
    """The valid stages; what is wrong with others is noted in ``findings``.

    ``around`` has the values of the names that expressions may read. Stages of ``broken`` blocks
    get no messages, nor do expressions that read one of ``variables`` without a value. What the
    author should know of options is added to ``notes``.
    """
    if len(written.rows) > MAX_BLOCKS:
        message = f"a network may have at most {MAX_BLOCKS:,} blocks; this stage is one more"
        findings.error(written.rows[MAX_BLOCKS].place, message, code="limit-exceeded")
        return []
    stages = _Stages(written, library, around, findings, broken, variables)
    placed = stages.place()
    if notes is not None:
        notes += stages.notes
    return placed


def _word(attribute: Attribute | None) -> str:
    """What an attribute says, if it is a word."""
    data = None if attribute is None else attribute.value.data
    return data if isinstance(data, str) else ""


def reads_block(name: Template) -> bool:
    """Whether a name has the block's number in it."""
    parts = [part for part in name.parts if isinstance(part, Expr)]
    return any(one in part.names for part in parts for one in ("block", "number"))


class _OfNoType(StageAttributes):
    """A stage whose block type is not known; nearly every type has a width."""

    width: int = Field(
        ge=1,
        le=MAX_CHANNELS,
        description="Channels of the stage's convolutions (of a bottleneck: before expansion).",
    )


class _Known(Collection[str]):
    """Every attribute that stages of these block types have; ``likely`` types are asked first."""

    def __init__(self, library: Library, types: Sequence[str], likely: Sequence[str]):
        self._library = library
        self._types = types
        # The others are seldom asked, and then need not be read.
        self._order = [one for one in dict.fromkeys([*likely, *types]) if one in types]

    def __contains__(self, name: object) -> bool:
        return any(name in self._library[one].model_fields for one in self._order)

    def __iter__(self) -> Iterator[str]:
        fields = (name for one in self._types for name in self._library[one].model_fields)
        return iter(dict.fromkeys(fields))

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Stages:
    def __init__(
        self,
        written: Written,
        library: Library,
        around: Around,
        findings: Findings,
        broken: Container[str],
        variables: Iterable[str],
    ):
        self.written = written
        self.broken = broken
        self.scope = Scope(around, {})
        self.variables = frozenset(variables)
        self.names = Names({*around.names, *self.variables})
        self.findings = findings
        self.types = library
        self.named = self._named()
        # The types whose attributes messages speak of.
        self.near = [
            one for one in dict.fromkeys([*library.own, *USUAL, *self.named]) if one in library
        ]
        self.known = _Known(library, self.near, self.named)
        self.meant: set[str] = set()
        self.strangers: dict[tuple[Place, str, str], list[tuple[int, str]]] = {}
        self.options = Options(written.name, findings)
        self.notes: list[Note] = []
        self.texts: set[Place] = set()
        self.missing: dict[str, list[tuple[int, type[Record]]]] = {}

    def _named(self) -> list[str]:
        """The block types that the spec names."""
        entries = [self.written.defaults, *(one.entries for one in self.written.overlays)]
        entries += [row.data for row in self.written.rows if isinstance(row.data, dict)]
        values = [one["block"].value for one in entries if "block" in one]
        values += [one for value in values if isinstance(value.data, tuple) for one in value.data]
        return [value.data for value in values if isinstance(value.data, str)]

    def place(self) -> list[PlacedStage]:
        self._check_overlays()
        self.meant |= self._check_names(self.written.defaults, "stages have", self.known)
        stages: list[PlacedStage | None] = []
        blocks: list[str | None] = []
        for number, row in enumerate(self.written.rows, 1):
            if not isinstance(row.data, dict):
                self._complain_of_form(row)
                blocks.append(None)
                continue
            merged, factors = self._merge(number - 1, row.data)
            attributes = self._evaluated(merged)
            if self._is_broken(_word(attributes.get("block"))):
                blocks.append(None)
                continue
            block = self._block(attributes)
            blocks.append(block)
            if factors and block:
                attributes = multiplied(
                    number, attributes, factors, self.types[block], self.options
                )
            stages.append(self._stage(number, row, attributes, block))
        self._check_use_of_defaults(blocks)
        self._complain_of_strangers()
        self.notes = self.options.finish(self._belongs)
        self._complain_of_missing()
        return [stage for stage in stages if stage]

    def _is_broken(self, block: str) -> bool:
        """Whether a block's own mistakes have been noted, or those of the file it may be in."""
        unreadable = ANY in self.broken and bool(block) and block not in self.types
        return block in self.broken or unreadable

    def _stage(
        self, number: int, row: Value, attributes: Mapping[str, Attribute], block: str | None
    ) -> PlacedStage | None:
        assert isinstance(row.data, dict)
        model: type[StageAttributes] = self.types[block] if block else _OfNoType
        owner = f"stage {number}"
        words = model.model_fields if block else self.known
        meant = self.meant | self._check_names(row.data, f"{owner} has", words)
        if block:
            attributes = self._applicable(number, attributes, block)
        elif "block" not in attributes and "block" not in meant:
            self._miss(number, model, ["block"])
        if not block:
            attributes = {name: a for name, a in attributes.items() if name != "block"}
            meant = meant | {"block"}
        attributes = {n: self._without_list(n, a, model) for n, a in attributes.items()}
        if self.variables:
            attributes = {n: self._without_unknown_name(n, a, model) for n, a in attributes.items()}
        miss = partial(self._miss, number)
        valid = validate(
            model, attributes, row.place, owner, self.findings, excused=meant, missing=miss
        )
        if block and "stride" in attributes and attributes["stride"].via != "defaults":
            self._check_stride(block, attributes["stride"])
        if not isinstance(valid, Stage):
            return None
        name = self._name(row.data, number, valid.depth) if "name" in row.data else None
        return PlacedStage(valid, row.place, attributes, name)

    def _check_stride(self, block: str, stride: Attribute) -> None:
        """Refuse a stride for blocks that know none."""
        if not self.types[block].definition.reads("stride"):
            message = f"a `{block}` has no stride: nothing in it reads `stride`"
            hint = "give one of its layers `stride: stride`"
            notes = [Note(self.types[block].definition.place, f"`{block}` is written here")]
            self.findings.error(stride.key, message, hint, notes, code="inapplicable-attribute")

    def _name(self, data: Mapping[str, Entry], number: int, depth: int) -> Template | None:
        """What the modules of a stage are called."""
        value = data["name"].value
        names = self.names.beside("stage", "block", "number")
        found = template(value, names, self.findings, f"the `name` of stage {number}")
        if found is not None and depth > 1 and not reads_block(found):
            hint = f'for example "{found.text}.{{block}}"'
            what = f"stage {number} has {depth:,} blocks: its `name` needs `{{block}}`"
            self.findings.error(value.place, what, hint, code="missing-placeholder")
        return found

    def _evaluated(self, attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """The attributes with what their expressions come to."""
        found = {}
        for name, one in attributes.items():
            value = one.value
            is_text = isinstance(value.data, str) and name != "block"
            if is_text and looks_like_one(str(value.data), self.names):
                value = self._result(value)
            found[name] = one if value is one.value else replace(one, value=value)
        return found

    def _without_unknown_name(
        self, name: str, attribute: Attribute, model: type[StageAttributes]
    ) -> Attribute:
        """An attribute, its value invalid where it is a name that there is not."""
        value = attribute.value
        if name not in model.model_fields or tainted(value):
            return attribute
        if refuse_unknown_name(value, model, name, self.names, self.findings):
            return replace(attribute, value=Value(INVALID, value.place))
        return attribute

    def _without_list(
        self, name: str, attribute: Attribute, model: type[StageAttributes]
    ) -> Attribute:
        """An attribute, its value invalid where it is a list of one value per stage, but a text."""
        value = attribute.value
        written = _list_in_text(value)
        if written is None or name not in model.model_fields or "array" in kinds_of(model, name):
            return attribute
        message = f"`{name}` must be {expected(model, name)}, not {describe(value)}"
        hint = f"one value per stage goes under `with`: `{name}: {written}`"
        self.findings.error(value.place, message, hint, code="wrong-type")
        return replace(attribute, value=Value(INVALID, value.place))

    def _result(self, value: Value) -> Value:
        """What an expression comes to, at its place."""
        expr = expression(value, self.names, self.findings, frozenset())
        if expr is None or any(name not in self.scope for name in expr.names):
            return Value(INVALID, value.place)
        try:
            result = self.scope.evaluate(expr)
        except LayerFault as fault:
            self.findings.error(fault.place, fault.message, fault.hint, code=fault.code)
            return Value(INVALID, value.place)
        return Value(plain(result), value.place, shown(result))  # type: ignore[arg-type]

    def _merge(
        self, index: int, own: Mapping[str, Entry]
    ) -> tuple[dict[str, Attribute], dict[str, list[Attribute]]]:
        """The known attributes of a stage: defaults < its own < with, and options; and the factors
        of each that come after its value."""
        attributes: dict[str, Attribute] = {}
        factors: dict[str, list[Attribute]] = {}
        for name, entry in self.written.defaults.items():
            if name in self.known:
                attributes[name] = Attribute(entry.key, entry.value, "defaults")
        for name, entry in own.items():
            if name in self.known:
                attributes[name] = Attribute(entry.key, entry.value, "stage")
        for overlay in self.written.overlays:
            for name, entry in overlay.entries.items():
                key, value, via = entry.key, entry.value, overlay.via
                if value.place in self.texts:
                    value = Value(INVALID, value.place)
                if isinstance(value.data, tuple):
                    if index >= len(value.data) or value.data[index].data is None:
                        continue
                    value = value.data[index]
                    key, via = value.place, "with"
                if name not in self.known:
                    continue
                found = Attribute(key, value, via)
                if overlay.via == "set" and _is_factor(value.data):
                    factors.setdefault(name, []).append(found)
                    continue
                factors.pop(name, None)
                attributes[name] = found
        return attributes, factors

    def _block(self, attributes: Mapping[str, Attribute]) -> str | None:
        """The block type of a stage, if there is such a type."""
        if "block" not in attributes:
            return None
        value = attributes["block"].value
        if isinstance(value.data, str) and value.data in self.types:
            return value.data
        if not tainted(value):
            hint, code = self._listed(), code_of(value)
            message = f"`block` must be the name of a block, not {describe(value)}"
            if is_nothing(value):
                message = "`block` has no value"
            elif isinstance(value.data, str):
                message, code = f"there is no block {quote(value.data)}", "unknown-block"
                hint = self._block_hint(value.data)
            self.findings.error(value.place, message, hint, code=code)
        return None

    def _block_hint(self, word: str) -> str:
        """The block type that was probably meant, or which there are."""
        if meant := closest(word, self.types):
            return meant
        if word.lower().startswith("plain"):
            return "plain networks use `basic` blocks with `shortcut: none`"
        return self._listed()

    def _listed(self) -> str:
        """Which block types there are, the spec's own first."""
        own_first = dict.fromkeys([*self.types.own, *self.types])
        return f"blocks are {listing(own_first, 'and')}"

    def _applicable(
        self, number: int, attributes: Mapping[str, Attribute], block: str
    ) -> dict[str, Attribute]:
        """The attributes that a stage of this type has; the others are faults, save defaults."""
        fields = self.types[block].model_fields
        for name, attribute in attributes.items():
            if attribute.via == "set":
                self.options.meet(name, attribute, number, self.types[block])
            elif name not in fields and attribute.via != "defaults":
                at = (attribute.key, name, attribute.via)
                self.strangers.setdefault(at, []).append((number, block))
        return {name: attribute for name, attribute in attributes.items() if name in fields}

    # Faults

    def _check_names(
        self, entries: Mapping[str, Entry], who: str, known: Iterable[str]
    ) -> set[str]:
        """Complain of unknown names; the known ones that were probably meant.

        Of what holds for all stages, a name may be an attribute of a block with mistakes.
        """
        meant = set()
        may_be_any = not who.startswith("stage ") and any(map(self._is_broken, self.named))
        items: list[str] = []
        for name, entry in entries.items():
            if name in self.known or (name == "name" and who.startswith("stage ")):
                continue
            what = f"{who} no attribute"
            if name in items:
                continue
            from archc.spec.lists import list_in_keys

            if found := list_in_keys(entries, name):
                key, written, items = found
                hint = f"a list has brackets: `{key}: {written}`"
                self.findings.error(entry.key, f"{what} {quote(name)}", hint, code="unknown-key")
                continue
            if name in KEYS:
                self.findings.error(
                    entry.key,
                    f"{what} {quote(name)}",
                    _elsewhere(name, entry),
                    code="misplaced-key",
                )
            elif not may_be_any:
                meant |= unknown(name, entry.key, what, known, self.findings)
        return meant

    def _check_overlays(self) -> None:
        """Faults of `with` that no single stage is to blame for."""
        count = len(self.written.rows)
        for overlay in self.written.overlays:
            if overlay.via == "set":
                self._check_keys(overlay)
            else:
                self.meant |= self._check_names(overlay.entries, "stages have", self.known)
            for name, entry in overlay.entries.items():
                values = entry.value.data
                if name not in self.known:
                    continue
                self._check_text(name, entry.value)
                if not count:
                    self.findings.error(
                        entry.key, f"there are no stages to give `{name}` to", code="no-stages"
                    )
                elif isinstance(values, tuple) and len(values) != count:
                    has = f"{_count(len(values), 'value')} for {_count(count, 'stage')}"
                    self.findings.error(
                        entry.value.place,
                        f"`{name}` has {has}",
                        "give one value for all stages, or one per stage "
                        f"({said('null', 'None')} leaves a stage unchanged)",
                        code="stage-count",
                    )

    def _check_text(self, name: str, value: Value) -> None:
        """Complain of a list without brackets."""
        if (written := _list_in_text(value)) is None:
            return
        message = f"`{name}` must be one value or a list of one per stage, not {describe(value)}"
        is_certain = written.count(",") + 1 == len(self.written.rows)
        hint = Advice(f"write {written}", written, is_certain=is_certain)
        self.findings.error(value.place, message, hint, code="wrong-type")
        self.texts.add(value.place)

    def _check_keys(self, overlay: Overlay) -> None:
        """Complain of keys of a `--set` that nothing in the spec has."""
        for name, entry in overlay.entries.items():
            if name in self.known:
                continue
            if name in KEYS:
                what = f"`{name}` is a key of the network, not of a stage"
                self.findings.error(entry.key, what, code="misplaced-key")
            elif not any(map(self._is_broken, self.named)):
                types = [self.types[one] for one in self.named if one in self.types]
                of_stages = [key for one in types for key in one.model_fields]
                known = [*SETTABLE, *sorted(self.variables), *of_stages, *overlay.others]
                what = f"{self.written.name} has no key, variable or stage attribute"
                if overlay.others:
                    what = f"neither the recipe nor {self.written.name} has a key"
                if name.startswith("recipe."):
                    what = f"{what} {quote(name)}"
                    hint = said(
                        "`archc train` and `archc evaluate` take keys of a recipe",
                        "`archc.train` and `archc.evaluate` take keys of a recipe",
                    )
                    self.findings.error(entry.key, what, hint, code="unknown-key")
                    continue
                unknown(name, entry.key, what, dict.fromkeys(known), self.findings)

    def _check_use_of_defaults(self, blocks: Sequence[str | None]) -> None:
        """A spec's own default is of use to some stage, unless `with` has changed their types."""
        if any("block" in overlay.entries for overlay in self.written.overlays):
            return
        used = {name for block in blocks if block for name in self.types[block].model_fields}
        if not blocks or None in blocks:
            return
        for name in self.written.own:
            if name in self.known and name not in used:
                place = self.written.defaults[name].key
                self.findings.error(
                    place,
                    f"no stage can use `{name}`",
                    self._belongs(name),
                    code="inapplicable-attribute",
                )

    def _complain_of_form(self, row: Value) -> None:
        if not tainted(row):
            message = f"a stage is a mapping, not {describe(row)}"
            if is_nothing(row):
                message = "a stage is missing here"
            self.findings.error(
                row.place, message, "for example `{depth: 3, width: 64}`", code=code_of(row)
            )

    def _miss(self, number: int, model: type[Record], names: Iterable[str]) -> None:
        for name in names:
            self.missing.setdefault(name, []).append((number, model))

    def _complain_of_missing(self) -> None:
        """Report once what is missing in several stages: one default would fix it."""
        groups: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
        for name, lacking in self.missing.items():
            stages = tuple([number for number, _ in lacking])
            groups.setdefault((name == "block", stages), []).append(name)
        for (is_block, stages), names in groups.items():
            place = self.written.rows[stages[0] - 1].place
            if is_block:
                hint = f"give it a `block`, here or under `defaults`; {self._listed()}"
            else:
                hint = ", ".join([accepted(self.missing[name][0][1], [name]) for name in names])
                hint += "; under `defaults` it applies to all stages" * (len(stages) > 1)
            verb = "needs" if len(stages) == 1 else "need"
            self.findings.error(
                place, f"{numbered(stages)} {verb} {backticked(names)}", hint, code="missing-key"
            )

    def _complain_of_strangers(self) -> None:
        for (place, name, via), stages in self.strangers.items():
            blocks = {block for _, block in stages}
            hint = self._belongs(name)
            if via == "stage" or (len(blocks) == 1 and len(stages) == len(self.written.rows)):
                who = f"`{blocks.pop()}` stages have"
            else:
                rows = [f"stage {number} (`{block}`)" for number, block in stages[:SHOWN]]
                rows += [f"{len(stages) - SHOWN:,} more"] if len(stages) > SHOWN else []
                who = f"{listing(rows, 'and')} {'has' if len(stages) == 1 else 'have'}"
                hint += f"; {said('null', 'None')} leaves a stage unchanged"
            self.findings.error(
                place, f"{who} no attribute `{name}`", hint, code="inapplicable-attribute"
            )

    def _belongs(self, name: str) -> str:
        owners = [f"`{one}`" for one in self.near if name in self.types[one].model_fields]
        return f"it belongs to {listing(owners, 'and')} stages"


def _elsewhere(name: str, entry: Entry) -> str:
    """Where a key of the whole spec is written instead."""
    option = entry.key.source.name
    if entry.key.source.path is not None or option not in ("--with", "with_"):
        return f"`{name}` is a key of the network: write it at the top of the spec"
    if name == "input":
        return f"use {said('`--input 3,224,224`', '`input=(3, 224, 224)`')}"
    return f"`{option}` sets only stage attributes; set `{name}` in a spec that extends this one"


def _is_factor(data: object) -> bool:
    """Whether a value is a multiple, such as ``x0.5``."""
    from archc.spec.factor import factor_in

    return factor_in(data) is not None


def _list_in_text(value: Value) -> str | None:
    """A list that is written without brackets, with them; None for anything else."""
    if not isinstance(value.data, str) or "," not in value.data:
        return None
    from archc.spec.lists import list_in_text

    return list_in_text(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
