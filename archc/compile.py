"""Spec into Network: the stem, the stages through their block types, the head."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, Protocol, TypeAlias, TypeVar

from archc.blocks.lowering import final_activation
from archc.graph import Fragment, Network, NetworkBuilder, Origin, Region, Shape, ShapeError, lint
from archc.naming import Names
from archc.spec import Place, Spec
from archc.spec.models import PlacedLayer, PlacedStage
from archc.spec.shapes import shape_faults


def compile_spec(spec: Spec) -> Network:
    """The network that a spec describes.

    Raises `SpecError` where stages or layers cannot take the shapes that reach them.
    """
    made = _Joining(Names.of(spec), NetworkBuilder(spec.header.input))
    try:
        made.join(assemble(spec))
    except ShapeError:
        raise shape_faults(spec) from None
    return lint(
        Network(
            name=spec.header.name,
            nodes=made.nodes.nodes,
            title=spec.header.title or spec.header.name,
            description=spec.header.description,
            source=spec.label,
            digest=spec.digest,
            regions=tuple(made.regions),
        )
    )


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
    shape: Shape = spec.header.input
    shape = yield from _layers(spec, spec.stem, "stem", shape)
    lowered: dict[object, Fragment] = {}
    for number, stage in enumerate(spec.stages, 1):
        shape = yield from _stage(spec, stage, number, shape, lowered)
    if spec.style.pre_activation and spec.stages:
        end = final_activation(shape, spec.style)
        yield Piece(end, "head", spec.entries["pre_activation"].key)
        shape = end.output_shape
    yield from _layers(spec, spec.head, "head", shape)


_Pieces: TypeAlias = Generator[Piece, None, Shape]
"""Pieces one after another; what is returned is the shape behind them."""


def _layers(
    spec: Spec, layers: Sequence[PlacedLayer], part: Literal["stem", "head"], x: Shape
) -> _Pieces:
    for layer in layers:
        fragment = layer.model.lower(x, spec.surroundings)
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


@dataclass
class _Joining:
    """A network's nodes and regions as its pieces are put together."""

    names: Names
    nodes: NetworkBuilder
    regions: list[Region] = field(default_factory=list)

    def join(self, pieces: Iterator[Piece]) -> None:
        """Put pieces behind what there is, each part of the network a region."""
        for (part, number), run in groupby(pieces, lambda piece: (piece.part, piece.stage)):
            members: list[Region] = []
            width: int | None = None
            for piece in run:
                members += self._one(piece)
                width = piece.width
            attributes = {} if width is None else {"width": width}
            self.regions.append(Region(part, tuple(members), number, attributes=attributes))

    def _one(self, piece: Piece) -> Iterator[Region]:
        """Append a piece; yields the region of each time that it stands there."""
        fragment, label = piece.fragment, piece.fragment.label
        origin = Origin(piece.place.source.name, piece.place.line, piece.place.column)
        if piece.stage is not None and piece.block is not None:
            for block in range(piece.block, piece.block + piece.times):
                ids = self.nodes.append(fragment, self.names.in_block(piece.stage, block))
                yield Region("block", ids, block, label, origin=origin)
            return
        if piece.stage is not None:
            place = self.names.in_stage(piece.stage)
        else:
            place = self.names.stem if piece.part == "stem" else self.names.head
        ids = self.nodes.append(fragment, place)
        if ids:
            yield Region("group", ids, label=label, origin=origin)
