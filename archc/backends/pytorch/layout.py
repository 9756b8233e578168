"""How the children of a module are held: as attributes, or in containers that are attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from archc.backends.pytorch.text import Call, Expression, is_name
from archc.graph.modules import Group, Leaf

Held: TypeAlias = "Group | Leaf | Mapping[str, Held]"
"""A child, or a container of children by name."""


def attributes(group: Group) -> list[tuple[str, Held]]:
    """What a module holds, by the names of its attributes; those in containers are with them."""
    found: dict[str, Held] = {}
    for child in group.children.values():
        if isinstance(child, Leaf) and not child.is_module:
            continue
        *path, name = child.name.split(".")
        level: dict[str, Held] = found
        for part in path:
            inner = level.setdefault(part, {})
            assert isinstance(inner, dict)  # or folding would have refused the ids
            level = inner
        level[name] = child
    return list(found.items())


def reached(name: str, group: Group, *, is_list: bool = False) -> str:
    """How ``forward`` writes a child; ``is_list`` says that the module is one of numbered children.

    >>> parent = Group("", "")
    >>> [reached(name, parent) for name in ("conv1", "convs.0", "block1-0", "a.b")]
    ['self.conv1', 'self.convs[0]', 'getattr(self, "block1-0")', 'self.a["b"]']
    >>> reached("0", parent), reached("0", parent, is_list=True)
    ('getattr(self, "0")', 'self[0]')
    """
    first, *path = name.split(".")
    if first.isdigit() and is_list:
        return f"self[{first}]"
    text = f"self.{first}" if is_name(first) else f'getattr(self, "{first}")'
    if not path:  # as nearly always, and networks have thousands of children
        return text
    level: Held = dict(attributes(group)).get(first, {})
    for part in path:
        counted = isinstance(level, Mapping) and is_counted(list(level))
        text += f"[{part}]" if part.isdigit() and (counted or not level) else f'["{part}"]'
        level = level.get(part, {}) if isinstance(level, Mapping) else {}
    return text


def is_numbered(group: Group) -> bool:
    """Whether all that a module holds are modules under rising numbers, and no containers."""
    held = attributes(group)
    others = [
        one
        for _, one in held
        if isinstance(one, Mapping)
        or (isinstance(one, Leaf) and one.node.op.torch.parameter is not None)
    ]
    return bool(held) and not others and is_counted([name for name, _ in held])


def is_counted(names: Sequence[str]) -> bool:
    """Whether names are rising numbers."""
    return bool(names) and all(map(str.isdigit, names)) and rises(names)


def rises(names: Sequence[str]) -> bool:
    """Whether numbers are in order, none of them twice."""
    return all(int(one) < int(other) for one, other in pairwise(names))


def without_gaps(modules: Mapping[str, Expression]) -> list[Expression]:
    """Numbered modules in a row, with something that does nothing where a number is missing."""
    row: list[Expression] = []
    for name, module in modules.items():
        row += [Call("nn.Identity")] * (int(name) - len(row))
        row.append(module)
    return row


def path_of(path: str) -> str:
    """How the network writes a module inside of it.

    >>> [path_of(path) for path in ("fc", "classifier.1", "a.block1-0.conv")]
    ['self.fc', 'self.classifier[1]', 'self.get_submodule("a.block1-0.conv")']
    """
    first, *parts = path.split(".")
    if not is_name(first) or not all(part.isdigit() or is_name(part) for part in parts):
        return f'self.get_submodule("{path}")'
    return f"self.{first}" + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in parts)
