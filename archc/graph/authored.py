"""What the definition of a block says of its modules, for source that says it the same way.

Names are the definition's own: attributes, names under ``let``, ``in`` and ``stride``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from archc.dataclassing import dataclass

Known: TypeAlias = int | float | bool | str
"""What a name of a definition may come to, or a number or a word in it."""

NOT_FOR_MODULES = frozenset(
    [
        *("T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init"),
        *("children", "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr"),
        *("float", "forward", "get_buffer", "get_extra_state", "get_parameter"),
        *("get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia"),
        *("named_buffers", "named_children", "named_modules", "named_parameters", "parameters"),
        *("predict", "register_backward_hook", "register_buffer", "register_forward_hook"),
        *("register_forward_pre_hook", "register_full_backward_hook"),
        *("register_full_backward_pre_hook", "register_load_state_dict_post_hook"),
        *("register_load_state_dict_pre_hook", "register_module", "register_parameter"),
        *("register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_"),
        *("self", "set_extra_state", "set_submodule", "share_memory", "state_dict", "super"),
        *("to", "to_empty", "train", "training", "type", "xpu", "zero_grad"),
    ]
)
"""What `nn.Module` has already, and what emitted modules have."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A name in a definition."""

    name: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides and one of ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` between them; or with the
    operator ``""`` or ``not`` a name alone."""

    left: Ref
    operator: str
    right: Ref | Known | None = None

    def holds(self, values: Mapping[str, Known]) -> bool | None:
        """Whether it does; None where a name has no value."""
        left = values.get(self.left.name)
        right = values.get(self.right.name) if isinstance(self.right, Ref) else self.right
        if left is None or (right is None and self.operator not in ("", "not")):
            return None
        return compare(left, self.operator, right)


def compare(left: object, operator: str, right: object) -> bool:
    """Whether a comparison holds; words have no order."""
    if operator in ("", "not"):
        return bool(left) is (operator == "")
    if operator in ("==", "!=", "is", "is not"):
        return (left == right) is (operator in ("==", "is"))
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        return False
    if operator in ("<", "<="):
        return left < right or (operator == "<=" and left == right)
    return left > right or (operator == ">=" and left == right)


@dataclass(frozen=True, slots=True)
class Condition:
    """Comparisons, or conditions, of which one, or with ``joint`` "and" each, must hold."""

    parts: tuple[Comparison | Condition, ...]
    joint: str = "or"

    def holds(self, values: Mapping[str, Known]) -> bool | None:
        """Whether it does; None where a name has no value."""
        found = [part.holds(values) for part in self.parts]
        if None in found:
            return None
        return any(found) if self.joint == "or" else all(found)

    def relevant(self, columns: Sequence[Mapping[str, Known]]) -> Condition | None:
        """What decides it with some of these values: comparisons, those that are the same with all
        left out. None where a name has no value, where nothing decides, or where both joints
        would be needed."""
        kept: list[Comparison] = []
        joints = set()
        for part in self.parts:
            told = {part.holds(values) for values in columns}
            if None in told or told == {self.joint == "or"}:
                return None
            if told == {self.joint == "and"}:
                continue
            if isinstance(part, Comparison):
                kept.append(part)
                continue
            inner = part.relevant(columns)
            if inner is None:
                return None
            joints |= {inner.joint} if inner.parts[1:] else set()
            kept += inner.comparisons
        if len(joints) > 1 or (joints and joints != {self.joint} and self._has_more(columns)):
            return None
        joint = joints.pop() if joints else self.joint
        return Condition(tuple(kept), joint) if kept else None

    def _has_more(self, columns: Sequence[Mapping[str, Known]]) -> bool:
        """Whether several of its parts decide."""
        told = [{part.holds(values) for values in columns} for part in self.parts]
        return sum(len(one) > 1 for one in told) > 1

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Its parts that are comparisons."""
        return tuple([part for part in self.parts if isinstance(part, Comparison)])


@dataclass(frozen=True, slots=True)
class Formula:
    """Integer arithmetic as Python writes it, in pieces of text and names."""

    parts: tuple[str | Ref, ...]

    @property
    def names(self) -> Iterator[str]:
        """The names in it."""
        return (part.name for part in self.parts if isinstance(part, Ref))


@dataclass(frozen=True, eq=False)
class Authored:
    """A module's definition: the conditions in it, the formulas of names under ``let``, and the
    values that names have in this module."""

    conditions: tuple[Condition, ...]
    formulas: Mapping[str, Formula]
    values: Mapping[str, Known]
