"""Ops with tensors of others, as of modules that are called twice, or with more than their own."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from archc.dataclassing import dataclass
from archc.ops.base import Op
from archc.ops.facts import (
    Arity,
    Gradient,
    Look,
    Reach,
    Saved,
    Shape,
    tensors,
)
from archc.ops.traits import Unwritten


def _as_the_op(name: str) -> Any:
    return property(lambda again: getattr(again.op, name))


@dataclass(frozen=True, slots=True)
class Again(Unwritten):
    """Another call of a module, or of one with some of its tensors, or with more than its own.

    It computes what ``op`` does, and what that multiplies counts again; ``of`` is the id of the op
    whose tensors it uses, ``shared`` are their names: they are counted there. It has the others,
    and those in ``held``, by name with their shapes, which what it reads is computed from: with the
    layers in ``computed``, which have these output shapes.
    """

    kind = "again"
    op: Op
    of: str = ""
    shared: tuple[str, ...] = ()
    held: tuple[tuple[str, Shape], ...] = ()
    computed: tuple[tuple[Op, Shape], ...] = ()

    arity = Arity.ANY
    roles = tensors()
    channels: ClassVar[Any] = _as_the_op("channels")
    storage: ClassVar[Any] = _as_the_op("storage")
    overwrites: ClassVar[Any] = _as_the_op("overwrites")
    is_layer: ClassVar[Any] = _as_the_op("is_layer")
    runs_on_the_way: ClassVar[Any] = _as_the_op("runs_on_the_way")
    trains_only: ClassVar[Any] = _as_the_op("trains_only")
    commutes: ClassVar[Any] = _as_the_op("commutes")
    has_gates: ClassVar[Any] = _as_the_op("has_gates")

    def __post_init__(self) -> None:
        """Nothing: it has no sizes."""

    @property
    def called(self) -> str:
        """What the op is called."""
        return self.op.called

    @property
    def plain(self) -> Op:
        """The op."""
        return self.op

    @property
    def shares(self) -> str:
        """The id of the op whose tensors it uses."""
        return self.of

    @property
    def beside(self) -> tuple[tuple[Op, Shape], ...]:
        """The layers that compute what it reads besides."""
        return self.computed

    @property
    def is_product(self) -> bool:
        """As the op."""
        return self.op.is_product

    @property
    def has_rule(self) -> bool:
        """As the op."""
        return self.op.has_rule

    @property
    def puts_features_last(self) -> bool | None:
        """As the op."""
        return self.op.puts_features_last

    @property
    def state(self) -> dict[str, Shape]:
        """The tensors that are its own."""
        own = {name: shape for name, shape in self.op.state.items() if name not in self.shared}
        return own | dict(self.held)

    @property
    def buffers(self) -> frozenset[str]:
        """Those of them that are not learned."""
        return self.op.buffers - {*self.shared}

    @property
    def params(self) -> int:
        """Those of the tensors that are its own."""
        state = self.state
        return sum(math.prod(state[name]) for name in state.keys() - self.buffers)

    @property
    def numbers(self) -> dict[str, Any]:
        """The op's kind and numbers, and whose tensors it uses."""
        return {"calls": self.op.kind, "of": self.of or None, **self.op.numbers}

    def infer(self, *inputs: Shape) -> Shape:
        """As the op."""
        return self.op.infer(*inputs)

    def multiply_adds(self, output: Shape) -> int:
        """Those of the op, and of what is computed for it."""
        more = sum(op.multiply_adds(shape) for op, shape in self.computed)
        return self.op.multiply_adds(output) + more

    def reach(self) -> Reach:
        """As the op."""
        return self.op.reach()

    def saved(self) -> Saved:
        """As the op."""
        return self.op.saved()

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """As the op."""
        return self.op.gradient(output, *inputs)

    def look(self) -> Look:
        """As the op."""
        return self.op.look()

    def start(self, name: str) -> float | None:
        """As the op; not known of others."""
        return self.op.start(name) if name in self.op.state else None
