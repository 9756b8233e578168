"""A network in a few words."""

from __future__ import annotations

from archc.backends.numbers import in_short
from archc.graph import Network


def summary(network: Network) -> str:
    """``34 layers, 21.62 M parameters, 3.64 G multiply-adds``."""
    layers = "1 layer" if network.layers == 1 else f"{network.layers} layers"
    return (
        f"{layers}, {in_short(network.params)} parameters, "
        f"{in_short(network.multiply_adds)} multiply-adds"
    )
