"""Random specs from the whole language: everything that archc says of a network agrees."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from pathlib import Path

import networkx
from agreement import assert_agrees, assert_formatted, on_meta
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import Data, broken_specs, compile_data, networks, specs, text_of

from archc.analysis import LEVELS, count
from archc.backends.figure import draw
from archc.backends.graphs import to_graphml, to_json
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.graph import OPS, Network, Node, lint
from archc.spec import Source, SpecError, resolve
from archc.spec.show import show


def examples(least: int) -> settings:
    """So many examples, or more where the profile of hypothesis asks for more."""
    return settings(
        max_examples=max(least, settings().max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_graph_counts_and_emitted_module_agree() -> None:
    """On at least 300 networks; a spec is refused with a diagnostic, and few are."""
    seen: Counter[str] = Counter()

    @examples(380)
    @given(specs())
    def check(data: Data) -> None:
        try:
            network = compile_data(data, as_json=False)
        except SpecError as error:
            assert_tells(error)
            seen["refused"] += 1
            return
        lint(network)
        assert_agrees(network, on_meta(network))
        assert_rows_sum_up(network)
        seen["accepted"] += 1

    check()
    assert seen["accepted"] >= 300
    assert seen["accepted"] > seen["refused"]


def assert_tells(error: SpecError) -> None:
    """A refusal has a place in the text, a message and no trace of Python."""
    assert error.diagnostics
    for diagnostic in error.diagnostics:
        assert diagnostic.place.line >= 1
        assert diagnostic.message
        assert "Traceback" not in diagnostic.render()


def assert_rows_sum_up(network: Network) -> None:
    for level in LEVELS:
        result = count(network, level)
        for name in ("params", "multiply_adds", "layers", "flops"):
            total = sum(getattr(row, name) for row in result.rows)
            assert total == getattr(result, name), (level, name)


@examples(150)
@given(networks())
def test_defaults_and_with_are_other_ways_to_say_the_same(both: tuple[Data, Data]) -> None:
    plain, spread = both
    said = {name: value for name, value in spread.items() if name in ("defaults", "with")}
    try:
        network = compile_data(plain)
    except SpecError:
        try:
            compile_data(spread)
        except SpecError:
            return
        raise AssertionError("only the spec without `defaults` and `with` is refused") from None
    again = compile_data(spread)
    assert list(_facts(network)) == list(_facts(again)), said
    assert network.digest == again.digest


def _facts(network: Network) -> list[tuple[object, ...]]:
    return [
        (node.id, node.op, node.inputs, node.output_shape, here.stage, here.block, here.label)
        for node in network.nodes.values()
        for here in [network.standings[node.id]]
    ]


@examples(150)
@given(specs())
def test_node_link_json_holds_the_whole_graph(data: Data) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        return
    text = to_json(network)
    read = networkx.node_link_graph(json.loads(text), edges="edges")
    assert read.graph == network.graph.graph
    assert dict(read.nodes) == dict(network.graph.nodes)
    assert dict(read.edges) == dict(network.graph.edges)
    entries = json.loads(text)["nodes"]
    standings = network.standings.values()
    assert [(one["stage"], one["block"]) for one in entries] == [
        (here.stage, here.block) for here in standings
    ]
    nodes = [_node(entry) for entry in entries]
    again = lint(Network(network.name, {node.id: node for node in nodes}))
    assert again.nodes == network.nodes
    assert (again.params, again.multiply_adds) == (network.params, network.multiply_adds)
    flat = networkx.parse_graphml(to_graphml(network).decode())
    assert list(flat.nodes) == list(network.nodes)
    assert set(flat.edges) == set(network.graph.edges)


def _node(entry: Data) -> Node:
    """A node from what JSON says of it."""
    op = OPS[entry["op"]]
    numbers = {one.name: entry[one.name] for one in fields(op) if one.name in entry}
    return Node(
        entry["id"],
        op(**numbers),
        tuple(entry["inputs"]),
        tuple(entry["output_shape"]),
    )


@examples(150)
@given(specs())
def test_the_resolved_spec_is_a_spec_of_the_same_network(data: Data) -> None:
    """What `archc show` prints."""
    try:
        spec = resolve(Source("random.yaml", text_of(data)))
        digest = compile_spec(spec).digest
    except SpecError:
        return
    assert compile_spec(resolve(Source("shown.yaml", show(spec)))).digest == digest


@examples(100)
@given(st.lists(specs(), min_size=1, max_size=3))
def test_figures_of_random_networks_are_laid_out(data: list[Data]) -> None:
    """Every network has a column, and the same figure gives the same text."""
    try:
        networks = [compile_data(one) for one in data]
    except SpecError:
        return
    dot = draw(networks, "dot")
    assert dot.decode()
    assert dot == draw(networks, "dot")


@examples(200)
@given(broken_specs())
def test_a_broken_spec_is_refused_or_compiles(data: Data) -> None:
    """Whatever is wrong with it, what comes is a diagnostic; never another exception."""
    try:
        network = compile_data(data, as_json=False)
    except SpecError as error:
        assert_tells(error)
        return
    lint(network)
    compile(emit(network), "emitted", "exec")
    to_json(network)


def test_emitted_source_of_random_specs_is_formatted_and_free_of_lint(tmp_path: Path) -> None:
    sources: dict[str, str] = {}

    @examples(150)
    @given(specs())
    def collect(data: Data) -> None:
        try:
            network = compile_data(data)
        except SpecError:
            return
        sources[emit(network)] = text_of(data)

    collect()
    assert len(sources) >= 90
    for number, (source, spec) in enumerate(sources.items()):
        (tmp_path / f"net{number}.py").write_text(source, encoding="utf-8")
        (tmp_path / f"net{number}.yaml").write_text(spec, encoding="utf-8")
    assert_formatted(tmp_path)
