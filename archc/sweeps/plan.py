"""The variants of a spec, counted without being compiled one by one.

A stage's blocks are lowered and counted once for each input that they meet, by the same functions
that compile them, and a variant's numbers are sums over its pieces: equal blocks are not counted
again, and nothing has a second formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple

from pydantic import ValidationError

from archc.blocks import MAX_BLOCKS, Stage
from archc.blocks.lowering import final_activation
from archc.compile import blocks_in_a_row
from archc.graph import Fragment, Shape, ShapeError
from archc.source.diagnostics import Findings
from archc.source.validate import validate
from archc.spec import Source, Spec, SpecError, resolve
from archc.spec.overrides import Override, locate_with
from archc.sweeps.axes import Axis, Choice, Factor

METRICS = ("layers", "params", "multiply_adds")
"""What variants are counted by."""

Numbers = tuple[int, int, int]
"""Layers, parameters, multiply-adds: in the order of `METRICS`."""

_NONE: Numbers = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: which one it is, counted from 0, what it sets, and its `METRICS`."""

    index: int
    settings: tuple[Choice, ...]
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Unbuildable:
    """A variant that no network can have, and why."""

    index: int
    settings: tuple[Choice, ...]
    reason: str


_MOST_STAGES, _MOST_COSTS = 20_000, 50_000
"""How many are remembered; then all are forgotten, which costs time, not memory."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage whatever its depth; those that lower alike share a ``kind``."""

    model: Stage
    kind: int


@dataclass(frozen=True, slots=True)
class _Costed:
    """What a piece costs, and the shape that it puts out."""

    numbers: Numbers
    output_shape: Shape


