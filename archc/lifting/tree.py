"""Rows of layers on their way from a graph into text: one network's, with its own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from archc.dataclassing import dataclass

Data: TypeAlias = Any
"""Data as YAML has it."""


@dataclass(frozen=True, slots=True)
class Part:
    """An op of a layer: what modules of its kind are called, and its id.

    ``is_kept`` says that the id is the beginning of keys, so that it has to come out again.
    """

    family: str
    id: str
    is_kept: bool


@dataclass(slots=True)
class Layer:
    """A layer, or a block used as one, with its fields and the channels that reach it.

    ``name`` is the one that has to be written, where one has to; ``called`` is what its first op is
    called in the module around it, where that has to come out again.
    """

    word: str
    fields: dict[str, Data]
    parts: tuple[Part, ...]
    channels: int
    width: int
    name: str | None = None
    called: str | None = None
    reads_map: bool = True
    source: str | None = None
    """The id of the module that a block used as a layer stands for."""


@dataclass(slots=True)
class Group:
    """A module of its own; ``name`` is relative to the module around it."""

    name: str
    row: list[Item]


@dataclass(slots=True)
class Merge:
    """A merge of branches that begin with the current value, or of the current value and what
    comes of ``meets``: the row's own input, or a value with a label."""

    word: str
    branches: list[list[Item]]
    id: str
    meets: str | None = None


@dataclass(slots=True)
class Label:
    """A name for the current value."""

    name: str


@dataclass(slots=True)
class Recall:
    """A value by its name."""

    name: str


Item: TypeAlias = Layer | Group | Merge | Label | Recall
Row: TypeAlias = "list[Item]"


def walk(row: Row) -> Iterator[Item]:
    """The items of a row and all that are in them."""
    for item in row:
        yield item
        if isinstance(item, Group):
            yield from walk(item.row)
        elif isinstance(item, Merge):
            for branch in item.branches:
                yield from walk(branch)


def parts_of(row: Row) -> Iterator[Part]:
    """The ops of a row, but for its merges."""
    for item in walk(row):
        if isinstance(item, Layer):
            yield from item.parts


def kept(row: Row) -> set[str]:
    """The ids in a row that have to come out again."""
    return {part.id for part in parts_of(row) if part.is_kept}


def labels(row: Row) -> tuple[set[str], set[str]]:
    """The labels that a row sets, and the names of values that it reads."""
    given = {item.name for item in walk(row) if isinstance(item, Label)}
    read = {item.name for item in walk(row) if isinstance(item, Recall)}
    read |= {item.meets for item in walk(row) if isinstance(item, Merge) and item.meets}
    return given, read
