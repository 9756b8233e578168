"""Rows of layers into pieces of graph: shapes, names of modules, and what is at fault where one
cannot be made."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, NoReturn

from archc.blocks.around import Around
from archc.blocks.authored import authored
from archc.blocks.definition import NETWORK, Check, Definition, Stage
from archc.blocks.expressions import Value, Word, whole
from archc.blocks.layers import LayerOfOneOp, norm_of
from archc.blocks.scope import LayerFault, Scope, plain, value_of
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
from archc.graph import Fragment, FragmentBuilder, Shape, ShapeError, Side, Written
from archc.graph.authored import Authored
from archc.graph.initial import Rule
from archc.ops import OPS, Op
from archc.source.diagnostics import Findings, Note, Place
from archc.source.reader import Entry
from archc.source.reader import Value as Located
from archc.source.record import Record, ValidationError
from archc.source.validate import validate
from archc.text import quote

MAX_OPS = 200_000
"""Ops that a network may have."""


def lower_block(
    definition: Definition, model: Record, x: Shape, stride: int, around: Around, index: int
) -> Fragment:
    """A block of a stage on an input of shape ``x``. Raises `ShapeError`."""
    return lower_movable(definition, model, x, stride, around, index).fragment


@dataclass
class Movable:
    """A lowered block that may be put elsewhere in its network.

    ``chances`` are its steps that drop something with a probability that reads the block's index:
    the layer and the names of each.
    """

    fragment: Fragment
    chances: Mapping[str, tuple[LayerItem, Scope]]

    def at(self, index: int) -> Fragment:
        """The block as it is at another place. Raises `ShapeError`.

        This is for definitions whose blocks differ in chances alone.
        """
        steps = [
            replace(step, op=self._op(step.name, index)) if step.name in self.chances else step
            for step in self.fragment.steps
        ]
        return replace(self.fragment, steps=tuple(steps))

    def _op(self, step: str, index: int) -> Op:
        item, scope = self.chances[step]
        there = replace(scope, given={**scope.given, "index": whole(index)})
        layer: LayerOfOneOp = _with_values(item, item.model, item.word, there, _raise)
        return layer.op


def _raise(fault: LayerFault) -> NoReturn:
    raise fault


def lower_movable(
    definition: Definition, model: Record, x: Shape, stride: int, around: Around, index: int
) -> Movable:
    """As `lower_block`, with what it takes to put the block elsewhere. Raises `ShapeError`."""
    piece = FragmentBuilder(x)
    scope = _scope(definition, model, around, stride, index, x)
    for fault in _broken(definition.checks, scope):
        piece.refuse(fault)
    said = authored(definition, scope)
    module = Module(
        numbered=definition.numbered, written=(Written(None, definition.name, authored=said),)
    )
    lowering = _Lowering(piece, own_around(definition, scope), module, authored=said)
    lowering.row_of_all(definition.layers, scope)
    _check_read(lowering, definition.layers)
    if not piece.steps:
        raise LayerFault(
            f"a block `{definition.name}` has no layers here", definition.place, code="no-layers"
        )
    return Movable(piece.build(_label(definition, scope)), lowering.chances)


def lower_end(definition: Definition, model: Stage, x: Shape, around: Around) -> Fragment:
    """What a stage ends with, after its last block. Raises `ShapeError`."""
    piece = FragmentBuilder(x)
    scope = _scope(definition, model, around, model.stride, 0, x)
    _Lowering(piece, own_around(definition, scope), Module()).row(definition.end, scope)
    return piece.build()


def lower_row(
    row: Row, x: Shape, around: Around, module: Module | None = None, channels: int | None = None
) -> Fragment:
    """Layers of a stem or a head on an input of shape ``x``; those that nobody has named bear
    their family.

    ``module`` is the one that all rows of a network share, ``channels`` are those that come into
    the stem or the head. Raises `ShapeError`.
    """
    piece = FragmentBuilder(x)
    given: dict[str, Value] = {
        "in": whole(x[0] if channels is None else channels),
        "total": whole(around.total),
        "stages": whole(around.stages),
    }
    lowering = _Lowering(piece, around, Outside() if module is None else module)
    lowering.row_of_all(row, Scope(around, given))
    _check_read(lowering, row)
    return piece.build()


def _check_read(lowering: _Lowering, row: Row) -> None:
    """Refuse a row of which a value is not read by anything."""
    last, beside = lowering.piece.last, lowering.beside
    steps = [step for step in lowering.piece.steps if step.name not in beside]
    # What a side head alone reads is not read in inference.
    read = {source for step in steps for source in step.inputs}
    read |= {source for step in lowering.piece.steps for source in step.inputs} & beside
    read |= {last, *(side.result for side in lowering.piece.sides)}
    for step in lowering.piece.steps:
        if step.name not in read:
            words = "nothing reads what this puts out"
            hint = "merge it, or leave it out"
            raise LayerFault(words, lowering.places[step.name], hint=hint, code="unreachable-value")
    if steps and steps[-1].name != last:
        words = "the value that a row ends with must be that of its last layer"
        raise LayerFault(words, row[-1].place, code="unreachable-value")


def fault_of(definition: Definition, model: Stage, around: Around) -> ShapeError | None:
    """What is wrong with a stage of such blocks, whatever reaches it."""
    scope = _scope(definition, model, around, model.stride, 0, None)
    free = [c for c in definition.checks if "in" not in scope.causes([c.that])]
    try:
        return next(_broken(free, scope), None)
    except ShapeError as error:
        return error


def own_around(definition: Definition, scope: Scope) -> Around:
    """The network around a block's own layers, whose norm and activation it may set."""
    around = scope.around
    if definition.norm is not None:
        around = replace(around, norm=norm_of(definition.norm, around))
    if definition.activation is not None:
        around = replace(around, activation=definition.activation)
    return around


