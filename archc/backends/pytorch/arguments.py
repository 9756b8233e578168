"""The arguments of a class's constructor: which numbers vary, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeAlias

from archc.backends.pytorch.members import (
    KIND,
    Kind,
    Member,
    Path,
    Slot,
    Value,
    held,
    is_swappable,
    keys_of,
)
from archc.backends.pytorch.text import Namespace, is_name
from archc.dataclassing import dataclass
from archc.graph.modules import Group, Leaf, StructureError
from archc.graph.network import Node, Written
from archc.ops.base import Number

if TYPE_CHECKING:
    from archc.backends.pytorch.classes import Class

SOURCE, RESULT = ((), "input"), ((), "output")
"""Slots of the channels that a module reads and puts out."""

Table: TypeAlias = Mapping[Slot, Value]
KindOf: TypeAlias = Callable[[Node], Kind]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a class's constructor; ``has_default`` says whether it has a default.

    One with a ``formula`` follows from the others: the constructor computes it.
    """

    name: str
    slots: tuple[Slot, ...]
    default: Value = None
    has_default: bool = False
    formula: str = ""


@dataclass
class Numbers:
    """The numbers inside the modules of a class, by slot: of each module, those of its ends too.

    ``origins`` has what the parts of paths were written as, ``names`` what they are called.
    """

    tables: list[dict[Slot, Value]]
    flows: dict[Slot, object] = field(default_factory=dict)
    origins: dict[Path, Written] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)


def numbers_of(group: Group, found: Mapping[Group, Class], kind: KindOf) -> dict[Slot, Value]:
    """Every number that may have to be given to what is inside a module, by its slot."""
    numbers: dict[Slot, Value] = {}
    keys = keys_of(group)
    for name, child in group.children.items():
        key = keys[name]
        if isinstance(child, Group):
            one = found.get(child)
            inner = numbers_of(child, found, kind) if one is None else one.given(child)
            for (path, what), number in inner.items():
                numbers[(key, *path), what] = number
        elif held(child):
            op = child.node.op
            for what in op.field_names():
                numbers[(key,), what] = getattr(op, what)
            if is_swappable(op):
                numbers[(key,), KIND] = kind(child.node)
    return numbers


def ends_of(group: Group) -> dict[Slot, Value]:
    """The channels that a module reads and puts out."""
    result = next(leaf.node for leaf in group.leaves() if leaf.node.id == group.result)
    return {SOURCE: group.source_shape[0], RESULT: result.output_shape[0]}


def paths_of(group: Group, at: Path = ()) -> Iterator[tuple[Leaf, Path]]:
    """Every op inside a module, with its path; that of a call has its name in parentheses."""
    keys = keys_of(group)
    for name, child in group.children.items():
        if isinstance(child, Group):
            yield from paths_of(child, (*at, keys[name]))
        else:
            yield child, (*at, keys[name] if held(child) else f"{name}()")


def _groups_of(group: Group, at: Path = ()) -> Iterator[tuple[Group, Path]]:
    """Every module inside a module that is around others, with its path."""
    keys = keys_of(group)
    for name, child in group.children.items():
        if isinstance(child, Group):
            yield child, (*at, keys[name])
            yield from _groups_of(child, (*at, keys[name]))


# Channels


