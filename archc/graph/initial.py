"""What the weights of a fresh module are drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Literal, TypeAlias

from archc.dataclassing import dataclass
from archc.ops.facts import Shape

How: TypeAlias = Literal[
    "default", "kaiming_normal", "kaiming_uniform", "normal", "truncated_normal", "uniform"
]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a layer's weight is drawn, and the number that its bias starts as.

    ``value`` is the standard deviation of a normal distribution, truncated at 2 or not, or the
    bound of a uniform one; ``mode`` and ``gain`` are Kaiming's (He et al. 2015, "Delving Deep into
    Rectifiers"). Where ``bias`` is None, it is torch's default.
    """

    how: How = "default"
    value: float = 0.0
    mode: Literal["fan_in", "fan_out"] = "fan_out"
    gain: float | None = None
    bias: float | None = None

    def deviation(self, shape: Shape) -> float | None:
        """The standard deviation of a weight of this shape; None for torch's default."""
        if self.how == "default":
            return None
        if self.how in ("normal", "truncated_normal"):
            return self.value
        if self.how == "uniform":
            return self.value / math.sqrt(3)
        positions = math.prod(shape[2:])
        fan = positions * (shape[0] if self.mode == "fan_out" else shape[1])
        return (math.sqrt(2) if self.gain is None else self.gain) / math.sqrt(fan)


CONVOLUTION = Rule("kaiming_normal", bias=0.0)
"""As in the code of the ResNet paper's authors, and in torchvision's."""


@dataclass(frozen=True, slots=True)
class Initial:
    """What each kind of layer starts as, and what some start as instead, by id."""

    conv: Rule = CONVOLUTION
    linear: Rule = Rule()
    own: Mapping[str, Rule] = field(default_factory=dict)

    def rule(self, id: str, *, is_convolution: bool) -> Rule:
        """The rule of a layer; its own may say nothing of the bias, which then is as usual."""
        usual = self.conv if is_convolution else self.linear
        own = self.own.get(id, usual)
        return replace(own, bias=usual.bias) if own.bias is None else own


USUAL = Initial()
