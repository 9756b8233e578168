"""Weights that fit two networks: which they are told to be of, and when that is an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
import torch
from agreement import without_drawing
from shipped import network_of as shipped
from torch import Tensor

import archc
from archc.analysis.computation import computes_same
from archc.graph import Network
from archc.shipped import shipped_names
from archc.spec import load_spec
from archc.spec.overrides import InputSize
from archc.weights import Checkpoint, WeightsError, WeightsWarning
from archc.weights.files import to_safetensors
from archc.weights.origin import check_origin, describe_origin


def pairs() -> Iterator[tuple[str, str]]:
    """Shipped specs whose tensors have the same keys and shapes."""
    for a, b in combinations(shipped_names(), 2):
        if shipped(a).params == shipped(b).params and shipped(a).state == shipped(b).state:
            yield a, b


def outputs(network: Network, weights: dict[str, Tensor], images: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeightsWarning)
        with without_drawing():
            module = archc.module(network, weights=weights).eval()
    with torch.inference_mode():
        logits: Tensor = module(images)
    return logits


PAIRS = list(pairs())
SAME = {
    ("imagenet/resnet34-b", "torchvision/resnet34"),
    ("imagenet/vgg19", "torchvision/vgg19"),
}


def test_two_of_twelve_pairs_compute_the_same() -> None:
    assert len(PAIRS) >= 12
    assert {(a, b) for a, b in PAIRS if computes_same(shipped(a), shipped(b))} >= SAME


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_pair_gets_a_note_where_its_outputs_differ(pair: tuple[str, str]) -> None:
    small = [network_of(name) for name in pair]
    same = computes_same(shipped(pair[0]), shipped(pair[1]))
    images = torch.randn(1, *small[0].input_shape, generator=torch.Generator().manual_seed(1))
    weights = dict(archc.module(small[0]).state_dict())
    first, second = (outputs(network, weights, images) for network in small)
    assert torch.allclose(first, second, rtol=1e-4, atol=1e-4) == same
    for name, other in (pair, pair[::-1]):
        told = note(shipped(name))
        assert (told is None) if same else (told is not None and f"`{other}` (" in told)


def network_of(name: str) -> Network:
    """A shipped network, of smaller images where it takes them."""
    large = shipped(name).input_shape[1] == 224 and "vgg" not in name
    return archc.load(name, input=(3, 64, 64)) if large else shipped(name)


def note(network: Network, about: dict[str, str] | None = None) -> str | None:
    """What is said of weights that fit a network."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_origin(network, Checkpoint("net.pth", {}, about=about or {}))
    assert all(one.category is WeightsWarning for one in caught)
    return str(caught[0].message) if caught else None


def test_a_note_says_what_the_other_network_does_differently() -> None:
    question = "check which network these weights were trained for"
    assert note(shipped("imagenet/resnet50")) == (
        "net.pth also fits `torchvision/resnet50` (`layer2.0.conv1` has stride 1 instead of 2, and "
        f"5 more such differences), which computes something else: {question}"
    )
    assert note(shipped("cifar10/plain20")) == (
        "net.pth also fits `cifar10/resnet20` (it has shortcuts), which computes something else: "
        f"{question}"
    )


def test_a_spec_of_ones_own_is_compared_with_all(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: torchvision/resnet50\nname: own\n")
    told = note(archc.load(tmp_path / "own.yaml"))
    assert told is not None
    assert "`imagenet/resnet50`" in told
    assert "torchvision" not in told
    (tmp_path / "own.yaml").write_text(
        "extends: torchvision/resnet50\nname: own\ndefaults: {shortcut: C}\n"
    )
    assert note(archc.load(tmp_path / "own.yaml")) is None


def test_a_note_is_given_for_images_of_another_size_and_for_deploy_forms() -> None:
    for network in (
        archc.load("imagenet/resnet18", input=(3, 96, 128)),
        shipped("imagenet/resnet18"),
    ):
        told = note(archc.graph.deploy_form(network))
        assert told is not None
        assert "`imagenet/plain18`" in told


def about(spec: str, **options: object) -> dict[str, str]:
    return describe_origin(load_spec(spec, **options))  # type: ignore[arg-type]


def test_a_file_of_this_spec_gets_no_note() -> None:
    assert note(shipped("imagenet/resnet50"), about("imagenet/resnet50")) is None


def test_a_file_of_the_other_spec_is_an_error() -> None:
    with pytest.raises(WeightsError) as caught:
        note(shipped("imagenet/resnet50"), about("torchvision/resnet50"))
    assert str(caught.value) == (
        "net.pth: error: holds weights of `torchvision/resnet50`, not of `imagenet/resnet50`: the "
        "tensors are the same, but `layer2.0.conv1` has stride 1 instead of 2, and 5 more such "
        "differences"
    )
    assert caught.value.hint == "use `torchvision/resnet50` with these weights"


def test_a_file_of_another_spec_that_computes_the_same_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: imagenet/resnet50\nname: own\ntitle: Mine\n")
    own = archc.load(tmp_path / "own.yaml")
    assert note(own, about("imagenet/resnet50")) is None
    assert note(shipped("imagenet/resnet50"), about(str(tmp_path / "own.yaml"))) is None
    larger = about("imagenet/resnet50", changes=[InputSize("3,320,256")])
    assert note(shipped("imagenet/resnet50"), larger) is None
    assert note(shipped("imagenet/resnet34-b"), about("torchvision/resnet34")) is None


@pytest.mark.parametrize(
    "text", ["", "x", "name: [", "extends: imagenet/resnet50\nname: a\n", "a: \x1b", "a" * 2**17]
)
def test_a_file_that_says_nothing_useful_gets_the_note(text: str) -> None:
    told = {"archc.spec": "\x1b[2J", "archc.digest": "0", "archc.text": text}
    assert "`torchvision/resnet50`" in (note(shipped("imagenet/resnet50"), told) or "")


def test_python_warns_at_the_line_that_loads(tmp_path: Path) -> None:
    weights = archc.module("cifar10/plain20").state_dict()
    torch.save(weights, tmp_path / "net.pth")
    for use in (archc.module, archc.fold):
        use("cifar10/plain20", weights=weights)  # whoever has it in memory knows where it is from
        with pytest.warns(WeightsWarning, match="also fits `cifar10/resnet20`") as caught:
            use("cifar10/plain20", weights=tmp_path / "net.pth")
        assert [one.filename for one in caught] == [__file__]
    spec = load_spec("cifar10/plain20")
    (tmp_path / "net.safetensors").write_bytes(to_safetensors(weights, describe_origin(spec)))
    archc.module("cifar10/plain20", weights=tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="holds weights of `cifar10/plain20`"):
        archc.module("cifar10/resnet20", weights=tmp_path / "net.safetensors")
