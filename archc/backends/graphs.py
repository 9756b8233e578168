"""A network as node-link JSON and as GraphML.

Both are written node by node. networkx, whose formats they are, builds the file in memory first:
1.2 GB for a network of 10,000 blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from archc.graph import Network


def to_json(network: Network) -> str:
    """networkx's node-link data: ``nodes``, and ``edges`` with ``source`` and ``target``.

    A node has everything of `Network.attributes`; ``networkx.node_link_graph`` reads it back.
    """
    records = _records(network, _members, ", ")
    nodes = [f'{{"id": {json.dumps(id)}, {record}}}' for id, record in records]
    edges = [
        f"{{{_members({'position': position, 'source': source, 'target': target})}}}"
        for source, target, position in _edges(network)
    ]
    about = {"directed": True, "multigraph": False, "graph": network.about}
    return (
        "{\n"
        + "".join([f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in about.items()])
        + ' "nodes": [\n  '
        + ",\n  ".join(nodes)
        + '\n ],\n "edges": [\n  '
        + ",\n  ".join(edges)
        + "\n ]\n}\n"
    )


def to_graphml(network: Network) -> bytes:
    """GraphML with the same data, flat: lists as words between commas, nulls left out."""
    data = _Data()
    about = data.lines("graph", network.about, "    ")
    records = _records(network, lambda values: data.lines("node", values, "      "), "")
    nodes = [f'    <node id="{_attribute(id)}">\n{record}    </node>\n' for id, record in records]
    positions: dict[int, str] = {}
    edges = []
    for source, target, position in _edges(network):
        if position not in positions:
            positions[position] = data.lines("edge", {"position": position}, "      ")
        edges.append(
            f'    <edge source="{_attribute(source)}" target="{_attribute(target)}">\n'
            f"{positions[position]}    </edge>\n"
        )
    body = "".join([_HEAD, *data.keys(), _GRAPH, *nodes, *edges, about, _TAIL])
    return body.encode(errors="xmlcharrefreplace")


def _members(values: Mapping[str, Any]) -> str:
    return ", ".join([f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()])


def _records(
    network: Network, write: Callable[[Mapping[str, Any]], str], between: str
) -> Iterator[tuple[str, str]]:
    """The nodes of a network, each as its id and the text that ``write`` makes of its attributes.

    Of the nodes of equal blocks only the inputs and the block differ: what stands around these is
    written once. ``between`` separates what ``write`` makes of several attributes.
    """
    fixed: dict[object, list[str]] = {}
    blocks: dict[int | None, str] = {}
    for node in network.nodes.values():
        here = network.standings[node.id]
        # Ops and origins go by `id`, as the network holds them all. Where a block is null, its
        # GraphML is nothing: nodes with one have a text of their own, which declares its key.
        about = (here.stage, here.width, here.label, network.side_of.get(node.id))
        key = (id(node.op), node.output_shape, *about)
        known = (*key, id(here.origin), here.block is None)
        if known not in fixed:
            fixed[known] = list(_around_inputs_and_block(network.attributes(node), write))
        if here.block not in blocks:
            blocks[here.block] = write({"block": here.block})
        before, middle, after = fixed[known]
        inputs = write({"inputs": list(node.inputs)})
        yield node.id, between.join([before, inputs, middle, blocks[here.block], after])


def _around_inputs_and_block(
    values: dict[str, Any], write: Callable[[Mapping[str, Any]], str]
) -> Iterator[str]:
    """What stands before the inputs, between them and the block, and behind the block."""
    write(values)  # once in order, as GraphML numbers its keys as they come
    names = list(values)
    first, second = names.index("inputs"), names.index("block")
    for some in (names[:first], names[first + 1 : second], names[second + 1 :]):
        yield write({name: values[name] for name in some})


def _edges(network: Network) -> Iterator[tuple[str, str, int]]:
    """Who is read by whom, and as which of its inputs: as networkx has edges, by who is read."""
    readers: dict[str, list[tuple[str, str, int]]] = {id: [] for id in network.nodes}
    for node in network.nodes.values():
        for position, source in enumerate(() if node.op.is_given else node.inputs):
            readers[source].append((source, node.id, position))
    for edges in readers.values():
        yield from edges


_HEAD = """\
<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns \
http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
_GRAPH = '  <graph edgedefault="directed">\n'
_TAIL = "  </graph>\n</graphml>\n\n"
# A file's name may have characters that XML has no way to write.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/ -]*")
_TYPES = {str: "string", int: "long", float: "double", bool: "boolean"}


class _Data:
    """GraphML's data of nodes, edges and the graph, and the keys that declare them."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str, str], str] = {}

    def lines(self, scope: str, values: Mapping[str, Any], indent: str) -> str:
        """A line for each value that there is."""
        lines = []
        for name, value in values.items():
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                value = ",".join(map(str, value))
            declared = (scope, name, _TYPES[type(value)])
            key = self._ids.setdefault(declared, f"d{len(self._ids)}")
            text = _text(str(value))
            end = f">{text}</data>" if text else " />"
            lines.append(f'{indent}<data key="{key}"{end}\n')
        return "".join(lines)

    def keys(self) -> list[str]:
        """The declarations, the last one first, as networkx has them."""
        return [
            f'  <key id="{id}" for="{scope}" attr.name="{name}" attr.type="{kind}" />\n'
            for (scope, name, kind), id in reversed(self._ids.items())
        ]


def _text(text: str) -> str:
    """A text as XML has it; what is not printable is written by its number."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text))
    if escaped.isprintable():
        return escaped
    return "".join(char if char.isprintable() else f"&#{ord(char)};" for char in escaped)


def _attribute(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return escape(text, {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"})
