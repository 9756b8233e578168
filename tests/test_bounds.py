"""What must not grow with the square of a network, or be done anew for each of equal blocks.

Nothing here is timed: it is counted how often things are done (benchmarks/bounds.py has times).
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import asdict
from io import BytesIO
from typing import Any

import networkx
import pytest

from archc.analysis import count, explain, memory, receptive_fields
from archc.analysis.conventions import CONVENTIONS, Call, Convention, tally
from archc.analysis.receptive import _Axis
from archc.backends.graphs import to_graphml, to_json
from archc.backends.jsontext import to_text
from archc.blocks import STANDARD
from archc.cli.common import many_objects
from archc.compile import compile_spec
from archc.graph import Network, lint
from archc.ops import Conv2d
from archc.source.diagnostics import Source
from archc.spec import resolve

DEEP = "name: deep\nstages: [{block: bottleneck, shortcut: C, depth: 50, width: 16}]\n"
STAGES = (
    "name: stages\ndefaults: {block: bottleneck, shortcut: C, depth: 2}\n"
    "stages:\n" + "- {width: 16}\n" * 50 + "head: [global_avg_pool, {dropout: 0.5}, linear]\n"
)
PREACT = (
    "name: preact\ntitle: 'a < b & \"c\"'\npre_activation: true\n"
    "stages: [{block: basic, shortcut: A, depth: 2, width: 8},"
    " {block: basic, shortcut: A, depth: 2, width: 16, stride: 2}]\n"
)


def network_of(text: str) -> Network:
    return compile_spec(resolve(Source("spec.yaml", text)))


@pytest.mark.parametrize("text", [DEEP, STAGES])
def test_equal_blocks_are_lowered_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    bottleneck: Any = STANDARD["bottleneck"]
    lower = bottleneck.lower_movable

    def counted(self: object, *arguments: Any) -> Any:
        calls.append(arguments)
        return lower(self, *arguments)

    monkeypatch.setattr(bottleneck, "lower_movable", counted)
    network = network_of(text)
    assert len(network.nodes) > 500
    assert len(calls) == 2  # on the image, and on what a block puts out


def test_the_shapes_of_equal_ops_are_inferred_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(STAGES)
    calls: Counter[tuple[object, object]] = Counter()
    infer = Conv2d.infer

    def counted(self: Conv2d, *inputs: Any) -> Any:
        calls[self, inputs] += 1
        return infer(self, *inputs)

    monkeypatch.setattr(Conv2d, "infer", counted)
    lint(network)
    assert len(calls) == 6
    assert sum(calls.values()) == 8  # four a block: those of the first and those of the others


def test_a_formula_is_asked_once_for_equal_ops() -> None:
    network = network_of(DEEP)
    calls: list[Call] = []

    def formula(call: Call) -> int:
        calls.append(call)
        return 1

    found = tally(network, Convention("ones", "", "", "", {"conv2d": formula, "relu": formula}))
    assert found.total == 50 * 7
    assert len(calls) <= 2 * 9  # for the total and for the parts
    assert found.by_id["layer1.7.conv2"].flops == 1


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_parts_of_a_count_are_those_of_its_layers(convention: str) -> None:
    network = network_of(STAGES)
    stages, layers = (count(network, by, convention).rows for by in ("stage", "layer"))
    for name in ("params", "multiply_adds", "flops", "layers"):
        totals = [sum(getattr(row, name) for row in rows) for rows in (stages, layers)]
        assert totals[0] == totals[1]


def test_fields_that_lie_evenly_are_not_gone_through() -> None:
    axis = _Axis(range(-3, 10**15), range(4, 10**15 + 7))  # for ever, one by one
    assert axis.size() == 8
    assert axis.whole().size() == 10**15 + 10


@pytest.mark.parametrize("text", [STAGES, PREACT])
def test_graphs_are_written_as_networkx_writes_them(text: str) -> None:
    network = network_of(text)
    data = networkx.node_link_data(network.graph, edges="edges")
    data["nodes"] = [{"id": node.pop("id"), **node} for node in data["nodes"]]
    assert to_json(network) == to_text(data)
    graph = network.graph.copy()
    for values in (graph.graph, *(node for _, node in graph.nodes(data=True))):
        for key, value in list(values.items()):
            if value is None:
                del values[key]
            elif isinstance(value, list):
                values[key] = ",".join(map(str, value))
    out = BytesIO()
    networkx.write_graphml_xml(graph, out)
    assert to_graphml(network) == out.getvalue() + b"\n"


def test_results_as_plain_data_are_what_dataclasses_make_of_them() -> None:
    network = network_of(PREACT)
    for found in (
        count(network, "layer", "pycls"),
        explain(network),
        memory(network),
        receptive_fields(network),
    ):
        # What is said of models of other libraries alone is left out where there is none.
        expected = asdict(found)
        for one in (expected, *expected.get("rows", ())):
            for name in ("products", "no_rule", "inputs"):
                one.pop(name, None)
        assert found.as_dict() == expected


def test_reading_a_network_leaves_the_search_for_garbage_on() -> None:
    before = gc.get_threshold()
    try:
        with many_objects():
            assert not gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
