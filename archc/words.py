"""A network, or what was counted of it, in a few words."""

from __future__ import annotations

from archc.analysis import Count
from archc.backends.numbers import in_short
from archc.graph import Network


def summary(one: Network | Count) -> str:
    """``34 layers, 21.62 M parameters, 3.64 G multiply-adds``."""
    layers = "1 layer" if one.layers == 1 else f"{one.layers} layers"
    return (
        f"{layers}, {in_short(one.params)} parameters, {in_short(one.multiply_adds)} multiply-adds"
    )
