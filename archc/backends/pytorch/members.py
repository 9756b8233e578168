"""What modules of one class have in common: their children, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from archc.backends.pytorch.conditions import Test
from archc.dataclassing import dataclass
from archc.graph.modules import Group, Leaf, StructureError
from archc.ops import Arity, Op
from archc.ops.base import Number
from archc.ops.facts import Point

if TYPE_CHECKING:
    from archc.backends.pytorch.classes import Class

Key: TypeAlias = Hashable
"""What sets a child apart from its siblings in all modules of a class: its name, or in a chain of
numbered ones the place of a definition that it comes from."""
Path: TypeAlias = tuple[Key, ...]
Slot: TypeAlias = tuple[Path, str]
"""A number inside a class: the path of its op, relative to the class, and the field's name."""

KIND = "kind"
"""The field of a slot that holds which op a module is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes a module that takes no channels: ``nn.ReLU``."""

    text: str

    def __repr__(self) -> str:
        return self.text


Value: TypeAlias = Number | Kind | str | None


class UnlikeError(StructureError):
    """Modules cannot share a class."""


@dataclass(eq=False)
class Member:
    """A child that modules of a class have, at ``path`` from them.

    ``child`` is that of the first that has it; ``present`` says of each whether it has it, None
    where it does not have the chain around it either. A chain without a class of its own has
    members itself. Where some do not have it, ``test`` tells, and it is left out, or with
    ``stands_in`` something stands there that does nothing. ``maker`` is the argument that makes it
    where it is not of one op in all.
    """

    path: Path
    child: Group | Leaf
    present: tuple[bool | None, ...]
    chain: tuple[Member, ...] = ()
    test: Test | None = None
    stands_in: bool = False
    maker: str = ""

    @property
    def name(self) -> str:
        """What it is called, in the first module that has it."""
        return self.child.name

    @property
    def is_optional(self) -> bool:
        """Whether some do without it."""
        return False in self.present

    def all(self) -> Iterator[Member]:
        """Itself and those in its chain."""
        yield self
        for one in self.chain:
            yield from one.all()


def keys_of(group: Group) -> dict[str, Key]:
    """The keys of a module's children, by name."""
    keys: dict[str, Key] = {name: name for name in group.children}
    if group.is_sequential:
        for name, child in group.children.items():
            if name.isdigit() and child.written is not None and child.written.key is not None:
                keys[name] = child.written.key
    return keys if len(set(keys.values())) == len(keys) else {name: name for name in keys}


def is_swappable(op: Op) -> bool:
    """Whether another op may take its place: an activation."""
    how = op.torch.module
    if how is None or how.positional or op.arity is not Arity.ONE or not op.changes():
        return False
    return not op.state and op.channels.how == "tied" and isinstance(op.reach(), Point)


def members_of(
    groups: Sequence[Group | None], found: Mapping[Group, Class], path: Path = ()
) -> tuple[Member, ...]:
    """The children that modules have, in an order that is each one's. Raises `UnlikeError`."""
    rows: list[dict[Key, Group | Leaf] | None] = []
    for group in groups:
        if group is None:
            rows.append(None)
            continue
        keys = keys_of(group)
        rows.append({keys[name]: child for name, child in group.children.items() if held(child)})
    members = []
    for key in merged_order([list(row) for row in rows if row is not None]):
        children = [None if row is None else row.get(key) for row in rows]
        present = tuple([None if row is None else key in row for row in rows])
        members.append(_member((*path, key), children, present, found))
    return tuple(members)


def held(child: Group | Leaf) -> bool:
    """Whether a child is an attribute of its parent."""
    return isinstance(child, Group) or child.is_module


def _member(
    path: Path,
    children: Sequence[Group | Leaf | None],
    present: tuple[bool | None, ...],
    found: Mapping[Group, Class],
) -> Member:
    there = [child for child in children if child is not None]
    first = there[0]
    if isinstance(first, Leaf):
        leaves = [one.node.op for one in there if isinstance(one, Leaf)]
        alike = len({op.kind for op in leaves}) == 1 or all(map(is_swappable, leaves))
        if len(leaves) < len(there) or not alike:
            raise UnlikeError("ops of different kinds have one place")
        return Member(path, first, present)
    groups = [one if isinstance(one, Group) else None for one in children]
    inside = [one for one in there if isinstance(one, Group)]
    if len(inside) < len(there) or len({found.get(one) for one in inside}) > 1:
        raise UnlikeError("modules of different classes have one place")
    chain = () if first in found else members_of(groups, found, path)
    if any(member.is_optional for member in chain) and not all(map(_is_counted, inside)):
        raise UnlikeError("a chain with gaps has optional modules")
    return Member(path, first, present, chain)


def _is_counted(group: Group) -> bool:
    return list(group.children) == [str(number) for number in range(len(group.children))]


def merged_order(rows: Sequence[Sequence[Key]]) -> list[Key]:
    """An order of all keys of which each row is a part.

    >>> merged_order(["abd", "acd"])
    ['a', 'b', 'c', 'd']

    Raises `UnlikeError` where there is none.
    """
    if all(row == rows[0] for row in rows):
        return list(rows[0])
    order: list[Key] = []
    for row in sorted(dict.fromkeys(map(tuple, rows)), key=len, reverse=True):
        for place, key in enumerate(row):
            if key in order:
                continue
            behind = next((other for other in row[place + 1 :] if other in order), None)
            order.insert(len(order) if behind is None else order.index(behind), key)
    for row in set(map(tuple, rows)):
        if [key for key in order if key in row] != list(row):
            raise UnlikeError("children come in different orders")
    return order
