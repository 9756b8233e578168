"""Spec into Network: its pieces joined, named and given their places in the tree of regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import groupby
from typing import NoReturn

from archc.assembly import Piece, assemble
from archc.blocks.tree import Expr
from archc.dataclassing import dataclass
from archc.graph import Network, NetworkBuilder, Origin, Region, ShapeError, Step, Written, lint
from archc.graph.initial import Rule
from archc.naming import Names
from archc.source.diagnostics import Note, SpecError, fail
from archc.spec import Spec
from archc.text import quote


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
    return _network(spec, made)


@dataclass(frozen=True)
class Beginning:
    """The network of a spec up to its first fault of shapes or names.

    ``where`` is what has the fault, ``stage 3`` or a layer, and ``message`` what is wrong; both
    are empty where there is none.
    """

    network: Network
    where: str = ""
    message: str = ""


def compile_beginning(spec: Spec) -> Beginning:
    """As much of a spec's network as comes before its first fault, be it nothing but the image."""
    names = Names.of(spec)
    pieces: list[Piece] = []
    where = message = ""
    try:
        pieces.extend(assemble(spec))  # those before a fault stay in the list
    except ShapeError as error:
        where, message = error.whose, error.message
    taken: list[Piece] = []

    def joined(pieces: Iterator[Piece]) -> Network:
        made = _Joining(names, NetworkBuilder(spec.header.input))
        made.join(pieces)
        return _network(spec, made)

    def noted() -> Iterator[Piece]:
        for piece in pieces:
            taken.append(piece)
            yield piece

    try:
        return Beginning(joined(noted()), where, message)
    except SpecError as error:  # two layers of one name, of which the last piece has the second
        last = taken.pop()
        where = last.part if last.stage is None else f"stage {last.stage}"
        return Beginning(joined(iter(taken)), where, error.diagnostics[0].message)


def _network(spec: Spec, made: _Joining) -> Network:
    network = Network(
        name=spec.header.name,
        nodes=made.nodes.nodes,
        title=spec.header.title or spec.header.name,
        description=spec.header.description,
        source=spec.label,
        digest=spec.digest,
        regions=tuple(made.regions),
        initial=replace(spec.initial, own=made.rules),
        written=made.written,
        sides=tuple(made.nodes.sides),
    )
    if network.sides:
        turn = {id: index for index, id in enumerate(network.nodes)}
        order = sorted(network.sides, key=lambda side: turn[network.side_source(side)])
        network = replace(network, sides=tuple(order))
    return lint(network)


@dataclass
class _Joining:
    """A network's nodes and regions as its pieces are put together."""

    names: Names
    nodes: NetworkBuilder
    regions: list[Region] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    written: dict[str, tuple[Written | None, ...]] = field(default_factory=dict)
    sides: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    """The paths of the modules around others in stem and head."""

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
                ids = self._append(piece, self.names.in_block(piece.stage, block))
                members: tuple[Region | str, ...] = ids
                if fragment.parts:
                    around = f"{self.names.block(piece.stage, block)}."
                    parts = {around + path: label for path, label in fragment.parts}
                    members = tuple(_nested(ids, parts, origin))
                path = "" if self.names.counted else self.names.block(piece.stage, block)
                yield Region("block", members, block, label, origin=origin, path=path)
            return
        if piece.stage is not None:
            place = self.names.in_stage(piece.stage)
        else:
            place = self.names.stem if piece.part == "stem" else self.names.head
        ids = self._append(piece, place)
        if ids:
            members = tuple(_nested(ids, dict(fragment.parts), origin))
            if len(members) == 1 and isinstance(members[0], Region):
                yield members[0]
            else:
                yield Region("group", members, label=label, origin=origin)

    def _append(self, piece: Piece, place: Callable[[Step], str]) -> tuple[str, ...]:
        """Append a piece; two layers of one name are the author's fault."""
        seen = dict[str, str]()
        for side in piece.fragment.sides:
            if side.name in self.modules:
                fail(
                    piece.place,
                    f"two modules would have the name {quote(side.name)}",
                    code="duplicate-name",
                )
            self.sides.add(side.name)

        def checked(step: Step) -> str:
            name = place(step)
            if name in self.nodes.nodes or name in seen:
                self._refuse(piece, name)
            seen[name] = name
            if step.rule is not None:
                self.rules[name] = step.rule
            if step.written:
                self.written[name] = step.written
            return name

        ids = self.nodes.append(piece.fragment, checked)
        if piece.stage is None:
            self._check_paths(piece, ids)
        return ids

    def _refuse(self, piece: Piece, name: str) -> NoReturn:
        """Say which name two layers would have, and what makes it."""
        message = f"two layers would have the name {quote(name)}"
        made = None if piece.stage is None else self.names.own.get(piece.stage)
        if made is None:
            fail(piece.place, message, code="duplicate-name")
        read = {one for part in made.parts if isinstance(part, Expr) for one in part.names}
        hint = None
        if not read & {"stage", "number"}:
            parent, dot, last = made.text.rpartition(".")
            better = f"{parent}{dot}{{stage}}.{last}" if "{" in last else f"{made.text}{{stage}}"
            hint = f'names need the number of the stage, for example "{better}"'
        fail(
            piece.place,
            message,
            hint,
            [Note(made.place, "its name is made here")],
            code="duplicate-name",
        )

    def _check_paths(self, piece: Piece, ids: Sequence[str]) -> None:
        """Refuse a layer and a module around others of one name, and a side head and another
        module, in stem and head."""
        here: set[str] = set()
        for id in ids:
            path = id.rpartition(".")[0]
            while path:
                here.add(path)
                path = path.rpartition(".")[0]
        own = {side.name for side in piece.fragment.sides}
        taken = [one for one in here if one in self.nodes.nodes]
        taken += [one for one in here if one in self.sides - own]
        taken += [id for id in ids if id in self.modules]
        if taken:
            fail(
                piece.place,
                f"two modules would have the name {quote(min(taken))}",
                code="duplicate-name",
            )
        self.modules |= here


def _nested(ids: Sequence[str], parts: Mapping[str, str], origin: Origin) -> Iterator[Region | str]:
    """Ids with those of each part in a region of its own, and so on inside."""

    def part_of(id: str) -> str:
        return min((path for path in parts if id.startswith(f"{path}.")), key=len, default="")

    for path, run in groupby(ids, part_of):
        members = list(run)
        if not path:
            yield from members
            continue
        inner = {one: label for one, label in parts.items() if one.startswith(f"{path}.")}
        rows, label = tuple(_nested(members, inner, origin)), parts[path] or None
        yield Region("group", rows, label=label, origin=origin, path=path)