def scope_of(definition: Definition, model: Stage, around: Around, stride: int) -> Scope:
    """The names of a stage's first block, without those of what comes in."""
    return _scope(definition, model, around, stride, 0, None)


def _incoming(x: Shape | None) -> dict[str, Value]:
    return {} if x is None else {"in": whole(x[0])}


def _scope(
    definition: Definition,
    model: Record,
    around: Around,
    stride: int,
    index: int,
    x: Shape | None,
) -> Scope:
    """The names of a block with the attributes of a stage, or of a layer."""
    given = _incoming(x) | {
        "index": whole(index),
        "total": whole(around.total),
        "stride": whole(stride),
    }
    let: dict[str, Expr] = {}
    absent = set()
    for name, attribute in definition.attributes.items():
        value = getattr(model, name)
        if value is None and isinstance(attribute.default, Expr):
            let[name] = attribute.default
        elif value is None:
            absent.add(name)
        else:
            given[name] = _of_network(value_of(value), attribute.kind, around)
    let |= definition.let
    return Scope(around, given, let, frozenset(absent), definition=definition)


def _of_network(value: Value, kind: str, around: Around) -> Value:
    """The network's norm or activation by its word, where that is what an attribute says."""
    if value != NETWORK or kind not in ("norm", "activation"):
        return value
    if kind == "activation":
        return Word(around.activation or "none")
    return Word("none" if around.norm is None else around.norm.kind)


def _broken(checks: Iterable[Check], scope: Scope) -> Iterator[LayerFault]:
    """The rules of a block that do not hold."""
    for check in checks:
        if not scope.holds(check.that):
            words = f"`{check.that.text}` does not hold"
            yield LayerFault(
                scope.text(check.message) if check.message else words,
                check.that.place,
                causes=check.at or scope.causes([check.that]),
                hint=check.hint,
                values=scope.told([check.that]),
                is_in_order=bool(check.at),
                code="failed-check",
            )


