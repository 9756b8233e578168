"""A network as node-link JSON and as GraphML.

Both are written node by node. networkx, whose formats they are, builds the file in memory first:
1.2 GB for a network of 10,000 blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from archc.backends.jsontext import to_text
from archc.graph import Network


def to_json(network: Network) -> str:
    """networkx's node-link data: ``nodes``, and ``edges`` with ``source`` and ``target``.

    A node has everything of `Network.attributes`; ``networkx.node_link_graph`` reads it back.
    """
    return to_text(
        {
            "directed": True,
            "multigraph": False,
            "graph": _graph(network),
            "nodes": (
                {"id": node.id, **network.attributes(node)} for node in network.nodes.values()
            ),
            "edges": (
                {"position": position, "source": source, "target": target}
                for source, target, position in _edges(network)
            ),
        }
    )


def to_graphml(network: Network) -> bytes:
    """GraphML with the same data, flat: lists as words between commas, nulls left out."""
    data = _Data()
    about = data.lines("graph", _graph(network), "    ")
    nodes = [
        f'    <node id="{_attribute(node.id)}">\n'
        f"{data.lines('node', network.attributes(node), '      ')}    </node>\n"
        for node in network.nodes.values()
    ]
    edges = [
        f'    <edge source="{_attribute(source)}" target="{_attribute(target)}">\n'
        f"{data.lines('edge', {'position': position}, '      ')}    </edge>\n"
        for source, target, position in _edges(network)
    ]
    body = "".join([_HEAD, *data.keys(), _GRAPH, *nodes, *edges, about, _TAIL])
    return body.encode(errors="xmlcharrefreplace")


def _graph(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "title": network.title,
        "description": network.description,
        "input": list(network.input_shape),
    }


def _edges(network: Network) -> Iterator[tuple[str, str, int]]:
    """Who is read by whom, and as which of its inputs: as networkx has edges, by who is read."""
    readers: dict[str, list[tuple[str, str, int]]] = {id: [] for id in network.nodes}
    for node in network.nodes.values():
        for position, source in enumerate(node.inputs):
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
            if isinstance(value, list):
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
    escaped = escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text))
    if escaped.isprintable():
        return escaped
    return "".join(char if char.isprintable() else f"&#{ord(char)};" for char in escaped)


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"})
