"""Folding paths back into modules: the tree that the ids of a network's nodes describe."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from archc.dataclassing import dataclass
from archc.graph.heads import classifiers
from archc.graph.network import Network, Node, Written
from archc.graph.regions import enclosing, walk
from archc.ops import Shape


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
        if self.node.op.shares:
            return False
        return self.in_chain or self.node.op.torch.is_module or self.name.split(".")[-1].isdigit()

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor of the model, its own or that of a layer."""
        return self.node.op.is_tensor

    @property
    def lender(self) -> str:
        """The name, beside its own, of the layer whose tensors it uses."""
        before = self.name.rpartition(".")[0]
        last = self.node.op.shares.rpartition(".")[2]
        return f"{before}.{last}" if before else last

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
    order in which they run. ``arguments`` are what it takes besides, by id, under the names that
    its ``forward`` has for them.
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
    arguments: dict[str, str] = field(default_factory=dict)

    def leaves(self) -> Iterator[Leaf]:
        """Every op inside, in order of definition."""
        for child in self.children.values():
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.leaves()

    def wiring(self) -> Iterator[tuple[Group | Leaf, tuple[str, ...]]]:
        """Each child with the names of the siblings it reads; ``""`` is the module's input."""
        producers = {self.source: "", **self.arguments}
        for name, child in self.children.items():
            producers[child.result] = name
        for child in self.children.values():
            if isinstance(child, Leaf):
                sources = child.node.inputs
            else:
                sources = (child.source, *child.arguments)
            yield child, tuple([producers[source] for source in sources])

    @cached_property
    def is_sequential(self) -> bool:
        """Whether it is a chain of modules: numbered ones, or of any name where the author has no
        name for modules like this."""
        if not self.path or not self.children or self.arguments:
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
    containers |= {group.path for group in _groups_in(root) if _has_tensors_alone(group)}
    if containers:
        root, _ = _Folding(network, labels, containers).tree()
    heads = classifiers(network)
    for leaf in root.leaves() if heads else ():
        leaf.classifies = leaf.node.id in heads
    for group in [root, *_groups_in(root)]:
        _tensors_first(group)
        if group.is_sequential:
            for child in group.children.values():
                if isinstance(child, Leaf):
                    child.in_chain = True
    return root


def _tensors_first(group: Group) -> None:
    """Have tensors of a module's own stand before all that may read them."""
    found = {n: one for n, one in group.children.items() if isinstance(one, Leaf) and one.is_tensor}
    if found:
        group.children = {**found, **group.children}


def _has_tensors_alone(group: Group) -> bool:
    """Whether a module computes nothing, but holds tensors, as a list of parameters does."""
    return all(isinstance(child, Leaf) and child.is_tensor for child in group.children.values())


def _argument(read: Node, group: Group) -> str:
    """What a module calls a value that it is given: a tensor by its name."""
    has_name = read.op.is_tensor or read.op.is_given
    word = re.sub(r"\W", "_", read.id.rpartition(".")[2], flags=re.ASCII) if has_name else "y"
    word = word if word.isidentifier() and not keyword.iskeyword(word) else f"value_{word}"
    taken = {"x", "self", "nn", "F", "torch", *group.arguments.values()}
    return next(
        name
        for name in (word, *[f"{word}{n}" for n in range(2, len(taken) + 3)])
        if name not in taken
    )


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
    labels = {path: label for path, label in labels.items() if path not in shared}
    return {**network.labels, **labels}


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
        for node in network.nodes.values():
            if node.op.is_given:
                root.arguments[node.id] = _argument(node, root)
        inside: dict[str, tuple[Group, ...]] = dict.fromkeys(["input", *root.arguments], ())
        for node in network.nodes.values():
            if node.id in inside or (node.id == network.output != network.logits):
                continue
            inside[node.id] = groups = self._place(root, node)
            for source in node.inputs:
                self._cross(network.nodes[source], inside[source], groups)
        # The ways out of the network:
        for result in (network.logits, *[side.result for side in network.sides]):
            self._cross(network.nodes[result], inside[result], ())
        turn = {id: index for index, id in enumerate(network.nodes)}
        for group in _groups_in(root):
            if group.arguments:
                begins = min(turn[leaf.node.id] for leaf in group.leaves() if not leaf.is_tensor)
                given = [group.source, *group.arguments]
                computed = [id for id in given if not network.nodes[id].op.is_tensor]
                if any(turn[id] > begins for id in computed):
                    self.crossed.add(group.path)
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
            if group.source in ("", source):
                group.source, group.source_shape = source, read.output_shape
            elif group.path in self.network.labels:  # it is called as such, with several values
                group.arguments.setdefault(source, _argument(read, group))
            else:
                self.crossed.add(group.path)
                group.source, group.source_shape = source, read.output_shape
        for group in left[shared:]:
            if group.result not in ("", source):
                self.crossed.add(group.path)
            group.result = source
