"""The ways in which modules of one class run."""

from __future__ import annotations

from collections.abc import Sequence, Set

from archc.backends.pytorch.conditions import Test
from archc.backends.pytorch.members import Member, UnlikeError, held
from archc.dataclassing import dataclass
from archc.graph.modules import Group, Leaf

MAX_VARIANTS = 4


@dataclass(eq=False)
class Variant:
    """A way to run: which modules of a class run so, by number, and one to write it from; ``flag``
    is the attribute that tells."""

    instances: frozenset[int]
    model: Group
    test: Test | None = None
    flag: str = ""


def variants_of(groups: Sequence[Group], members: Sequence[Member]) -> list[Variant]:
    """The ways in which modules run, those that do the most first; and note which children need a
    stand-in where they are missing. Raises `UnlikeError`."""
    optional = {member.name for member in members if member.is_optional}
    seen: dict[object, int] = {}
    forms: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        forms.setdefault(_form(group, optional, seen), []).append(number)
    if len(forms) > MAX_VARIANTS:
        raise UnlikeError("modules run in too many ways")
    if len(forms) > 1 and any(map(_calls_functions, groups)):
        raise UnlikeError("modules call functions with other numbers")
    found = []
    for numbers in forms.values():
        model = max((groups[number] for number in numbers), key=lambda one: len(one.children))
        here = {n for number in numbers for n in groups[number].children if n in optional}
        if not here <= set(model.children):
            raise UnlikeError("no module has all that is optional")
        for member in members:
            there = [member.name in groups[number].children for number in numbers]
            if any(there) and not all(there):
                member.stands_in = True
        found.append(Variant(frozenset(numbers), model))
    return sorted(found, key=lambda one: -len(one.model.children))


def _calls_functions(group: Group) -> bool:
    """Whether a module's ``forward`` calls functions with arguments of its own."""
    children = group.children.values()
    return any(isinstance(child, Leaf) and child.node.op.kind == "call" for child in children)


def _form(group: Group, optional: Set[str], seen: dict[object, int]) -> int:
    """A number for what a module computes, equal for those that compute the same, when optional
    children do nothing."""
    values = {"": -1, **{name: -2 - n for n, name in enumerate(group.arguments.values())}}
    for child, sources in group.wiring():
        inputs = tuple([values[source] for source in sources])
        if child.name in optional and len(inputs) == 1:
            values[child.name] = inputs[0]
            continue
        op = None if isinstance(child, Group) or held(child) else child.node.op
        what = (child.name, inputs) if op is None else (op, inputs)
        values[child.name] = seen.setdefault(what, len(seen))
    return next(values[name] for name, one in group.children.items() if one.result == group.result)
