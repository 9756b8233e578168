"""Spec into pieces of graph: the stem, the stages through their block types, the head.

`assemble` yields them in order. Compiling joins them into a network, a sweep sums what they cost;
neither goes through a spec in a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Literal, Protocol, TypeAlias, TypeVar

from archc.blocks.layers import activate
from archc.blocks.lowering import MAX_OPS, Making, Module, Movable, Outside, lower_row
from archc.blocks.tree import rows_of
from archc.dataclassing import dataclass
from archc.graph import Fragment, Shape, ShapeError
from archc.spec import Place, Spec
from archc.spec.models import PlacedStage, word_of


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment in its place: layers, equal blocks in a row, or what ends a stage.

    It stands there ``times`` times, each reading the one before. ``stage`` counts from 1;
    ``block`` is the first block of those in a row, from 0.
    """

    fragment: Fragment
    part: Literal["stem", "stage", "head"]
    place: Place
    times: int = 1
    stage: int | None = None
    block: int | None = None
    width: int | None = None


def assemble(spec: Spec) -> Iterator[Piece]:
    """The pieces of a spec's network, from the image on. Raises `ShapeError`."""
    module = Outside()
    shape = yield from stem_pieces(spec, module)
    lowered: dict[object, Movable] = {}
    first = ops = 0
    for number, stage in enumerate(spec.stages, 1):
        pieces = _stage(spec, stage, number, first, shape, lowered)
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                shape = end.value
                break
            except ShapeError as error:
                error.whose = f"stage {number}"
                raise
            ops += len(piece.fragment.steps) * piece.times
            if ops > MAX_OPS:
                raise ShapeError(f"a network may have at most {MAX_OPS:,} ops")
            yield piece
        first += stage.model.depth
    yield from head_pieces(spec, shape, module)


_Pieces: TypeAlias = Generator[Piece, None, Shape]
"""Pieces one after another; what is returned is the shape that they put out."""


def stem_pieces(spec: Spec, module: Module | None = None) -> _Pieces:
    """The layers before the stages. Raises `ShapeError`."""
    return (yield from _layers(spec, "stem", spec.header.input, module))


def head_pieces(spec: Spec, x: Shape, module: Module | None = None) -> _Pieces:
    """What comes after the stages, which put out a shape ``x``. Raises `ShapeError`."""
    if spec.header.pre_activation and spec.stages:
        end = final_activation(spec, x)
        yield Piece(end, "head", spec.entries["pre_activation"].key)
        x = end.output_shape
    return (yield from _layers(spec, "head", x, module))


def final_activation(spec: Spec, x: Shape) -> Fragment:
    """What ends a pre-activation network's stages (He et al. 2016, appendix)."""
    made = Making(x, spec.around)
    if spec.norm is not None:
        made.add(spec.norm.family, spec.norm.op(x[0]))
    activate(made, "network")
    return made.build()


def _layers(spec: Spec, part: Literal["stem", "head"], x: Shape, module: Module | None) -> _Pieces:
    channels = x[0]
    for row in rows_of(spec.row(part)):
        try:
            fragment = lower_row(row, x, spec.around, module, channels)
        except ShapeError as error:
            error.whose = f"`{word_of(row[0])}`"
            raise
        yield Piece(fragment, part, row[0].place)
        x = fragment.output_shape
    return x


def _stage(
    spec: Spec,
    stage: PlacedStage,
    number: int,
    first: int,
    x: Shape,
    lowered: dict[object, Movable],
) -> _Pieces:
    model, around = stage.model, spec.around
    varies = model.definition.varies
    key = (type(model), model.model_copy(update={"depth": 1}))

    def lower(x: Shape, stride: int, block: int) -> Fragment:
        # Equal blocks are lowered once, those of equal stages too: a block depends on its stage,
        # its input's shape and its stride, and on its place only where it says so.
        place = first + block if varies else 0
        if varies and model.definition.moves:
            if (key, x, stride) in lowered:
                with suppress(ShapeError):  # which has to be said of the whole block
                    return lowered[key, x, stride].at(place)
            lowered[key, x, stride] = made = model.lower_movable(x, stride, around, place)
            return made.fragment
        if (key, x, stride, place) not in lowered:
            lowered[key, x, stride, place] = model.lower_movable(x, stride, around, place)
        return lowered[key, x, stride, place].fragment

    for block, times, fragment in blocks_in_a_row(
        model.depth, model.stride, x, lower, varies=varies
    ):
        width = model.width_or(fragment.output_shape[0])
        yield Piece(fragment, "stage", stage.place, times, number, block, width)
        x = fragment.output_shape
    end = model.finish(x, around)
    if end is not None and end.steps:
        yield Piece(end, "stage", stage.place, stage=number, width=model.width_or(x[0]))
        x = end.output_shape
    return x


class _Shaped(Protocol):
    @property
    def output_shape(self) -> Shape: ...


_Lowered = TypeVar("_Lowered", bound=_Shaped)


def blocks_in_a_row(
    depth: int,
    stride: int,
    x: Shape,
    lower: Callable[[Shape, int, int], _Lowered],
    *,
    varies: bool = False,
) -> Iterator[tuple[int, int, _Lowered]]:
    """The blocks of a stage on an input of shape ``x``: the first of each run of equal ones, from
    0, how many they are, and what they are lowered to.

    Once a block puts out the shape that it takes, all that follow are equal, unless a block
    ``varies`` with its place.
    """
    block = 0
    while block < depth:
        made = lower(x, stride, block)
        same = stride == 1 and made.output_shape == x and not varies
        times = depth - block if same else 1
        yield block, times, made
        block, stride, x = block + times, 1, made.output_shape
