"""Spec into Network: its pieces joined, named and given their places in the tree of regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from archc.assembly import Piece, assemble
from archc.graph import Network, NetworkBuilder, Origin, Region, ShapeError, lint
from archc.naming import Names
from archc.spec import Spec


def compile_spec(spec: Spec) -> Network:
    """The network that a spec describes.

    Raises `SpecError` where stages or layers cannot take the shapes that reach them.
    """
    made = _Joining(Names.of(spec), NetworkBuilder(spec.header.input))
    try:
        made.join(assemble(spec))
    except ShapeError:
        from archc.spec.shapes import shape_faults

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