def _label(definition: Definition, scope: Scope) -> str:
    for name, test in definition.classes:
        if test is None or scope.holds(test):
            return name
    return "".join(part[:1].upper() + part[1:] for part in definition.name.split("_"))


# Names


@dataclass
class Module:
    """Gives the layers of a module their names: ``conv1``, ``bn1``, or numbers from 0."""

    prefix: str = ""
    numbered: bool = False
    written: tuple[Written | None, ...] = ()
    next: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def first(self, family: str, name: str | None) -> str:
        """The name of a layer, or of the first of its ops."""
        self.kinds[family] += 1
        if name is None:
            return self._number() if self.numbered else self._by_kind(family)
        if name.isdigit():
            self.next = int(name) + 1
        return name

    def behind(self, family: str, first: str, number: int, *, is_named: bool) -> str:
        """The name of a layer's norm or activation, so many ops after the one named ``first``."""
        self.kinds[family] += 1
        parent, dot, last = first.rpartition(".")
        if is_named and last.isdigit() and not self.numbered:
            return f"{parent}{dot}{int(last) + number}"
        if is_named and (conv := re.fullmatch(r"conv(\d*)", last)):
            return f"{parent}{dot}{family}{conv[1]}"
        return self._number() if self.numbered else self._by_kind(family)

    def inside(self, local: str, written: Written) -> tuple[Written | None, ...]:
        """What the parts of a name in the module come from; of one with dots, the last part does
        from its item."""
        return (*self.written, *[None] * local.count("."), written)

    def apart(self, word: str) -> str:
        """The name of a merge, or of an op that nobody has written: it is no module."""
        self.kinds[word] += 1
        return word if self.kinds[word] == 1 else f"{word}{self.kinds[word]}"

    def _number(self) -> str:
        self.next += 1
        return str(self.next - 1)

    def _by_kind(self, family: str) -> str:
        return f"{family}{self.kinds[family]}"


_UNNAMED = "#"
"""Stands in the names of layers that the network has yet to name."""


class Outside(Module):
    """A stem or a head, whose layers bear their families until the network names them."""

    def _by_kind(self, family: str) -> str:
        return f"{family}{_UNNAMED}{self.kinds[family]}"


# Rows


