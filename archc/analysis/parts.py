"""What the parts of a network are called: its stages, and what stands before and behind them."""

from __future__ import annotations

from collections.abc import Iterator

from archc.graph import Network, Node, walk


def has_stages(network: Network) -> bool:
    """Whether a network's regions have stages."""
    return any(region.kind == "stage" for region in walk(network.regions))


def with_parts(network: Network) -> Iterator[tuple[str, Node]]:
    """The nodes in order, each with its part: ``stem``, ``stage 1``, ``head``, or ``stem and
    head`` where there are no stages."""
    standings = network.standings
    part = "stem" if has_stages(network) else "stem and head"
    for node in network.nodes.values():
        stage = standings[node.id].stage
        if stage is not None:
            part = f"stage {stage}"
        elif part.startswith("stage"):
            part = "head"
        yield part, node
