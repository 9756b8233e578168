"""Which modules of a tree share a class, and what its arguments are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property

from archc.backends.pytorch.arguments import (
    RESULT,
    SOURCE,
    Argument,
    KindOf,
    Numbers,
    channel_groups,
    class_slots,
    ends_of,
    flows_of,
    name_channels,
    name_numbers,
    numbers_of,
    origins_of,
    split,
    surest_first,
    value_in,
    with_default,
)
from archc.backends.pytorch.conditions import Part, Test, find_given, find_test
from archc.backends.pytorch.definitions import Definition, conditions_for, definition_of
from archc.backends.pytorch.members import (
    KIND,
    Member,
    Slot,
    UnlikeError,
    Value,
    held,
    members_of,
)
from archc.backends.pytorch.text import Namespace, is_name
from archc.backends.pytorch.variants import Variant, variants_of
from archc.dataclassing import dataclass
from archc.graph.authored import NOT_FOR_MODULES
from archc.graph.modules import Group, Leaf
from archc.graph.network import Written

MAX_ARGUMENTS = 16
"""Classes with more arguments are divided, where they can be."""


@dataclass(eq=False)
class Class:
    """Modules of one name, their numbers apart, and what only some of them have.

    ``literals`` are the numbers that do not vary, ``derived`` paddings that follow from the kernel.
    ``variants`` are the ways in which they run, none for a chain.
    """

    instances: list[Group]
    members: tuple[Member, ...] = ()
    arguments: list[Argument] = field(default_factory=list)
    literals: dict[Slot, Value] = field(default_factory=dict)
    derived: dict[Slot, Slot] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    tables: list[dict[Slot, Value]] = field(default_factory=list)
    name: str = ""

    @cached_property
    def places(self) -> dict[Group, int]:
        """The number of each of its modules among them."""
        return {group: number for number, group in enumerate(self.instances)}

    @property
    def model(self) -> Group:
        """The first of those with the most children."""
        return max(self.instances, key=lambda one: len(one.children))

    @cached_property
    def class_slots(self) -> set[Slot]:
        """The slots of the numbers that count the network's classes, in any of its modules."""
        return class_slots(self.instances)

    @property
    def tests(self) -> list[Test]:
        """What the constructor asks of its arguments."""
        tests = [deep.test for member in self.members for deep in member.all()]
        tests += [variant.test for variant in self.variants]
        return [test for test in tests if test is not None]

    def passes_on(self, slot: Slot) -> bool:
        """Whether an argument gives a slot its number, and decides nothing else."""
        argument = self.argument(slot)
        if argument is None or argument.formula:
            return False
        asked = {name for test in self.tests for part in test.parts for name in part.names}
        asked.update(*[re.findall(r"\w+", one.formula) for one in self.arguments])
        return argument.name not in asked

    @property
    def is_chain(self) -> bool:
        """Whether its modules run one after another."""
        return self.instances[0].is_sequential

    def argument(self, slot: Slot) -> Argument | None:
        """The argument that gives a slot its number."""
        for argument in self.arguments:
            if slot in argument.slots:
                return argument
        return None

    def given(self, group: Group) -> dict[Slot, Value]:
        """The numbers that have to be given to one of its modules."""
        table = self.tables[self.places[group]]
        slots = [slot for one in self.arguments if not one.formula for slot in one.slots]
        return {slot: table[slot] for slot in slots if slot in table}

    def values(self) -> list[dict[str, object]]:
        """The arguments of each module, without those that nothing in it takes."""
        return [
            {
                argument.name: value_in(argument, table)
                for argument in self.arguments
                if any(slot in table for slot in argument.slots)
            }
            for table in self.tables
        ]


def classes_of(root: Group, kind: KindOf) -> tuple[list[Class], dict[Group, Class]]:
    """The classes of a tree, inner ones first, and each module's; the root has none."""
    groups = [one for one in _inner_first(root) if not one.is_inline]
    alike: dict[Hashable, list[Group]] = {}
    for group in groups:
        alike.setdefault(_kinship(group), []).append(group)
    order = _ordered(groups, alike)
    made: list[Class] = []
    found: dict[Group, Class] = {}
    rank = {group: number for number, group in enumerate(_outer_first(root))}
    for row in order:
        for new in _united(sorted(row, key=rank.__getitem__), found, kind):
            found.update(dict.fromkeys(new.instances, new))
            made.append(new)
    return made, found


