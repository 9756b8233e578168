"""The names of modules in a network: torchvision's, so that published weights load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from archc.graph import Fragment, Step
from archc.spec import Spec


@dataclass
class Names:
    """Gives each op its id.

    ``counted`` networks, those of `conv` stages alone, are named as torchvision's VGGs:
    ``features.N``, ``avgpool``, ``classifier.N``; all others as its ResNets.
    """

    counted: bool
    linears: int
    used: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=lambda: {"input"})
    next: dict[str, int] = field(default_factory=dict)
    flat: bool = False

    @classmethod
    def of(cls, spec: Spec) -> Names:
        """The names of a spec's network."""
        counted = bool(spec.stages) and all(stage.model.counted for stage in spec.stages)
        layers = (*spec.stem, *spec.head)
        return cls(counted, sum(layer.word == "linear" for layer in layers))

    def stem(self, step: Step) -> str:
        """The id of a step of the stem."""
        if self.counted:
            return self._count("features")
        if step.name == "bn":
            # In a stem a norm is numbered like the convolution before it, as far as that is free:
            # `bn` is left to the final norm of a pre-activation network.
            return self._free("bn", max(self.used["conv"], 1))
        return self._plain(step)

    def in_block(self, stage: int, block: int) -> Callable[[Step], str]:
        """Ids for the steps of a block."""
        if self.counted:
            return lambda step: self._count("features")
        prefix = f"layer{stage}.{block}."
        return lambda step: prefix + step.name

    def in_stage(self, stage: int) -> Callable[[Step], str]:
        """Ids for what ends a stage."""
        if self.counted:
            return lambda step: self._count("features")
        return lambda step: f"layer{stage}.{step.name}"

    def head(self, step: Step) -> str:
        """The id of a step of the head."""
        if not self.counted or step.name == "softmax" or not self.flat:
            if self.counted and step.name == "flatten":
                self.flat = True
            return self._plain(step)
        return self._count("classifier")

    def _count(self, place: str) -> str:
        self.used[place] += 1
        return f"{place}.{self.used[place] - 1}"

    def _plain(self, step: Step) -> str:
        """A layer's name: ``conv1``, ``bn1``, ``relu``, ``relu2``, ``maxpool``, ``fc``."""
        family = step.name
        if family == "bn" and step.inputs != (Fragment.INPUT,):
            return self._free("bn", self.used["conv"])
        self.used[family] += 1
        number = self.used[family]
        if family == "conv" or (family == "fc" and self.linears > 1):
            return self._free(family, number)
        return self._free(family, None if number == 1 else number)

    def _free(self, family: str, number: int | None) -> str:
        """The family with this number, or with the next that is free."""
        name = family if number is None else f"{family}{number}"
        if name in self.taken:
            number = max((number or 1) + 1, self.next.get(family, 2))
            while (name := f"{family}{number}") in self.taken:
                number += 1
            self.next[family] = number + 1
        self.taken.add(name)
        return name