@dataclass
class _Lowering:
    """Lowers rows into a piece of graph, within one module and with one set of labels."""

    piece: FragmentBuilder
    around: Around
    module: Module
    labels: dict[str, str] = field(default_factory=lambda: {INPUT: Fragment.INPUT})
    places: dict[str, Place] = field(default_factory=dict)
    around_item: tuple[Item, ...] = ()
    beside: set[str] = field(default_factory=set)
    """The steps that are of side heads."""
    chances: dict[str, tuple[LayerItem, Scope]] = field(default_factory=dict)
    """The steps that drop something with a probability that reads the block's index."""
    authored: Authored | None = None
    """The definition that the rows are of."""
    seen_outside: Callable[[LayerFault], LayerFault] = lambda fault: fault
    """What a fault of these rows is to the row of the piece, through the blocks between."""

    def row_of_all(self, row: Row, scope: Scope) -> None:
        """The row that the piece is made of, whose first fault is the one that counts."""
        try:
            self.row(row, scope)
        except ShapeError as error:
            raise self.piece.first_fault(error) from None

    def row(self, row: Row, scope: Scope) -> None:
        """Add the layers of a row, one after another."""
        scope.channels = lambda: self.piece.shape()[0]
        for item in row:
            if item.condition is not None and not scope.holds(item.condition):
                continue
            if item.repeat is None:
                self._item(item, scope)
                continue
            for number in range(scope.count(item.repeat, MAX_OPS)):
                scope.given["repeat"] = whole(number)
                self._item(item, scope)
            scope.given.pop("repeat", None)

    def _item(self, item: Item, scope: Scope) -> None:
        name = None if item.name is None else scope.name(item.name)
        if isinstance(item, LayerItem):
            self._layer(item, name, scope)
        elif isinstance(item, BlockItem):
            self._block(item, name, scope)
        elif isinstance(item, GroupItem):
            self._group(item, name, scope)
        elif isinstance(item, MergeItem):
            self._merge(item, scope)
        elif isinstance(item, LabelItem):
            self.labels[item.label] = self.piece.last
        elif isinstance(item, ValueItem):
            self.piece.last = self.labels[item.value]
        elif isinstance(item, SideItem):
            self._side(item, name, scope)

    # Layers

    def _layer(self, item: LayerItem, name: str | None, scope: Scope) -> None:
        model = item.ready or self._checked(item, item.model, item.word, scope)
        self.piece.blame = lambda error: self.seen_outside(_layer_fault(error, item, scope))
        try:
            model.grow(_Making(self, name, item, scope))
        except LayerFault:
            raise
        except ShapeError as error:
            raise _layer_fault(error, item, scope) from None
        finally:
            self.piece.blame = None

    def _checked(
        self, item: LayerItem | BlockItem, model: type[Record], word: str, scope: Scope
    ) -> Any:
        """A model with what the expressions of its fields come to."""

        def refuse(fault: LayerFault) -> None:
            self.piece.refuse(self.seen_outside(fault))

        return _with_values(item, model, word, scope, refuse)

    # Modules

    def _block(self, item: BlockItem, name: str | None, scope: Scope) -> None:
        definition = item.block
        inner = self._scope_in(item, scope)
        try:
            for fault in _broken(definition.checks, inner):
                self.piece.refuse(self.seen_outside(_from_inside(fault, item, scope)))
            module, outer, said = self.module, (*self.around_item, item), self.authored
            if not definition.inline:
                local, outer = self._module_name(name, definition.name), ()
                path = self.module.prefix + local
                said = authored(definition, inner)
                here = self.written(item, scope, definition.name)._replace(authored=said)
                written = module.inside(local, here)
                module = Module(f"{path}.", definition.numbered, written)
                self.piece.parts[path] = _label(definition, inner)
            body = _Lowering(
                self.piece,
                own_around(definition, inner),
                module,
                {INPUT: self.piece.last},
                self.places,
                outer,
                seen_outside=lambda fault: self.seen_outside(_from_inside(fault, item, scope)),
                authored=said,
                chances=self.chances,
            )
            body.row(definition.layers, inner)
        except LayerFault as fault:
            raise _from_inside(fault, item, scope) from None

    def _scope_in(self, item: BlockItem, scope: Scope) -> Scope:
        """The names inside a block on the current value."""
        definition = item.block
        fields = self._checked(item, definition.fields, definition.name, scope)
        x = self.piece.shape()
        inner = _scope(definition, fields, self.around, fields.stride, 0, x)
        for one in ("index", "total"):
            inner.given[one] = scope.given.get(one, whole(0))
        return inner

    def written(self, item: Item, scope: Scope, word: str, op: int = 0) -> Written:
        """What a module is written as that an item puts here."""
        repeat = scope.given.get("repeat", 0)
        return Written((*self.around_item, item, repeat, op), word, item.names, item.computed)

    def _module_name(self, name: str | None, kind: str) -> str:
        if name is None and not self.module.numbered:
            return self.module.apart(kind)
        return self.module.first(kind, name)

    def _group(self, item: GroupItem, name: str | None, scope: Scope) -> None:
        if name is None:
            self.row(item.layers, scope)
            return
        local = self.module.first("group", name)
        path = self.module.prefix + local
        here = self.written(item, scope, "group")._replace(authored=self.authored)
        module = Module(f"{path}.", numbered=True, written=self.module.inside(local, here))
        self._inside(module, item.layers, scope)
        scope.channels = lambda: self.piece.shape()[0]

    def _inside(self, module: Module, layers: Row, scope: Scope) -> None:
        """Add the layers of a module, which read nothing but its input."""
        labels = {INPUT: self.piece.last}
        body = _Lowering(
            self.piece,
            self.around,
            module,
            labels,
            self.places,
            seen_outside=self.seen_outside,
            authored=self.authored,
            chances=self.chances,
        )
        body.row(layers, scope)

    def _side(self, item: SideItem, name: str | None, scope: Scope) -> None:
        """Add a side head beside the current value, which stays that."""
        assert name is not None
        assert item.name is not None
        if fault := _wrong_field_name(name):
            raise LayerFault(
                fault, item.name.place, hint="for example `name: aux1`", code="invalid-name"
            )
        piece, start = self.piece, self.piece.last
        before = {step.name for step in piece.steps}
        if item.branch.begins is not None:
            piece.last = self.labels[item.branch.begins]
        layers, label, numbered = item.branch.layers, "", True
        if len(layers) == 1 and isinstance(layers[0], BlockItem) and layers[0].block.inline:
            definition = layers[0].block
            label = _label(definition, self._scope_in(layers[0], scope))
            numbered = definition.numbered
        path = self.module.prefix + self.module.first("side", name)
        piece.parts[path] = label
        written = self.module.inside(path, self.written(item, scope, "side"))
        module = Module(f"{path}.", numbered, written)
        self._inside(module, layers, scope)
        added = {step.name for step in piece.steps} - before
        if piece.last not in added:
            raise LayerFault("a side head has no layers here", item.place, code="no-layers")
        self.beside |= added
        piece.sides.append(Side(name, piece.last, item.weight))
        piece.last = start

    # Merges

    def _merge(self, item: MergeItem, scope: Scope) -> None:
        start = self.piece.last
        operands = [start] if item.meets else []
        for branch in item.branches:
            operands.append(self._branch(branch, start, scope))
        shown = f"`{item.word}`"
        if len(set(operands)) < len(operands):
            words = f"{shown} has the same value twice"
            hint = f"where one of its layers is left out, put the `if` on the `{item.word}`"
            values = scope.setting(_exprs(item))
            raise LayerFault(
                words,
                item.place,
                hint=hint,
                causes=_reads(item, scope),
                values=values,
                code="malformed-merge",
            )
        if len(operands) < 2:
            raise LayerFault(
                f"{shown} needs two values at least", item.place, code="malformed-merge"
            )
        step = self.module.prefix + self.module.apart(item.word)
        self.check_name(step, item.place)
        family = item.word if isinstance(self.module, Outside) else None
        try:
            self.piece.add(step, OPS[item.word](), *operands, family=family)
        except ShapeError as error:
            raise LayerFault(
                error.message,
                item.place,
                causes=_reads(item, scope),
                hint=error.hint or _how_to_fit([self.piece.shape(one) for one in operands]),
                values=scope.setting([]),
                code=error.code,
            ) from None

    def check_name(self, step: str, place: Place) -> None:
        """Note where a step is from; two of one name are a fault."""
        if step in self.places:
            other = Note(self.places[step], "the other one is here")
            raise LayerFault(
                f"two layers are called `{step}`", place, notes=[other], code="duplicate-name"
            )
        self.places[step] = place

    def _branch(self, branch: Branch, start: str, scope: Scope) -> str:
        """What a branch puts out."""
        self.piece.last = start if branch.begins is None else self.labels[branch.begins]
        self.row(branch.layers, scope)
        return self.piece.last


