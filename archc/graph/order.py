"""Which values are computed before their turn."""

from __future__ import annotations

from collections import Counter

from archc.graph.network import Network


def runs_ahead(network: Network) -> frozenset[str]:
    """The ids of values that one op reads, behind another that is computed later.

    A shortcut that runs before the main path is one: beside the main path it takes a variable of
    its own, where otherwise it would stand in the sum that reads it.
    """
    reads = Counter(source for node in network.nodes.values() for source in node.inputs)
    turn = {id: index for index, id in enumerate(network.nodes)}
    found: set[str] = set()
    for node in network.nodes.values():
        latest = -1
        for source in node.inputs:
            if turn[source] < latest and reads[source] == 1:
                found.add(source)
            latest = max(latest, turn[source])
    return frozenset(found)
