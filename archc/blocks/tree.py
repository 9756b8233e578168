"""Rows of layers as they are written: what a block, a stem or a head is made of.

An item of a row is a layer, a block used as one, a group, a merge of branches, a label, the name of
a value, or a side head. Its parts know where they are written; what an expression comes to is found
when a row is lowered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from archc.blocks.expressions import Computation, Name, Node, computation, names_in
from archc.dataclassing import dataclass
from archc.source.diagnostics import Place

if TYPE_CHECKING:
    from archc.blocks.definition import Definition
    from archc.blocks.layers import Layer

INPUT = "input"
"""The name of the value that comes into a block, a stem or a head."""


@dataclass(frozen=True, eq=False)
class Expr:
    """An expression, its text, and where it begins; ``names`` are the names and words in it."""

    node: Node
    text: str
    place: Place
    names: tuple[str, ...]

    @classmethod
    def of(cls, node: Node, text: str, place: Place) -> Expr:
        """The expression that a text has been read as."""
        return cls(node, text, place, tuple(dict.fromkeys(one.name for one in names_in(node))))

    @cached_property
    def compute(self) -> Computation:
        """What it comes to, by the values of names."""
        return computation(self.node)

    def at(self, start: int) -> Place:
        """The place of a character of its text."""
        return Place(self.place.source, self.place.line, self.place.column + start)


Literal: TypeAlias = "str | int | float | bool | list[object] | dict[str, object] | None"


@dataclass(frozen=True, eq=False)
class Field:
    """What is written for one field of a layer: an expression, or plain data."""

    place: Place
    value: Expr | Literal


@dataclass(frozen=True, eq=False)
class Template:
    """A name, in which expressions in braces stand for numbers: ``features.{total + 1}``."""

    place: Place
    parts: tuple[str | Expr, ...]

    @property
    def text(self) -> str:
        """As it is written."""
        return "".join(one if isinstance(one, str) else f"{{{one.text}}}" for one in self.parts)


@dataclass(frozen=True, eq=False, kw_only=True)
class Item:
    """An item of a row: where its key stands, what it is called, whether and how often it is
    there."""

    place: Place
    name: Template | None = None
    condition: Expr | None = None
    repeat: Expr | int | None = None

    @property
    def rows(self) -> tuple[tuple[Item, ...], ...]:
        """The rows inside."""
        return ()

    @property
    def expressions(self) -> Iterator[Expr]:
        """The expressions of the item itself, without those of the rows inside."""
        for one in (self.condition, self.repeat):
            if isinstance(one, Expr):
                yield one
        if self.name is not None:
            yield from (part for part in self.name.parts if isinstance(part, Expr))

    @property
    def names(self) -> Mapping[str, str]:
        """The fields whose values are given by a name alone, with that name."""
        return {}

    @property
    def computed(self) -> Mapping[str, Expr]:
        """The fields whose values are expressions."""
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerItem(Item):
    """A layer by its word. ``ready`` is its model where no field is an expression; ``made`` has the
    models that its expressions came to, by their values."""

    word: str
    model: type[Layer]
    fields: Mapping[str, Field] = field(default_factory=dict)
    ready: Layer | None = None
    made: dict[object, Any] = field(default_factory=dict)

    @property
    def expressions(self) -> Iterator[Expr]:
        """Its fields' too."""
        yield from super().expressions
        yield from _of_fields(self.fields)

    @property
    def chance(self) -> Expr | None:
        """What the probability is computed from that it drops something with."""
        found = self.fields.get("p")
        return found.value if found is not None and isinstance(found.value, Expr) else None

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Of its fields, those that a name alone gives."""
        return _names_of(self.fields)

    @cached_property
    def computed(self) -> Mapping[str, Expr]:
        """Of its fields, the expressions."""
        return _computed(self.fields)


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockItem(Item):
    """A block used as a layer."""

    block: Definition
    fields: Mapping[str, Field] = field(default_factory=dict)
    made: dict[object, Any] = field(default_factory=dict)

    @property
    def expressions(self) -> Iterator[Expr]:
        """Its fields' too."""
        yield from super().expressions
        yield from _of_fields(self.fields)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Of its fields, those that a name alone gives."""
        return _names_of(self.fields)

    @cached_property
    def computed(self) -> Mapping[str, Expr]:
        """Of its fields, the expressions."""
        return _computed(self.fields)


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupItem(Item):
    """Several layers: a sub-module where it has a name, otherwise a part of the row around it."""

    layers: tuple[Item, ...]

    @property
    def rows(self) -> tuple[tuple[Item, ...], ...]:
        """Its layers."""
        return (self.layers,)


@dataclass(frozen=True, eq=False)
class Branch:
    """A branch of a merge: layers on a value, by its name, or on the current one."""

    place: Place
    begins: str | None
    layers: tuple[Item, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeItem(Item):
    """Branches that come together; with ``meets`` the current value is the first operand."""

    word: str
    meets: bool
    branches: tuple[Branch, ...]

    @property
    def rows(self) -> tuple[tuple[Item, ...], ...]:
        """Its branches."""
        return tuple([branch.layers for branch in self.branches])


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelItem(Item):
    """Gives the current value a name."""

    label: str


@dataclass(frozen=True, eq=False, kw_only=True)
class ValueItem(Item):
    """Makes a value that has a name the current one again."""

    value: str


@dataclass(frozen=True, eq=False, kw_only=True)
class SideItem(Item):
    """A side head: a branch whose output is one of the network's while it trains."""

    branch: Branch
    weight: float

    @property
    def rows(self) -> tuple[tuple[Item, ...], ...]:
        """Its layers."""
        return (self.branch.layers,)


Row: TypeAlias = tuple[Item, ...]


def _of_fields(fields: Mapping[str, Field]) -> Iterator[Expr]:
    yield from (one.value for one in fields.values() if isinstance(one.value, Expr))


def _computed(fields: Mapping[str, Field]) -> Mapping[str, Expr]:
    return {key: one.value for key, one in fields.items() if isinstance(one.value, Expr)}


def _names_of(fields: Mapping[str, Field]) -> Mapping[str, str]:
    exprs = _computed(fields)
    return {key: one.text.strip() for key, one in exprs.items() if isinstance(one.node, Name)}


def walk(row: Row) -> Iterator[Item]:
    """Every item of a row and of the rows inside, in order; blocks used as layers are one each."""
    for item in row:
        yield item
        for inner in item.rows:
            yield from walk(inner)


def rows_of(row: Row) -> Iterator[Row]:
    """A row in as many parts as it can be lowered in: those between which no value is read but the
    one before."""
    last: dict[str, int] = {}
    for index, item in enumerate(row):
        last |= dict.fromkeys(_read(item), index)
    start = 0
    while start < len(row):
        end, index = start + 1, start
        while index < end:
            named = {one.label for one in walk((row[index],)) if isinstance(one, LabelItem)}
            named |= {INPUT} if index == 0 else set()
            end = max([end, *(last[name] + 1 for name in named if name in last)])
            index += 1
        yield row[start:end]
        start = end


def _read(item: Item) -> Iterator[str]:
    """The values that an item of a row reads by name."""
    for one in walk((item,)):
        if isinstance(one, ValueItem):
            yield one.value
        elif isinstance(one, MergeItem):
            yield from (branch.begins for branch in one.branches if branch.begins)
        elif isinstance(one, SideItem) and one.branch.begins:
            yield one.branch.begins
