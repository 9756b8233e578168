"""Shapes that do not fit: every such fault of a spec, in the author's words.

Compiling ends at the first one. Here the spec is gone through once more, and what follows a fault
is checked with as much as is still known of its input. What is unknown is tried with two values:
what both agree on holds for every value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import TypeAlias

from archc.blocks import Around
from archc.blocks.lowering import lower_row
from archc.blocks.scope import LayerFault
from archc.blocks.tree import LayerItem, Row, rows_of
from archc.dataclassing import dataclass
from archc.graph import Fragment, Shape, ShapeError
from archc.ops import MAX_CHANNELS, MAX_PIXELS, describe
from archc.source.diagnostics import Findings, Note, Place, SpecError
from archc.spec.models import Attribute, PlacedItem, PlacedStage, Spec, word_of
from archc.spec.options import numbered
from archc.spec.overrides import channels_last

Known: TypeAlias = tuple[int | None, ...]
"""A shape of which some numbers may be unknown."""
_Lower: TypeAlias = Callable[[Shape], Fragment]

_CHANNELS = (1, 2)
_SIZES = (10_000, 30_000)
"""Stand-ins for what is unknown: so large that hardly any window is too large for them."""


def shape_faults(spec: Spec) -> SpecError:
    """All faults of shape that a spec has; it has one at least."""
    faults = _Faults()
    survey = _Survey(spec, faults)
    survey.row(spec.row("stem"))
    for number, stage in enumerate(spec.stages, 1):
        survey.stage(stage, number)
    survey.row(spec.row("head"))
    findings = Findings()
    try:
        faults.tell(findings, spec)
        findings.check()
    except SpecError as error:
        return error
    raise AssertionError("a spec whose shapes do not fit has faults")


def faults_of_any_shape(
    layers: Sequence[PlacedItem],
    stages: Sequence[tuple[int, PlacedStage]],
    around: Around,
    findings: Findings,
) -> None:
    """Note what is wrong with layers and numbered stages whatever their input."""
    faults = _Faults()
    for layer in layers:
        item = layer.item
        if isinstance(item, LayerItem) and item.ready and (error := item.ready.fault()) is not None:
            faults.of_row((item,), error)
    for number, stage in stages:
        if (error := stage.model.fault(around)) is not None:
            faults.of_stage(stage, number, error)
    faults.tell(findings, None)


@dataclass
class _Survey:
    """Goes through a spec with what is known of the shape so far."""

    spec: Spec
    faults: _Faults
    known: Known = field(init=False)

    def __post_init__(self) -> None:
        self.known = self.spec.header.input

    def row(self, row: Row) -> None:
        """Check the layers of a stem or a head, and what comes after each."""
        for part in rows_of(row):
            channels = self.known[0]
            lower = partial(_lowered, part, self.spec.around, channels)
            for error in self._pass(lower):
                self.faults.of_row(part, error)

    def stage(self, stage: PlacedStage, number: int) -> None:
        """Check a stage's blocks, reporting one fault of them, and its end; continue after it."""
        model, found = stage.model, list[ShapeError]()
        before_it = sum(one.model.depth for one in self.spec.stages[: number - 1])
        for index in range(model.depth):
            before, stride = self.known, 1 if index else model.stride
            lower = partial(
                model.lower, stride=stride, around=self.spec.around, index=before_it + index
            )
            found += self._pass(lower)
            if index and self.known == before and not model.definition.varies:
                break  # all that follow are equal
        found = found[:1]
        found += self._pass(lambda x: model.finish(x, self.spec.around) or Fragment(x, ()))
        for error in found:
            self.faults.of_stage(stage, number, error)

    def _pass(self, lower: _Lower) -> list[ShapeError]:
        """What is wrong with a piece here; afterwards ``known`` is what it puts out."""
        found: dict[str, ShapeError] = {}
        for known in _weaker(self.known):
            error, out = _attempt(lower, known)
            if error is not None:
                found.setdefault(_without_numbers(error, _stand_ins(known)[0]).message, error)
            if out is not None:
                break
        self.known = (None, None, None) if out is None else out
        return list(found.values())


