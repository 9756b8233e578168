"""The variants of a spec, counted without being compiled one by one.

A stage's blocks are lowered and counted once for each input that they meet, by the same functions
that compile them, and a variant's numbers are sums over its pieces: equal blocks are not counted
again, and nothing has a second formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod

from pydantic import ValidationError

from archc.blocks import MAX_BLOCKS, Stage
from archc.compile import final_activation
from archc.graph import Fragment, Shape, ShapeError
from archc.graph.ops import Conv2d, Linear
from archc.spec import Source, Spec, SpecError, resolve
from archc.spec.overrides import Override
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


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage of a variant; stages that differ in depth alone share a ``kind``."""

    model: Stage
    depth: int
    kind: int


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
    _costs: dict[object, tuple[Numbers, Shape] | str] = field(default_factory=dict, init=False)

    @cached_property
    def spec(self) -> Spec:
        """The spec itself, nothing varied."""
        return resolve(self.source, self.with_, self.input_)

    @property
    def count(self) -> int:
        """How many variants there are."""
        return prod(len(axis.values) for axis in self.axes)

    def variants(self) -> Iterator[Variant | Unbuildable]:
        """Every variant with its numbers, or with the reason why it cannot be built."""
        picks = [self._picker(number) for number in range(1, len(self.spec.stages) + 1)]
        base = [i for i, axis in enumerate(self.axes) if axis.attribute == "block"]
        for index, settings in enumerate(product(*(axis.values for axis in self.axes))):
            try:
                key = tuple([settings[i] for i in base])
                numbers = self._numbers(self._base(key), key, settings, picks)
            except _CannotBuild as error:
                yield Unbuildable(index, settings, str(error))
            else:
                yield Variant(index, settings, numbers)

    def stages(self, settings: tuple[Choice, ...]) -> list[Stage]:
        """The stages of a variant that can be built."""
        base = tuple(
            setting
            for axis, setting in zip(self.axes, settings, strict=True)
            if axis.attribute == "block"
        )
        spec = self._base(base)
        picks = [self._picker(number) for number in range(1, len(spec.stages) + 1)]
        return [self._stage(i, spec, base, pick(settings)).model for i, pick in enumerate(picks)]

    def _picker(self, number: int) -> _Picker:
        """What takes the settings of a stage from those of a variant."""
        return _Picker(tuple([i for i, axis in enumerate(self.axes) if axis.concerns(number)]))

    def _numbers(
        self,
        spec: Spec,
        base: tuple[Choice, ...],
        settings: tuple[Choice, ...],
        picks: Sequence[_Picker],
    ) -> Numbers:
        (layers, params, multiply_adds), shape = self._cost_of_stem(spec, base)
        blocks = 0
        for index, pick in enumerate(picks):
            stage = self._stage(index, spec, base, pick(settings))
            blocks += stage.depth
            more, shape = self._cost_of_stage(index, stage, shape, spec)
            layers += more[0]
            params += more[1]
            multiply_adds += more[2]
        if blocks > MAX_BLOCKS:
            raise _CannotBuild(f"a network may have at most {MAX_BLOCKS:,} blocks")
        more, _ = self._cost_of_head(spec, base, shape)
        return layers + more[0], params + more[1], multiply_adds + more[2]

    # What is varied

    def _base(self, blocks: tuple[Choice, ...]) -> Spec:
        """The spec with these block types, everything else as it says."""
        found = self._bases.get(blocks)
        if found is None:
            axes = [axis for axis in self.axes if axis.attribute == "block"]
            found = self._bases[blocks] = self._resolved(dict(zip(axes, blocks, strict=True)))
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

    def _resolved(self, settings: Mapping[Axis, Choice]) -> Spec | str:
        """The spec with some settings, or what is wrong with them."""
        overrides = [self._override(axis, choice) for axis, choice in settings.items()]
        try:
            return resolve(self.source, [*self.with_, *overrides], self.input_)
        except SpecError as error:
            return error.diagnostics[0].message

    def _override(self, axis: Axis, choice: Choice) -> tuple[str, object]:
        stages = len(self.spec.stages)
        values = [choice if axis.concerns(number) else None for number in range(1, stages + 1)]
        return axis.attribute, choice if axis.stage is None else values

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
        axes = [axis for axis in self.axes if axis.concerns(index + 1)]
        values = {name: getattr(own, name) for name in type(own).model_fields}
        for axis, choice in zip(axes, choices, strict=True):
            if axis.attribute == "block":
                continue
            before = values.get(axis.attribute)
            if isinstance(choice, Factor):
                if not isinstance(before, int) or isinstance(before, bool):
                    return f"`{axis.attribute}` of stage {index + 1} is no number to multiply"
                choice = choice.of(before)
            values[axis.attribute] = choice
        try:
            model = type(own).model_validate(values)
        except ValidationError:
            return self._complaint(index, spec, axes, values)
        # Stages of every depth are made of the same blocks.
        kind = self._kinds.setdefault(model.model_copy(update={"depth": 1}), len(self._kinds))
        return _Stage(model, model.depth, kind)

    def _complaint(
        self, index: int, spec: Spec, axes: Sequence[Axis], values: Mapping[str, object]
    ) -> str:
        """What archc says of a stage that is not valid, as if it were written in a spec."""
        stages = len(spec.stages)
        overrides: list[Override] = [
            (
                axis.attribute,
                [values[axis.attribute] if i == index else None for i in range(stages)],
            )
            for axis in axes
        ]
        try:
            resolve(self.source, [*self.with_, *overrides], self.input_)
        except SpecError as error:
            return f"stage {index + 1}: {error.diagnostics[0].message}"
        raise AssertionError("a stage that pydantic refuses is a mistake in a spec")

    # What it costs

    def _cost_of_stem(self, spec: Spec, base: tuple[Choice, ...]) -> tuple[Numbers, Shape]:
        return self._cached(("stem", base), lambda: self._layers(spec, "stem", spec.header.input))

    def _cost_of_head(
        self, spec: Spec, base: tuple[Choice, ...], shape: Shape
    ) -> tuple[Numbers, Shape]:
        return self._cached(("head", base, shape), lambda: self._head(spec, shape))

    def _cost_of_stage(
        self, index: int, stage: _Stage, shape: Shape, spec: Spec
    ) -> tuple[Numbers, Shape]:
        key = (stage.kind, stage.depth, shape)
        found = self._costs.get(key)
        if found is None:
            try:
                found = self._blocks(stage, shape, spec)
            except ShapeError as error:
                found = f"stage {index + 1}: {error.message}"
            self._costs[key] = found
        if isinstance(found, str):
            raise _CannotBuild(found)
        return found

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

    def _blocks(self, stage: _Stage, shape: Shape, spec: Spec) -> tuple[Numbers, Shape]:
        """The blocks of a stage, one behind the other, and what ends it."""
        total, model = _NONE, stage.model
        for index in range(stage.depth):
            more, after = self._block(stage, shape, model.stride if index == 0 else 1, spec)
            if index and after == shape:  # so will all that follow
                total = _sum(total, _times(more, stage.depth - index))
                break
            total, shape = _sum(total, more), after
        end = model.finish(shape)
        return (total, shape) if end is None else (_sum(total, _cost(end)), end.output_shape)

    def _block(self, stage: _Stage, shape: Shape, stride: int, spec: Spec) -> tuple[Numbers, Shape]:
        key = ("block", stage.kind, shape, stride)
        found = self._costs.get(key)
        if found is None:
            piece = stage.model.lower(shape, stride, spec.style)
            found = self._costs[key] = (_cost(piece), piece.output_shape)
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


class _CannotBuild(Exception):
    """A variant that no network can have."""


@dataclass(frozen=True, slots=True)
class _Picker:
    """Takes some items of a tuple, as a tuple however many they are."""

    places: tuple[int, ...]

    def __call__(self, row: tuple[Choice, ...]) -> tuple[Choice, ...]:
        return tuple([row[place] for place in self.places])


def _cost(piece: Fragment) -> Numbers:
    """The numbers of a piece of graph: sums over its ops, and the layers on its longest way."""
    depths = {Fragment.INPUT: 0}
    params = multiply_adds = layers = 0
    for step in piece.steps:
        layers = max(depths[source] for source in step.inputs)
        layers += isinstance(step.op, (Conv2d, Linear))
        depths[step.name] = layers
        params += step.op.params
        multiply_adds += step.op.multiply_adds(step.output_shape)
    return layers, params, multiply_adds


def _sum(a: Numbers, b: Numbers) -> Numbers:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _times(a: Numbers, count: int) -> Numbers:
    return a[0] * count, a[1] * count, a[2] * count
