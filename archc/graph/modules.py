"""Folding paths back into modules: the tree that the ids of a network's nodes describe."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from archc.dataclassing import dataclass
from archc.graph.heads import classifiers
from archc.graph.network import Network, Node, Written
from archc.graph.regions import enclosing, walk
from archc.ops import Arity, Shape


class StructureError(ValueError):
    """The ids of a network describe no tree of modules: a fault in a block type."""


@dataclass(eq=False)
class Leaf:
    """One op: a module where it holds anything, its place is counted or it is part of a chain,
    otherwise a call. ``classifies`` says that it puts out the classes."""

    name: str
    node: Node
    in_chain: bool = False
    written: Written | None = None
    classifies: bool = False

    @property
    def is_module(self) -> bool:
        """Whether the op is an attribute of its parent rather than a call in ``forward``: a module,
        or a tensor of its own."""
        return self.in_chain or self.node.op.torch.is_module or self.name.split(".")[-1].isdigit()

    @property
    def result(self) -> str:
        """The id of what it puts out."""
        return self.node.id


@dataclass(eq=False)
class Group:
    """A module around others, with one input and one output.

    ``children`` are in the order in which they run: that of their first ops. A child whose name
    has dots (``convs.0``) is in a container without a ``forward``, and this module calls it.
    ``source`` is the id that the module reads, and ``source_shape`` its shape; ``result`` is the id
    of its own that others read. ``label`` is what its author calls such modules.
    ``sides`` has, for the network's own, the names of the children that are side heads, in the
    order in which they run.
    """

    name: str
    path: str
    children: dict[str, Group | Leaf] = field(default_factory=dict)
    source: str = ""
    source_shape: Shape = ()
    result: str = ""
    label: str | None = None
    written: Written | None = None
    sides: tuple[str, ...] = ()

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

    @cached_property
    def is_sequential(self) -> bool:
        """Whether it is a chain of modules: numbered ones, or of any name where the author has no
        name for modules like this."""
        if not self.path or not self.children:
            return False
        is_counted = any(name.isdigit() for name in self.children)
        last = ""
        for child, sources in self.wiring():
            if sources != (last,) or "." in child.name or not _can_be_a_module(child):
                return False
            last = child.name
        return is_counted or self.label is None

    @property
    def is_inline(self) -> bool:
        """Whether it needs no class: a chain that its author has no name for."""
        return self.is_sequential and self.label is None


def _can_be_a_module(child: Group | Leaf) -> bool:
    return isinstance(child, Group) or child.node.op.torch.module is not None


def fold(network: Network) -> Group:
    """The tree of modules of a network; the final softmax, which is no part of ``forward``, left
    out.

    A path that several values enter or leave is that of a container without a ``forward``.
    """
    labels = _labels(network)
    root, containers = _Folding(network, labels).tree()
    if containers:
        root, _ = _Folding(network, labels, containers).tree()
    heads = classifiers(network)
    for leaf in root.leaves() if heads else ():
        leaf.classifies = leaf.node.id in heads
    for group in [root, *_groups_in(root)]:
        if group.is_sequential:
            for child in group.children.values():
                if isinstance(child, Leaf):
                    child.in_chain = True
    return root


def _labels(network: Network) -> dict[str, str]:
    """The labels of regions that are modules, by their paths; of one whose path is not known, by
    the path that only its ops have in common."""
    labels: dict[str, str] = {}
    shared: set[str] = set()
    for region in walk(network.regions):
        path = enclosing(region.nodes) if region.path is None else region.path
        if region.label and path:
            if path in labels:
                shared.add(path)
            labels[path] = region.label
    return {path: label for path, label in labels.items() if path not in shared}


def _groups_in(group: Group) -> Iterator[Group]:
    """The groups inside a group, outer ones first."""
    for child in group.children.values():
        if isinstance(child, Group):
            yield child
            yield from _groups_in(child)


@dataclass
class _Folding:
    """Hangs the nodes of a network into a tree, in which ``containers`` are no modules."""

    network: Network
    labels: Mapping[str, str]
    containers: Container[str] = ()
    around: dict[str, tuple[Group, ...]] = field(default_factory=lambda: {"": ()})
    names: dict[str, str] = field(default_factory=lambda: {"": ""})
    crossed: set[str] = field(default_factory=set)

    def tree(self) -> tuple[Group, set[str]]:
        """The tree, and the paths in it of modules with several inputs or outputs."""
        network = self.network
        sides = tuple([side.name for side in network.sides])
        root = Group("", "", source="input", result=network.logits, sides=sides)
        inside: dict[str, tuple[Group, ...]] = {"input": ()}
        for node in network.nodes.values():
            if node.op.arity is Arity.NONE or (node.id == network.output != network.logits):
                continue
            inside[node.id] = groups = self._place(root, node)
            for source in node.inputs:
                self._cross(network.nodes[source], inside[source], groups)
        # The ways out of the network:
        for result in (network.logits, *[side.result for side in network.sides]):
            self._cross(network.nodes[result], inside[result], ())
        return root, self.crossed

    def _place(self, root: Group, node: Node) -> tuple[Group, ...]:
        """Hang a node into the tree; return the groups around it, outermost first, without the
        root."""
        parent, _, name = node.id.rpartition(".")
        parts = [*parent.split("."), name] if parent else [name]
        known = self.network.written.get(node.id, ())[-len(parts) :]
        written = (*[None] * (len(parts) - len(known)), *known)
        if parent not in self.around:
            self._open(root, parts[:-1], written)
        groups, name = self.around[parent], self.names[parent] + name
        if not name:
            raise StructureError(f"{node.id!r} is not a path of attributes")
        siblings = (groups[-1] if groups else root).children
        if name in siblings:
            raise StructureError(f"{node.id!r} is both an op and a module around others")
        siblings[name] = Leaf(name, node, written=written[-1])
        return groups

    def _open(self, root: Group, parts: list[str], written: Sequence[Written | None]) -> None:
        """Note the groups on a path, made where they are not there yet, and what the names of
        children begin with that stand in a container."""
        group, found, full, before = root, [], "", ""
        for part, origin in zip(parts, written, strict=False):
            if not part:
                raise StructureError(f"{'.'.join(parts)!r} is not a path of attributes")
            full = f"{full}.{part}" if full else part
            if full in self.containers:
                before += f"{part}."
                continue
            made = Group(before + part, full, label=self.labels.get(full), written=origin)
            child = group.children.setdefault(before + part, made)
            if isinstance(child, Leaf):
                raise StructureError(f"{full!r} is both an op and a module around others")
            group, before = child, ""
            found.append(group)
        self.around[".".join(parts)], self.names[".".join(parts)] = tuple(found), before

    def _cross(self, read: Node, left: tuple[Group, ...], entered: tuple[Group, ...]) -> None:
        """Note that an edge leaves some groups and enters others."""
        shared, source = 0, read.id
        for one, other in zip(left, entered, strict=False):
            if one is not other:
                break
            shared += 1
        for group in entered[shared:]:
            if group.source not in ("", source):
                self.crossed.add(group.path)
            group.source, group.source_shape = source, read.output_shape
        for group in left[shared:]:
            if group.result not in ("", source):
                self.crossed.add(group.path)
            group.result = source