@dataclass
class Plan:
    """A spec's variants along some axes, in order, the last axis varying first.

    ``source`` is the spec's text, ``with_`` and ``input_`` what the command line says of it
    besides. Raises `SpecError` where the spec itself is at fault.
    """

    source: Source
    axes: Sequence[Axis]
    with_: Sequence[Override] = ()
    input_: str | None = None

    _kinds: dict[Stage, int] = field(default_factory=dict, init=False)
    _bases: dict[tuple[Choice, ...], Spec | str] = field(default_factory=dict, init=False)
    _stages: dict[object, _Stage | str] = field(default_factory=dict, init=False)
    _blocks: dict[tuple[int, Shape, int], _Costed] = field(default_factory=dict, init=False)
    _costs: dict[object, tuple[Numbers, Shape] | str] = field(default_factory=dict, init=False)

    @cached_property
    def spec(self) -> Spec:
        """The spec itself, nothing varied."""
        return resolve(self.source, self.with_, self.input_)

    @property
    def count(self) -> int:
        """How many variants there are."""
        return prod(axis.values.count for axis in self.axes)

    def variants(self) -> Iterator[Variant | Unbuildable]:
        """Every variant with its numbers, or with the reason why it cannot be built."""
        for index, settings in enumerate(self.settings()):
            try:
                numbers = self._numbers(settings)
            except _CannotBuild as error:
                yield Unbuildable(index, settings, str(error))
            else:
                yield Variant(index, settings, numbers)

    def settings(self) -> Iterator[tuple[Choice, ...]]:
        """What each variant sets, in order; uncounted."""
        return _product(self.axes)

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

    @cached_property
    def _blocks_of(self) -> _Picker:
        """What takes the block types from a variant's settings."""
        return _Picker(tuple(i for i, axis in enumerate(self.axes) if axis.attribute == "block"))

    @cached_property
    def _pickers(self) -> list[_Pickers]:
        """For each stage what takes its settings from a variant's."""
        pickers = []
        for number in range(1, len(self.spec.stages) + 1):
            mine = [i for i, axis in enumerate(self.axes) if axis.concerns(number)]
            depths = tuple(i for i in mine if self.axes[i].attribute == "depth")
            others = tuple(i for i in mine if self.axes[i].attribute != "depth")
            pickers.append(_Pickers(_Picker(depths), _Picker(others)))
        return pickers

    def _numbers(self, settings: tuple[Choice, ...]) -> Numbers:
        if len(self._stages) > _MOST_STAGES or len(self._costs) > _MOST_COSTS:
            self._forget()
        base = self._blocks_of.of(settings)
        spec = self._base(base)
        (layers, params, multiply_adds), shape = self._cost_of_stem(spec, base)
        blocks = 0
        for index, picker in enumerate(self._pickers):
            stage = self._stage(index, spec, base, picker.others.of(settings))
            depth = self._depth(index, spec, picker.depth.of(settings))
            blocks += depth
            try:
                more, shape = self._cost_of_stage(stage, depth, shape, spec)
            except ShapeError as error:
                raise _CannotBuild(f"stage {index + 1}: {error.message}") from None
            layers += more[0]
            params += more[1]
            multiply_adds += more[2]
        if blocks > MAX_BLOCKS:
            raise _CannotBuild(f"a network may have at most {MAX_BLOCKS:,} blocks")
        more, _ = self._cost_of_head(spec, base, shape)
        return layers + more[0], params + more[1], multiply_adds + more[2]

    def _forget(self) -> None:
        for memory in (self._kinds, self._stages, self._blocks, self._costs):
            memory.clear()

    # What is varied

    def _base(self, blocks: tuple[Choice, ...]) -> Spec:
        """The spec with these block types, everything else as it says."""
        found = self._bases.get(blocks)
        if found is None:
            axes = [axis for axis in self.axes if axis.attribute == "block"]
            found = self._bases[blocks] = self._resolved(list(zip(axes, blocks, strict=True)))
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _resolved(self, settings: Sequence[tuple[Axis, Choice]]) -> Spec | str:
        """The spec with some settings, or what is wrong with them."""
        overrides = [self._override(axis, choice) for axis, choice in settings]
        try:
            return resolve(self.source, [*self.with_, *overrides], self.input_)
        except SpecError as error:
            return error.diagnostics[0].message

    def _override(self, axis: Axis, choice: Choice) -> tuple[str, object]:
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
    ) -> _Stage:
        """The stage at an index with these settings, checked as the spec's own are."""
        key = (index, base, choices, tuple(map(type, choices)))  # true is another than 1
        found = self._stages.get(key)
        if found is None:
            found = self._stages[key] = self._checked(index, spec, choices)
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _checked(self, index: int, spec: Spec, choices: tuple[Choice, ...]) -> _Stage | str:
        own = spec.stages[index].model
        settings = dict(zip(self._pickers[index].others.places, choices, strict=True))
        changed: dict[str, object] = {}
        for place, choice in settings.items():
            name = self.axes[place].attribute
            if name == "block":
                continue
            changed[name] = choice
            if isinstance(choice, Factor):
                before = getattr(own, name, None)
                if not isinstance(before, int) or isinstance(before, bool):
                    return f"`{name}` of stage {index + 1} is not a number and cannot be multiplied"
                changed[name] = choice.of(before)
        values = {name: getattr(own, name) for name in type(own).model_fields}
        try:
            model = type(own).model_validate({**values, **changed, "depth": 1})
        except ValidationError:
            return _complaint(spec, index, changed)
        return _Stage(model, self._kinds.setdefault(model, len(self._kinds)))

    # What it costs

    def _cost_of_stem(self, spec: Spec, base: tuple[Choice, ...]) -> tuple[Numbers, Shape]:
        return self._cached(("stem", base), lambda: self._layers(spec, "stem", spec.header.input))

    def _cost_of_head(
        self, spec: Spec, base: tuple[Choice, ...], shape: Shape
    ) -> tuple[Numbers, Shape]:
        return self._cached(("head", base, shape), lambda: self._head(spec, shape))

    def _cached(
        self, key: object, compute: Callable[[], tuple[Numbers, Shape]]
    ) -> tuple[Numbers, Shape]:
        found = self._costs.get(key)
        if found is None:
            try:
                found = compute()
            except _CannotBuild as error:
                found = str(error)
            self._costs[key] = found
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _cost_of_stage(
        self, stage: _Stage, depth: int, shape: Shape, spec: Spec
    ) -> tuple[Numbers, Shape]:
        """The blocks of a stage, one behind the other, and what ends it; raises `ShapeError`."""

        def lower(x: Shape, stride: int) -> _Costed:
            key = (stage.kind, x, stride)
            if key not in self._blocks:
                piece = stage.model.lower(x, stride, spec.style)
                self._blocks[key] = _Costed(_cost(piece), piece.output_shape)
            return self._blocks[key]

        total = _NONE
        for _, times, block in blocks_in_a_row(depth, stage.model.stride, shape, lower):
            total, shape = _sum(total, _times(block.numbers, times)), block.output_shape
        more, shape = self._end(stage, shape)
        return _sum(total, more), shape

    def _end(self, stage: _Stage, shape: Shape) -> tuple[Numbers, Shape]:
        key = (stage.kind, shape)
        if key not in self._costs:
            end = stage.model.finish(shape)
            self._costs[key] = (_NONE, shape) if end is None else (_cost(end), end.output_shape)
        found = self._costs[key]
        assert not isinstance(found, str)
        return found

    def _head(self, spec: Spec, shape: Shape) -> tuple[Numbers, Shape]:
        total = _NONE
        if spec.style.pre_activation and spec.stages:
            piece = final_activation(shape, spec.style)
            total, shape = _cost(piece), piece.output_shape
        more, shape = self._layers(spec, "head", shape)
        return _sum(total, more), shape

    def _layers(self, spec: Spec, part: str, shape: Shape) -> tuple[Numbers, Shape]:
        total = _NONE
        for layer in spec.stem if part == "stem" else spec.head:
            try:
                piece = layer.model.lower(shape, spec.surroundings)
            except ShapeError as error:
                raise _CannotBuild(f"`{layer.word}`: {error.message}") from None
            total, shape = _sum(total, _cost(piece)), piece.output_shape
        return total, shape


def _product(axes: Sequence[Axis]) -> Iterator[tuple[Choice, ...]]:
    """Every combination of settings, no axis being spelt out."""
    if not axes:
        yield ()
        return
    first, *rest = axes
    for choice in first.values:
        for others in _product(rest):
            yield (choice, *others)


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


def _cost(piece: Fragment) -> Numbers:
    """The numbers of a piece of graph: sums over its ops, and the layers on its longest way."""
    depths = {Fragment.INPUT: 0}
    params = multiply_adds = layers = 0
    for step in piece.steps:
        layers = max(depths[source] for source in step.inputs)
        layers += step.op.is_layer
        depths[step.name] = layers
        params += step.op.params
        multiply_adds += step.op.multiply_adds(step.output_shape)
    return layers, params, multiply_adds


def _sum(a: Numbers, b: Numbers) -> Numbers:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _times(a: Numbers, count: int) -> Numbers:
    return a[0] * count, a[1] * count, a[2] * count
