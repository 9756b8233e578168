"""Which modules of a tree share a class, and what its arguments are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from archc.backends.pytorch.text import Namespace
from archc.graph.modules import Group, Leaf, StructureError

Number: TypeAlias = int | float | bool
Slot: TypeAlias = tuple[str, str]
"""A number inside a class: the path of its op, relative to the class, and the field's name."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a class's constructor."""

    name: str
    slots: tuple[Slot, ...]
    default: Number | None = None


@dataclass(eq=False)
class Class:
    """Modules of one structure, their numbers apart.

    ``optional`` is the child that only some instances have, if one is; ``model`` an instance
    that has everything. ``literals`` are the numbers that do not vary.
    """

    instances: list[Group]
    optional: str | None = None
    arguments: list[Argument] = field(default_factory=list)
    literals: dict[Slot, Number] = field(default_factory=dict)
    name: str = ""

    @property
    def model(self) -> Group:
        """An instance with every child."""
        for instance in self.instances:
            if self.optional is None or self.optional in instance.children:
                return instance
        raise AssertionError("an optional child that no instance has")

    def argument(self, slot: Slot) -> Argument | None:
        """The argument that gives a slot its number."""
        for argument in self.arguments:
            if slot in argument.slots:
                return argument
        return None

    def role(self, name: str) -> Argument | None:
        """The argument of this name."""
        return next((a for a in self.arguments if a.name == name), None)


def classes_of(root: Group) -> tuple[list[Class], dict[Group, Class]]:
    """The classes of a tree, inner ones first, and each module's; the root has none."""
    levels: list[list[Group]] = []
    _by_level(root, levels)
    made: list[Class] = []
    found: dict[Group, Class] = {}
    for level in reversed(levels):
        alike: dict[object, Class] = {}
        for group in level:
            if not group.is_sequential:
                key = _structure(group, found)
                alike.setdefault(key, Class([])).instances.append(group)
        rank = {group: number for number, group in enumerate(level)}
        for new in _merged(list(alike.items()), rank, found):
            found.update(dict.fromkeys(new.instances, new))
            made.append(new)
    return made, found


def _by_level(root: Group, levels: list[list[Group]]) -> None:
    """Sort the groups below a root by depth, each level in order of definition."""
    level = [child for child in root.children.values() if isinstance(child, Group)]
    while level:
        levels.append(level)
        level = [c for group in level for c in group.children.values() if isinstance(c, Group)]


_Part: TypeAlias = tuple[str, object, tuple[str, ...]]


def _structure(group: Group, found: Mapping[Group, Class]) -> tuple[_Part, ...]:
    """What the instances of a class have in common: names, kinds and wiring of the children."""
    parts = []
    for child, sources in group.wiring():
        if isinstance(child, Leaf):
            kind: object = child.node.op.kind
        else:
            kind = found[child] if child in found else _structure(child, found)
        parts.append((child.name, kind, sources))
    return tuple(parts)


def _merged(
    alike: list[tuple[object, Class]], rank: Mapping[Group, int], found: Mapping[Group, Class]
) -> Iterator[Class]:
    """The classes, with those made one that differ by an optional child."""
    left = dict(alike)
    for key, larger in alike:
        for smaller_key, optional in _without_one_child(key):
            smaller = left.get(smaller_key)
            if smaller is None or larger not in left.values() or smaller is larger:
                continue
            if _is_call(larger.model.children[optional]):
                continue  # `forward` is the same for all instances
            together = sorted(larger.instances + smaller.instances, key=rank.__getitem__)
            both = Class(together, optional)
            if find_arguments(both) and _condition_holds(both):
                del left[smaller_key]
                left[key] = both
                break
    for one in left.values():
        if not one.arguments:
            find_arguments(one)
        yield one