def _lowered(row: Row, around: Around, channels: int | None, x: Shape) -> Fragment:
    return lower_row(row, x, around, channels=channels)


def _weaker(known: Known) -> Iterator[Known]:
    """A shape, and what remains of it if what makes a piece fail is taken away."""
    yield known
    if len(known) == 3:
        yield known[0], None, None
    yield None, None, None


def _attempt(lower: _Lower, known: Known) -> tuple[ShapeError | None, Known | None]:
    """What is wrong whatever the unknown numbers are, and what is known of the output."""
    errors: list[ShapeError | None] = []
    outputs: list[Shape | None] = []
    for x in _stand_ins(known):
        try:
            errors.append(None)
            outputs.append(lower(x).output_shape)
        except ShapeError as error:
            errors[-1] = _without_numbers(error, x) if None in known else error
            outputs.append(error.otherwise)
    first, last = errors[0], errors[-1]
    same = first and last and (first.message, first.hint) == (last.message, last.hint)
    if same and isinstance(first, LayerFault) and isinstance(last, LayerFault):
        first = _common_to(first, last)
    return first if same else None, _agreed(outputs[0], outputs[-1])


def _common_to(one: LayerFault, other: LayerFault) -> LayerFault:
    """The same fault with the values of names that hold whatever the unknown numbers are."""
    if len(one.notes) != len(other.notes) or one is other:
        return one
    notes = [
        Note(note.place, _common_values(note.message, same.message))
        for note, same in zip(one.notes, other.notes, strict=True)
    ]
    return one.saying(one.message, notes, _common_values(one.values, other.values))


def _common_values(one: str, other: str) -> str:
    """A text that ends in values, ``a = 1, b = 2``, without those that the other has not."""
    if one == other:
        return one
    head, _, pairs = one.rpartition(" with ")
    others = _pairs_of(other.rpartition(" with ")[2])
    pairs = ", ".join([pair for pair in _pairs_of(pairs) if pair in others])
    return " with ".join([part for part in (head, pairs) if part])


def _pairs_of(values: str) -> list[str]:
    return re.split(r", (?=\w+ = )", values)


def _stand_ins(known: Known) -> list[Shape]:
    """The shape itself, or two that it may be."""
    if None not in known:
        return [tuple([number for number in known if number is not None])]
    kinds = [_CHANNELS, _SIZES, _SIZES] if len(known) == 3 else [_SIZES]
    pairs = [(n, n) if n is not None else two for n, two in zip(known, kinds, strict=True)]
    return [tuple([pair[i] for pair in pairs]) for i in (0, 1)]


def _without_numbers(error: ShapeError, x: Shape) -> ShapeError:
    """The same without the numbers of a shape, which only stands in for another one."""
    message = error.message.replace(describe(x), describe(x).partition(" of ")[0])
    if isinstance(error, LayerFault):
        return error.saying(message)
    return ShapeError(message, attribute=error.attribute, hint=error.hint, code=error.code)


def _agreed(one: Shape | None, other: Shape | None) -> Known | None:
    """What two outputs have in common, as far as a network may have it."""
    if one is None or other is None or len(one) != len(other):
        return None
    limits = [MAX_CHANNELS, MAX_PIXELS, MAX_PIXELS] if len(one) == 3 else [None]
    return tuple(
        [
            a if a == b and (most is None or a <= most) else None
            for a, b, most in zip(one, other, limits, strict=True)
        ]
    )