def takes_classes(group: Group, found: Mapping[Group, Class]) -> bool:
    """Whether a number of classes that a module is given reaches the layers inside that put them
    out, and changes nothing else."""
    for child in group.children.values():
        if not isinstance(child, Group) or not (slots := class_slots([child])):
            continue
        one = found.get(child)
        if one is not None and not all(map(one.passes_on, slots)):
            return False
        if not takes_classes(child, found):
            return False
    return True


def _inner_first(group: Group) -> Iterator[Group]:
    for child in group.children.values():
        if isinstance(child, Group):
            yield from _inner_first(child)
            yield child


def _outer_first(group: Group) -> Iterator[Group]:
    for child in group.children.values():
        if isinstance(child, Group):
            yield child
            yield from _outer_first(child)


def _kinship(group: Group) -> Hashable:
    """What modules have in common that may share a class: what their author calls them, the place
    in a definition that they come from, or how they are built."""
    if group.label is not None:
        return group.label
    if group.written is not None and group.written.key is not None:
        return group.written.key
    return _structure(group)


def _structure(group: Group) -> Hashable:
    """Names and wiring of the children, kinds of those that are made, ops that are called."""
    parts: list[Hashable] = []
    for child, sources in group.wiring():
        if isinstance(child, Group):
            kind: Hashable = child.label or _structure(child)
        else:
            kind = child.node.op.kind if held(child) else child.node.op
        parts.append((child.name, kind, sources))
    return (*parts, *group.arguments.values())


def _ordered(
    groups: Sequence[Group], alike: Mapping[Hashable, list[Group]]
) -> Iterable[list[Group]]:
    """Rows of modules, each after those inside its modules."""
    inside: dict[Hashable, set[Hashable]] = {key: set() for key in alike}
    for key, row in alike.items():
        for group in row:
            inside[key] |= {_kinship(one) for one in _inner_first(group) if not one.is_inline}
    if any(key in within for key, within in inside.items()):
        # Modules of one name inside each other: then only those that are as deep share a class.
        deep: dict[Hashable, list[Group]] = {}
        for group in groups:
            deep.setdefault((-group.path.count("."), _kinship(group)), []).append(group)
        return [deep[key] for key in sorted(deep, key=lambda key: key[0])]  # type: ignore[index]
    done: list[Hashable] = []
    left = list(alike)
    while left:
        ready = next(key for key in left if inside[key] <= set(done))
        left.remove(ready)
        done.append(ready)
    return [alike[key] for key in done]


def _united(row: list[Group], found: Mapping[Group, Class], kind: KindOf) -> Iterator[Class]:
    """One class for modules, or as few as it takes."""
    try:
        yield unite(row, found, kind)
        return
    except UnlikeError:
        pass
    apart: dict[Hashable, list[Group]] = {}
    for group in row:
        apart.setdefault(_built(group, found), []).append(group)
    if len(apart) == 1:  # what differs lies deeper
        apart = {group: [group] for group in row}
    for part in apart.values():
        yield unite(part, found, kind)


def _built(group: Group, found: Mapping[Group, Class]) -> Hashable:
    """What modules that are built alike have in common."""
    parts: list[Hashable] = []
    for child, sources in group.wiring():
        if isinstance(child, Group):
            kind: Hashable = found.get(child) or _built(child, found)
        else:
            kind = child.node.op.kind if held(child) else child.node.op
        parts.append((child.name, kind, sources))
    return (*parts, *group.arguments.values())


