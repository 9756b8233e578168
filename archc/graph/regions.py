"""The parts of a network as a tree over its nodes: stem, stages, their blocks, groups and head.

A tree may say as much or as little as is known of a network; it may be empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, Literal, TypeAlias

from archc.dataclassing import dataclass

RegionKind: TypeAlias = Literal["stem", "stage", "block", "group", "head"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The place in a spec that a region comes from: a file's name, a line and a column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a network.

    ``members`` are its smaller parts and the ids of the nodes that are in none of those, in order.
    ``number`` counts stages from 1 and the blocks of a stage from 0, as in the path ``layer1.0``.
    ``label`` is text that backends may use for names, nothing else (``BasicBlock``);
    ``attributes`` is what the author said of it: the ``width`` of a stage. ``path`` is that of its
    module, "" where it is none, and None where that is not known.
    """

    kind: RegionKind
    members: tuple[Region | str, ...]
    number: int | None = None
    label: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        """What it is called: ``stem``, ``stage 1``, ``block 0``."""
        return self.kind if self.number is None else f"{self.kind} {self.number}"

    @property
    def nodes(self) -> list[str]:
        """The ids of all its nodes, those of its parts among them, in order."""
        found: list[str] = []
        for member in self.members:
            if isinstance(member, str):
                found.append(member)
            else:
                found += member.nodes
        return found


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a node stands: in which stage and block, if any.

    ``stage`` and ``block`` are their numbers and ``width`` is what the author gave the stage;
    ``label`` is what the block, or else the smallest region around the node, is called.
    """

    stage: int | None = None
    block: int | None = None
    width: int | None = None
    label: str | None = None
    origin: Origin | None = None


NOWHERE = Standing()
"""Where the nodes stand that are in no region."""


def standings(regions: Iterable[Region]) -> dict[str, Standing]:
    """Where each node of some regions stands, by id."""
    found: dict[str, Standing] = {}
    for region in regions:
        _place(region, NOWHERE, found)
    return found


def _place(region: Region, around: Standing, found: dict[str, Standing]) -> None:
    # A block used as a layer of another one does not change the label of the stage's block.
    is_in_block = around.block is not None and around.label is not None
    here = Standing(
        stage=region.number if region.kind == "stage" else around.stage,
        block=region.number if region.kind == "block" else around.block,
        width=region.attributes.get("width") if region.kind == "stage" else around.width,
        label=around.label if is_in_block else region.label or around.label,
        origin=region.origin or around.origin,
    )
    for member in region.members:
        if isinstance(member, str):
            found[member] = here
        else:
            _place(member, here, found)


def walk(regions: Iterable[Region]) -> Iterator[Region]:
    """The regions and all that are in them, each before its parts."""
    for region in regions:
        yield region
        yield from walk(member for member in region.members if isinstance(member, Region))


def enclosing(ids: Collection[str]) -> str:
    """The path of the smallest module around all of these ids.

    >>> enclosing(["layer1.0.conv1", "layer1.0.downsample.0"])
    'layer1.0'
    """
    first, last = min(ids), max(ids)  # what these begin with, all between them do
    differ = (i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differ, len(first))].rpartition(".")[0]


def renamed(regions: Iterable[Region], names: Mapping[str, str]) -> tuple[Region, ...]:
    """The regions with the nodes that ``names`` has, by their new ids; empty ones are left out."""
    kept = (_renamed(region, names) for region in regions)
    return tuple([region for region in kept if region is not None])


def _renamed(region: Region, names: Mapping[str, str]) -> Region | None:
    members: list[Region | str] = []
    for member in region.members:
        new = names.get(member) if isinstance(member, str) else _renamed(member, names)
        if new is not None:
            members.append(new)
    if not members:
        return None
    return replace(region, members=tuple(members), path=_renamed_path(region, names))


def _renamed_path(region: Region, names: Mapping[str, str]) -> str | None:
    """The path of a region's module, by the new id of something inside."""
    if not region.path:
        return region.path
    depth = region.path.count(".") + 1
    inside = (names[id] for id in region.nodes if id in names and id.startswith(f"{region.path}."))
    return next((".".join(id.split(".")[:depth]) for id in inside), None)
