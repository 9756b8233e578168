"""The pass into the deploy form: which norms go, which stay, and what the rest is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from agreement import assert_agrees, on_meta
from hypothesis import HealthCheck, given, settings
from strategies import Data, compile_data, specs

import archc
from archc.graph import (
    FragmentBuilder,
    Network,
    NetworkBuilder,
    deploy_form,
    foldings,
    lint,
)
from archc.ops import Add, BatchNorm2d, Conv2d, Dropout, ReLU
from archc.shipped import shipped_names
from archc.spec import SpecError

WITH_NORMS = [
    name
    for name in shipped_names()
    if name.split("/")[1].startswith(("resnet", "resnext", "wide", "plain")) and "timm" not in name
]
"""Networks whose modules have the same names without norms; numbered ones would move up."""

STEM: Data = {"stem": [{"conv": {"width": 8, "kernel": 3}}]}
BARE: Data = {"stem": [{"conv": {"width": 8, "kernel": 3, "norm": "none", "activation": "none"}}]}
STAGES: list[Data] = [{"depth": 2, "width": 8}, {"depth": 3, "width": 16, "stride": 2}]


def facts(network: Network) -> list[tuple[object, ...]]:
    """All of a network but the words of its author."""
    return [
        (node.id, node.op, node.inputs, node.output_shape, here.stage, here.block, here.label)
        for node in network.nodes.values()
        for here in [network.standings[node.id]]
    ]


def residual(block: str, shortcut: str, **more: object) -> Data:
    defaults = {"block": block, "shortcut": shortcut}
    head = ["global_avg_pool", "linear", "softmax"]
    return {
        "name": "net",
        "input": [3, 16, 12],
        "classes": 5,
        "defaults": defaults,
        "stages": STAGES,
        "head": head,
        **more,
    }


def chain(*ops: tuple[str, Conv2d | BatchNorm2d | ReLU | Dropout | Add, Sequence[str]]) -> Network:
    """A network of ops with their ids and inputs, on a feature map of 4x8x8."""
    piece = FragmentBuilder((4, 8, 8))
    for name, op, inputs in ops:
        piece.add(name, op, *inputs)
    network = NetworkBuilder((4, 8, 8))
    network.append(piece.build(), lambda step: step.name)
    return lint(Network("chain", network.nodes))


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_a_vgg_with_norms_becomes_the_vgg_without(depth: int) -> None:
    """Modules that are counted close up: `features.3` is `features.2` then."""
    network = archc.load(f"torchvision/vgg{depth}_bn")
    plain = archc.load(f"torchvision/vgg{depth}")
    assert facts(network) != facts(plain)
    assert facts(deploy_form(network)) == facts(plain)
    assert deploy_form(network).state == plain.state


@pytest.mark.parametrize("name", WITH_NORMS)
def test_a_shipped_network_becomes_its_twin_without_norms(name: str) -> None:
    twin = compile_data({"extends": name, "name": "twin", "norm": "none"})
    form = deploy_form(archc.load(name))
    assert facts(form) == facts(twin)
    assert not foldings(archc.load(name)).kept


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_residual_network_becomes_its_twin_without_norms(block: str, shortcut: str) -> None:
    data = residual(block, shortcut, **STEM)
    assert facts(deploy_form(compile_data(data))) == facts(compile_data({**data, "norm": "none"}))


def test_a_plain_network_with_pre_activation_folds_across_blocks() -> None:
    """The norm that begins a block follows the convolution that ends the one before."""
    data = residual("basic", "none", pre_activation=True, **BARE)
    network = compile_data(data)
    found = foldings(network)
    assert found.norms["conv1"] == ("layer1.0.bn1",)
    assert found.norms["layer1.1.conv2"] == ("layer2.0.bn1",)
    assert found.norms["layer2.2.conv2"] == ("bn",)
    assert not found.kept
    assert facts(deploy_form(network)) == facts(compile_data({**data, "norm": "none"}))


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_with_pre_activation_norms_behind_a_sum_stay_and_are_listed(shortcut: str) -> None:
    network = compile_data(residual("basic", shortcut, pre_activation=True, **BARE))
    found = foldings(network)
    blocks = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer2.2"]
    assert found.norms == {f"{block}.conv1": (f"{block}.bn2",) for block in blocks}
    assert found.kept == (*(f"{block}.bn1" for block in blocks), "bn")
    assert found.count == 5
    form = deploy_form(network)
    norms = [node.id for node in form.nodes.values() if isinstance(node.op, BatchNorm2d)]
    assert norms == list(found.kept)
    assert form.nodes["layer1.0.relu2"].inputs == ("layer1.0.conv1",)
    for block in blocks:
        before, after = (
            [one.nodes[f"{block}.conv{n}"].op for n in (1, 2)] for one in (network, form)
        )
        assert [op.numbers["bias"] for op in before] == [False, False]
        assert [op.numbers["bias"] for op in after] == [True, False]


def test_a_convolution_that_two_nodes_read_keeps_its_norm() -> None:
    """Who reads it beside the norm would read something else."""
    network = chain(
        ("conv", Conv2d(4, 4, 1), ()),
        ("bn", BatchNorm2d(4), ("conv",)),
        ("add", Add(), ("bn", "conv")),
    )
    assert foldings(network).kept == ("bn",)
    assert deploy_form(network) is network


def test_of_two_norms_in_a_row_both_are_folded_unless_the_first_is_read_by_others() -> None:
    start = (("conv", Conv2d(4, 4, 1, bias=False), ()), ("bn1", BatchNorm2d(4), ()))
    network = chain(*start, ("bn2", BatchNorm2d(4), ()), ("relu", ReLU(), ()))
    assert foldings(network).norms == {"conv": ("bn1", "bn2")}
    form = deploy_form(network)
    assert list(form.nodes) == ["input", "conv", "relu"]
    assert form.nodes["conv"].op == Conv2d(4, 4, 1, bias=True)
    assert form.nodes["relu"].inputs == ("conv",)
    read_twice = chain(*start, ("bn2", BatchNorm2d(4), ()), ("add", Add(), ("bn2", "bn1")))
    assert foldings(read_twice).norms == {"conv": ("bn1",)}
    assert foldings(read_twice).kept == ("bn2",)
    assert deploy_form(read_twice).nodes["add"].inputs == ("bn2", "conv")


@pytest.mark.parametrize("between", [ReLU(), Dropout(0.5)])
def test_a_norm_behind_anything_but_a_convolution_stays(between: ReLU | Dropout) -> None:
    network = chain(
        ("conv", Conv2d(4, 4, 1), ()), ("between", between, ()), ("bn", BatchNorm2d(4), ())
    )
    assert foldings(network).kept == ("bn",)
    assert deploy_form(network) is network


def test_a_norm_at_the_beginning_stays_and_one_at_the_end_goes() -> None:
    network = chain(
        ("bn1", BatchNorm2d(4), ()), ("conv", Conv2d(4, 4, 1), ()), ("bn2", BatchNorm2d(4), ())
    )
    assert foldings(network).kept == ("bn1",)
    assert deploy_form(network).output == "conv"


@pytest.mark.parametrize("name", ["torchvision/vgg11", "imagenet/vgg19"])
def test_a_network_without_norms_is_returned_as_it_is(name: str) -> None:
    network = archc.load(name)
    assert deploy_form(network) is network
    assert foldings(network).count == 0
    assert foldings(network).kept == ()


def test_only_counts_that_lost_a_module_close_up() -> None:
    """Those of other parents keep their gaps: `layer1.2` has no `layer1.1` before it."""
    network = chain(
        ("layer1.0.conv", Conv2d(4, 4, 1), ()),
        ("layer1.0.down.0", BatchNorm2d(4), ()),
        ("layer1.0.down.1.relu", ReLU(), ()),
        ("layer1.2.relu", ReLU(), ()),
        ("layer1.2.add", Add(), ("layer1.2.relu", "layer1.0.down.1.relu")),
        ("features.8", Conv2d(4, 4, 1), ()),
        ("features.9", BatchNorm2d(4), ()),
        ("features.10", ReLU(), ()),
        ("features.11.12", ReLU(), ()),
    )
    form = deploy_form(network)
    assert form.nodes["layer1.2.add"].inputs == ("layer1.2.relu", "layer1.0.down.0.relu")
    assert list(form.nodes) == [
        "input",
        "layer1.0.conv",
        "layer1.0.down.0.relu",
        "layer1.2.relu",
        "layer1.2.add",
        "features.0",
        "features.1",
        "features.2.12",
    ]
    assert foldings(network).names["features.10"] == "features.1"


def test_the_description_says_what_was_done() -> None:
    form = deploy_form(archc.load("torchvision/resnet18"))
    assert form.description == (
        "torchvision's resnet18; deploy form, 20 batch norms folded into convolutions"
    )
    assert form.source == "torchvision/resnet18"
    undescribed = deploy_form(compile_data(residual("basic", "A", **STEM)))
    assert undescribed.description == "deploy form, 11 batch norms folded into convolutions"


def test_deploy_forms_of_random_specs_hold_together_and_are_emitted() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=max(80, settings().max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(specs())
    def check(data: Data) -> None:
        try:
            network = compile_data(data)
        except SpecError:
            return
        form = deploy_form(network)
        if form is network:
            seen["same"] += 1
            return
        seen["folded"] += 1
        lint(form)
        assert_counts(network, form)
        assert_agrees(form, on_meta(form))

    check()
    assert seen["folded"] >= 50


def assert_counts(network: Network, form: Network) -> None:
    """What is gone are the norms; what has come are the biases of the convolutions before them."""
    found = foldings(network)
    gone = [network.nodes[norm] for norms in found.norms.values() for norm in norms]
    bare = [
        network.nodes[conv] for conv in found.norms if "bias" not in network.nodes[conv].op.state
    ]
    assert len(form.nodes) == len(network.nodes) - found.count
    assert form.params == (
        network.params
        - sum(norm.params for norm in gone)
        + sum(conv.output_shape[0] for conv in bare)
    )
    assert (form.layers, form.multiply_adds) == (network.layers, network.multiply_adds)
    assert [node.output_shape for node in form.nodes.values()] == [
        node.output_shape for node in network.nodes.values() if node not in gone
    ]
    norms = [node.id for node in form.nodes.values() if isinstance(node.op, BatchNorm2d)]
    assert norms == [found.names[norm] for norm in found.kept]
    assert deploy_form(form) is form