def unite(row: list[Group], found: Mapping[Group, Class], kind: KindOf) -> Class:
    """The class that modules share. Raises `UnlikeError`."""
    if len({group.is_sequential for group in row}) > 1:
        raise UnlikeError("some are chains")
    if len({tuple(group.arguments.values()) for group in row}) > 1:
        raise UnlikeError("some take more")
    one = Class(row, members_of(row, found))
    if not one.is_chain:
        one.variants = variants_of(row, one.members)
    _refuse_depth(one)
    one.tables = [{**numbers_of(group, found, kind), **ends_of(group)} for group in row]
    _note_missing_kinds(one)
    taken = Namespace({"self", "input", "output"})
    wishes = _find_arguments(one, found, taken)
    _find_tests(one, taken, wishes)
    return one


def _refuse_depth(one: Class) -> None:
    """Refuse what would have to be optional in a list inside a list, or in a container."""
    for member in one.members:
        rows = [member] if one.is_chain else member.chain
        if any(deep.is_optional for row in rows for deep in row.all() if deep not in rows):
            raise UnlikeError("optional modules too deep inside")
        if member.is_optional and "." in member.name:
            raise UnlikeError("optional modules in a container")
    is_counted = all(
        list(group.children) == [str(n) for n in range(len(group.children))]
        for group in one.instances
    )
    if one.is_chain and not is_counted and any(member.is_optional for member in one.members):
        raise UnlikeError("a chain with gaps has optional modules")


def _note_missing_kinds(one: Class) -> None:
    """Of an activation in a chain that some do without, say that it is none there; where all others
    have the same, whether it is there is enough. What the definition has a condition for is left
    to that."""
    authored = definition_of(one.instances)
    for member in _in_chains(one):
        slot = (member.path, KIND)
        if not member.is_optional or not any(slot in table for table in one.tables):
            continue
        if not isinstance(member.child, Leaf):
            continue
        if authored is not None and any(conditions_for(authored, member.present)):
            continue
        for table, there in zip(one.tables, member.present, strict=True):
            if there is False:
                table[slot] = None
        if len({table[slot] for table in one.tables if table.get(slot) is not None}) == 1:
            for table in one.tables:
                if slot in table:
                    table[slot] = table[slot] is not None


def _in_chains(one: Class) -> Iterator[Member]:
    """The members of a row of modules."""
    for member in one.members:
        yield from member.all() if one.is_chain else member.chain


def _find_arguments(one: Class, found: Mapping[Group, Class], taken: Namespace) -> _Wishes:
    """Fill in a class's arguments and literals; returns what its definition calls them."""
    numbers = Numbers(one.tables)
    for path, written, name in origins_of(one.members):
        numbers.names[path] = name
        if written is not None:
            numbers.origins[path] = written
    models = [one.model, *(variant.model for variant in one.variants), *one.instances]
    # What only some have may also lie deeper, in modules of classes of their own.
    is_optional = len({frozenset(table) for table in one.tables}) > 1
    models = list(dict.fromkeys(models)) if is_optional or len(one.variants) > 1 else models[:1]
    numbers.flows = flows_of(models, one.instances)
    wishes = _Wishes(one, numbers, found)
    groups = channel_groups(
        numbers, one.model.path, wishes.is_input, one.class_slots, are_alike=len(models) == 1
    )
    slots = list(dict.fromkeys(slot for table in one.tables for slot in table))
    kinds = _kinds_that_vary(one)
    rest = [s for s in slots if s not in numbers.flows and (s[0] not in kinds or s[1] == KIND)]
    _join_groups(one, groups, rest)
    one.derived = _paddings(one, rest)
    plain = [slot for slot in rest if slot not in one.derived]
    literals, varying = split(plain, one.tables, numbers.origins)
    one.literals = literals
    channels = name_channels(groups, wishes.wish, wishes.is_width, taken)
    channels = [surest_first(argument, one.tables) for argument in channels]
    channels = [with_default(argument, one.tables) for argument in channels]
    others = name_numbers(varying, one.tables, numbers.names, taken)
    one.arguments = sorted([*channels, *others], key=lambda argument: argument.has_default)
    return wishes


def _kinds_that_vary(one: Class) -> set[object]:
    """The paths of modules that are not of one op in all."""
    kinds: dict[object, set[Value]] = {}
    for table in one.tables:
        for (path, what), value in table.items():
            if what == KIND:
                kinds.setdefault(path, set()).add(value)
    return {path for path, values in kinds.items() if len(values) > 1}