@dataclass
class _Making:
    """Where a layer adds its ops, the first of them under the layer's own name."""

    lowering: _Lowering
    name: str | None
    item: LayerItem
    scope: Scope
    before: str | None = None
    number: int = 0
    ops: int = 0

    @property
    def around(self) -> Around:
        return self.lowering.around

    def shape(self) -> Shape:
        return self.lowering.piece.shape()

    def add(
        self,
        family: str,
        op: Op,
        *,
        by_itself: bool = False,
        ahead: bool = False,
        rule: Rule | None = None,
    ) -> None:
        """Add an op, named by its place in the layer and in the module."""
        module, piece = self.lowering.module, self.lowering.piece
        if by_itself:
            local = module.apart(family)
        elif self.before is None:
            local = self.before = module.first(family, self.name)
        else:
            is_named = self.name is not None
            self.number += 1
            local = module.behind(family, self.before, self.number, is_named=is_named)
        is_free = isinstance(module, Outside) and (_UNNAMED in local or by_itself)
        step = module.prefix + local
        self.lowering.check_name(step, self.item.place)
        written = self.lowering.written(self.item, self.scope, self.item.word, self.ops)
        self.ops += 1
        piece.add(
            step,
            op,
            family=family if is_free else None,
            ahead=ahead,
            rule=rule,
            written=module.inside(local, written),
        )
        if self.item.chance is not None and "index" in self.item.chance.names:
            names = replace(self.scope, given={**self.scope.given})
            self.lowering.chances[step] = (self.item, names)