def flows_of(models: Sequence[Group], instances: Sequence[Group]) -> dict[Slot, object]:
    """For each channel slot the tensor whose channels it counts, tensors of equal channels being
    one. Of the models but the first, only what that does not have is looked at."""
    spread = set().union(*map(_spread, instances))
    parent: dict[object, object] = {}

    def find(tensor: object) -> object:
        while parent.setdefault(tensor, tensor) != tensor:
            tensor = parent[tensor]
        return tensor

    flows: dict[Slot, object] = {}
    seen: set[Path] = set()
    for number, model in enumerate(models):
        tensors: dict[str, object] = {model.source: SOURCE}
        tensors.update({id: ((), f"given {name}") for id, name in model.arguments.items()})
        rows = list(paths_of(model))
        for leaf, path in rows:
            is_call = isinstance(path[-1], str) and path[-1].endswith("()")
            tensors[leaf.node.id] = (number, path) if is_call else path
        for leaf, path in rows:
            node, passing = leaf.node, leaf.node.op.channels
            if path in seen:
                continue
            seen.add(path)
            if passing.how == "changed":
                flows[path, passing.read] = tensors[node.inputs[0]]
                flows[path, passing.written] = tensors[node.id]
            elif passing.how == "tied":
                for position, tensor in enumerate(node.inputs):
                    if (path, position) not in spread:
                        parent[find(tensors[node.id])] = find(tensors[tensor])
            if passing.counted:
                flows[path, passing.counted] = tensors[node.id]
        if not number:
            flows[SOURCE], flows[RESULT] = SOURCE, tensors[model.result]
        else:
            parent[find(tensors[model.result])] = find(flows[RESULT])
        for group, path in _groups_of(model):
            flows.setdefault((path, SOURCE[1]), tensors[group.source])
            flows.setdefault((path, RESULT[1]), tensors[group.result])
    return {slot: find(tensor) for slot, tensor in flows.items()}


def _spread(group: Group) -> set[tuple[Path, int]]:
    """The operands of a single channel, by the op's path in the module and their place, that an op
    spreads over those that it puts out."""
    channels = {group.source: group.source_shape[:1]}
    found = set()
    for leaf, path in paths_of(group):
        node = leaf.node
        channels[node.id] = node.output_shape[:1]
        for position, tensor in enumerate(node.inputs if len(node.inputs) > 1 else ()):
            if channels.get(tensor) == (1,) != channels[node.id]:
                found.add((path, position))
    return found


def class_slots(groups: Iterable[Group]) -> set[Slot]:
    """The slots inside modules of the numbers that count the network's classes."""
    return {
        (path, leaf.node.op.channels.written)
        for group in groups
        for leaf, path in paths_of(group)
        if leaf.classifies
    }


def channel_groups(
    numbers: Numbers,
    where: str,
    is_input: Callable[[Slot], bool],
    classes: Set[Slot],
    *,
    are_alike: bool,
) -> list[list[Slot]]:
    """The channel slots that one argument gives; nothing else has that of ``classes``.

    Modules that are all ``are_alike`` have the same numbers of channels where tensors are the same;
    an op that says otherwise lies, a `StructureError`. ``is_input`` says of a slot whether its
    number is written as that of the input's channels.
    """
    flows, tables = numbers.flows, numbers.tables
    known = {slot for table in tables for slot in table}
    by_flow: dict[object, list[Slot]] = {}
    for slot in (SOURCE, RESULT, *[slot for slot in flows if slot not in (SOURCE, RESULT)]):
        if slot in known:
            by_flow.setdefault(flows[slot], []).append(slot)
    groups = []
    for row in by_flow.values():
        parts = _by_value(row, tables)
        if are_alike and any(set(part) - {SOURCE, RESULT} for part in parts[1:]):
            _refuse(row, tables, where)
        groups += [part for part in parts if set(part) - {SOURCE, RESULT}]
    apart = [group for group in groups if not classes.isdisjoint(group)]
    rest = [group for group in groups if group not in apart]
    return [*_merge_by_value(rest, tables, is_input), *apart]


def _by_value(row: Sequence[Slot], tables: Sequence[Table]) -> list[list[Slot]]:
    """Slots apart that do not have the same number in every module."""
    parts: list[list[Slot]] = []
    for slot in row:
        for part in parts:
            if all(_agree([slot], part, table) for table in tables):
                part.append(slot)
                break
        else:
            parts.append([slot])
    return parts


