"""How many ops of which kinds a block of the library may have: what tells soon that a block of a
network is none of its."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import inf
from typing import TypeAlias

from archc.blocks.definition import Definition
from archc.blocks.layers import MERGES
from archc.blocks.tree import BlockItem, Item, LayerItem, MergeItem
from archc.dataclassing import dataclass
from archc.graph import Node

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""The least and the greatest number of ops, by kind."""

DEPTHWISE = "depthwise"
"""Convolutions of each channel by itself; their kind has them, too."""


def ranges_of(definition: Definition) -> Ranges:
    """Those of a block, whatever its attributes are."""
    return _of_row(definition.layers)


@dataclass(frozen=True)
class Counts:
    """How many ops of each kind some nodes are."""

    by_kind: Counter[str]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Counts:
        """Those of some nodes."""
        counts: Counter[str] = Counter()
        for node in nodes:
            if node.op.kind in _KINDS:
                counts[node.op.kind] += 1
            groups = getattr(node.op, "groups", None)
            if groups is not None and groups == getattr(node.op, "in_channels", None):
                counts[DEPTHWISE] += 1
        return cls(counts)

    def may_be(self, block: Ranges) -> bool:
        """Whether they are no more and no fewer of any kind than a block has."""
        counts = self.by_kind
        if any(counts[kind] < low for kind, (low, _) in block.items()):
            return False
        found = ((kind, often) for kind, often in counts.items() if kind != DEPTHWISE)
        return all(often <= block.get(kind, (0, 0))[1] for kind, often in found)


def _of_row(row: Iterable[Item]) -> dict[str, tuple[float, float]]:
    total: dict[str, tuple[float, float]] = {}
    for item in row:
        for kind, (low, high) in _of_item(item).items():
            before = total.get(kind, (0, 0))
            total[kind] = before[0] + low, before[1] + high
    return total


def _of_item(item: Item) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    if isinstance(item, LayerItem):
        found = dict.fromkeys(_kinds(item), (1, 1))
    elif isinstance(item, BlockItem):
        found = _of_row(item.block.layers)
    else:
        found = _of_row([one for row in item.rows for one in row])
        if isinstance(item, MergeItem):
            low, high = found.get(item.word, (0, 0))
            found[item.word] = low + 1, high + 1
    if item.repeat is not None:
        return dict.fromkeys(found, (0, inf))
    if item.condition is not None:
        return {kind: (0, high) for kind, (_, high) in found.items()}
    return found


def _kinds(item: LayerItem) -> Iterable[str]:
    if item.word in _KIND_OF:
        yield _KIND_OF[item.word]
    groups = item.fields.get("groups")
    said = None if groups is None else groups.value
    if item.word == "conv" and DEPTHWISE in (said, getattr(said, "text", None)):
        yield DEPTHWISE


_KIND_OF: Mapping[str, str] = {
    "conv": "conv2d",
    "linear": "linear",
    "channel_linear": "channel_linear",
    "max_pool": "max_pool2d",
    "avg_pool": "avg_pool2d",
    "global_avg_pool": "adaptive_avg_pool2d",
    "adaptive_avg_pool": "adaptive_avg_pool2d",
    "chunk": "chunk",
    "channel_shuffle": "channel_shuffle",
    "layer_scale": "layer_scale",
    "zero_pad": "zero_pad_shortcut",
}
"""Words of layers that neither depend on the network nor are left out by exporters."""
_KINDS = frozenset([*_KIND_OF.values(), *MERGES])