class Making:
    """A piece of graph that layers are added to, one after another."""

    def __init__(self, x: Shape, around: Around):
        self.around = around
        self._piece = FragmentBuilder(x)

    def shape(self) -> Shape:
        """The shape put out so far."""
        return self._piece.shape()

    def add(
        self,
        family: str,
        op: Op,
        *,
        by_itself: bool = False,
        ahead: bool = False,
        rule: Rule | None = None,
    ) -> None:
        """Add an op, called by its family."""
        self._piece.add(family, op, family=family)

    def build(self) -> Fragment:
        """The finished piece."""
        return self._piece.build()


# Fields


def _with_values(
    item: LayerItem | BlockItem,
    model: type[Record],
    word: str,
    scope: Scope,
    refuse: Callable[[LayerFault], None],
) -> Any:
    """A model with what the expressions of its fields come to.

    Where one may not be that, it is refused, and what comes next is looked at with the nearest
    value that it may be.
    """
    found = {
        name: plain(scope.evaluate(expr))
        for name, expr in item.computed.items()
        if not scope.absent or expr.text.strip() not in scope.absent
    }
    key = (*found, *[(type(value), value) for value in found.values()])
    made: dict[object, Record] = item.made
    if key not in made:
        values = {
            name: found[name] if isinstance(one.value, Expr) else one.value
            for name, one in item.fields.items()
            if name in found or not isinstance(one.value, Expr)
        }
        try:
            model_made = model.model_validate(values)
        except ValidationError:
            fault = _wrong_field(item, model, word, values, scope)
            try:
                model_made = model.model_validate(_nearest(model, values))
            except ValidationError:
                raise fault from None
            refuse(fault)
            return model_made
        if len(made) > _MOST_MADE:
            made.clear()
        made[key] = model_made
    return made[key]


def _nearest(model: type[Record], values: Mapping[str, object]) -> dict[str, object]:
    """Values with numbers that are out of bounds moved to the nearest that is not."""
    properties = model.model_properties
    found = dict(values)
    for name, value in values.items():
        bounds = properties.get(name, {})
        if isinstance(value, int) and not isinstance(value, bool):
            low, high = bounds.get("minimum", value), bounds.get("maximum", value)
            found[name] = int(min(max(value, low), high))
    return found


_MOST_MADE = 4096
"""How many models of a layer are kept, for blocks that are lowered again and again."""