def _refuse(row: Sequence[Slot], tables: Sequence[Table], where: str) -> None:
    real = [slot for slot in row if slot not in (SOURCE, RESULT)]
    for table in tables:
        values = {table[slot] for slot in real if slot in table}
        if len(values) > 1:
            places = [f"{'.'.join(map(str, path))}.{what}" for path, what in real]
            name = "channels" if {SOURCE, RESULT} <= set(row) else "width"
            raise StructureError(
                f"the numbers {sorted(values)} of {where!r} would have to be one "  # type: ignore[type-var]
                f"argument, `{name}`: {', '.join(places)}"
            )


def _merge_by_value(
    groups: Sequence[list[Slot]], tables: Sequence[Table], is_input: Callable[[Slot], bool]
) -> list[list[Slot]]:
    """Make one of groups that have the same channels in every module; with the input's, which a
    width may equal by chance, only where the definition says that it is that."""
    merged: list[list[Slot]] = []
    for group in groups:
        for other in merged:
            apart = group if SOURCE in other else other if SOURCE in group else None
            if apart is not None and not any(map(is_input, apart)):
                continue
            if all(_agree(group, other, table) for table in tables):
                other.extend(group)
                break
        else:
            merged.append(list(group))
    return merged


def _agree(one: Iterable[Slot], other: Iterable[Slot], table: Table) -> bool:
    values = {table[slot] for slot in (*one, *other) if slot in table}
    return len(values) <= 1


def name_channels(
    groups: Sequence[list[Slot]],
    wish: Callable[[Sequence[Slot]], str],
    is_width: Callable[[Sequence[Slot]], bool],
    names: Namespace,
) -> list[Argument]:
    """Channel arguments by role: in_channels, width, out_channels, or channels for in and out; and
    where there are several within, by what the definition calls them."""
    rows: dict[str, list[Argument]] = {"before": [], "inner": [], "after": []}
    inner = [group for group in groups if SOURCE not in group and RESULT not in group]
    # Where the definition calls the output's channels its width, nothing else is called that.
    plainly = len(inner) == 1 and not any(is_width(g) for g in groups if RESULT in g)
    for group in groups:
        reads, writes = SOURCE in group, RESULT in group
        # The ends come last: they tell the number where a module has none of the rest.
        slots = tuple(sorted(group, key=lambda slot: slot[1] in (SOURCE[1], RESULT[1])))
        if reads:
            name, place = "channels" if writes else "in_channels", "before"
        elif writes:
            name, place = "out_channels", "after"
        else:
            name, place = ("width" if plainly else wish(slots)), "inner"
        rows[place].append(Argument(names.new(name), slots))
    return [*rows["before"], *rows["inner"], *rows["after"]]


# Other numbers

_Varying: TypeAlias = "list[tuple[list[Slot], list[Value]]]"


def split(
    slots: Sequence[Slot], tables: Sequence[Table], origins: Mapping[Path, Written]
) -> tuple[dict[Slot, Value], _Varying]:
    """Numbers that are the same in all instances; and those that vary, gathered where they vary
    alike and the definition does not set them apart."""
    literals: dict[Slot, Value] = {}
    varying: _Varying = []
    columns = {slot: [table.get(slot) for table in tables] for slot in slots}
    # Slots that every instance has come first, so that an optional child's can join them.
    for slot in sorted(slots, key=lambda slot: None in columns[slot]):
        column = columns[slot]
        present = {number for number in column if number is not None}
        name = _name_of(slot, origins)
        alike = next(
            (
                v
                for v in varying
                if (v[0][0][1] == slot[1] or name in _names_of(v[0], origins))
                and _fits(column, v[1])
            ),
            None,
        )
        is_none_somewhere = any(table.get(slot, 0) is None for table in tables)
        is_one = len(present) == 1 and not is_none_somewhere
        if not present:
            literals[slot] = None
        elif is_one and _is_literal(slot, origins):
            literals[slot] = present.pop()
        elif alike is not None:
            alike[0].append(slot)
        elif is_one:
            literals[slot] = present.pop()
        else:
            varying.append(([slot], column))
    return literals, varying


