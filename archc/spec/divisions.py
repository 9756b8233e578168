"""Floor divisions in the widths of layers that are not exact: they lose channels.

A block's expressions are gone through only where they have such a division. Those that read nothing
but attributes are computed at once; the first two blocks of other stages are lowered once more, and
what their expressions come to is watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import TypeAlias

from archc.blocks import STANDARD, Definition
from archc.blocks.around import Around
from archc.blocks.expressions import (
    Binary,
    Choice,
    ExpressionError,
    Node,
    Unary,
    Value,
    computation,
    parse,
)
from archc.blocks.lowering import lower_row, scope_of
from archc.blocks.scope import Scope
from archc.blocks.tree import BlockItem, Expr, Item, LayerItem, Row, walk
from archc.dataclassing import dataclass
from archc.graph import Network, Shape, ShapeError
from archc.shipped import shipped_folder
from archc.source.diagnostics import Findings, Note, Place
from archc.source.reader import Value as Located
from archc.source.validate import backticked
from archc.spec.models import PlacedStage, Spec
from archc.spec.options import numbered
from archc.spec.warnings import is_own, of_option

_WIDTHS = ("width", "features")
"""The fields of layers and blocks that are numbers of channels."""
_BLOCKS = 2
"""How many blocks of a stage are looked at: those after these are equal."""

Watch: TypeAlias = Callable[[Expr, Mapping[str, Value]], None]


@dataclass(frozen=True, eq=False)
class _Loss:
    """A division that is not exact: the part of an expression, and what it comes to."""

    expr: Expr
    part: Expr
    exact: Fraction

    @property
    def words(self) -> str:
        """``in // 3` is 21, not 21.33``, for a message."""
        return f"`{self.part.text}` is {self.exact.__floor__():,}, not {float(self.exact):,.6g}"


def warn_of_divisions(spec: Spec, network: Network, findings: Findings) -> None:
    """Note the widths of a spec that lose channels; its network says what reaches each stage."""
    _warn_of_attributes(spec, findings)
    inputs = _inputs(network)
    _warn_of_row(spec.row("stem"), spec.header.input, spec, findings)
    _warn_of_row(spec.row("head"), inputs.get("head", spec.header.input), spec, findings)
    _warn_of_stages(inputs, spec, findings)


_HINT = "choose numbers that divide evenly, or write `floor(a / b)` if rounding down is meant"


def _warn_of_row(row: Row, x: Shape, spec: Spec, findings: Findings) -> None:
    exprs = _dividing(row, {})
    if not exprs:
        return
    for loss in _watched(lambda around: lower_row(row, x, around), exprs, spec.around):
        if _is_in_file(loss.expr, spec):
            message = f"a width loses channels: {loss.words}"
            findings.warning(loss.expr.place, message, _HINT, code="lost-channels")


def _inputs(network: Network) -> dict[int | str, Shape]:
    """The shapes that reach the stages, by number, and the head."""
    found: dict[int | str, Shape] = {}
    for region in network.regions:
        first = next(iter(region.nodes), None)
        if first is not None:
            key = region.kind if region.number is None else region.number
            inside = set(region.nodes)
            outside = [one for one in network.nodes[first].inputs if one not in inside]
            if outside:
                found[key] = network.nodes[outside[0]].output_shape
    return found


# Stages


def _losses_of_stage(stage: PlacedStage, x: Shape | None, before: int, spec: Spec) -> list[_Loss]:
    model, definition = stage.model, stage.model.definition
    exprs = _dividing_of(definition)
    if not exprs:
        return []
    known = {*definition.attributes, *spec.around.names}
    scope = scope_of(definition, model, spec.around, model.stride)
    if all(set(scope.causes([expr])) <= known for expr in exprs):
        losses: dict[int, _Loss] = {}
        for expr in exprs:
            _look(expr, scope, losses)
        return list(losses.values())
    if x is None:
        return []

    def lower(around: Around) -> None:
        shape = x
        for index in range(min(model.depth, _BLOCKS)):
            stride = 1 if index else model.stride
            shape = model.lower(shape, stride, around, before + index).output_shape

    return _watched(lower, exprs, spec.around)


def _warn_of_stages(inputs: Mapping[int | str, Shape], spec: Spec, findings: Findings) -> None:
    """Note what blocks lose, once for all stages that lose it by the same words of the text."""
    found: dict[tuple[int, int, int], tuple[_Blame, dict[int, str]]] = {}
    before = 0
    for number, stage in enumerate(spec.stages, 1):
        for loss in _losses_of_stage(stage, inputs.get(number), before, spec):
            blame = _blame(stage, number, loss, spec)
            if blame is not None:
                key = (id(blame.place.source), blame.place.line, blame.place.column)
                found.setdefault(key, (blame, {}))[1].setdefault(number, loss.words)
        before += stage.model.depth
    for blame, words in found.values():
        first, *more = words
        where = f"in stage {first} " if len(set(words.values())) > 1 else ""
        lose = "lose" if more else "loses"
        message = f"{numbered(list(words))} {lose} channels: {where}{words[first]}"
        findings.warning(blame.place, message, blame.hint, blame.notes, code="lost-channels")


@dataclass(frozen=True)
class _Blame:
    """Where something can be done about a loss, and what."""

    place: Place
    hint: str
    notes: list[Note]


