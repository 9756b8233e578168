"""The network: its facts, its networkx graph, and the pieces it is put together from."""

from __future__ import annotations

import io
from dataclasses import FrozenInstanceError

import networkx
import pytest
from strategies import compile_data

import archc
from archc.backends.graphs import to_graphml
from archc.graph import (
    Fragment,
    FragmentBuilder,
    Network,
    NetworkBuilder,
    Origin,
    ShapeError,
)
from archc.ops import Add, BatchNorm2d, Conv2d, Flatten, Linear, ReLU
from archc.shipped import shipped_names

DATA = {
    "name": "small",
    "title": "A small network",
    "description": "for tests",
    "input": [3, 8, 6],
    "classes": 5,
    "stem": [{"conv": {"width": 4, "kernel": 3}}],
    "stages": [
        {"block": "basic", "depth": 2, "width": 4, "shortcut": "C"},
        {"block": "basic", "depth": 1, "width": 8, "stride": 2, "shortcut": "A"},
    ],
    "head": ["global_avg_pool", "linear", "softmax"],
}


def small() -> Network:
    return compile_data(DATA)


def test_facts_about_a_network() -> None:
    network = small()
    assert network.input_shape == (3, 8, 6)
    assert (network.output, network.logits) == ("softmax", "fc")
    assert network.layers == 1 + 3 * 2 + 1
    assert network.params == sum(node.params for node in network.nodes.values())
    assert network.multiply_adds == sum(node.multiply_adds for node in network.nodes.values())
    assert compile_data({**DATA, "head": ["linear"]}).logits == "fc"


def test_the_main_path_goes_where_the_layers_are() -> None:
    """Not over a projection, however many parameters it has."""
    path = small().main_path
    assert path[0] == "input"
    assert path[-1] == "softmax"
    assert "layer1.0.conv2" in path
    assert not [node_id for node_id in path if "downsample" in node_id or "shortcut" in node_id]


def test_nodes_know_their_stage_block_and_origin() -> None:
    standings = small().standings
    stem = standings["conv1"]
    assert (stem.stage, stem.block, stem.label) == (None,) * 3
    inside = standings["layer1.1.conv2"]
    assert (inside.stage, inside.block, inside.label) == (1, 1, "BasicBlock")
    assert isinstance(inside.origin, Origin)
    assert str(inside.origin) == "random.yaml:1"
    assert standings["input"].origin is None


def test_records_are_frozen() -> None:
    network = small()
    with pytest.raises(FrozenInstanceError):
        network.name = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        network.nodes["fc"].op.in_features = 3  # type: ignore[attr-defined]


def test_the_graph_has_everything_on_nodes_and_positions_on_edges() -> None:
    network = small()
    graph = network.graph
    assert graph.graph == {
        "name": "small",
        "title": "A small network",
        "description": "for tests",
        "input": [3, 8, 6],
    }
    assert list(graph) == list(network.nodes)
    assert graph.nodes["layer2.0.conv1"] == {
        "op": "conv2d",
        "inputs": ["layer1.1.relu2"],
        "stage": 2,
        "block": 0,
        "output_shape": [8, 4, 3],
        "params": 4 * 8 * 9,
        "multiply_adds": 4 * 8 * 9 * 12,
        "in_channels": 4,
        "out_channels": 8,
        "kernel_size": 3,
        "stride": 2,
        "padding": 1,
        "groups": 1,
        "bias": False,
        "stage_width": 8,
        "block_label": "BasicBlock",
        "origin": "random.yaml:1",
    }
    assert graph.edges["layer2.0.bn2", "layer2.0.add"] == {"position": 0}
    assert graph.edges["layer2.0.shortcut", "layer2.0.add"] == {"position": 1}
    assert graph.edges["input", "conv1"] == {"position": 0}


@pytest.mark.parametrize("spec", shipped_names())
def test_the_graph_of_a_shipped_spec_is_one_way_from_input_to_output(spec: str) -> None:
    network = archc.load(spec)
    graph = network.graph
    assert networkx.is_directed_acyclic_graph(graph)
    assert [node for node, degree in graph.in_degree() if degree == 0] == ["input"]
    ends = {network.output, *[side.result for side in network.sides]}
    assert {node for node, degree in graph.out_degree() if degree == 0} == ends
    for node in network.nodes.values():
        sources = sorted(graph.pred[node.id], key=lambda one: graph.edges[one, node.id]["position"])
        assert tuple(sources) == node.inputs
    layers = {node.id: int(node.is_layer) for node in network.nodes.values()}
    gates = {
        (source, node.id)
        for node in network.nodes.values()
        if node.op.has_gates
        for source in node.inputs
        if network.nodes[source].output_shape[1:] == (1, 1) and source not in network.trunk(node)
    }
    weighted = networkx.DiGraph(
        (one, other, {"weight": layers[other]}) for one, other in graph.edges - gates
    )
    ways = weighted.subgraph({*networkx.ancestors(weighted, network.output), network.output})
    weighted = networkx.DiGraph(ways)
    assert network.layers == networkx.dag_longest_path_length(weighted)


def test_graphml_holds_the_same_flat() -> None:
    network = small()
    graph = networkx.read_graphml(io.BytesIO(to_graphml(network)))
    assert graph.graph["name"] == "small"
    assert graph.graph["input"] == "3,8,6"
    assert list(graph) == list(network.nodes)
    assert graph.nodes["layer2.0.conv1"]["output_shape"] == "8,4,3"
    assert graph.nodes["layer2.0.conv1"]["multiply_adds"] == 4 * 8 * 9 * 12
    assert graph.nodes["layer2.0.conv1"]["bias"] is False
    assert graph.nodes["layer2.0.add"]["inputs"] == "layer2.0.bn2,layer2.0.shortcut"
    assert "stage" not in graph.nodes["fc"]
    assert graph.edges["layer2.0.shortcut", "layer2.0.add"]["position"] == 1


