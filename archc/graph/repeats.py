"""Equal blocks in a row, each run as one block: what a figure of a deep network needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.graph.lint import lint
from archc.graph.network import Network, Node
from archc.graph.regions import renamed

BlockKey: TypeAlias = tuple[int, int]
"""A stage, from 1, and a block in it, from 0."""


@dataclass(frozen=True)
class Folded:
    """A network in which the first of each run of equal blocks stands for all of them.

    ``runs`` has for each block that stands for several the last one of its run.
    """

    network: Network
    runs: Mapping[BlockKey, int]


def fold_repeats(network: Network) -> Folded:
    """Keep of each run of equal blocks of a stage the first one.

    Blocks are equal whose ops (but for the rates of stochastic depth), shapes and wiring are, all
    that they read from outside being the output of the block before, which nothing else reads; of
    what they compute, only the last is read elsewhere. Such a block's input and output have the
    same shape, so that the rest of the network holds together without it. The ids of what stays are
    not changed.
    """
    nodes: dict[str, Node] = {}
    runs: dict[BlockKey, int] = {}
    stands_for: dict[str, str] = {}
    kept: tuple[BlockKey, object] | None = None
    before = ""
    standings = network.standings
    readers = _readers(network)

    def place(node: Node) -> tuple[int | None, int | None]:
        return standings[node.id].stage, standings[node.id].block

    for (stage, block), group in groupby(network.nodes.values(), place):
        members = list(group)
        this: tuple[BlockKey, object] | None = None
        if stage is not None and block is not None:
            form = _form(members, before)
            this = None if form is None else ((stage, block), form)
        is_equal = bool(this and kept and kept[0][0] == stage and kept[1] == this[1])
        if is_equal and this and kept and _is_closed(before, members, readers):
            runs[kept[0]] = this[0][1]
            stands_for[members[-1].id] = stands_for.get(before, before)
        else:
            for node in members:
                inputs = tuple([stands_for.get(source, source) for source in node.inputs])
                nodes[node.id] = node._replace(inputs=inputs)
            kept = this
        trunk = [node.id for node in members if node.id not in network.side_of]
        before = trunk[-1] if trunk else before
    regions = renamed(network.regions, {id: id for id in nodes})
    return Folded(lint(replace(network, nodes=nodes, regions=regions)), runs)


def _readers(network: Network) -> Mapping[str, list[str]]:
    """The ids that read each value, side heads apart, which may read any."""
    readers: dict[str, list[str]] = {id: [] for id in network.nodes}
    for node in network.nodes.values():
        if node.id not in network.side_of:
            for source in node.inputs:
                readers[source].append(node.id)
    return readers


def _is_closed(before: str, members: list[Node], readers: Mapping[str, list[str]]) -> bool:
    """Whether a block alone reads the value before it and all that it computes but its last."""
    inside = {node.id for node in members}
    return all(inside.issuperset(readers[id]) for id in (before, *[n.id for n in members[:-1]]))


def _form(members: list[Node], before: str) -> object | None:
    """What equal blocks have in common; None for one that reads more than the block before."""
    places = {node.id: place for place, node in enumerate(members)}
    places[before] = -1
    if any(source not in places for node in members for source in node.inputs):
        return None
    return tuple(
        [
            (node.op.alike(), node.output_shape, tuple([places[source] for source in node.inputs]))
            for node in members
        ]
    )
