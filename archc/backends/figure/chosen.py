"""Which blocks of networks are drawn large: all that differ, or those that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from archc.backends.figure.blocks import Block, block_regions, blocks_of, distinct_blocks
from archc.graph import Network, Region
from archc.text import listing, quote


class UnknownBlockError(ValueError):
    """No network has such a block; the message says which there are."""


def chosen_blocks(networks: Sequence[Network], names: Sequence[str]) -> list[Block]:
    """The blocks of each network that are called so (``bottleneck``, ``BasicBlock``) or stand there
    (``2:0``: stage 2, its first block); without names, all that differ.

    Raises `UnknownBlockError` for a name that no network has.
    """
    if not names:
        return [block for network in networks for block in distinct_blocks(network)]
    found: list[Block] = []
    unknown = list(names)
    for network in networks:
        for name in names:
            own = list(_found(network, name))
            found += own
            if own and name in unknown:
                unknown.remove(name)
    if unknown:
        raise UnknownBlockError(_message(networks, unknown[0]))
    return found


def _found(network: Network, name: str) -> Iterator[Block]:
    place = re.fullmatch(r"([0-9]{1,6}):([0-9]{1,6})", name)
    if place:
        stage, number = int(place[1]), int(place[2])
        for region in block_regions(network):
            standing = network.standings[region.nodes[0]]
            if (standing.stage, standing.block) == (stage, number):
                (block,) = blocks_of(network, [region])
                yield replace(block, letter="")
        return
    yield from blocks_of(
        network, [one for one in block_regions(network) if _is(network, one, name)]
    )


def _is(network: Network, region: Region, name: str) -> bool:
    return _plain(name) in {_plain(one) for one in _names(network, region)}


def _names(network: Network, region: Region) -> list[str]:
    """What a block may be called by: its type in the spec, and its class."""
    written = (one for id in region.nodes for one in network.written.get(id, ()) if one)
    kind = next((one.word for one in written if one.key is None), "")
    return [name for name in (kind, region.label or "") if name]


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _message(networks: Sequence[Network], name: str) -> str:
    """That there is no such block, and which there are."""
    named = quote(name)
    if re.fullmatch(r"[0-9]+:[0-9]+", name):
        named = f"{name} (stages count from 1, blocks from 0)"
    if len(networks) > 1:
        return f"none of the networks has a block {named}"
    (network,) = networks
    regions = block_regions(network)
    kinds = dict.fromkeys(quote(_names(network, one)[0]) for one in regions if _names(network, one))
    if not kinds:
        return f"{network.name} has no block {named}"
    counts: dict[int, int] = {}
    for region in regions:
        stage = network.standings[region.nodes[0]].stage
        if stage is not None:
            counts[stage] = counts.get(stage, 0) + 1
    if named == quote(name) or not counts:
        there = f"its blocks are {listing(kinds, 'and')}"
    else:
        there = f"its stages have {listing(map(str, counts.values()), 'and')} blocks"
    return f"{network.name} has no block {named}; {there}"
