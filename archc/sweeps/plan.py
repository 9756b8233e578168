"""The variants of a spec, counted without being compiled one by one.

A stage's blocks are lowered and counted once for each input that they meet, by the same functions
that compile them, and a variant's numbers are sums over its pieces: equal blocks are not counted
again, and nothing has a second formula. Variants that differ in depths alone share a `_Profile`,
whose numbers are linear in the depths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import count, islice, repeat
from math import prod
from operator import ge, itemgetter, mul
from typing import NamedTuple, TypeVar

from archc.assembly import assemble
from archc.blocks import MAX_BLOCKS, Stage
from archc.dataclassing import dataclass
from archc.graph import Shape, ShapeError
from archc.source.diagnostics import Findings
from archc.source.record import ValidationError
from archc.source.validate import kinds_of, validate
from archc.spec import Source, Spec, SpecError, resolve
from archc.spec.factor import Factor
from archc.spec.overrides import Change, Set, locate_with
from archc.sweeps.axes import Axis, Choice
from archc.sweeps.costs import Cost, Costs, Kind, Numbers, plus, total

METRICS = ("layers", "params", "multiply_adds")
"""What variants are counted by, in the order of `Numbers`."""


@dataclass(slots=True)
class Variant:
    """A variant: which one it is, counted from 0, what it sets, and its `METRICS`."""

    index: int
    settings: tuple[Choice, ...]
    numbers: Numbers


@dataclass(slots=True)
class Unbuildable:
    """A variant that no network can have, and why."""

    index: int
    settings: tuple[Choice, ...]
    reason: str


_MOST_STAGES, _MOST_COSTS, _MOST_PARTS = 20_000, 50_000, 50_000
"""How many are remembered; then all are forgotten, which costs time, not memory."""
_ROW, _FEW = 256, 4096
"""How many values of the last axis make a row, and how many of an axis are kept as a list."""

_Places = tuple[int, ...]
"""Which value of each axis it is, from 0."""


class _Profile(NamedTuple):
    """What variants have in common that differ in depths alone: they cost so much and, for each
    stage, so much a block, if each stage has at least so many blocks.

    Of each metric, and of ``least``, the first number is the network's, the others the stages'.
    ``least`` is None where one block is enough.
    """

    layers: tuple[int, ...]
    params: tuple[int, ...]
    multiply_adds: tuple[int, ...]
    least: tuple[int, ...] | None

    def holds_at(self, depths: tuple[int, ...]) -> bool:
        """Whether each stage has as many blocks as it takes; ``depths`` begin with a 1."""
        return self.least is None or all(map(ge, depths, self.least))


_Found = TypeVar("_Found")


def _remember(memory: dict[object, _Found], key: object, value: _Found, size: int) -> None:
    """Enter a value of so many parts; a memory that is full is emptied first."""
    if len(memory) * size > _MOST_PARTS:
        memory.clear()
    memory[key] = value


@dataclass
class Plan:
    """A spec's variants along some axes, in order, the last axis varying first.

    ``source`` is the spec's text, ``changes`` what the command line says of it besides. Raises
    `SpecError` where the spec itself is at fault.
    """

    source: Source
    axes: Sequence[Axis]
    changes: Sequence[Change] = ()

    _kinds: dict[object, int] = field(default_factory=dict, init=False)
    _bases: dict[tuple[Choice, ...], Spec | str] = field(default_factory=dict, init=False)
    _stages: dict[object, Kind | str] = field(default_factory=dict, init=False)
    _costs: Costs = field(default_factory=Costs, init=False)
    _ends: dict[object, Cost | str] = field(default_factory=dict, init=False)

    @cached_property
    def spec(self) -> Spec:
        """The spec itself, nothing varied."""
        return resolve(self.source, self.changes)

    @property
    def count(self) -> int:
        """How many variants there are."""
        return prod(axis.values.count for axis in self.axes)

    def variants(self) -> Iterator[Variant | Unbuildable]:
        """Every variant with its numbers, or with the reason why it cannot be built."""
        depths_of, others_of = (_taking(places) for places in self._split)
        profiles: dict[object, Iterable[_Profile | None]] = {}
        depths: dict[object, Iterable[tuple[int, ...] | None]] = {}
        index = -1
        # A million times through here: what is known is looked up once a row, and written out.
        for places, row in _rows(self.axes):
            row_depths = depths.get(which := depths_of(places))
            if row_depths is None:
                row_depths = self._along(row, self._depths, self._in_a_row[0])
                _remember(depths, which, row_depths, len(row))
            row_profiles = profiles.get(others := others_of(places))
            if row_profiles is None:
                row_profiles = self._along(row, self._profile, self._in_a_row[1])
                _remember(profiles, others, row_profiles, len(row))
            for settings, profile, deep in zip(row, row_profiles, row_depths, strict=False):
                index += 1
                if profile is None or deep is None or not profile.holds_at(deep):
                    yield self._one(index, settings)
                    continue
                layers, params, multiply_adds, _ = profile
                numbers = (
                    sum(map(mul, layers, deep)),
                    sum(map(mul, params, deep)),
                    sum(map(mul, multiply_adds, deep)),
                )
                yield Variant(index, settings, numbers)

    def _along(
        self, row: _Row, compute: Callable[[tuple[Choice, ...]], _Found], varies: bool
    ) -> Iterable[_Found]:
        """What is computed for each of a row's settings, or once where it is the same for all."""
        return [compute(settings) for settings in row] if varies else repeat(compute(row[0]))

    def _one(self, index: int, settings: tuple[Choice, ...]) -> Variant | Unbuildable:
        """A variant with its numbers, or the reason why it cannot be built."""
        try:
            return Variant(index, settings, self._numbers(settings))
        except _CannotBuild as error:
            return Unbuildable(index, settings, str(error))

    def settings(self) -> Iterator[tuple[Choice, ...]]:
        """What each variant sets, in order; uncounted."""
        return (settings for _, row in _rows(self.axes) for settings in row)

    def settings_of(self, index: int) -> tuple[Choice, ...]:
        """What the variant of an index, counted from 0, sets; the others are not gone through."""
        found: list[Choice] = []
        for axis in reversed(self.axes):
            index, place = divmod(index, axis.values.count)
            found.append(next(islice(_listed(axis), place, None)))
        return tuple(reversed(found))

    def stages(self, settings: tuple[Choice, ...]) -> list[Stage]:
        """The stages of a variant that can be built."""
        base = self._blocks_of.of(settings)
        spec = self._base(base)
        found = []
        for index, picker in enumerate(self._pickers):
            stage = self._stage(index, spec, base, picker.others.of(settings))
            depth = self._depth(index, spec, picker.depth.of(settings))
            found.append(stage.model.model_copy(update={"depth": depth}))
        return found

    def spec_of(self, settings: tuple[Choice, ...]) -> Spec:
        """The spec of a variant that can be built, its stages' attributes as the spec has them."""
        return self._base(self._blocks_of.of(settings))

    @cached_property
    def _split(self) -> tuple[list[int], list[int]]:
        """Which axes vary depths, and which vary anything else."""
        depths: list[int] = []
        others: list[int] = []
        for place, axis in enumerate(self.axes):
            if axis.attribute == "depth" or axis.is_of_spec:
                depths.append(place)  # a variable may be in what depths are computed from
            if axis.attribute != "depth":
                others.append(place)
        return depths, others

    @cached_property
    def _in_a_row(self) -> tuple[bool, bool]:
        """Whether it is depths that differ within a row, and whether it is anything else."""
        if not self.axes:
            return False, False
        last, (depths, others) = len(self.axes) - 1, self._split
        return last in depths, last in others

    @cached_property
    def _blocks_of(self) -> _Picker:
        """What takes the block types from a variant's settings."""
        return _Picker(tuple(i for i, axis in enumerate(self.axes) if axis.is_of_spec))

    @cached_property
    def _pickers(self) -> list[_Pickers]:
        """For each stage what takes its settings from a variant's."""
        pickers = []
        for number in range(1, len(self.spec.stages) + 1):
            mine = [
                i
                for i, axis in enumerate(self.axes)
                if axis.concerns(number) and not axis.is_of_network
            ]
            depths = tuple(i for i in mine if self.axes[i].attribute == "depth")
            others = tuple(i for i in mine if self.axes[i].attribute != "depth")
            pickers.append(_Pickers(_Picker(depths), _Picker(others)))
        return pickers

    def _numbers(self, settings: tuple[Choice, ...]) -> Numbers:
        self._forget()
        base = self._blocks_of.of(settings)
        spec = self._base(base)
        if self._depend_on_place(spec):
            return self._one_by_one(settings)
        numbers, shape = self._stem(spec, base)
        blocks = 0
        for index, picker in enumerate(self._pickers):
            stage = self._stage(index, spec, base, picker.others.of(settings))
            depth = self._depth(index, spec, picker.depth.of(settings))
            blocks += depth
            try:
                more, shape = self._costs.stage(stage, depth, shape, spec.around)
            except ShapeError as error:
                raise _CannotBuild(f"stage {index + 1}: {error.message}") from None
            numbers = plus(numbers, more)
        if blocks > MAX_BLOCKS:
            raise _CannotBuild(f"a network may have at most {MAX_BLOCKS:,} blocks")
        return plus(numbers, self._head(spec, base, shape).numbers)

    def _depend_on_place(self, spec: Spec) -> bool:
        """Whether what a block costs depends on how many stand before it."""
        return any(stage.model.definition.sizes_vary for stage in spec.stages)

    def _one_by_one(self, settings: tuple[Choice, ...]) -> Numbers:
        """The numbers of a variant whose blocks differ, each lowered for itself."""
        found = self._resolved(list(zip(self.axes, settings, strict=True)))
        if isinstance(found, str):
            raise _CannotBuild(found)
        try:
            return total(assemble(found))
        except ShapeError as error:
            raise _CannotBuild(error.message) from None

    def _profile(self, settings: tuple[Choice, ...]) -> _Profile | None:
        """What variants with these settings cost at any depth; None where there is no such form."""
        self._forget()
        try:
            base = self._blocks_of.of(settings)
            spec = self._base(base)
            if self._depend_on_place(spec):
                return None
            numbers, shape = self._stem(spec, base)
            steps, least = list[Numbers](), [1]
            for index, picker in enumerate(self._pickers):
                stage = self._stage(index, spec, base, picker.others.of(settings))
                line = self._costs.line(stage, shape, spec.around)
                if line is None:
                    return None
                numbers, shape = plus(numbers, line.base), line.output_shape
                steps.append(line.step)
                least.append(line.least)
            numbers = plus(numbers, self._head(spec, base, shape).numbers)
        except _CannotBuild:
            return None
        layers, params, multiply_adds = zip(numbers, *steps, strict=True)
        enough = None if max(least) == 1 else tuple(least)
        return _Profile(layers, params, multiply_adds, enough)

    def _depths(self, settings: tuple[Choice, ...]) -> tuple[int, ...] | None:
        """1, and how deep each stage is; None where they may not be."""
        try:
            spec = self._base(self._blocks_of.of(settings))
            depths = [
                self._depth(index, spec, picker.depth.of(settings))
                for index, picker in enumerate(self._pickers)
            ]
        except _CannotBuild:
            return None
        return (1, *depths) if sum(depths) <= MAX_BLOCKS else None

    def _forget(self) -> None:
        if len(self._stages) > _MOST_STAGES or len(self._costs) > _MOST_COSTS:
            for memory in (self._kinds, self._stages, self._ends):
                memory.clear()
            self._costs.forget()

    # What is varied

    def _base(self, blocks: tuple[Choice, ...]) -> Spec:
        """The spec with these block types, everything else as it says."""
        found = self._bases.get(blocks)
        if found is None:
            axes = [axis for axis in self.axes if axis.is_of_spec]
            found = self._bases[blocks] = self._resolved(list(zip(axes, blocks, strict=True)))
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _resolved(self, settings: Sequence[tuple[Axis, Choice]]) -> Spec | str:
        """The spec with some settings, or what is wrong with them."""
        overrides = [self._override(axis, choice) for axis, choice in settings]
        try:
            return resolve(self.source, [*self.changes, *overrides])
        except SpecError as error:
            return error.diagnostics[0].message

    def _override(self, axis: Axis, choice: Choice) -> Change:
        if axis.is_of_network:
            return Set((axis.attribute, str(choice) if isinstance(choice, Factor) else choice))
        stages = len(self.spec.stages)
        values = [choice if axis.concerns(number) else None for number in range(1, stages + 1)]
        return axis.attribute, choice if axis.stage is None else values

    def _depth(self, index: int, spec: Spec, choices: tuple[Choice, ...]) -> int:
        own = spec.stages[index].model.depth
        if not choices:
            return own
        (choice,) = choices
        depth = choice.of(own) if isinstance(choice, Factor) else choice
        if type(depth) is not int or not 1 <= depth <= MAX_BLOCKS:
            raise _CannotBuild(_complaint(spec, index, {"depth": depth}))
        return depth

    def _stage(
        self, index: int, spec: Spec, base: tuple[Choice, ...], choices: tuple[Choice, ...]
    ) -> Kind:
        """The stage at an index with these settings, checked as the spec's own are."""
        key = (index, base, choices, tuple(map(type, choices)))  # true is another than 1
        found = self._stages.get(key)
        if found is None:
            found = self._stages[key] = self._checked(index, spec, choices)
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _checked(self, index: int, spec: Spec, choices: tuple[Choice, ...]) -> Kind | str:
        own = spec.stages[index].model
        settings = dict(zip(self._pickers[index].others.places, choices, strict=True))
        changed: dict[str, object] = {}
        for place, choice in settings.items():
            name = self.axes[place].attribute
            if name == "block" or self._is_left_alone(self.axes[place], own, spec):
                continue
            changed[name] = choice
            if isinstance(choice, Factor):
                before = getattr(own, name, None)
                if not isinstance(before, (int, float)) or isinstance(before, bool):
                    return f"`{name}` of stage {index + 1} is not a number and cannot be multiplied"
                takes_any = "number" in kinds_of(type(own), name)
                changed[name] = choice.applied(before, whole=not takes_any)
        values = {name: getattr(own, name) for name in type(own).model_fields}
        try:
            model = type(own).model_validate({**values, **changed, "depth": 1})
        except ValidationError:
            return _complaint(spec, index, changed)
        return Kind(model, self._kinds.setdefault((model, _key(spec)), len(self._kinds)))

    def _is_left_alone(self, axis: Axis, own: Stage, spec: Spec) -> bool:
        """Whether a stage has no such attribute while others have, as with `--set`."""
        name = axis.attribute
        if axis.stage is not None or name in type(own).model_fields:
            return False
        return any(name in type(one.model).model_fields for one in spec.stages)

    # What stands around the stages

    def _stem(self, spec: Spec, base: tuple[Choice, ...]) -> Cost:
        return self._cached(base, lambda: self._costs.stem(spec))

    def _head(self, spec: Spec, base: tuple[Choice, ...], shape: Shape) -> Cost:
        return self._cached((base, shape), lambda: self._costs.head(spec, shape))

    def _cached(self, key: object, compute: Callable[[], Cost]) -> Cost:
        found = self._ends.get(key)
        if found is None:
            try:
                found = compute()
            except ShapeError as error:
                found = f"{error.whose}: {error.message}"
            self._ends[key] = found
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found


