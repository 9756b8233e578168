"""Whether a checkpoint fits: wrappers in its names, and what is told where it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import compile_data
from torch import Tensor, nn

import archc
from archc.graph import FragmentBuilder, Network, NetworkBuilder, Shape, deploy_form
from archc.ops import Conv2d, ReLU
from archc.weights import Checkpoint, Fit, MisfitError, WeightsError, fit, match

pytestmark = pytest.mark.usefixtures("speaking_command_line")

RESNET20 = archc.load("cifar10/resnet20")
TRACKED = "num_batches_tracked"


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def misfit(network: Network, shapes: Mapping[str, Shape]) -> tuple[str, str | None]:
    """The message and the hint for a checkpoint of these shapes."""
    state = {key: torch.empty(shape) for key, shape in shapes.items()}
    with pytest.raises(MisfitError) as caught:
        match(network, Checkpoint("net.pth", state))
    return str(caught.value), caught.value.hint


def renamed(rename: Callable[[str], str]) -> dict[str, Shape]:
    return {rename(key): shape for key, shape in RESNET20.state.items()}


# Names


def inner(key: str) -> str:
    """A block that was compiled by itself."""
    return key.replace("layer1.", "layer1._orig_mod.").replace("layer3.2.", "layer3.2.module.")


WRAPPED: dict[str, tuple[Callable[[str], str], Sequence[str]]] = {
    "bare": (str, ()),
    "data parallel": ("module.{}".format, ("module.",)),
    "compiled": ("_orig_mod.{}".format, ("_orig_mod.",)),
    "compiled and parallel": ("module._orig_mod.{}".format, ("module.", "_orig_mod.")),
    "parallel and compiled": ("_orig_mod.module.{}".format, ("module.", "_orig_mod.")),
    "blocks compiled": (inner, ("module.", "_orig_mod.")),
    "sharded": ("_fsdp_wrapped_module.{}".format, ("_fsdp_wrapped_module.",)),
    "lightning": ("model.{}".format, ("model.",)),
    "lightning and compiled": ("model._orig_mod.{}".format, ("_orig_mod.", "model.")),
    "backbone": ("student.backbone.{}".format, ("student.", "backbone.")),
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_wrappers_in_the_names_are_recognised_and_named(wrapping: str) -> None:
    rename, prefixes = WRAPPED[wrapping]
    found = fit(RESNET20, renamed(rename))
    assert found.fits
    assert found.prefixes == tuple(prefixes)
    assert found.keys == {key: rename(key) for key in RESNET20.state}


def test_the_summary_of_a_fit_names_the_wrappers() -> None:
    assert fit(RESNET20, RESNET20.state).summary() == "all 116 tensors fit"
    assert fit(RESNET20, renamed("model._orig_mod.{}".format)).summary() == (
        "all 116 tensors fit, `_orig_mod.` and `model.` removed from their names"
    )


def test_what_torch_and_its_wrappers_save_fits() -> None:
    """Their own names, not what this test believes of them."""
    module = archc.module(RESNET20)
    compiled: Any = torch.compile(module, backend="eager")
    averaged = torch.optim.swa_utils.AveragedModel(module).state_dict()
    del averaged["n_averaged"]
    for state in (
        nn.DataParallel(module).state_dict(),
        compiled.state_dict(),
        nn.DataParallel(nn.Sequential(module)).state_dict(),
        averaged,
    ):
        found = fit(RESNET20, shapes_of(state))
        assert found.fits
        assert set(found.keys) == set(module.state_dict())


@pytest.mark.filterwarnings(
    "ignore::archc.WeightsWarning"
)  # the plain network has the same tensors
def test_a_checkpoint_from_before_batches_were_counted_fits() -> None:
    old = {key: shape for key, shape in RESNET20.state.items() if TRACKED not in key}
    assert len(old) == 116 - 19
    found = fit(RESNET20, old)
    assert found.fits
    assert set(found.keys) == set(old)
    state = {key: torch.full(shape, 0.5) for key, shape in old.items()}
    loaded = archc.module(RESNET20, weights=state).state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())
    assert loaded[f"bn1.{TRACKED}"] == 0


def test_a_network_may_have_a_module_called_like_a_wrapper() -> None:
    piece = FragmentBuilder((3, 4, 4))
    piece.add("module.conv", Conv2d(3, 3, 1))
    piece.add("relu", ReLU())
    builder = NetworkBuilder((3, 4, 4))
    builder.append(piece.build(), lambda step: step.name)
    network = Network("net", builder.nodes)
    assert fit(network, network.state).fits
    around = {f"_orig_mod.{key}": shape for key, shape in network.state.items()}
    assert fit(network, around).prefixes == ("_orig_mod.",)
    assert fit(network, around).fits


def test_names_that_only_some_keys_have_are_no_prefix() -> None:
    shapes = {**RESNET20.state, "ema.fc.weight": (10, 64)}
    found = fit(RESNET20, shapes)
    assert (found.unexpected, found.prefixes) == (("ema.fc.weight",), ())
    both = {**RESNET20.state, **renamed("module.{}".format)}
    assert len(fit(RESNET20, both).unexpected) == 116


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_just_what_was_changed_is_found(data: st.DataObject) -> None:
    state = dict(RESNET20.state)
    keys = st.sets(st.sampled_from([key for key in state if TRACKED not in key]), max_size=5)
    lost, bent = data.draw(keys), data.draw(keys)
    added = data.draw(st.sets(st.sampled_from(["a.b", "fc.scale", "layer1.0.se.weight", "x"])))
    shapes = {key: shape for key, shape in state.items() if key not in lost}
    shapes.update({key: (*state[key], 1) for key in bent - lost})
    shapes.update(dict.fromkeys(added, (1,)))
    around = data.draw(st.sampled_from(["{}", "module.{}", "module._orig_mod.{}"]))
    if "x" in added and around != "{}":
        added.remove("x")
        del shapes["x"]
    found = fit(RESNET20, {around.format(key): shape for key, shape in shapes.items()})
    assert set(found.missing) == lost
    assert set(found.unexpected) == added
    assert set(found.misshapen) == bent - lost
    assert all(needed == state[key] for key, (_, needed) in found.misshapen.items())
    assert found.fits == (not lost | bent | added)


# What is told


BLOCK = "missing: all 10 tensors"


def test_a_checkpoint_of_another_network_is_told_by_block_with_the_spec_that_it_fits() -> None:
    message, hint = misfit(archc.load("cifar10/resnet32"), RESNET20.state)
    assert message == (
        "net.pth: error: does not fit cifar10/resnet32: 60 tensors missing\n"
        f"  layer1.3  {BLOCK}\n"
        f"  layer1.4  {BLOCK}\n"
        f"  layer2.3  {BLOCK}\n"
        f"  layer2.4  {BLOCK}\n"
        f"  layer3.3  {BLOCK}\n"
        f"  layer3.4  {BLOCK}"
    )
    assert hint == "it fits `cifar10/plain20` and `cifar10/resnet20`"


def test_every_kind_of_misfit_stands_beside_its_block() -> None:
    network = archc.load("torchvision/resnet18", with_={"depth": 1})
    shapes = dict(network.state)
    for key in ("conv1.weight", "layer2.0.downsample.1.weight", "layer2.0.downsample.1.bias"):
        del shapes[key]
    shapes |= {"layer2.0.se.fc1.weight": (4, 128), "head.weight": (1000, 512)}
    shapes |= {"layer2.0.conv1.weight": (128, 64, 1, 1), "fc.weight": (10, 512), "fc.bias": (10,)}
    shapes |= {"bn1.num_batches_tracked": (1,)}
    message, hint = misfit(network, shapes)
    assert message == (
        "net.pth: error: does not fit torchvision/resnet18 --with depth=1: "
        "3 tensors missing, 2 unexpected, 4 of another shape\n"
        "  conv1     missing: weight\n"
        "  bn1       num_batches_tracked is 1, not a single number\n"
        "  layer2.0  missing: downsample.1.weight, downsample.1.bias\n"
        "            unexpected: se.fc1.weight\n"
        "            conv1.weight is 128x64x1x1, not 128x64x3x3\n"
        "  fc        weight is 10x512, not 1000x512\n"
        "            bias is 10, not 1000\n"
        "  head      unexpected: weight"
    )
    assert hint is None


def test_modules_that_are_counted_are_blocks_of_their_own() -> None:
    network = archc.load("torchvision/vgg11")
    shapes = {**network.state, "features.3.weight": (128, 64, 5, 5), "classifier.6.bias": (10,)}
    del shapes["features.0.bias"]
    message, hint = misfit(network, shapes)
    assert message == (
        "net.pth: error: does not fit torchvision/vgg11: 1 tensor missing, 2 of another shape\n"
        "  features.0    missing: bias\n"
        "  features.3    weight is 128x64x5x5, not 128x64x3x3\n"
        "  classifier.6  bias is 10, not 1000"
    )
    assert hint is None


def test_twenty_blocks_are_told_and_the_rest_counted() -> None:
    message, hint = misfit(archc.load("cifar10/resnet110"), RESNET20.state)
    lines = message.splitlines()
    assert lines[0] == "net.pth: error: does not fit cifar10/resnet110: 450 tensors missing"
    assert lines[1] == f"  layer1.3   {BLOCK}"
    assert lines[20] == f"  layer2.7   {BLOCK}"
    assert lines[21:] == ["  and in 25 more blocks"]
    assert hint == "it fits `cifar10/plain20` and `cifar10/resnet20`"


def test_what_was_folded_already_is_known_by_its_keys() -> None:
    message, hint = misfit(RESNET20, deploy_form(RESNET20).state)
    assert message.startswith(
        "net.pth: error: does not fit cifar10/resnet20: 76 tensors missing, 19 unexpected\n"
        "  conv1     unexpected: bias\n  bn1       missing: all 4 tensors\n"
    )
    assert hint == "it fits the network's deploy form: use `--deploy`"


def test_a_wrapped_checkpoint_of_another_spec_is_known_too() -> None:
    state = archc.load("imagenet/resnet18").state
    shapes = {f"module.{key}": shape for key, shape in state.items()}
    message, hint = misfit(RESNET20, shapes)
    assert message.splitlines()[0].endswith(" of another shape, `module.` removed from their names")
    assert "module." not in message.partition("\n")[2]
    assert hint == "it fits `imagenet/plain18` and `imagenet/resnet18`"


def test_a_spec_of_ones_own_is_called_by_its_file() -> None:
    data = {"name": "mine", "input": [3, 8, 8], "stem": [{"conv": {"width": 4, "kernel": 3}}]}
    message, hint = misfit(compile_data(data), {"bn1.weight": (4,)})
    assert message == (
        "net.pth: error: does not fit random.yaml: 4 tensors missing\n"
        "  conv1  missing: weight\n"
        "  bn1    missing: bias, running_mean, running_var"
    )
    assert hint is None


def test_keys_reach_no_terminal_as_they_are() -> None:
    """They come from a file that others wrote."""
    shapes = {**RESNET20.state, "\x1b[31mred\nline.weight": (1,), "\ud800": (2,)}
    message, _ = misfit(RESNET20, shapes)
    assert message == (
        "net.pth: error: does not fit cifar10/resnet20: 2 tensors unexpected\n"
        "  \ufffd[31mred\ufffdline  unexpected: weight\n"
        f"  {'':13}  unexpected: \ufffd"
    )


def test_the_error_has_the_whole_fit() -> None:
    with pytest.raises(MisfitError) as caught:
        archc.module("cifar10/resnet110", weights={"fc.weight": torch.ones(10, 64)})
    found: Fit = caught.value.fit
    assert len(found.missing) == 5 * 109 + 1
    assert str(caught.value).startswith("the state dict: error: does not fit cifar10/resnet110: ")


def test_a_complex_counter_is_refused() -> None:
    state = {key: torch.ones(shape) for key, shape in RESNET20.state.items()}
    state["bn1.num_batches_tracked"] = torch.tensor(1j)
    with pytest.raises(WeightsError, match=r"`bn1\.num_batches_tracked` holds complex64, not "):
        archc.module(RESNET20, weights=state)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_weights_that_are_no_floating_point_numbers_are_refused(dtype: torch.dtype) -> None:
    """A fold of integers would round to integers, a load of complex numbers lose a half."""
    state: dict[str, Any] = {key: torch.ones(shape) for key, shape in RESNET20.state.items()}
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].to(dtype)
    kind = str(dtype).removeprefix("torch.")
    for use in (archc.fold, lambda spec, weights: archc.module(spec, weights=weights)):
        with pytest.raises(WeightsError) as caught:
            use(RESNET20, state)
        assert str(caught.value) == (
            "the state dict: error: `layer1.0.conv1.weight` holds "
            f"{kind}, not floating-point numbers"
        )


def test_the_counter_of_averaged_models_is_none_of_the_network() -> None:
    averaged = {f"module.{key}": shape for key, shape in RESNET20.state.items()}
    found = fit(RESNET20, {"n_averaged": (), **averaged})
    assert found.fits
    assert found.prefixes == ("module.",)


def test_a_prefix_is_left_out_only_where_more_fits_without_it() -> None:
    strange = {"encoder.layers.0.weight": (1,), "encoder.layers.0.bias": (1,)}
    found = fit(RESNET20, strange)
    assert (found.unexpected, found.prefixes) == (tuple(strange), ())


def test_a_prefix_is_known_though_something_stands_beside_the_network() -> None:
    lightning = {f"net.model.{key}": shape for key, shape in RESNET20.state.items()}
    found = fit(RESNET20, {**lightning, "loss.weight": (10,)})
    assert (found.unexpected, found.prefixes) == (("loss.weight",), ("net.", "model."))
    assert not found.missing


def test_an_empty_state_dict_fits_what_has_no_weights_alone() -> None:
    data = {"name": "bare", "input": [3, 8, 8], "head": ["global_avg_pool"]}
    bare = compile_data(data)
    assert not archc.module(bare, weights=archc.module(bare).state_dict()).state_dict()
    with pytest.raises(WeightsError, match=r"^the state dict: error: is an empty state dict$"):
        archc.module(RESNET20, weights={})


def test_mappings_of_other_things_are_refused() -> None:
    for state in ({"conv1.weight": 3}, {1: torch.ones(1)}):
        with pytest.raises(WeightsError, match="the state dict: error: holds no state dict"):
            archc.module(RESNET20, weights=state)  # type: ignore[arg-type]