def _wrong_field(
    item: LayerItem | BlockItem,
    model: type[Record],
    word: str,
    values: Mapping[str, object],
    scope: Scope,
) -> LayerFault:
    """What is wrong with the values that fields have come to."""
    findings = Findings()
    entries = {
        name: Entry(item.fields[name].place, Located(value, item.fields[name].place, _text(value)))  # type: ignore[arg-type]
        for name, value in values.items()
    }
    scalar = getattr(model, "scalar", None)
    validate(model, entries, item.place, f"`{word}`", findings, rename=word if scalar else None)
    (first, *_) = findings.found.values()
    at = [one.value for one in item.fields.values() if one.place == first.place]
    exprs = [one for one in at if isinstance(one, Expr)][:1]
    place = exprs[0].place if exprs else first.place
    return LayerFault(
        first.message,
        place,
        causes=scope.causes(exprs),
        hint=first.hint,
        values=scope.told(exprs),
    )


def _written_at(field: Field) -> Place:
    return field.value.place if isinstance(field.value, Expr) else field.place


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _layer_fault(error: ShapeError, item: LayerItem, scope: Scope) -> LayerFault:
    """What an op cannot take, as a fault of the layer that it is of."""
    at: Field | None = item.fields.get(error.attribute or "")
    known = error.attribute is None or error.attribute in item.model.model_fields
    exprs = [at.value] if at is not None and isinstance(at.value, Expr) else []
    place = item.place if at is None else (exprs[0].place if exprs else at.place)
    fault = LayerFault(
        error.message,
        place,
        causes=scope.causes(exprs) if known else [error.attribute or ""],
        hint=error.hint,
        values=scope.setting(exprs or [*item.expressions]),
        code=error.code,
        field=error.attribute,
    )
    fault.otherwise = error.otherwise
    return fault


def _wrong_field_name(name: str) -> str:
    """Why a side head cannot have a name, which is a field of a named tuple; or nothing."""
    if name in ("logits", *dir(tuple)):
        return (
            f"a side head cannot be called {quote(name)}: what `forward` returns has that already"
        )
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        return f"the name of a side head must be a plain word, not {quote(name)}"
    return ""


def _exprs(item: MergeItem) -> list[Expr]:
    return [e for row in item.rows for one in row for e in one.expressions]


def _reads(item: MergeItem, scope: Scope) -> list[str]:
    return scope.causes(_exprs(item))


def _how_to_fit(shapes: Sequence[Shape]) -> str | None:
    """What may be missing where values of different shapes are added."""
    if {len(shape) for shape in shapes} != {3}:
        return None
    sides = [shape[1:] for shape in shapes]
    heights, widths = zip(*sides, strict=True)
    if len(set(sides)) > 1 and max(heights) < 2 * min(heights) and max(widths) < 2 * min(widths):
        return "their sizes differ a little: compare the kernels and paddings of the branches"
    return (
        "a projection can give the branches one shape, for example "
        "`add: {input: [conv: {width: ..., kernel: 1, stride: ..., activation: none}]}`"
    )


def _from_inside(fault: LayerFault, item: BlockItem, scope: Scope) -> LayerFault:
    """A fault of a block as one of the row that uses it as a layer.

    A block of the library, or of another file, is not its user's to mend: the first attribute is
    at fault that the failing part read and that the row gives, or else the use of the block.
    """
    given = [item.fields[cause] for cause in fault.causes if cause in item.fields]
    read = [one.value for one in given if isinstance(one.value, Expr)]
    name, place = item.block.name, fault.place
    values = f" with {fault.values}" if fault.values else ""
    notes = [*fault.notes]
    if item.block.is_own:
        notes.append(Note(item.place, f"`{name}` is used here{values}"))
    else:
        what = f"`{name}` reads it here" if given else f"it is this layer of `{name}`"
        notes.append(Note(place, what + values))
        place = _written_at(given[0]) if given else item.place
    outer = LayerFault(
        fault.message,
        place,
        causes=scope.causes(read),
        hint=fault.hint,
        notes=notes,
        values=scope.setting(read),
        code=fault.code,
        field=fault.attribute,
    )
    outer.otherwise = fault.otherwise
    return outer
