"""What the parts of a network are called: its stages, and what stands before and behind them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from archc.graph import Network, Node, Standing, walk


def has_stages(network: Network) -> bool:
    """Whether a network's regions have stages."""
    return any(region.kind == "stage" for region in walk(network.regions))


def runs(network: Network) -> Iterator[tuple[str, Standing, list[Node]]]:
    """The nodes in order, those that stand together in one list, each with its part: ``stem``,
    ``stage 1``, ``head``, or ``stem and head`` where there are no stages."""
    standings = network.standings
    part = "stem" if has_stages(network) else "stem and head"
    for _, group in groupby(network.nodes.values(), lambda node: id(standings[node.id])):
        nodes = list(group)
        here = standings[nodes[0].id]
        if here.stage is not None:
            part = f"stage {here.stage}"
        elif part.startswith("stage"):
            part = "head"
        yield part, here, nodes
