"""The tree of a network's parts, and every reader of it where there is no tree."""

from __future__ import annotations

from dataclasses import replace

import networkx
import pytest

import archc
from archc.analysis import compare, count, memory, receptive_fields
from archc.backends.figure import DrawOptions, FigureError, draw
from archc.backends.pytorch import emit
from archc.graph import (
    LintError,
    Network,
    Region,
    deploy_form,
    enclosing,
    fold_repeats,
    fully_convolutional,
    lint,
    walk,
)


def bare(network: Network) -> Network:
    """The network without its tree."""
    return replace(network, regions=())


def test_stem_stages_blocks_and_head_are_a_tree() -> None:
    network = archc.load("imagenet/resnet34")
    assert [region.name for region in network.regions] == [
        "stem",
        *(f"stage {number}" for number in range(1, 5)),
        "head",
    ]
    stage = network.regions[2]
    assert stage.attributes == {"width": 128}
    blocks = [member for member in stage.members if isinstance(member, Region)]
    assert [(one.name, one.label) for one in blocks] == [
        (f"block {number}", "BasicBlock") for number in range(4)
    ]
    assert {one.origin.line for one in blocks if one.origin} == {15}
    assert enclosing(blocks[0].nodes) == "layer2.0"
    inside = [id for region in network.regions for id in region.nodes]
    assert inside == list(network.nodes)[1:], "all but the input, in order"


@pytest.mark.parametrize("form", [deploy_form, fully_convolutional, lambda n: n])
def test_passes_keep_the_tree(form: object) -> None:
    network = archc.load("torchvision/vgg11_bn")
    made = form(network)  # type: ignore[operator]
    made = getattr(made, "network", made)
    assert [region.name for region in walk(made.regions) if region.kind != "group"] == [
        region.name for region in walk(network.regions) if region.kind != "group"
    ]
    assert set(made.standings) == set(made.nodes)


def test_a_tree_has_the_networks_nodes_once_and_in_order() -> None:
    network = archc.load("imagenet/resnet18")
    head = network.regions[-1]
    for regions, words in [
        (
            (Region("head", ("there",)),),
            "the head lists 'there', but there is no such node",
        ),
        ((head, head), "of the head is in two regions or out of order"),
        ((head, network.regions[0]), "of the stem is in two regions or out of order"),
    ]:
        with pytest.raises(LintError, match=words):
            lint(replace(network, regions=regions))


@pytest.mark.parametrize("name", ["imagenet/resnet50", "torchvision/vgg11_bn"])
def test_every_reader_does_without_a_tree(name: str) -> None:
    network = archc.load(name)
    plain = lint(bare(network))
    for by in ("network", "stage", "block", "layer"):
        rows = count(plain, by).rows
        assert sum(row.params for row in rows) == network.params
        assert {(row.stage, row.block) for row in rows} == {(None, None)}
    assert memory(plain).inference == memory(network).inference
    assert [row.size for row in receptive_fields(plain).rows] == [
        row.size for row in receptive_fields(network).rows
    ]
    assert networkx.utils.graphs_equal(
        networkx.DiGraph(plain.graph.edges), networkx.DiGraph(network.graph.edges)
    )
    assert fold_repeats(plain).runs == {}
    assert deploy_form(plain).nodes == deploy_form(network).nodes
    assert draw([plain], "svg").startswith(b"<?xml")
    with pytest.raises(FigureError, match="there is no block to draw"):
        draw([plain], "svg", DrawOptions(blocks=True))
    compile(emit(plain), "plain.py", "exec")


def renamed_relu(network: Network) -> Network:
    """The network with one of its relus called otherwise."""
    old, new = "layer2.0.relu1", "layer2.0.activation"
    nodes = {}
    for node in network.nodes.values():
        id = new if node.id == old else node.id
        inputs = tuple(new if source == old else source for source in node.inputs)
        nodes[id] = node._replace(id=id, inputs=inputs)
    return lint(replace(network, nodes=nodes, regions=()))


@pytest.mark.parametrize("strip", [bare, lambda network: network])
def test_what_was_only_renamed_is_one_change(strip: object) -> None:
    network = archc.load("imagenet/resnet18")
    found = compare(strip(network), renamed_relu(network))  # type: ignore[operator]
    (change,) = found.changes
    assert (change.a, change.b) == ("layer2.0.relu1", "layer2.0.activation")
    assert change.what == ("name layer2.0.relu1 → layer2.0.activation",)
    assert (found.same, found.renamed) == (False, 1)


def test_without_a_tree_the_same_ops_are_the_same() -> None:
    network = archc.load("imagenet/resnet18")
    assert compare(network, bare(network)).same
