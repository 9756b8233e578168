"""Parameters and multiply-adds, per network, stage, block and layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from archc.analysis.conventions import CONVENTIONS, DEFAULT, Tally, tally
from archc.analysis.parts import runs
from archc.analysis.plain import as_plain
from archc.choices import LEVELS as LEVELS
from archc.choices import Level as Level
from archc.choices import check_choice
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Shape
from archc.shown import Result


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of a part of a network; ``stage`` and ``block`` are None in stem and head.

    ``layers`` counts the convolutions and linear layers of the part that lie on the main path. What
    is of a side head has parameters alone: it is not computed in inference. ``no_rule`` says
    how many ops of which kinds are not in ``flops``, as `Count` does of the network.
    """

    name: str
    op: str | None
    stage: int | None
    block: int | None
    output_shape: Shape
    layers: int
    params: int
    multiply_adds: int
    flops: int
    no_rule: dict[str, int]


@dataclass(frozen=True, slots=True, repr=False)
class Count(Result):
    """The counts of a network for one image of shape ``input``, and of its parts.

    ``flops`` is the total that ``tool`` prints, in its own unit; ``not_counted`` says how many ops
    of which kinds its convention has no formula for. ``products`` are those of the multiply-adds
    that multiply values with values, as attention does, and not with weights.
    """

    name: str
    input: Shape
    layers: int
    params: int
    multiply_adds: int
    flops: int
    convention: str
    tool: str
    products: int
    not_counted: dict[str, int]
    rows: tuple[Row, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain data; integers are exact."""
        return as_plain(self)


def count(network: Network, by: Level = "stage", convention: str = DEFAULT) -> Count:
    """Count a network's parameters and multiply-adds for one image.

    ``by`` says which parts the rows are; by layer, a row is an op that holds or counts something.
    ``convention`` is one of `CONVENTIONS`. Raises ValueError for an unknown level or convention.
    """
    check_choice("by", by, LEVELS)
    check_choice("convention", convention, CONVENTIONS)
    chosen = CONVENTIONS[convention]
    total = tally(network, chosen)
    layers = frozenset(id for id in network.main_path if network.nodes[id].is_layer)
    parts = _parts(network, by, total)
    return Count(
        name=network.name,
        input=network.input_shape,
        inputs=network.several_inputs,
        layers=network.layers,
        params=network.params,
        multiply_adds=network.multiply_adds,
        flops=total.total,
        convention=convention,
        tool=chosen.tool,
        products=network.products,
        not_counted=total.not_counted,
        rows=tuple([_row(name, list(nodes), network, layers, total, by) for name, nodes in parts]),
    )


def _parts(network: Network, by: Level, total: Tally) -> Iterable[tuple[str, Iterable[Node]]]:
    nodes = list(network.nodes.values())
    if by == "network":
        return [(network.name, nodes)]
    if by == "layer":
        costs = total.by_id
        return [
            (node.id, [node])
            for node in nodes
            if node.params or costs[node.id].flops or not node.op.has_rule
        ]

    parts: list[tuple[str, list[Node]]] = []
    for part, here, run in runs(network):
        name = part
        if by == "block" and here.stage is not None:
            name += ", end" if here.block is None else f", block {here.block}"
        if parts and parts[-1][0] == name:
            parts[-1][1].extend(run)
        else:
            parts.append((name, run))
    return [(name, nodes) for name, nodes in parts if name != "stem" or len(nodes) > 1]


def _row(
    name: str,
    nodes: list[Node],
    network: Network,
    layers: frozenset[str],
    total: Tally,
    by: Level,
) -> Row:
    # Of a part with a side head, which may be written at its end, the output is that of the trunk.
    last = next((node for node in reversed(nodes) if node.id not in network.side_of), nodes[-1])
    standing = network.standings[last.id]
    params = multiply_adds = flops = 0
    for node in nodes:  # in one go: networks have 100,000
        cost = total.by_id[node.id]
        params += cost.params
        multiply_adds += cost.multiply_adds
        flops += cost.flops
    return Row(
        name=name,
        op=last.op.called if by == "layer" else None,
        stage=None if by == "network" else standing.stage,
        block=None if by in ("network", "stage") else standing.block,
        output_shape=last.output_shape,
        layers=sum([node.id in layers for node in nodes]),
        params=params,
        multiply_adds=multiply_adds,
        flops=flops,
        no_rule=dict(Counter([node.op.called for node in nodes if node.id in total.without_rule])),
    )
