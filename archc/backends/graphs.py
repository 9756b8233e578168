"""A network as node-link JSON and as GraphML."""

from __future__ import annotations

from io import BytesIO

from archc.backends.jsontext import to_text
from archc.graph import Network
from archc.text import visible


def to_json(network: Network) -> str:
    """networkx's node-link data: ``nodes``, and ``edges`` with ``source`` and ``target``.

    A node has everything of `Node.attributes`; ``networkx.node_link_graph`` reads it back.
    """
    import networkx

    data = networkx.node_link_data(network.graph, edges="edges")
    data["nodes"] = [{"id": node.pop("id"), **node} for node in data["nodes"]]
    return to_text(data)


def to_graphml(network: Network) -> bytes:
    """GraphML with the same data, flat: lists as words between commas, nulls left out."""
    import networkx

    graph = network.graph.copy()
    for data in (graph.graph, *(node for _, node in graph.nodes(data=True))):
        for key, value in list(data.items()):
            if value is None:
                del data[key]
            elif isinstance(value, list):
                data[key] = ",".join(map(str, value))
            elif isinstance(value, str):
                data[key] = visible(value)  # XML has no way to write most control characters
    out = BytesIO()
    networkx.write_graphml_xml(graph, out)
    return out.getvalue() + b"\n"