def _blame(stage: PlacedStage, number: int, loss: _Loss, spec: Spec) -> _Blame | None:
    """What a stage's blocks lose is told in the block, if it is the user's, or else where the stage
    gives the numbers; None where neither is the user's."""
    block, expr = stage.model.block, loss.expr
    if _is_in_file(expr, spec):
        return _Blame(expr.place, _HINT, _notes(stage, number))
    definition = stage.model.definition
    scope = scope_of(definition, stage.model, spec.around, stage.model.stride)
    read = scope.causes([loss.part])
    given = [stage.attributes[one] for one in read if one in stage.attributes]
    own = [one for one in given if is_own(one.value.place, spec)]
    notes = [Note(expr.place, f"`{block}` divides here")] if expr.place.source.path else []
    if own:
        chosen = [name for name in read if name in definition.attributes]
        hint = f"choose {backticked(chosen)} so that the division is exact"
        return _Blame(own[-1].value.place, hint, notes)
    if not _is_shipped(definition) and is_own(stage.place, spec):
        return _Blame(stage.place, _HINT, notes)
    return None


def _is_in_file(expr: Expr, spec: Spec) -> bool:
    """Whether an expression is written in the file that the user named."""
    return expr.place.source is spec.place.source


def _notes(stage: PlacedStage, number: int) -> list[Note]:
    return [Note(stage.place, f"stage {number} has `{stage.model.block}` blocks")]


def _is_shipped(definition: Definition) -> bool:
    path = definition.place.source.path
    if path is None or STANDARD.definition(definition.name) is definition:
        return True
    return path.startswith(str(shipped_folder()))


# Expressions


def _dividing_of(definition: Definition) -> list[Expr]:
    """The expressions with a division that the widths in a definition are computed from."""
    rows = definition.layers + definition.end
    found = _dividing(rows, definition.let)
    for inner in definition.blocks:
        if not _is_shipped(inner):
            found += _dividing_of(inner)
    return found


def _dividing(row: Row, let: Mapping[str, Expr]) -> list[Expr]:
    found: dict[int, Expr] = {}
    left = [expr for item in walk(row) for expr in _widths(item)]
    while left:
        expr = left.pop()
        if id(expr) in found:
            continue
        found[id(expr)] = expr
        left += [let[name] for name in expr.names if name in let]
    return [expr for expr in found.values() if any(_divisions(expr.node))]


def _widths(item: Item) -> Iterator[Expr]:
    if isinstance(item, (LayerItem, BlockItem)):
        yield from (expr for name, expr in item.computed.items() if name in _WIDTHS)


def _watched(
    lower: Callable[[Around], object], exprs: Sequence[Expr], around: Around
) -> list[_Loss]:
    """What these expressions lose while something is lowered."""
    wanted = {id(expr) for expr in exprs}
    losses: dict[int, _Loss] = {}

    def watch(expr: Expr, values: Mapping[str, Value]) -> None:
        if id(expr) in wanted:
            _look(expr, values, losses)

    with suppress(ShapeError):  # compiling has told of it
        lower(replace(around, watch=watch))
    return list(losses.values())


def _look(expr: Expr, values: Mapping[str, Value], losses: dict[int, _Loss]) -> None:
    if id(expr) in losses:
        return
    for node in _divisions(expr.node):
        try:
            one, other = computation(node.left)(values), computation(node.right)(values)
        except (ExpressionError, ShapeError, KeyError):
            continue
        if not isinstance(one, Fraction) or not isinstance(other, Fraction) or other in (0, 1):
            continue
        if (one / other).denominator != 1:
            part = Expr.of(node, expr.text[node.start : node.end], expr.at(node.start))
            losses[id(expr)] = _Loss(expr, part, one / other)
            return


def _divisions(node: Node) -> Iterator[Binary]:
    """The floor divisions of an expression, without those whose rounding is meant: as arguments of
    a function, or in a condition."""
    if isinstance(node, Binary) and node.operator in ("+", "-", "*", "/", "//", "%"):
        if node.operator == "//":
            yield node
        yield from _divisions(node.left)
        yield from _divisions(node.right)
    elif isinstance(node, Choice):
        yield from _divisions(node.then)
        yield from _divisions(node.otherwise)
    elif isinstance(node, Unary):
        yield from _divisions(node.operand)


# Attributes of stages


def _warn_of_attributes(spec: Spec, findings: Findings) -> None:
    """Widths of stages that are computed from variables."""
    written = spec.written
    if written is None:
        return
    rows = [row.data for row in written.rows if isinstance(row.data, dict)]
    scope = Scope(spec.around, {})
    for entries in (written.defaults, *rows, *(one.entries for one in written.overlays)):
        entry = entries.get("width")
        values = () if entry is None else _each(entry.value)
        for value in values:
            if not isinstance(value.data, str) or "//" not in value.data:
                continue
            if not is_own(value.place, spec) or of_option(value.place, spec):
                continue
            try:
                expr = Expr.of(parse(value.data), value.data, value.place)
            except ExpressionError:
                continue
            losses: dict[int, _Loss] = {}
            _look(expr, scope, losses)
            for loss in losses.values():
                message = f"`width` loses channels: {loss.words}"
                findings.warning(value.place, message, _HINT, code="lost-channels")


def _each(value: Located) -> Iterable[Located]:
    return value.data if isinstance(value.data, tuple) else (value,)