class _Faults:
    """Collects faults, those of stages that have one cause together."""

    def __init__(self) -> None:
        self.layers: list[tuple[Row, ShapeError]] = []
        self.stages: dict[object, list[tuple[int, PlacedStage, ShapeError]]] = {}

    def of_row(self, row: Row, error: ShapeError) -> None:
        """A layer of stem or head cannot take what reaches it."""
        self.layers.append((row, error))

    def of_stage(self, stage: PlacedStage, number: int, error: ShapeError) -> None:
        """A stage cannot; what is written once for several stages is one cause."""
        blamed = _blamed(stage, error)
        cause = (stage.place, error.message) if blamed is None else _cause(blamed, error)
        self.stages.setdefault(cause, []).append((number, stage, error))

    def tell(self, findings: Findings, spec: Spec | None) -> None:
        """Note the faults; ``spec`` has the places of the image's size."""
        for row, error in self.layers:
            where = error.place if isinstance(error, LayerFault) else row[0].place
            item = row[0]
            if isinstance(item, LayerItem) and (error.attribute or "") in item.fields:
                where = item.fields[error.attribute or ""].place
            words = f"`{word_of(item)}`: {error.message}" if len(row) == 1 else error.message
            notes = [*getattr(error, "notes", ()), *_input_note(spec, where, error)]
            findings.error(where, words, error.hint, notes, code=error.code)
        for alike in self.stages.values():
            _tell_stages(alike, spec, findings)


def _blamed(stage: PlacedStage, error: ShapeError) -> Attribute | None:
    """The attribute of a stage that is at fault, if one is that somebody has given.

    A block of the library is not its user's to mend: the attribute is, that the failing part read.
    """
    if not isinstance(error, LayerFault):
        return stage.attributes.get(error.attribute or "")
    if stage.model.definition.is_own:
        return None
    return next((stage.attributes[one] for one in error.causes if one in stage.attributes), None)


def _cause(blamed: Attribute, error: ShapeError) -> object:
    return blamed.value.place, error.message


def _tell_stages(
    alike: Sequence[tuple[int, PlacedStage, ShapeError]], spec: Spec | None, findings: Findings
) -> None:
    """Point at the attribute at fault where the stage itself or a `with` gives it."""
    number, stage, error = alike[0]
    where, notes = stage.place, list[Note]()
    blamed = _blamed(stage, error)
    if isinstance(error, LayerFault) and stage.model.definition.is_own:
        where = error.place
        told = f" with {error.values}" if error.values else ""
        who = numbered([one[0] for one in alike])
        verb = "has" if len(alike) == 1 else "have"
        blocks = f"{who} {verb} `{stage.model.block}` blocks{told}"
        notes = [*error.notes, Note(stage.place, blocks), *_input_note(spec, where, error)]
        findings.error(where, error.message, error.hint, notes, code=error.code)
        return
    if blamed is not None and (blamed.via != "defaults" or len(alike) > 1):
        where = blamed.value.place
        if blamed.via in ("with", "set"):
            notes.append(Note(stage.place, f"stage {number} is written here"))
    for name, attribute in stage.attributes.items():
        if attribute.via in ("with", "set") and attribute is not blamed and name != "depth":
            notes.append(Note(attribute.value.place, f"stage {number} gets its `{name}` here"))
    who = numbered([one[0] for one in alike])
    if isinstance(error, LayerFault) and error.place.source.is_of_user:
        read = f"`{stage.model.block}` reads it here"
        what = read if blamed else f"it is this layer of `{stage.model.block}`"
        told = f" with {error.values}" if error.values else ""
        notes += [*error.notes, Note(error.place, what + told)]
    notes += _input_note(spec, where, error)
    findings.error(where, f"{who}: {error.message}", error.hint, notes, code=error.code)


def _input_note(spec: Spec | None, place: Place, error: ShapeError) -> list[Note]:
    """Where the image's size is given, if the fault is of a size and in another text."""
    if spec is None:
        return []
    entry = spec.entries.get("input")
    is_of_size = re.search(r"\dx\d", error.message) is not None
    told = None if entry is None else channels_last(entry.value)
    of_input = [Note(entry.value.place, told)] if entry is not None and told else []
    if entry is None or entry.key.source is place.source or not is_of_size:
        return of_input
    return [Note(entry.key, "the image's size is given here"), *of_input]
