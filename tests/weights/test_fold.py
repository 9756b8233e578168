"""Folding: the same function without the norms, to the last digits of float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from agreement import without_drawing
from families import OF_THE_PAPERS
from strategies import Data, compile_data
from torch import Tensor, nn
from trained import build, images_for, trained

import archc
from archc.graph import Network, deploy_form, foldings
from archc.weights import Checkpoint, MisfitError, WeightsError, deploy_weights, fold_weights
from archc.weights.files import to_safetensors

pytestmark = pytest.mark.usefixtures("speaking_command_line")

CLOSE = 1e-12
TWO: list[Data] = [{"width": 8}, {"width": 16, "stride": 2}]
HEAD = ["global_avg_pool", "linear", "softmax"]
BARE: Data = {"width": 8, "kernel": 3, "norm": "none", "activation": "none"}


def residual(block: str, shortcut: str, **more: object) -> Data:
    defaults = {"block": block, "depth": 2, "shortcut": shortcut}
    return {"stem": [{"conv": {"width": 8, "kernel": 3}}], "defaults": defaults, **more}


STRUCTURES: dict[str, Data] = {
    **{
        f"{block}, option {shortcut}": residual(block, shortcut)
        for block in ("basic", "bottleneck")
        for shortcut in ("A", "B", "C", "none")
    },
    **{
        f"pre-activation, option {shortcut}": residual(
            "basic", shortcut, stem=[{"conv": BARE}], pre_activation=True
        )
        for shortcut in ("A", "B", "C", "none")
    },
    "vgg with biases": {"defaults": {"block": "conv", "depth": 2, "pool": 2, "bias": True}},
    "vgg without biases": {"defaults": {"block": "conv", "depth": 2, "bias": False}},
    "two norms in a row": {
        "stem": [{"conv": {"width": 8, "kernel": 3, "activation": "none"}}, "batch_norm"],
        "defaults": {"block": "basic", "depth": 1, "shortcut": "C"},
    },
    "mixed": {
        "stem": ["batch_norm", {"conv": {"width": 6, "kernel": 5, "groups": 3}}, "dropout"],
        "stages": [
            {"block": "conv", "depth": 2, "width": 8, "kernel": 2},
            {"block": "bottleneck", "depth": 2, "width": 4, "groups": 2, "base_width": 128},
            {"block": "basic", "depth": 1, "width": 16, "stride": 3, "shortcut": "A"},
        ],
        "defaults": {"shortcut": "C"},
        "head": ["batch_norm", *HEAD],
    },
}


def network_of(structure: str) -> Network:
    data = {"name": "net", "input": [3, 16, 12], "classes": 5, "stages": TWO, "head": HEAD}
    return compile_data({**data, **STRUCTURES[structure]})


def folded(network: Network, module: nn.Module) -> nn.Module:
    """The deploy form's module with a module's folded weights."""
    with without_drawing():
        form = build(deploy_form(network), torch.float64).eval()
    form.load_state_dict(fold_weights(network, module.state_dict()))
    return form


def distance(network: Network, module: nn.Module, form: nn.Module) -> float:
    """How far outputs are apart: norm of the difference over norm."""
    images = images_for(network, 3, torch.float64)
    with torch.no_grad():
        expected, found = module(images), form(images)
    assert expected.isfinite().all()
    assert expected.std() > 0
    return float((found - expected).norm() / expected.norm())


# What is computed


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_folded_network_computes_the_same(structure: str) -> None:
    network = network_of(structure)
    module = trained(network, dtype=torch.float64)
    assert foldings(network).count
    assert distance(network, module, folded(network, module)) < CLOSE


@pytest.mark.parametrize("name", OF_THE_PAPERS)
def test_every_shipped_network_folded_computes_the_same(name: str) -> None:
    network = small(name)
    module = trained(network, dtype=torch.float64)
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    form = folded(network, module)
    assert distance(network, module, form) < CLOSE
    kept = [one for one in form.modules() if isinstance(one, nn.BatchNorm2d)]
    assert len(kept) == len(norms) - foldings(network).count
    assert bool(kept) == ("preresnet" in name)


def small(name: str) -> Network:
    """A shipped network on small images; those of ImageNet have a quarter of their channels.

    The classifier of a VGG, a hundred million parameters with nothing to fold, gives way.
    """
    if name.startswith("cifar10/"):
        return archc.load(name, input=(3, 8, 8))
    data: Data = {"extends": name, "name": "small", "input": [3, 32, 32], "classes": 10}
    widths = [16, 32, 64, 128]
    if "/vgg" in name:
        return compile_data({**data, "with": {"width": [*widths, 128]}, "head": HEAD})
    stem = [
        {"conv": {"width": 16, "kernel": 7, "stride": 2}},
        {"max_pool": {"kernel": 3, "stride": 2}},
    ]
    return compile_data({**data, "with": {"width": widths}, "stem": stem})


@pytest.mark.parametrize("fault", ["weight", "bias", "running_mean", "running_var"])
def test_the_comparison_notices_a_norm_that_is_a_little_different(fault: str) -> None:
    network = network_of("basic, option B")
    module = trained(network, dtype=torch.float64)
    form = folded(network, module)
    with torch.no_grad():
        module.state_dict()[f"layer2.0.bn1.{fault}"][0] += 1e-9
    assert distance(network, module, form) > CLOSE


def test_running_statistics_are_what_is_folded() -> None:
    """In numbers: 3 x + 1 behind a norm that takes 2 from it, halves, doubles and adds 5."""
    stem = [{"conv": {"width": 1, "kernel": 1, "bias": True, "activation": "none"}}]
    network = compile_data({"name": "net", "input": [1, 2, 2], "stem": stem})
    weights = {
        "conv1.weight": torch.full((1, 1, 1, 1), 3.0),
        "conv1.bias": torch.tensor([1.0]),
        "bn1.weight": torch.tensor([2.0]),
        "bn1.bias": torch.tensor([5.0]),
        "bn1.running_mean": torch.tensor([2.0]),
        "bn1.running_var": torch.tensor([4 - 1e-5], dtype=torch.float64),
    }
    result = fold_weights(network, weights)
    assert list(result) == ["conv1.weight", "conv1.bias"]
    assert result["conv1.weight"].item() == 3.0
    assert result["conv1.bias"].item() == 4.0


# In which types


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_is_folded_keeps_the_type_and_is_rounded_once(dtype: torch.dtype) -> None:
    """As if the checkpoint had been of float64 all along."""
    network = network_of("mixed")
    state = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in trained(network).state_dict().items()
    }
    exact = fold_weights(network, {key: tensor.double() for key, tensor in state.items()})
    result = fold_weights(network, state)
    assert list(result) == list(exact)
    assert list(result) == list(deploy_form(network).state)
    for key, tensor in result.items():
        counter = key.endswith("num_batches_tracked")
        assert tensor.dtype == (torch.int64 if counter else dtype)
        assert torch.equal(tensor, exact[key].to(tensor.dtype))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_convolutions_of_eight_bits_are_folded_too(dtype: torch.dtype) -> None:
    network = network_of("basic, option A")
    state = {
        key: tensor.to(dtype) if tensor.ndim == 4 else tensor
        for key, tensor in trained(network).state_dict().items()
    }
    result = archc.fold(network, state)
    assert {result["conv1.weight"].dtype, result["conv1.bias"].dtype} == {dtype}
    assert result["fc.weight"].dtype == torch.float32


def test_nothing_that_is_given_is_changed_or_drags_gradients_along() -> None:
    network = network_of("mixed")
    module = trained(network)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    parameters = dict(module.named_parameters()) | dict(module.named_buffers())
    result = archc.fold(network, parameters)
    assert all(torch.equal(before[key], tensor) for key, tensor in module.state_dict().items())
    assert not any(tensor.requires_grad for tensor in result.values())


# What cannot be folded


def complaint(network: Network, state: dict[str, Tensor]) -> str:
    with pytest.raises(WeightsError) as caught:
        deploy_weights(network, Checkpoint("net.pth", state))
    assert caught.value.hint is None
    return str(caught.value)


def state_of(network: Network, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in trained(network).state_dict().items()
    }


def test_negative_variances_are_refused() -> None:
    network = network_of("basic, option C")
    state = state_of(network)
    state["layer2.0.downsample.1.running_var"][3] = -0.001
    assert complaint(network, state) == (
        "net.pth: error: `layer2.0.downsample.1.running_var` holds negative variances"
    )


@pytest.mark.parametrize(
    ("dtype", "name"), [(torch.float16, "float16"), (torch.float8_e4m3fn, "float8_e4m3fn")]
)
def test_weights_that_overflow_are_refused(dtype: torch.dtype, name: str) -> None:
    """A dead channel, whose variance is nothing but epsilon, is scaled up 316 times."""
    network = network_of("basic, option B")
    state = state_of(network)
    state["layer1.1.conv2.weight"] = state["layer1.1.conv2.weight"].to(dtype)
    state["layer1.1.bn2.running_var"][0] = 0
    state["layer1.1.bn2.weight"][0] = 1e6
    assert complaint(network, state) == (
        "net.pth: error: cannot be folded: "
        f"`layer1.1.conv2.weight`, when folded, has values that are not finite in {name}"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_statistics_that_are_no_numbers_are_refused(value: float) -> None:
    network = network_of("basic, option B")
    state = state_of(network)
    state["bn1.running_mean"][2] = value
    assert complaint(network, state) == (
        "net.pth: error: `bn1.running_mean` holds values that are not finite"
    )


def test_weights_are_needed() -> None:
    with pytest.raises(TypeError, match=r"^`weights` must be a file or a state dict, not None$"):
        archc.fold(network_of("basic, option B"), None)


# As users do it


@pytest.mark.parametrize("structure", ["basic, option A", "pre-activation, option B", "mixed"])
def test_a_module_of_the_deploy_form_takes_weights_of_either_form(
    structure: str, tmp_path: Path
) -> None:
    network = network_of(structure)
    module = trained(network)
    torch.save({"state_dict": nn.DataParallel(module).state_dict()}, tmp_path / "run.pth")
    built = archc.module(network, weights=tmp_path / "run.pth", deploy=True).eval()
    (tmp_path / "folded.safetensors").write_bytes(
        to_safetensors(archc.fold(network, tmp_path / "run.pth"))
    )
    again = archc.module(network, weights=tmp_path / "folded.safetensors", deploy=True).eval()
    expected = archc.module(network, weights=tmp_path / "run.pth").eval()
    images = images_for(network)
    assert torch.equal(expected(images), module(images))
    assert torch.equal(built(images), again(images))
    torch.testing.assert_close(built(images), module(images))
    assert list(built.state_dict()) == list(deploy_form(network).state)


def test_what_is_folded_is_not_folded_again() -> None:
    network = network_of("basic, option A")
    once = archc.fold(network, trained(network).state_dict())
    twice = archc.fold(network, once)
    assert list(twice) == list(once)
    assert all(torch.equal(twice[key], tensor) for key, tensor in once.items())
    with pytest.raises(MisfitError, match="76 tensors missing") as caught:
        archc.module("cifar10/resnet20", weights=dict_of_form("cifar10/resnet20"))
    assert caught.value.hint == "it fits the network's deploy form: use `--deploy`"


def dict_of_form(name: str) -> dict[str, Tensor]:
    shapes = deploy_form(archc.load(name)).state
    return {key: torch.zeros(shape) for key, shape in shapes.items()}


def test_a_network_without_norms_keeps_its_weights() -> None:
    network = compile_data(
        {"name": "net", "norm": "none", **STRUCTURES["vgg with biases"]}
        | {"input": [3, 8, 8], "stages": TWO}
    )
    state = trained(network).state_dict()
    result = archc.fold(network, state)
    assert list(result) == list(state)
    assert all(torch.equal(result[key], tensor) for key, tensor in state.items())


def test_what_is_folded_shares_no_memory_with_what_was_given() -> None:
    """Nor where nothing is computed, as of linear layers."""
    data = {"name": "x", "input": [3, 8, 8], "stem": [{"conv": BARE}], "head": HEAD}
    network = compile_data(data)
    state = archc.module(network).state_dict()
    folded = archc.fold(network, state)
    for tensor in folded.values():
        tensor.zero_()
    assert state["fc.weight"].any()
    assert state["conv1.weight"].any()
