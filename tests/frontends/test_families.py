"""A small network of each family, through the files that torch writes of its module."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

import archc
from archc.graph import Network, deploy_form

SIZES = {"torchvision/vgg11_bn": 224}  # whose map of 7x7 torch's ONNX exporter makes of no other
FAMILIES: dict[str, dict[str, object]] = {
    "torchvision/vgg11_bn": {"depth": 1, "width": 8},
    "torchvision/resnext50_32x4d": {"depth": [1, 2, 1, 1]},
    "torchvision/densenet121": {"depth": [2, 1, 2, 1, 2, 1, 2]},
    "torchvision/mobilenet_v2": {"depth": 1},
    "torchvision/mobilenet_v3_small": {"depth": 1},
    "torchvision/efficientnet_b0": {"depth": [1, 2, 1, 1, 1, 1, 1]},
    "torchvision/shufflenet_v2_x0_5": {"depth": 1},
    "torchvision/regnet_y_400mf": {"depth": 1},
    "torchvision/convnext_tiny": {"depth": 1},
    "torchvision/squeezenet1_1": {},
}


def small(spec: str) -> Network:
    return archc.load(spec, input=SIZES.get(spec, 64), with_=FAMILIES[spec])


def check(found: Network, expected: Network) -> None:
    """Whether what was read is what was written, and can be shown."""
    compared = archc.diff(found, expected)
    assert compared.same, compared.changes[:3]
    told = {"softmax", "dropout", "stochastic_depth", "folded batch norms"}
    assert set(compared.left_out) <= told
    assert (found.layers, found.multiply_adds) == (expected.layers, expected.multiply_adds)
    assert archc.count(found).not_counted == {}
    assert b"<svg" in archc.draw(found)


@pytest.mark.parametrize("spec", FAMILIES)
def test_files_of_torch_are_the_networks_that_they_were_made_of(spec: str, tmp_path: Path) -> None:
    network = small(spec)
    module, images = archc.module(network).eval(), torch.zeros(1, *network.input_shape)
    torch.export.save(torch.export.export(module, (images,)), tmp_path / "net.pt2")
    found = archc.from_export(tmp_path / "net.pt2")
    check(found, network)
    assert found.params == network.params
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (images,), tmp_path / "net.onnx", dynamo=False, verbose=False)
    check(archc.from_onnx(tmp_path / "net.onnx"), deploy_form(network))