def _join_groups(one: Class, groups: list[list[Slot]], rest: list[Slot]) -> None:
    """Have depthwise convolutions take their groups from their channels."""
    for slot in [slot for slot in rest if slot[1] == "groups"]:
        channels = (slot[0], "in_channels")
        pairs = [(table[slot], table.get(channels)) for table in one.tables if slot in table]
        group = next((group for group in groups if channels in group), None)
        if group is not None and all(one == other != 1 for one, other in pairs):
            group.append(slot)
            rest.remove(slot)


def _paddings(one: Class, rest: Sequence[Slot]) -> dict[Slot, Slot]:
    """Paddings that vary as kernels do, of convolutions that keep the size of maps."""
    found = {}
    for slot in rest:
        kernel = (slot[0], "kernel_size")
        pairs = [(table[slot], table.get(kernel)) for table in one.tables if slot in table]
        if slot[1] == "padding" and len(set(pairs)) > 1 and all(_keeps(*pair) for pair in pairs):
            found[slot] = kernel
    return found


def _keeps(padding: Value, kernel: Value) -> bool:
    return isinstance(kernel, int) and padding == (kernel - 1) // 2


@dataclass(frozen=True)
class _Wishes:
    """What a definition calls the channels within its modules."""

    one: Class
    numbers: Numbers
    found: Mapping[Group, Class]

    def wish(self, slots: Sequence[Slot]) -> str:
        """The name of some slots' channels."""
        for path, what in slots:
            if what not in ("out_channels", "out_features"):
                continue
            for end in range(1, len(path) + 1):
                written = self.numbers.origins.get(path[:end])
                if written is None or written.word == "group":
                    continue
                name = self._name(written, (path, what), end)
                if is_name(name) and name not in ("channels", "width"):
                    return name
                break
        return "width"

    def _name(self, written: Written, slot: Slot, end: int) -> str:
        """What the definition calls the channels of a layer, or of something inside a block."""
        if end == len(slot[0]):
            return written.names.get("width") or written.names.get("features") or ""
        inner = self._inner_name(slot, end)
        value = next((table[slot] for table in self.one.tables if slot in table), None)
        said = None if written.authored is None else written.authored.values.get(inner)
        if inner in written.names and said in (None, value):
            return written.names[inner]
        if inner in ("out_channels", "channels") and "width" in written.names:
            return written.names["width"]
        return f"{written.word}_width" if inner == "width" and is_name(written.word) else ""

    def is_width(self, slots: Sequence[Slot]) -> bool:
        """Whether the definition calls the channels its width."""
        return any(self._alone(slot) == "width" for slot in slots)

    def is_input(self, slot: Slot) -> bool:
        """Whether the definition says that they are the channels that come in."""
        return self._alone(slot) == "in"

    def _alone(self, slot: Slot) -> str | None:
        """The name that alone gives the channels of one of the definition's own layers."""
        path, what = slot
        written = self.numbers.origins.get(path)
        if written is None or what not in ("out_channels", "out_features"):
            return None
        return written.names.get("width") or written.names.get("features")

    def _inner_name(self, slot: Slot, end: int) -> str:
        """What the class of a module calls a number that is given to it."""
        for member in self.one.members:
            for deep in member.all():
                if deep.path == slot[0][:end] and isinstance(deep.child, Group):
                    inner = self.found.get(deep.child)
                    given = inner and inner.argument((slot[0][end:], slot[1]))
                    return given.name if given else ""
        return ""


# What only some have


