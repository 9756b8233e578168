"""A network, or what was counted of it, in a few words."""

from __future__ import annotations

from archc.analysis import Count
from archc.backends.numbers import in_short
from archc.graph import Network, foldings


def summary(one: Network | Count) -> str:
    """``34 layers, 21.62 M parameters, 3.64 G multiply-adds``."""
    layers = "1 layer" if one.layers == 1 else f"{one.layers} layers"
    return (
        f"{layers}, {in_short(one.params)} parameters, {in_short(one.multiply_adds)} multiply-adds"
    )


def folded(network: Network) -> str:
    """What becomes of a network's batch norms in its deploy form.

    >>> from archc.api import load
    >>> folded(load("imagenet/plain18"))
    'all 17 batch norms are folded into convolutions'
    """
    found = foldings(network)
    if not found.count and not found.kept:
        return "the network has no batch norm to fold"
    one = len(found.kept) == 1
    stay = (
        "1 does not follow a convolution and stays"
        if one
        else f"{len(found.kept)} do not follow a convolution and stay"
    )
    kept = f"{stay}: {', '.join(found.kept)}"
    if not found.count:
        return f"no batch norm directly follows a convolution; {kept}"
    norms = "1 batch norm is" if found.count == 1 else f"{found.count} batch norms are"
    if not found.kept:
        return f"{'all ' * (found.count > 1)}{norms} folded into convolutions"
    return f"{norms} folded into convolutions; {kept}"
