"""What pieces of a network cost: layers, parameters and multiply-adds, and how they add up.

The pieces are those that compiling joins (`archc.assembly`); here their numbers are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import field
from typing import NamedTuple

from archc.assembly import Piece, blocks_in_a_row, head_pieces, stem_pieces
from archc.blocks import MAX_BLOCKS, Around, Stage
from archc.dataclassing import dataclass
from archc.graph import Fragment, Shape, ShapeError
from archc.graph.trunk import trunk
from archc.spec import Spec

Numbers = tuple[int, int, int]
"""Layers, parameters, multiply-adds."""

NONE: Numbers = (0, 0, 0)

_MOST_UNEQUAL = 8
"""How many unequal blocks a stage may begin with and still be taken for a line."""


class Cost(NamedTuple):
    """What a piece costs, and the shape that it puts out."""

    numbers: Numbers
    output_shape: Shape


class Line(NamedTuple):
    """What a stage costs as its depth grows, from ``least`` on: ``base`` and so often ``step``."""

    least: int
    base: Numbers
    step: Numbers
    output_shape: Shape


@dataclass(frozen=True, slots=True)
class Kind:
    """A stage whatever its depth; those that lower alike share a ``number``."""

    model: Stage
    number: int


@dataclass
class Costs:
    """What parts of a network cost, each kind of block counted once for each input it meets."""

    _blocks: dict[object, Cost] = field(default_factory=dict)
    _ends: dict[object, Cost] = field(default_factory=dict)
    _lines: dict[object, Line | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._blocks) + len(self._ends) + len(self._lines)

    def forget(self) -> None:
        """Start anew, with nothing counted."""
        for memory in (self._blocks, self._ends, self._lines):
            memory.clear()

    def stem(self, spec: Spec) -> Cost:
        """The layers before the stages. Raises `ShapeError`."""
        return _sum(stem_pieces(spec))

    def head(self, spec: Spec, x: Shape) -> Cost:
        """What comes after the stages. Raises `ShapeError`."""
        return _sum(head_pieces(spec, x))

    def stage(self, kind: Kind, depth: int, x: Shape, around: Around) -> Cost:
        """The blocks of a stage, one after the other, and what ends it. Raises `ShapeError`."""
        numbers = NONE
        lower = self._lower(kind, around)
        for _, times, block in blocks_in_a_row(depth, kind.model.stride, x, lower):
            numbers, x = plus(numbers, block.numbers, times), block.output_shape
        end = self._end(kind, x, around)
        return Cost(plus(numbers, end.numbers), end.output_shape)

    def line(self, kind: Kind, x: Shape, around: Around) -> Line | None:
        """The cost as a line over the depth; None where no two blocks are equal, or one cannot be
        built."""
        key = (kind.number, x)
        if key not in self._lines:
            try:
                self._lines[key] = self._line(kind, x, around)
            except ShapeError:
                self._lines[key] = None
        return self._lines[key]

    def _line(self, kind: Kind, x: Shape, around: Around) -> Line | None:
        base = NONE
        lower = self._lower(kind, around)
        for before, times, block in blocks_in_a_row(MAX_BLOCKS, kind.model.stride, x, lower):
            if times > 1:
                end = self._end(kind, block.output_shape, around)
                base = plus(plus(base, block.numbers, -before), end.numbers)
                return Line(max(before, 1), base, block.numbers, end.output_shape)
            if before == _MOST_UNEQUAL:
                break
            base = plus(base, block.numbers)
        return None

    def _lower(self, kind: Kind, around: Around) -> Callable[[Shape, int, int], Cost]:
        def lower(x: Shape, stride: int, _block: int) -> Cost:
            key = (kind.number, x, stride)
            if key not in self._blocks:
                self._blocks[key] = _cost(kind.model.lower(x, stride, around))
            return self._blocks[key]

        return lower

    def _end(self, kind: Kind, x: Shape, around: Around) -> Cost:
        key = (kind.number, x)
        if key not in self._ends:
            end = kind.model.finish(x, around)
            self._ends[key] = Cost(NONE, x) if end is None else _cost(end)
        return self._ends[key]


def plus(a: Numbers, b: Numbers, times: int = 1) -> Numbers:
    """``a + b * times``."""
    return a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times


def total(pieces: Iterable[Piece]) -> Numbers:
    """What pieces cost together."""
    numbers = NONE
    for piece in pieces:
        numbers = plus(numbers, _cost(piece.fragment).numbers, piece.times)
    return numbers


def _sum(pieces: Generator[Piece, None, Shape]) -> Cost:
    """The cost of pieces one after the other."""
    numbers = NONE
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            return Cost(numbers, end.value)
        numbers = plus(numbers, _cost(piece.fragment).numbers, piece.times)


def _cost(fragment: Fragment) -> Cost:
    """Sums over a fragment's ops, and the layers on its longest path; side heads, which are not
    computed in inference, have parameters alone."""
    sides = tuple([f"{side.name}." for side in fragment.sides])
    depths = {Fragment.INPUT: 0}
    shapes = {Fragment.INPUT: fragment.input_shape}
    sources: dict[str, tuple[str, ...]] = {Fragment.INPUT: ()}
    params = multiply_adds = layers = 0
    for step in fragment.steps:
        ways = trunk(step.op, step.inputs, shapes.__getitem__, sources.__getitem__)
        layers = max(depths[source] for source in ways)
        shapes[step.name], sources[step.name] = step.output_shape, step.inputs
        layers += step.op.is_layer
        depths[step.name] = layers
        params += step.op.params
        if not (sides and step.name.startswith(sides)):
            multiply_adds += step.op.multiply_adds(step.output_shape)
    layers = depths[fragment.output]
    return Cost((layers, params, multiply_adds), fragment.output_shape)
