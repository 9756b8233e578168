"""Every network of torchvision, and some of timm's, by what their libraries say of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import archc

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "torchvision.json").read_text()
)
NAMES = [name for name in FACTS if not name.startswith("_")]

TIMM = {
    "resnet18d": (11_708_744, 134, "475fe91e1161a509"),
    "resnet50d": (25_576_264, 332, "951a1ebf58e70a9a"),
    "resnet50c": (25_576_264, 332, "6b15c69734b46ffd"),
    "seresnet50": (28_088_024, 384, "f96732458084f458"),
    "efficientnet_lite0": (4_652_008, 296, "f4893f7e3fdbb25e"),
    "repvgg_a0": (9_108_968, 351, "f69eda6f83d582a4"),
    "res2net50_26w_4s": (25_699_120, 512, "989ee968787b584e"),
    "vovnet39a": (22_600_296, 236, "30064a73f8bd6dd6"),
}
"""Parameters, tensors and the beginning of the digest of the ordered keys, of timm 1.0.31."""


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_there_are_all_of_torchvision() -> None:
    assert sorted(archc.specs("torchvision")) == sorted(f"torchvision/{name}" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_torchvision_s(name: str) -> None:
    facts = FACTS[name]
    network = archc.load(f"torchvision/{name}")
    state = network.state
    assert list(network.input_shape) == facts["input"]
    assert network.params == facts["params"]
    assert network.multiply_adds == facts["multiply_adds"]
    assert len(state) == facts["tensors"]
    lines = sorted(f"{key} {tuple(shape)}" for key, shape in state.items())
    assert digest(lines) == facts["keys_and_shapes"]
    assert digest(list(state)) == facts["ordered_keys"]


@pytest.mark.parametrize("name", TIMM)
def test_a_network_is_timm_s(name: str) -> None:
    network = archc.load(f"timm/{name}")
    keys = list(network.state)
    assert (network.params, len(keys), digest(keys)[:16]) == TIMM[name]


DEPTHS = {
    "timm/seresnet50": 50,
    "torchvision/efficientnet_b0": 50,
    "torchvision/regnet_y_400mf": 50,
    "torchvision/mobilenet_v3_large": 48,
    "torchvision/densenet121": 121,
    "torchvision/googlenet": 22,
    "torchvision/inception_v3": 48,
}


@pytest.mark.parametrize("name", DEPTHS)
def test_gates_and_side_heads_are_not_on_the_main_path(name: str) -> None:
    assert archc.load(name).layers == DEPTHS[name]