def test_a_fragment_is_put_into_its_place() -> None:
    piece = FragmentBuilder((3, 8, 8))
    assert piece.shape() == (3, 8, 8)
    piece.add("conv", Conv2d(3, 4, 3, stride=2, padding=1))
    piece.add("bn", BatchNorm2d(4))
    piece.add("side", Conv2d(3, 4, 1, stride=2), Fragment.INPUT)
    piece.add("sum", Add(), "bn", "side")
    fragment = piece.build("Piece")
    assert (fragment.input_shape, fragment.output_shape) == ((3, 8, 8), (4, 4, 4))

    network = NetworkBuilder((3, 8, 8))
    ids = network.append(fragment, lambda step: f"a.{step.name}")
    assert ids == ("a.conv", "a.bn", "a.side", "a.sum")
    assert (network.last, network.shape) == ("a.sum", (4, 4, 4))
    assert network.nodes["a.side"].inputs == ("input",)
    assert network.nodes["a.sum"].inputs == ("a.bn", "a.side")


def test_a_fragment_may_be_empty() -> None:
    fragment = FragmentBuilder((3, 8, 8)).build()
    assert fragment.output_shape == (3, 8, 8)
    network = NetworkBuilder((3, 8, 8))
    network.append(fragment, lambda step: step.name)
    assert (network.last, list(network.nodes)) == ("input", ["input"])


def test_a_fragment_takes_no_op_that_does_not_fit() -> None:
    piece = FragmentBuilder((3, 8, 8))
    piece.add("flatten", Flatten())
    piece.add("fc", Linear(192, 5))
    with pytest.raises(ShapeError):
        piece.add("conv", Conv2d(3, 4, 3))
    piece.add("relu", ReLU())
    assert piece.build().output_shape == (5,)


def test_names_are_given_once() -> None:
    piece = FragmentBuilder((3, 8, 8))
    piece.add("relu", ReLU())
    for name in ("relu", Fragment.INPUT):
        with pytest.raises(ValueError, match=f"there is already a step '{name}'"):
            piece.add(name, ReLU())
    network = NetworkBuilder((3, 8, 8))
    network.append(piece.build(), lambda step: step.name)
    with pytest.raises(ValueError, match="there is already a node 'relu'"):
        network.append(piece.build(), lambda step: step.name)


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        (
            {"stem": [{"conv": {"width": 4, "kernel": 1}}] * 2 + ["relu", "batch_norm"]},
            ["conv1", "bn1", "relu", "conv2", "bn2", "relu2", "relu3", "bn3"],
        ),
        (
            {"pre_activation": True, "stages": DATA["stages"][1:]},  # type: ignore[index]
            ["conv1", "bn1", "relu", "layer1.0.shortcut", "layer1.0.bn1", "layer1.0.relu1"],
        ),
        (
            {"stem": [{"max_pool": {"kernel": 2}}, {"avg_pool": {"kernel": 2}}, "dropout"]},
            ["maxpool", "avgpool", "dropout"],
        ),
    ],
)
def test_layers_have_torchvisions_names(changes: dict[str, object], ids: list[str]) -> None:
    assert list(compile_data({**DATA, **changes}).nodes)[1 : len(ids) + 1] == ids


def test_the_final_norm_of_a_pre_activation_network_is_bn() -> None:
    """Whatever norms the stem has."""
    bare = {"conv": {"width": 4, "kernel": 1, "norm": "none", "activation": "none"}}
    for stem in (DATA["stem"], [bare], [bare, "batch_norm", "relu"]):
        network = compile_data({**DATA, "stem": stem, "pre_activation": True})
        nodes = network.nodes
        assert network.standings["bn"].stage is None
        assert nodes["bn"].inputs == ("layer2.0.add",)


def test_several_linear_layers_are_counted_and_one_is_not() -> None:
    several = compile_data({**DATA, "head": [{"linear": 7}, "relu", "dropout", "linear"]})
    assert list(several.nodes)[-5:] == ["flatten", "fc1", "relu2", "dropout", "fc2"]
    assert list(small().nodes)[-4:] == ["avgpool", "flatten", "fc", "softmax"]


def test_a_network_of_conv_stages_counts_its_modules_as_torchvisions_vggs() -> None:
    stages = [{"block": "conv", "depth": 1, "width": 4, "pool": 2}]
    head = [{"adaptive_avg_pool": 2}, {"linear": 6}, "relu", "dropout", "linear", "softmax"]
    network = compile_data({**DATA, "norm": "none", "stages": stages, "head": head})
    assert list(network.nodes) == [
        "input",
        *(f"features.{number}" for number in range(5)),
        "avgpool",
        "flatten",
        *(f"classifier.{number}" for number in range(4)),
        "softmax",
    ]


def test_conv_stages_beside_others_have_their_own_names() -> None:
    conv = {"block": "conv", "depth": 2, "width": 4, "pool": 2}
    network = compile_data({**DATA, "stages": [*DATA["stages"], conv]})  # type: ignore[misc]
    ids = [node_id for node_id in network.nodes if node_id.startswith("layer3")]
    assert ids == [
        *("layer3.0.conv", "layer3.0.bn", "layer3.0.relu"),
        *("layer3.1.conv", "layer3.1.bn", "layer3.1.relu", "layer3.pool"),
    ]
