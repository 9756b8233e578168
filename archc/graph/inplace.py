"""Which values an op may write its own over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from archc.graph.network import Network, Node
from archc.ops import Arity, Storage


def overwritable(network: Network, keep: Set[str] = frozenset()) -> frozenset[str]:
    """The ids of values that one op reads, in the same module, and that no gradient needs.

    A norm's output is among them only where what the norm reads is: people take norms out of
    modules, and then its output is what it reads. Those in ``keep`` are left alone.
    """
    reads = Counter(source for node in network.nodes.values() for source in node.inputs)
    readers = {source: node.id for node in network.nodes.values() for source in node.inputs}
    found: set[str] = set()
    for node in network.nodes.values():
        storage = node.op.storage
        fresh = storage is Storage.OWN or (
            storage is Storage.LIKE_INPUT
            and node.inputs[0] in found
            and _module(node.inputs[0]) == _module(node.id)
        )
        alone = reads[node.id] == 1 and _module(readers[node.id]) == _module(node.id)
        if fresh and alone and node.id not in keep:
            found.add(node.id)
    return frozenset(found)


def overwrites(node: Node, overwritable: Set[str]) -> str | None:
    """The value that an op writes its own over: a relu's input, a sum's first summand."""
    most = 2 if node.op.arity is Arity.SEVERAL else 1
    in_place = node.op.overwrites and len(node.inputs) <= most
    return node.inputs[0] if in_place and node.inputs[0] in overwritable else None


def _module(path: str) -> str:
    return path.rpartition(".")[0]