def _without_one_child(key: object) -> Iterator[tuple[object, str]]:
    """The structures that are left when a child on a single edge is taken out, with its name."""
    assert isinstance(key, tuple)
    parts: tuple[_Part, ...] = key
    for name, _, sources in parts:
        readers = [part for part in parts if name in part[2]]
        if len(sources) != 1 or len(readers) != 1:
            continue
        (source,) = sources
        yield (
            tuple(
                (other, kind, tuple(source if one == name else one for one in inputs))
                for other, kind, inputs in parts
                if other != name
            ),
            name,
        )


def _is_call(child: Group | Leaf) -> bool:
    return isinstance(child, Leaf) and not child.is_module


def condition(one: Class) -> list[str]:
    """What an optional child's presence is tested by, of which one must hold."""
    tests = []
    if one.role("stride"):
        tests.append("stride != 1")
    if one.role("in_channels") and one.role("out_channels"):
        tests.append("in_channels != out_channels")
    return tests


def _condition_holds(one: Class) -> bool:
    """Whether exactly the instances with the optional child pass the test for it."""
    tests = condition(one)
    if not tests:
        return False
    stride, before, after = map(one.role, ("stride", "in_channels", "out_channels"))
    for instance in one.instances:
        numbers = numbers_of(instance)
        passes = stride is not None and value_of(stride, numbers) != 1
        if before and after and value_of(before, numbers) != value_of(after, numbers):
            passes = True
        if passes != (one.optional in instance.children):
            return False
    return True


def numbers_of(group: Group) -> dict[Slot, Number]:
    """Every number inside a module, by its slot."""
    start = len(group.path) + 1 if group.path else 0
    numbers: dict[Slot, Number] = {}
    for leaf in group.leaves():
        name, op = leaf.node.id[start:], leaf.node.op
        for number in op.field_names():
            numbers[name, number] = getattr(op, number)
    return numbers


def value_of(argument: Argument, numbers: Mapping[Slot, Number]) -> Number:
    """What an instance with these numbers gives an argument."""
    return next(numbers[slot] for slot in argument.slots if slot in numbers)


def find_arguments(one: Class) -> bool:
    """Fill in a class's arguments and literals; False where an optional child has numbers that
    instances without it could not give."""
    table = [numbers_of(instance) for instance in one.instances]
    slots = list(dict.fromkeys(slot for numbers in table for slot in numbers))
    flows, source, result = _flows(one.model)
    channels = [slot for slot in slots if slot in flows]
    rest = [slot for slot in slots if slot not in flows]
    groups = _merge_by_value(_by_flow(channels, flows), flows.get(source), table, flows)
    names = Namespace({"self"})
    arguments = _name_channels(groups, flows, source, result, names)
    one.literals, varying = _split(rest, table)
    arguments += _name_numbers(varying, names)
    one.arguments = arguments
    _check_agreement(one, table)
    return all(
        any(slot in numbers for slot in argument.slots)
        for argument in arguments
        for numbers in table
    )


def _check_agreement(one: Class, table: Sequence[Mapping[Slot, Number]]) -> None:
    """Raise `StructureError` where an argument would have to give one instance two numbers: an op
    says otherwise of its channels than is so."""
    for argument in one.arguments:
        for instance, numbers in zip(one.instances, table, strict=True):
            values = {numbers[slot] for slot in argument.slots if slot in numbers}
            if len(values) > 1:
                places = [f"{path}.{field}" for path, field in argument.slots]
                raise StructureError(
                    f"the numbers {sorted(values)} of {instance.path!r} would have to be one "
                    f"argument, `{argument.name}`: {', '.join(places)}"
                )


