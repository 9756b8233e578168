"""Folding of equal blocks: what is left, and that nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from strategies import compile_data, specs

import archc
from archc.graph import Network, fold_repeats
from archc.spec import SpecError


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("imagenet/resnet34", {(1, 0): 2, (2, 1): 3, (3, 1): 5, (4, 1): 2}),
        ("imagenet/resnet152", {(1, 1): 2, (2, 1): 7, (3, 1): 35, (4, 1): 2}),
        ("cifar10/resnet1202", {(1, 0): 199, (2, 1): 199, (3, 1): 199}),
        ("cifar10/preresnet164", {(1, 1): 17, (2, 1): 17, (3, 1): 17}),
        ("torchvision/vgg19", {(3, 1): 3, (4, 1): 3, (5, 0): 3}),
        ("torchvision/vgg11", {(5, 0): 1}),
        ("imagenet/resnet18", {(1, 0): 1}),
    ],
)
def test_runs_of_shipped_networks(name: str, runs: dict[tuple[int, int], int]) -> None:
    assert fold_repeats(archc.load(name)).runs == runs


def unfolded(network: Network) -> tuple[int, int, int]:
    """The totals of a folded network, each block counted as often as it stands for."""
    folded = fold_repeats(network)
    layers = params = multiply_adds = 0
    for node in folded.network.nodes.values():
        times = 1
        here = folded.network.standings[node.id]
        if here.stage is not None and here.block is not None:
            last = folded.runs.get((here.stage, here.block), here.block)
            times = last - here.block + 1
        layers += times * node.is_layer
        params += times * node.params
        multiply_adds += times * node.multiply_adds
    return layers, params, multiply_adds


@given(specs())
def test_blocks_taken_as_often_as_they_stand_for_are_the_whole(data: dict[str, Any]) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        return
    layers = sum(node.is_layer for node in network.nodes.values())
    assert unfolded(network) == (layers, network.params, network.multiply_adds)
    folded = fold_repeats(network).network
    assert set(folded.nodes) <= set(network.nodes)
    assert fold_repeats(folded).runs == {}


def test_what_has_no_equal_blocks_stays_as_it_is() -> None:
    network = archc.load("imagenet/resnet34", with_={"depth": 1})
    folded = fold_repeats(network)
    assert folded.runs == {}
    assert dict(folded.network.nodes) == dict(network.nodes)
