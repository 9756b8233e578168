"""Folding paths back into modules: the tree that the ids of a network's nodes describe."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from archc.graph.network import Network, Node
from archc.ops import Arity


class StructureError(ValueError):
    """The ids of a network describe no tree of modules: a fault in a block type."""


@dataclass(eq=False)
class Leaf:
    """One op: a module where it holds anything or its place is counted, otherwise a call."""

    name: str
    node: Node

    @property
    def is_module(self) -> bool:
        """Whether the op is an attribute of its parent rather than a call in ``forward``."""
        return self.name.isdigit() or self.node.op.torch.is_module

    @property
    def result(self) -> str:
        """The id of what it puts out."""
        return self.node.id


@dataclass(eq=False)
class Group:
    """A module around others, with one input and one output.

    ``children`` stand in the order in which they run: that of their first ops. ``source`` is the
    id that the module reads, ``result`` the id of its own that others read.
    """

    name: str
    path: str
    children: dict[str, Group | Leaf] = field(default_factory=dict)
    source: str = ""
    result: str = ""

    def leaves(self) -> Iterator[Leaf]:
        """Every op inside, in order of definition."""
        for child in self.children.values():
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.leaves()

    def wiring(self) -> Iterator[tuple[Group | Leaf, tuple[str, ...]]]:
        """Each child with the names of the siblings it reads; ``""`` is the module's input."""
        producers = {self.source: ""}
        for name, child in self.children.items():
            producers[child.result] = name
        for child in self.children.values():
            sources = child.node.inputs if isinstance(child, Leaf) else (child.source,)
            yield child, tuple([producers[source] for source in sources])

    @property
    def is_sequential(self) -> bool:
        """Whether the children are modules in a chain, the first of them numbered from 0."""
        names = list(self.children)
        counted = sum(name.isdigit() for name in names)
        if not counted:
            return False
        last = ""
        for index, (child, sources) in enumerate(self.wiring()):
            in_place = child.name == str(index) if index < counted else True
            holds = isinstance(child, Group) or child.is_module
            if not (in_place and holds and sources == (last,)):
                raise StructureError(
                    f"the numbered modules of {self.path or 'the network'!r} are not a chain"
                )
            last = child.name
        return True


def fold(network: Network) -> Group:
    """The tree of modules of a network; the final softmax, which is no part of ``forward``, left
    out. Raises `StructureError` where a module would have two inputs or outputs."""
    root = Group("", "", source="input", result=network.logits)
    inside: dict[str, tuple[Group, ...]] = {"input": ()}
    around: dict[str, tuple[Group, ...]] = {"": ()}
    for node in network.nodes.values():
        if node.op.arity is Arity.NONE or (node.id == network.output != network.logits):
            continue
        inside[node.id] = groups = _place(root, node, around)
        for source in node.inputs:
            _cross(source, inside[source], groups)
    _cross(network.logits, inside[network.logits], ())  # the way out of the network
    return root


def _place(root: Group, node: Node, around: dict[str, tuple[Group, ...]]) -> tuple[Group, ...]:
    """Hang a node into the tree; return the groups around it, outermost first, without the root.

    ``around`` has the groups around paths that were placed before, and takes in this one's.
    """
    parent, _, name = node.id.rpartition(".")
    if not all(map(_is_attribute, (*parent.split("."), name) if parent else (name,))):
        raise StructureError(f"{node.id!r} is not a path of attributes")
    groups = around.get(parent)
    if groups is None:
        groups = around[parent] = _groups(root, parent)
    (groups[-1] if groups else root).children[name] = Leaf(name, node)
    return groups


def _groups(root: Group, path: str) -> tuple[Group, ...]:
    """The groups on a path, made where they are not there yet."""
    group, found = root, []
    for name in path.split("."):
        path = f"{group.path}.{name}" if group.path else name
        child = group.children.setdefault(name, Group(name, path))
        if isinstance(child, Leaf):
            raise StructureError(f"{path!r} is both an op and a module around others")
        group = child
        found.append(group)
    return tuple(found)


@lru_cache(maxsize=4096)
def _is_attribute(part: str) -> bool:
    return part.isdecimal() or (part.isidentifier() and not keyword.iskeyword(part))


def _cross(source: str, left: tuple[Group, ...], entered: tuple[Group, ...]) -> None:
    """Note that an edge leaves some groups and enters others."""
    shared = 0
    for one, other in zip(left, entered, strict=False):
        if one is not other:
            break
        shared += 1
    for group in entered[shared:]:
        if group.source not in ("", source):
            raise StructureError(
                f"the module {group.path!r} reads both {group.source!r} and "
                f"{source!r}, and a module has one input"
            )
        group.source = source
    for group in left[shared:]:
        if group.result not in ("", source):
            raise StructureError(
                f"both {group.result!r} and {source!r} of the module "
                f"{group.path!r} are read, and a module has one output"
            )
        group.result = source
