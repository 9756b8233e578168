"""Blocks found by what repeats; networks that archc wrote itself, with their names and without."""

from __future__ import annotations

import re

import numpy as np
import onnxruntime
import pytest
import torch
from onnxmaker import Maker, nameless, written

import archc
from archc.backends.pytorch import emit
from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.graph import Network, Region, deploy_form
from archc.graph.regions import walk
from archc.live import build_module

FAMILIES = {
    "cifar10/resnet20": [3, 3, 3],
    "cifar10/preresnet110": [18, 18, 18],
    "torchvision/mobilenet_v2": [1, 2, 3, 4, 3, 3, 1],
    "torchvision/efficientnet_b0": [1, 2, 2, 3, 3, 4, 1],
    "torchvision/densenet121": [6, 12, 24, 16],
    "torchvision/shufflenet_v2_x0_5": [4, 8, 4],
    "torchvision/regnet_y_400mf": [1, 3, 6, 6],
    "torchvision/squeezenet1_1": [2, 2, 4],
}


def read(data: bytes) -> Imported:
    return Imported(read_onnx(data, "net.onnx"), "net.onnx")


def depths(network: Network) -> list[int]:
    """How many blocks each stage has."""
    stages = [region for region in network.regions if region.kind == "stage"]
    return [sum(isinstance(one, Region) for one in stage.members) for stage in stages]


@pytest.mark.parametrize("spec", FAMILIES)
def test_blocks_are_found_by_what_repeats(spec: str) -> None:
    network = archc.load(spec)
    data = written(network)
    named, unnamed = read(data), read(nameless(data))
    assert depths(unnamed.network) == FAMILIES[spec]
    assert archc.compare(named.network, network).same
    assert unnamed.network.params == network.params
    assert unnamed.network.multiply_adds == network.multiply_adds
    assert set(unnamed.keys) == {key for key in unnamed.network.state if "num_batches" not in key}
    assert len(emit(unnamed.network).splitlines()) < 150
    if not spec.endswith("squeezenet1_1"):  # whose spec has no blocks
        groups = zip(blocks(unnamed.network), blocks(network), strict=False)
        assert all(a == b for a, b in groups)


def test_folded_norms_are_left_out_of_a_comparison() -> None:
    network = archc.load("cifar10/resnet20")
    folded = read(written(deploy_form(network))).network
    for pair in ((folded, network), (network, folded)):
        found = archc.diff(*pair)
        assert (found.same, found.left_out) == (True, ("folded batch norms", "softmax"))
    other = archc.diff(folded, "cifar10/resnet32")
    assert not other.same
    assert "batch_norm2d" not in {change.op for change in other.changes}
    assert not archc.diff(deploy_form(network), network).same


def blocks(network: Network) -> list[int]:
    """How many parameters each block has; blocks of a single layer are none."""
    nodes = network.nodes
    found = [one for one in walk(network.regions) if one.kind == "block"]
    layers = [[nodes[id] for id in one.nodes] for one in found if one.label != "Transition"]
    return [sum(node.params for node in one) for one in layers]


def test_a_network_without_names_computes_the_same_in_classes() -> None:
    data = nameless(written(deploy_form(archc.load("cifar10/resnet20")), random=True))
    model = read(data)
    source = emit(model.network)
    assert re.findall(r"^class (\w+)", source, re.MULTILINE) == [
        *("ZeroPadShortcut", "Block", "Net"),
    ]
    assert "self.layer2 = nn.Sequential(" in source
    assert list(model.network.nodes)[3:7] == [
        *("layer1.0.conv1", "layer1.0.relu1", "layer1.0.conv2", "layer1.0.add1"),
    ]
    module = build_module(model.network).eval()
    arrays = {key: torch.tensor(np.array(one)) for key, one in model.arrays().items()}
    module.load_state_dict(arrays)
    x = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(data).run(None, {"input": x})
    with torch.no_grad():
        y = module(torch.tensor(x)).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_does_not_repeat_has_no_blocks() -> None:
    """Three sums, each of another kind."""
    m = Maker((1, 4, 8, 8))
    y = m.node("Add", "x", m.conv("x", 4, 4))
    y = m.node("Add", y, m.conv(m.node("Relu", m.conv(y, 4, 4)), 4, 4))
    y = m.node("Add", y, m.node("Tanh", m.conv(m.conv(m.conv(y, 4, 4), 4, 4), 4, 4)))
    assert read(m.data(y)).network.regions == ()


def test_concatenations_in_each_other_are_one() -> None:
    networks = []
    for nested in (False, True):
        m = Maker((1, 4, 8, 8))
        a, b, c = (m.conv("x", 4, 4, kernel, pads=[kernel // 2] * 4) for kernel in (1, 3, 5))
        y = m.node("Concat", b, c, axis=1) if nested else ""
        y = m.node("Concat", a, y, axis=1) if nested else m.node("Concat", a, b, c, axis=1)
        networks.append(read(m.data(m.node("Relu", y))).network)
    assert len(networks[1].nodes) == len(networks[0].nodes) + 1
    assert archc.compare(*networks).same
