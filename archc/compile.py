"""Spec into Network: the stem, the stages through their block types, the head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from archc.blocks.lowering import final_activation
from archc.graph import (
    Fragment,
    Network,
    NetworkBuilder,
    Node,
    Origin,
    Shape,
    ShapeError,
    Step,
    lint,
)
from archc.spec import Place, Spec
from archc.spec.models import PlacedLayer, PlacedStage
from archc.spec.shapes import shape_faults


def compile_spec(spec: Spec) -> Network:
    """The network that a spec describes.

    Raises `SpecError` where stages or layers cannot take the shapes that reach them.
    """
    try:
        nodes = _nodes(spec)
    except ShapeError:
        raise shape_faults(spec) from None
    return lint(
        Network(
            name=spec.header.name,
            nodes=nodes,
            title=spec.header.title or spec.header.name,
            description=spec.header.description,
            source=spec.label,
            digest=spec.digest,
        )
    )


def _nodes(spec: Spec) -> Mapping[str, Node]:
    """The nodes of the network; raises `ShapeError`."""
    names = _Names.of(spec)
    network = NetworkBuilder(spec.header.input)
    lowered: _Lowered = {}
    for layer in spec.stem:
        _add_layer(network, layer, spec, names.stem)
    for number, stage in enumerate(spec.stages, 1):
        _add_stage(network, stage, number, spec, names, lowered)
    if spec.style.pre_activation and spec.stages:
        origin = _origin(spec.entries["pre_activation"].key)
        network.append(final_activation(network.shape, spec.style), names.head, origin=origin)
    for layer in spec.head:
        _add_layer(network, layer, spec, names.head)
    return network.nodes


_Lowered: TypeAlias = dict[tuple[object, Shape, int], Fragment]
"""Fragments by the stage, the input's shape and the stride that they were lowered for."""


def _add_layer(
    network: NetworkBuilder, layer: PlacedLayer, spec: Spec, place: Callable[[Step], str]
) -> None:
    piece = layer.model.lower(network.shape, spec.surroundings)
    network.append(piece, place, origin=_origin(layer.place))


def _add_stage(
    network: NetworkBuilder,
    stage: PlacedStage,
    number: int,
    spec: Spec,
    names: _Names,
    lowered: _Lowered,
) -> None:
    put = partial(
        network.append, stage=number, stage_width=stage.model.width, origin=_origin(stage.place)
    )
    model = (type(stage.model), stage.model.model_dump_json(exclude={"depth"}))
    for index in range(stage.model.depth):
        # Equal blocks are lowered once, those of equal stages too: a block depends on its stage,
        # its input's shape and its stride.
        x, stride = network.shape, stage.model.stride if index == 0 else 1
        key = (model, x, stride)
        if key not in lowered:
            lowered[key] = stage.model.lower(x, stride, spec.style)
        put(lowered[key], names.in_block(number, index), block=index)
    end = stage.model.finish(network.shape)
    if end is not None:
        put(end, names.in_stage(number))


def _origin(place: Place) -> Origin:
    return Origin(place.source.name, place.line, place.column)


@dataclass
class _Names:
    """Gives each op its id, so that published weights load: torchvision's names.

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
    def of(cls, spec: Spec) -> _Names:
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
