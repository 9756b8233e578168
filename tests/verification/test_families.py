"""One network of every family that torchvision and timm have, small, against its graph."""

from __future__ import annotations

import pytest

import archc
from archc.verification import Options, verify

QUICK = Options(quick=True)
SMALL: dict[str, tuple[int, int]] = {
    "torchvision/convnext_tiny": (32, 32),
    "torchvision/densenet121": (32, 32),
    "torchvision/efficientnet_b0": (32, 32),
    "torchvision/efficientnet_v2_s": (32, 32),
    "torchvision/googlenet": (64, 64),
    "torchvision/mnasnet0_5": (32, 32),
    "torchvision/mobilenet_v2": (32, 40),
    "torchvision/mobilenet_v3_small": (32, 32),
    "torchvision/regnet_x_400mf": (32, 32),
    "torchvision/regnet_y_400mf": (32, 32),
    "torchvision/shufflenet_v2_x0_5": (32, 32),
    "torchvision/squeezenet1_1": (40, 32),
    **{
        f"timm/{name}": (32, 32)
        for name in (
            *("resnet18d", "resnet50d", "resnet50c", "seresnet50", "efficientnet_lite0"),
            *("repvgg_a0", "res2net50_26w_4s", "vovnet39a"),
        )
    },
}


@pytest.mark.parametrize("name", SMALL)
def test_one_of_each_family_is_what_its_graph_says(name: str) -> None:
    with_ = {} if name.endswith(("googlenet", "squeezenet1_1", "densenet121")) else {"depth": 1}
    network = archc.load(name, with_=with_, input=(3, *SMALL[name]))
    report = verify(network, options=QUICK)
    assert report.passed, report.faults
