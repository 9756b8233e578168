"""A network, or what was counted of it, in a few words."""

from __future__ import annotations

from archc.analysis import Count
from archc.analysis.conventions import DEFAULT
from archc.backends.numbers import in_short
from archc.backends.unknown import apart, without_rule
from archc.graph import Network, foldings


def summary(one: Network | Count) -> str:
    """``34 layers, 21.62 M parameters, 3.64 G multiply-adds``, and what is apart or left out."""
    return ", ".join(facts(one))


def facts(one: Network | Count) -> list[str]:
    """The parts of a `summary`."""
    return ["1 layer" if one.layers == 1 else f"{one.layers} layers", *costs(one)]


def costs(one: Network | Count) -> list[str]:
    """The parts of a `summary` without the layers."""
    parts = [
        f"{in_short(one.params)} parameters",
        f"{in_short(one.multiply_adds)} multiply-adds",
        *filter(None, [apart(one.products)]),
    ]
    no_rule = one.no_rule if isinstance(one, Network) else one.not_counted
    if isinstance(one, Network) or one.convention == DEFAULT:
        parts[-1] = " ".join(filter(None, [parts[-1], without_rule(no_rule)]))
    return parts


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