_Row = list[tuple[Choice, ...]]


def _rows(axes: Sequence[Axis]) -> Iterator[tuple[_Places, _Row]]:
    """Every combination of settings, those together that differ in the last axis alone, up to
    `_ROW` of them; the last of their places is the row's."""
    if not axes:
        yield (), [()]
        return
    *others, last = axes
    for places, settings in _product(others):
        values = iter(_listed(last))
        for number in count():
            row = [(*settings, choice) for choice in islice(values, _ROW)]
            if not row:
                break
            yield (*places, number), row


def _product(axes: Sequence[Axis]) -> Iterator[tuple[_Places, tuple[Choice, ...]]]:
    """Every combination of settings, none of them spelt out before it is asked for."""
    if not axes:
        yield (), ()
        return
    *others, last = axes
    for places, settings in _product(others):
        for place, choice in enumerate(_listed(last)):
            yield (*places, place), (*settings, choice)


def _listed(axis: Axis) -> Iterable[Choice]:
    """The values of an axis, spelt out if they are few."""
    return axis.spelt_out if axis.values.count <= _FEW else axis.values


def _key(spec: Spec) -> object:
    """What blocks may read of the network around them; axes may vary it."""
    around = spec.around
    own = (around.norm, around.activation, around.pre_activation, around.classes)
    return own, tuple(around.names.items())


def _taking(places: Sequence[int]) -> Callable[[_Places], object]:
    """What takes some items of a tuple."""
    return itemgetter(*places) if places else lambda _: None


def _complaint(spec: Spec, index: int, changed: Mapping[str, object]) -> str:
    """What archc says of a stage with settings that are not valid, as if a spec had them."""
    model = type(spec.stages[index].model)
    for name in changed:
        if name not in model.model_fields:
            block = spec.stages[index].model.block
            return f"stage {index + 1}: `{block}` stages have no attribute `{name}`"
    findings = Findings()
    entries = {name: locate_with(name, data)[1] for name, data in changed.items()}
    own = spec.stages[index].attributes
    validate(model, {**own, **entries}, spec.place, f"stage {index + 1}", findings)
    (first, *_) = findings.found.values()
    return f"stage {index + 1}: {first.message}"


class _CannotBuild(Exception):
    """A variant that no network can have."""


@dataclass(frozen=True, slots=True)
class _Picker:
    """Takes some items of a tuple, as a tuple however many they are."""

    places: tuple[int, ...]

    def of(self, row: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """The items."""
        return tuple([row[place] for place in self.places])


class _Pickers(NamedTuple):
    depth: _Picker
    others: _Picker
