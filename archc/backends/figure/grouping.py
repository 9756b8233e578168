"""What is in a scene as a tree: things in the groups that they are within."""

from __future__ import annotations

from typing import TypeAlias

from archc.backends.figure.scene import Curve, Rect, Scene, Text
from archc.dataclassing import dataclass

Thing: TypeAlias = Rect | Text | Curve


@dataclass(frozen=True, slots=True)
class Group:
    """A column, a stage or a block: what is in it, backmost first."""

    id: str
    items: list[Thing | Group]


def grouped(scene: Scene) -> list[Thing | Group]:
    """Boxes, texts and curves, in their groups, each at the place of its first member."""
    groups: dict[tuple[str, ...], list[Thing | Group]] = {(): []}
    things: tuple[Thing, ...] = (*scene.boxes, *scene.texts, *scene.curves)
    for thing in things:
        _items(groups, thing.within).append(thing)
    return groups[()]


def _items(
    groups: dict[tuple[str, ...], list[Thing | Group]], within: tuple[str, ...]
) -> list[Thing | Group]:
    """What is in a group, which is made where it is new."""
    found = groups.get(within)
    if found is None:
        found = groups[within] = []
        _items(groups, within[:-1]).append(Group(within[-1], found))
    return found
