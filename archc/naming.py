"""The names of modules in a network: torchvision's, so that published weights load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field
from fractions import Fraction

from archc.blocks.scope import Scope
from archc.blocks.tree import Template
from archc.dataclassing import dataclass
from archc.graph import Fragment, Step
from archc.spec import Spec


@dataclass
class Names:
    """Gives each op its id.

    ``counted`` networks, those whose stages are all of inline blocks, are named as torchvision's
    VGGs: ``features.N``, ``avgpool``, ``classifier.N``; all others as its ResNets, unless their
    authors say otherwise. ``own`` are the names that stages have instead, by number.
    """

    spec: Spec
    counted: bool
    linears: int
    own: Mapping[int, Template]
    used: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=lambda: {"input"})
    next: dict[str, int] = field(default_factory=dict)
    flat: bool = False

    @classmethod
    def of(cls, spec: Spec) -> Names:
        """The names of a spec's network."""
        inline = [stage.model.definition.inline for stage in spec.stages]
        layers = (*spec.stem, *spec.head)
        named = {n: stage.name or spec.names for n, stage in enumerate(spec.stages, 1)}
        return cls(
            spec,
            bool(inline) and all(inline) and spec.names is None,
            sum(layer.word == "linear" for layer in layers),
            {number: name for number, name in named.items() if name is not None},
        )

    def stem(self, step: Step) -> str:
        """The id of a step of the stem."""
        if step.family is None:
            return self._fixed(step.name)
        if self.counted:
            return self._count("features")
        if step.family == "bn":
            # In a stem a norm is numbered like the convolution before it, as far as that is free:
            # `bn` is left to the final norm of a pre-activation network.
            return self._free("bn", max(self.used["conv"], 1))
        return self._plain(step)

    def in_block(self, stage: int, block: int) -> Callable[[Step], str]:
        """Ids for the steps of a block."""
        if self.counted:
            return lambda step: self._count("features")
        prefix = f"{self.block(stage, block)}."
        return lambda step: prefix + step.name

    def block(self, stage: int, block: int) -> str:
        """The path of a block's module."""
        if stage not in self.own:
            return f"layer{stage}.{block}"
        return self._filled(self.own[stage], stage, block)

    def _filled(self, name: Template, stage: int, block: int) -> str:
        before = sum(one.model.depth for one in self.spec.stages[: stage - 1])
        numbers = {"stage": stage, "block": block, "number": before + block + 1}
        given = {key: Fraction(value) for key, value in numbers.items()}
        return Scope(self.spec.around, dict(given)).name(name)

    def in_stage(self, stage: int) -> Callable[[Step], str]:
        """Ids for what ends a stage."""
        if self.counted:
            return lambda step: self._count("features")
        path = f"layer{stage}"
        if stage in self.own:
            last = self.spec.stages[stage - 1].model.depth - 1
            path = self.block(stage, last).rpartition(".")[0]
        return lambda step: f"{path}.{step.name}" if path else step.name

    def head(self, step: Step) -> str:
        """The id of a step of the head."""
        if step.family is None:
            return self._fixed(step.name)
        if not self.counted or step.family == "softmax" or not self.flat:
            if self.counted and step.family == "flatten":
                self.flat = True
            return self._plain(step)
        return self._count("classifier")

    def _fixed(self, name: str) -> str:
        self.taken.add(name)
        return name

    def _count(self, place: str) -> str:
        self.used[place] += 1
        return f"{place}.{self.used[place] - 1}"

    def _plain(self, step: Step) -> str:
        """A layer's name: ``conv1``, ``bn1``, ``relu``, ``relu2``, ``maxpool``, ``fc``."""
        assert step.family is not None
        family = step.family
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