_FIELDS = {"kernel_size": "kernel", "output_size": "size"}
"""What authors call the fields of ops that are called otherwise."""


def _name_of(slot: Slot, origins: Mapping[Path, Written]) -> str | None:
    """The name that alone gives a number in the definition, or in that of a block around it."""
    path, what = slot
    field = _FIELDS.get(what, what)
    for end in range(len(path), 0, -1):
        if (written := origins.get(path[:end])) is not None and field in written.names:
            return written.names[field]
    return None


def _names_of(slots: Iterable[Slot], origins: Mapping[Path, Written]) -> set[str]:
    return {name for slot in slots if (name := _name_of(slot, origins)) is not None}


def _is_literal(slot: Slot, origins: Mapping[Path, Written]) -> bool:
    """Whether the definition gives a number as one, or has nothing to say of it."""
    written = origins.get(slot[0])
    if written is None or written.key is None or written.authored is not None:
        return False
    # What is not said of a padding, or of a pooling's stride, follows from the kernel.
    follows = {"kernel"} if slot[1] in ("padding", "stride") else set()
    return not ({_FIELDS.get(slot[1], slot[1])} | follows) & set(written.computed)


def _fits(column: Sequence[Value], other: Sequence[Value]) -> bool:
    return all(one is None or one == two for one, two in zip(column, other, strict=True))


def name_numbers(
    varying: _Varying, tables: Sequence[Table], names: Mapping[Path, str], taken: Namespace
) -> list[Argument]:
    """Arguments named after their field, and after their op too where one field varies in several
    ways; those with a default stand last."""
    fields = Counter(slots[0][1] for slots, _ in varying)
    arguments = []
    for slots, column in varying:
        path, what = slots[0]
        wish = "activation" if what == KIND else what
        if fields[what] > 1 and is_name(first := names.get(path[:1], "")):
            wish = f"{first}_{wish}"
        default = _default(what, column)
        missing = any(not any(slot in table for slot in slots) for table in tables)
        if default is None and missing:
            default = _unused(column)
        has = default is not None or what == KIND
        arguments.append(Argument(taken.new(wish), tuple(slots), default, has))
    return sorted(arguments, key=lambda argument: argument.has_default)


def _default(what: str, column: Sequence[Value]) -> Value:
    """What an argument is unless it is given; None for nothing."""
    if what == "stride":
        return 1
    if what == "groups" and 1 in column:
        return 1
    if what == KIND:
        return Counter(value for value in column if value is not None).most_common(1)[0][0]
    return None


def _unused(column: Sequence[Value]) -> Value:
    """A number for modules in which nothing takes it."""
    values = [value for value in column if value is not None]
    first = values[0]
    return type(first)() if isinstance(first, (bool, int, float)) else first


def surest_first(argument: Argument, tables: Sequence[Table]) -> Argument:
    """An argument whose slots that every module has come before the others: where the class is
    used, the first that has a number there gives the argument."""
    missing = {slot: sum(slot not in table for table in tables) for slot in argument.slots}
    return replace(argument, slots=tuple(sorted(argument.slots, key=missing.__getitem__)))


def with_default(argument: Argument, tables: Sequence[Table]) -> Argument:
    """An argument of channels that not every module has."""
    if all(any(slot in table for slot in argument.slots) for table in tables):
        return argument
    return Argument(argument.name, argument.slots, 0, True)


def value_in(argument: Argument, table: Table) -> Value | Number:
    """What a module with these numbers gives an argument."""
    return next((table[s] for s in argument.slots if s in table), argument.default)


def origins_of(members: Iterable[Member]) -> Iterator[tuple[Path, Written | None, str]]:
    """What members were written as, and are called, by path."""
    for member in members:
        for one in member.all():
            yield one.path, one.child.written, one.name
