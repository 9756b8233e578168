"""Spec into pieces of graph: the stem, the stages through their block types, the head.

`assemble` yields them in order. Compiling joins them into a network, a sweep sums what they cost;
neither goes through a spec in a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar

from archc.blocks.lowering import final_activation
from archc.graph import Fragment, Shape, ShapeError
from archc.spec import Place, Spec
from archc.spec.models import PlacedLayer, PlacedStage


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment in its place: a layer, equal blocks in a row, or what ends a stage.

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
    shape = yield from stem_pieces(spec)
    lowered: dict[object, Fragment] = {}
    for number, stage in enumerate(spec.stages, 1):
        shape = yield from _stage(spec, stage, number, shape, lowered)
    yield from head_pieces(spec, shape)


_Pieces: TypeAlias = Generator[Piece, None, Shape]
"""Pieces one after another; what is returned is the shape that they put out."""


def stem_pieces(spec: Spec) -> _Pieces:
    """The layers before the stages. Raises `ShapeError`."""
    return (yield from _layers(spec, spec.stem, "stem", spec.header.input))


def head_pieces(spec: Spec, x: Shape) -> _Pieces:
    """What comes after the stages, which put out a shape ``x``. Raises `ShapeError`."""
    if spec.style.pre_activation and spec.stages:
        end = final_activation(x, spec.style)
        yield Piece(end, "head", spec.entries["pre_activation"].key)
        x = end.output_shape
    return (yield from _layers(spec, spec.head, "head", x))


def _layers(
    spec: Spec, layers: Sequence[PlacedLayer], part: Literal["stem", "head"], x: Shape
) -> _Pieces:
    for layer in layers:
        try:
            fragment = layer.model.lower(x, spec.surroundings)
        except ShapeError as error:
            error.whose = f"`{layer.word}`"
            raise
        yield Piece(fragment, part, layer.place)
        x = fragment.output_shape
    return x


def _stage(
    spec: Spec, stage: PlacedStage, number: int, x: Shape, lowered: dict[object, Fragment]
) -> _Pieces:
    model = stage.model
    key = (type(model), model.model_dump_json(exclude={"depth"}))

    def lower(x: Shape, stride: int) -> Fragment:
        # Equal blocks are lowered once, those of equal stages too: a block depends on its stage,
        # its input's shape and its stride.
        if (key, x, stride) not in lowered:
            lowered[key, x, stride] = model.lower(x, stride, spec.style)
        return lowered[key, x, stride]

    for block, times, fragment in blocks_in_a_row(model.depth, model.stride, x, lower):
        yield Piece(fragment, "stage", stage.place, times, number, block, model.width)
        x = fragment.output_shape
    end = model.finish(x)
    if end is not None:
        yield Piece(end, "stage", stage.place, stage=number, width=model.width)
        x = end.output_shape
    return x


class _Shaped(Protocol):
    @property
    def output_shape(self) -> Shape: ...


_Lowered = TypeVar("_Lowered", bound=_Shaped)


def blocks_in_a_row(
    depth: int, stride: int, x: Shape, lower: Callable[[Shape, int], _Lowered]
) -> Iterator[tuple[int, int, _Lowered]]:
    """The blocks of a stage on an input of shape ``x``: the first of each run of equal ones, from
    0, how many they are, and what they are lowered to.

    Once a block puts out the shape that it takes, all that follow are equal.
    """
    block = 0
    while block < depth:
        made = lower(x, stride)
        times = depth - block if stride == 1 and made.output_shape == x else 1
        yield block, times, made
        block, stride, x = block + times, 1, made.output_shape
