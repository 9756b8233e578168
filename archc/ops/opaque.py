"""Ops of foreign models that archc has no record of, as far as anything is known of them."""

from __future__ import annotations

import math
from typing import Any

from archc.dataclassing import dataclass
from archc.ops.facts import (
    EVERYTHING,
    INPUTS,
    MIXED,
    Arity,
    Look,
    Reach,
    Role,
    Saved,
    Shape,
    Storage,
    tensors,
)
from archc.ops.traits import Ordinary, Unwritten

_MOVES = """
permute transpose t movedim moveaxis swapaxes swapdims view reshape flatten
unflatten squeeze unsqueeze expand expand_as view_as repeat
select slice narrow index index_select gather roll flip pad constant_pad_nd cat stack split
split_with_sizes chunk unbind contiguous clone copy alias new_zeros zeros_like ones_like
as_strided scatter pixel_shuffle pixel_unshuffle
"""
_ELEMENT_WISE = """
add sub rsub mul div neg abs pow sqrt rsqrt exp log clamp clamp_min clamp_max square
minimum maximum where masked_fill
eq ne lt le gt ge logical_and logical_or logical_not any all amax amin argmax argmin
full_like to _to_copy relu sigmoid tanh silu gelu
reciprocal floor ceil round sign sin cos tan remainder fmod isnan softsign hard_sigmoid swish
elu selu celu scaled_elu mish softplus hardtanh hardswish hardsigmoid leaky_relu prelu erf softmax
dropout feature_dropout
"""

_PERMUTATIONS = frozenset(
    ["permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "Transpose"]
)
_MOVED = frozenset(_MOVES.split())
FREE = _MOVED | frozenset(_ELEMENT_WISE.split())
"""Names of ops that multiply nothing with weights, and add nothing up but a softmax."""


@dataclass(frozen=True, slots=True)
class Opaque(Unwritten, Ordinary):
    """An op that archc knows by its name alone: its shape is what the model says.

    ``details`` are its arguments as text, by which two of one name are told apart; ``held`` are the
    names and shapes of the tensors of the model that it reads. It counts nothing, and every total
    says so.
    """

    kind = "opaque"
    name: str
    output: Shape
    details: str = ""
    held: tuple[tuple[str, Shape], ...] = ()

    unexported = frozenset(["output", "held"])  # shapes are compared by themselves
    arity = Arity.ANY
    channels = MIXED
    storage = Storage.KEPT
    roles = tensors(weight=Role.KERNEL)

    def __post_init__(self) -> None:
        """Nothing: its shapes are no sizes of windows."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name

    @property
    def has_rule(self) -> bool:
        """Whether it is known to have no multiply-adds."""
        return self.name in FREE

    @property
    def puts_features_last(self) -> bool | None:
        """As it reads them, for all that is known."""
        return None

    @property
    def moves_features(self) -> bool:
        """Whether it is a permutation."""
        return self.name in _PERMUTATIONS

    def infer(self, *inputs: Shape) -> Shape:
        """What the model says."""
        return self.output

    @property
    def params(self) -> int:
        """Those of the tensors that it reads."""
        return sum(math.prod(shape) for _, shape in self.held)

    @property
    def state(self) -> dict[str, Shape]:
        """The tensors that it reads."""
        return dict(self.held)

    @property
    def buffers(self) -> frozenset[str]:
        """None that is known."""
        return frozenset()

    @property
    def numbers(self) -> dict[str, Any]:
        """Its name, and its arguments where it has any."""
        return {"name": self.name, **({"details": self.details} if self.details else {})}

    def start(self, name: str) -> float | None:
        """Not known."""
        return None

    def reach(self) -> Reach:
        """Everything, for all that is known."""
        return EVERYTHING

    def saved(self) -> Saved:
        """What it reads, for all that is known."""
        return INPUTS

    def look(self) -> Look:
        """A box with its name; nothing where values only lie otherwise."""
        if self.name in _MOVED:
            return Look(name=self.name)
        if self.name in FREE:
            return Look(word=self.name, mark=self.name, words=self.name)
        return Look(box="other", label=self.name, mark=self.name, words=self.name)
