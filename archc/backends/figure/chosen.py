"""Which blocks of networks are drawn large: all that differ, or those that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from archc.backends.figure.blocks import (
    Block,
    block_regions,
    blocks_of,
    distinct_blocks,
    layer_regions,
)
from archc.graph import Network, Region
from archc.text import listing, quote


class UnknownBlockError(ValueError):
    """No network has such a block; the message says which there are."""


def chosen_blocks(networks: Sequence[Network], names: Sequence[str]) -> list[Block]:
    """The blocks of each network with these names (``bottleneck``, ``BasicBlock``) or places
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
        network, [region for region in _regions(network) if _is(network, region, name)]
    )


def _regions(network: Network) -> list[Region]:
    """All blocks: those of stages, and those that are used as layers."""
    blocks = block_regions(network)
    nodes = {id for region in blocks for id in region.nodes}
    return [*blocks, *(one for one in layer_regions(network) if not nodes >= {*one.nodes})]


def _is(network: Network, region: Region, name: str) -> bool:
    return _plain(name) in {_plain(one) for one in _names(network, region)}


def _names(network: Network, region: Region) -> list[str]:
    """What a block may be called by: its type in the spec, and its class."""
    depth = (region.path or "").count(".") + 1 if region.kind == "group" else 0
    written = network.written.get(region.nodes[0], ())
    if region.kind == "block":
        kind = next((one.word for one in written if one and one.key is None), "")
    else:
        kind = next((one.word for one in written[depth - 1 : depth] if one), "")
    return list(dict.fromkeys(name for name in (kind, region.label or "") if name))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _message(networks: Sequence[Network], name: str) -> str:
    """That there is no such block, and which there are."""
    is_place = re.fullmatch(r"[0-9]+:[0-9]+", name) is not None
    named = f"{name} (stages count from 1, blocks from 0)" if is_place else quote(name)
    who = networks[0].name if len(networks) == 1 else "none of the networks"
    none = f"{who} has {'no' if len(networks) == 1 else 'a'} block {named}"
    kinds = dict.fromkeys(
        f"`{names[0]}`"
        for network in networks
        for region in _regions(network)
        if (names := _names(network, region))
    )
    counts: dict[int, int] = {}
    for region in block_regions(networks[0]):
        stage = networks[0].standings[region.nodes[0]].stage
        if stage is not None:
            counts[stage] = counts.get(stage, 0) + 1
    if is_place and counts and len(networks) == 1:
        return f"{none}; its stages have {listing(map(str, counts.values()), 'and')} blocks"
    return f"{none}; choose from {listing(kinds, 'and')}" if kinds else none
