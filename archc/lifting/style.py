"""What a network has most of, and so says once: its norm, its activation, its classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from archc.blocks.around import Around
from archc.blocks.around import Norm as Usual
from archc.blocks.scope import value_of
from archc.dataclassing import dataclass
from archc.graph import Node
from archc.lifting.layers import ACTIVATION_OF, NORMS, layer_of
from archc.lifting.tree import Data, Layer

Norm: TypeAlias = tuple[str, tuple[tuple[str, Data], ...]]
"""The word of a norm and its numbers."""

NONE: Norm = ("none", ())


@dataclass(frozen=True, slots=True)
class Style:
    """The network's norm, activation and classes."""

    norm: Norm
    activation: str
    classes: int

    @classmethod
    def of(cls, nodes: Mapping[str, Node]) -> Style:
        """Those that most convolutions have, or else that there are most of."""
        norms: Counter[Norm] = Counter()
        activations: Counter[str] = Counter()
        classes = 1000
        for node in nodes.values():
            kind = node.op.kind
            if kind in NORMS:
                norms[norm_of(layer_of(node, 1))] += 1
            elif kind in ACTIVATION_OF:
                word = ACTIVATION_OF[kind][0]
                gates = word in ("sigmoid", "hard_sigmoid")
                activations[word] += 1 if gates else 2
            elif kind == "linear":
                classes = node.output_shape[0]
        norm = norms.most_common(1)[0][0] if norms else NONE
        activation = activations.most_common(1)[0][0] if activations else "relu"
        return cls(norm, activation, classes)

    def word_for(self, norm: Norm) -> str | None:
        """What a convolution says of its norm; None where it cannot be said there."""
        if norm == self.norm:
            return "network"
        if norm[0] != self.norm[0] and norm == _usual(norm[0]):
            return norm[0]
        return None

    def around(self, total: int) -> Around:
        """The network around its blocks, of which there are so many."""
        word, numbers = self.norm
        norm = None if word == "none" else Usual(kind=word, **dict(numbers))  # type: ignore[arg-type]
        names = {"classes": value_of(self.classes), "norm": value_of(word)}
        names["pre_activation"] = value_of(False)
        return Around(norm, self.activation, classes=self.classes, names=names, total=total)

    @property
    def header(self) -> dict[str, Data]:
        """The keys of the network that say it."""
        found: dict[str, Data] = {}
        if self.classes != 1000:
            found["classes"] = self.classes
        if self.norm == NONE:
            found["norm"] = "none"
        elif self.norm != ("batch_norm", _usual("batch_norm")[1]):
            usual = dict(_usual(self.norm[0])[1])
            numbers = {name: one for name, one in self.norm[1] if usual[name] != one}
            found["norm"] = {self.norm[0]: numbers} if numbers else self.norm[0]
        if self.activation != "relu":
            found["activation"] = self.activation
        return found


def _usual(word: str) -> Norm:
    """A norm of which nothing is said."""
    op = Usual(kind=word).op(32)  # type: ignore[arg-type]
    numbers: dict[str, Data] = {
        name: getattr(op, name) for name in ("eps", "momentum") if name in op.field_names()
    }
    if word == "group_norm":
        numbers = {"groups": 32, **numbers}
    return word, tuple(numbers.items())


def norm_of(layer: Layer) -> Norm:
    """The norm that a layer is."""
    return layer.word, tuple(layer.fields.items())


def written_norm(layer: Layer, style: Style) -> Layer:
    """A norm by itself as it is written: by the network's word where it is the network's."""
    norm = norm_of(layer)
    if norm == style.norm:
        return Layer("norm", {}, layer.parts, layer.channels, layer.width)
    same = norm[0] == style.norm[0]
    usual = dict(style.norm[1] if same else _usual(norm[0])[1])
    fields = {name: one for name, one in norm[1] if usual.get(name) != one or name == "groups"}
    if fields.get("groups") == 32:
        del fields["groups"]
    return Layer(norm[0], fields, layer.parts, layer.channels, layer.width)
