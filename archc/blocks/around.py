"""What blocks and layers take from the network around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal, TypeAlias

from archc.blocks.expressions import Value
from archc.dataclassing import dataclass
from archc.ops import BatchNorm2d, GroupNorm, LayerNorm2d, Op

if TYPE_CHECKING:
    from archc.blocks.tree import Expr

NormName: TypeAlias = Literal["batch_norm", "layer_norm", "group_norm"]
ActivationName: TypeAlias = Literal[
    "relu",
    "relu6",
    "silu",
    "hard_swish",
    "hard_sigmoid",
    "sigmoid",
    "gelu",
    "leaky_relu",
    "tanh",
]

ACTIVATIONS: Mapping[str, tuple[str, str]] = {
    "relu": ("relu", "relu"),
    "relu6": ("relu", "relu6"),
    "silu": ("silu", "silu"),
    "hard_swish": ("hardswish", "hardswish"),
    "hard_sigmoid": ("hardsigmoid", "hardsigmoid"),
    "sigmoid": ("sigmoid", "sigmoid"),
    "gelu": ("gelu", "gelu"),
    "leaky_relu": ("relu", "leaky_relu"),
    "tanh": ("tanh", "tanh"),
}
"""Each activation by its word: what modules of it are called, and the kind of its op."""

GROUPS = 32
"""How many groups a group norm has by default (Wu and He 2018)."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A norm as authors write it; its channels are whatever it meets."""

    kind: NormName = "batch_norm"
    eps: float | None = None
    momentum: float | None = None
    groups: int = GROUPS

    @property
    def family(self) -> str:
        """What modules of it are called."""
        return "bn" if self.kind == "batch_norm" else "norm"

    def op(self, channels: int) -> Op:
        """The norm of so many channels."""
        if self.kind == "batch_norm":
            usual = BatchNorm2d(channels)
            if self.eps is None and self.momentum is None:
                return usual
            return BatchNorm2d(
                channels,
                usual.eps if self.eps is None else self.eps,
                usual.momentum if self.momentum is None else self.momentum,
            )
        if self.kind == "layer_norm":
            return LayerNorm2d(channels, *([] if self.eps is None else [self.eps]))
        return GroupNorm(self.groups, channels, *([] if self.eps is None else [self.eps]))


@dataclass(frozen=True, slots=True)
class Around:
    """The network around a layer: its norm and activation, None where it has none; what its header
    and its variables say, by name; and how many blocks and stages it has.

    ``watch`` is called with each expression that is evaluated, and the values of its names.
    """

    norm: Norm | None = Norm()
    activation: str | None = "relu"
    pre_activation: bool = False
    classes: int = 1000
    names: Mapping[str, Value] = field(default_factory=dict)
    total: int = 0
    stages: int = 0
    watch: Callable[[Expr, Mapping[str, Value]], None] | None = field(
        default=None, compare=False, repr=False
    )