def _flows(group: Group) -> tuple[dict[Slot, str], Slot, Slot]:
    """For each channel slot the tensor whose channels it counts, tensors of equal channels being
    one; and stand-ins for the module's input and output."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    start = len(group.path) + 1
    flows: dict[Slot, str] = {}
    for leaf in group.leaves():
        node = leaf.node
        passing = node.op.channels
        if passing.how == "changed":
            flows[node.id[start:], passing.read] = node.inputs[0]
            flows[node.id[start:], passing.written] = node.id
        elif passing.how == "tied":
            for tensor in node.inputs:
                parent[find(node.id)] = find(tensor)
        if passing.counted:
            flows[node.id[start:], passing.counted] = node.id
    source, result = ("", "input"), ("", "output")
    flows[source], flows[result] = group.source, group.result
    return {slot: find(tensor) for slot, tensor in flows.items()}, source, result


def _by_flow(slots: Sequence[Slot], flows: Mapping[Slot, str]) -> list[list[Slot]]:
    groups: dict[str, list[Slot]] = {}
    for slot in slots:
        groups.setdefault(flows[slot], []).append(slot)
    return list(groups.values())


def _merge_by_value(
    groups: list[list[Slot]],
    source: str | None,
    table: Sequence[Mapping[Slot, Number]],
    flows: Mapping[Slot, str],
) -> list[list[Slot]]:
    """Make one of groups that have the same channels in every instance; never with the input's,
    which a width may equal by chance."""
    merged: list[list[Slot]] = []
    for group in groups:
        is_input = flows[group[0]] == source
        for other in merged:
            if is_input or flows[other[0]] == source:
                continue
            if all(_agree(group, other, numbers) for numbers in table):
                other.extend(group)
                break
        else:
            merged.append(list(group))
    return merged


def _agree(one: Sequence[Slot], other: Sequence[Slot], numbers: Mapping[Slot, Number]) -> bool:
    values = {numbers[slot] for slot in (*one, *other) if slot in numbers}
    return len(values) <= 1


def _name_channels(
    groups: Sequence[list[Slot]],
    flows: Mapping[Slot, str],
    source: Slot,
    result: Slot,
    names: Namespace,
) -> list[Argument]:
    """Channel arguments by role: in_channels, width, out_channels, or channels for in and out."""
    before: list[Argument] = []
    inner: list[Argument] = []
    after: list[Argument] = []
    for group in groups:
        tensors = {flows[slot] for slot in group}
        reads, writes = flows[source] in tensors, flows[result] in tensors
        if reads and writes:
            before.append(Argument(names.new("channels"), tuple(group)))
        elif reads:
            before.append(Argument(names.new("in_channels"), tuple(group)))
        elif writes:
            after.append(Argument(names.new("out_channels"), tuple(group)))
        else:
            inner.append(Argument(names.new("width"), tuple(group)))
    return before + inner + after


def _split(
    slots: Sequence[Slot], table: Sequence[Mapping[Slot, Number]]
) -> tuple[dict[Slot, Number], list[tuple[list[Slot], list[Number | None]]]]:
    """Numbers that are the same in all instances; and those that vary, gathered where they vary
    alike."""
    literals: dict[Slot, Number] = {}
    varying: list[tuple[list[Slot], list[Number | None]]] = []
    columns = {slot: [numbers.get(slot) for numbers in table] for slot in slots}
    # Slots that every instance has come first, so that an optional child's can join them.
    for slot in sorted(slots, key=lambda slot: None in columns[slot]):
        column = columns[slot]
        alike = next((v for v in varying if v[0][0][1] == slot[1] and _fits(column, v[1])), None)
        present = {number for number in column if number is not None}
        if alike is not None:
            alike[0].append(slot)
        elif len(present) == 1:
            literals[slot] = present.pop()
        else:
            varying.append(([slot], column))
    return literals, varying


def _fits(column: Sequence[Number | None], other: Sequence[Number | None]) -> bool:
    return all(one is None or one == two for one, two in zip(column, other, strict=True))


def _name_numbers(
    varying: Sequence[tuple[list[Slot], list[Number | None]]], names: Namespace
) -> list[Argument]:
    """Arguments named after their field, and after their op too where one field varies in several
    ways; strides stand last and are 1 unless given."""
    fields = Counter(slots[0][1] for slots, _ in varying)
    arguments = []
    for slots, _ in varying:
        path, field = slots[0]
        wish = field if fields[field] == 1 else f"{path.split('.')[0]}_{field}"
        default = 1 if field == "stride" else None
        arguments.append(Argument(names.new(wish), tuple(slots), default))
    return sorted(arguments, key=lambda argument: argument.default is not None)