def _find_tests(one: Class, taken: Namespace, wishes: _Wishes) -> None:
    """Find by what to tell which modules have what."""
    authored = definition_of(one.instances)
    said = None
    if authored is not None:
        said = Definition(authored, one.arguments, one.tables, wishes.wish, taken.new)
    for member in one.members:
        for deep in member.all():
            if _takes_kind(one, deep) or not deep.is_optional:
                continue
            if deep in one.members and not one.is_chain and _is_harmless(deep):
                continue  # it may be there without being called
            name = deep.name if is_name(deep.name) else "has_" + _word(deep)
            deep.test = _test(one, deep.present, name, taken, said)
    left = set(range(len(one.instances)))
    flags = Namespace({member.name for member in one.members} | NOT_FOR_MODULES)
    for variant in one.variants[:-1]:
        here = [n in variant.instances if n in left else None for n in range(len(one.instances))]
        variant.test = _test(one, here, "use_shortcut", taken, said)
        left -= set(variant.instances)
        variant.flag = flags.new(_flag(variant.test))
    if said is not None:
        _find_formulas(one, said)
    _find_defaults(one)


def _find_defaults(one: Class) -> None:
    """Give an integer that only some modules take the default that most of those have, unless the
    constructor asks whether there is one."""
    asked = {part.left for test in one.tests for part in test.parts}
    for place, argument in enumerate(one.arguments):
        if argument.default != 0 or type(argument.default) is not int or argument.name in asked:
            continue
        values = [
            value_in(argument, table)
            for table in one.tables
            if any(slot in table for slot in argument.slots)
        ]
        ((usual, _),) = Counter(values).most_common(1)
        one.arguments[place] = replace(argument, default=usual)


def _find_formulas(one: Class, said: Definition) -> None:
    """Have the constructor compute the channels that follow from its other arguments."""
    for place, argument in enumerate(one.arguments):
        counts = any(what in ("out_channels", "out_features") for _, what in argument.slots)
        if not counts or argument.has_default or {SOURCE, RESULT} & set(argument.slots):
            continue
        formula = said.formula(argument, said.called(argument.slots))
        if formula is not None:
            one.arguments[place] = replace(argument, formula=formula)


def _takes_kind(one: Class, member: Member) -> bool:
    """Note which argument makes a module, or decides whether it is there; whether there is one."""
    argument = one.argument((member.path, KIND))
    if argument is None:
        return False
    if isinstance(argument.default, bool):
        member.test = Test((Part(argument.name, ""),))
        return True
    member.maker = argument.name
    if member.is_optional:
        member.test = Test((Part(argument.name, "is not", "None"),))
    return True


def _is_harmless(member: Member) -> bool:
    """Whether a module makes no difference where it is not called: a dropout of a merge."""
    drops = isinstance(member.child, Leaf) and member.child.node.op.trains_only
    return drops and not member.stands_in


def _word(member: Member) -> str:
    if member.child.written is not None:
        return member.child.written.word
    return "module"


def _test(
    one: Class,
    pattern: Sequence[bool | None],
    name: str,
    taken: Namespace,
    said: Definition | None,
) -> Test:
    """A test for a pattern: as the definition says it, or by the arguments; by one made for it
    where none of the others decides."""
    if said is not None and (test := said.test(pattern, may_add=False)) is not None:
        return test
    names = [a.name for a in one.arguments if one.class_slots.isdisjoint(a.slots)]
    full = [{a.name: value_in(a, table) for a in one.arguments} for table in one.tables]
    if said is not None and (test := said.test(pattern, may_ask=False)) is not None:
        return test
    if (test := find_given(pattern, names, one.values(), full)) is not None:
        return test
    if said is not None and (test := said.test(pattern)) is not None:
        return test
    if (test := find_test(pattern, names, one.values(), full)) is not None:
        return test
    if len(one.arguments) >= MAX_ARGUMENTS:
        raise UnlikeError("too many arguments")
    name = (said and said.switch(pattern)) or name
    argument = Argument(taken.new(name), (), False, True)
    usual = sum(1 if there else -1 for there in pattern if there is not None) > 0
    slot = ((), argument.name)
    one.arguments.append(replace(argument, default=usual, slots=(slot,)))
    for table, there in zip(one.tables, pattern, strict=True):
        table[slot] = bool(there)
    return Test((Part(argument.name, ""),))


def _flag(test: Test) -> str:
    """What the attribute is called that keeps a test's outcome."""
    (first, *more) = test.parts
    is_alone = first.is_word or not isinstance(first.right, str)
    if not more and is_alone:
        return first.left
    return "keeps_shape" if first.operator == "==" else "changes_shape"
