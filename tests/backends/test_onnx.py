"""Exported files against the modules that they were exported from, in the runtimes they go to."""

from __future__ import annotations

import copy
import io
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from strategies import Data, compile_data, specs
from structures import STRUCTURES, network_of
from torch import nn
from trained import images_for, trained

import archc
from archc.backends import onnx as backend
from archc.backends.onnx import OnnxError, to_onnx
from archc.graph import Network, deploy_form
from archc.ops import BatchNorm2d
from archc.spec import SpecError

CLOSE = 1e-5
KINDS = {
    "conv2d": {"Conv"},
    "batch_norm2d": {"BatchNormalization"},
    "relu": {"Relu"},
    "max_pool2d": {"MaxPool"},
    "avg_pool2d": {"AveragePool"},
    "adaptive_avg_pool2d": {"GlobalAveragePool", "AveragePool", "MatMul"},
    "zero_pad_shortcut": {"Slice", "Pad"},
    "add": {"Add"},
    "flatten": {"Flatten"},
    "linear": {"Gemm"},
    "softmax": set(),
    "dropout": set(),
    "input": set(),
}
"""What each op may become; nothing else may be in a file."""

CONV: Data = {"width": 6, "kernel": 3}
LINEAR = ["global_avg_pool", "linear"]
ODD: dict[str, Data] = {
    "adaptive pooling that does not divide": {
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 5}, "linear", "softmax"],
    },
    "adaptive pooling that divides": {
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 4}, "linear"],
    },
    "adaptive pooling that divides one side": {
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 8}, "linear"],
    },
    "adaptive pooling to more than there is": {
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 19}, "linear"],
    },
    "adaptive pooling to what there is": {
        "input": [3, 7, 7],
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 7}, "linear"],
    },
    "adaptive pooling to what there is on one side": {
        "input": [3, 7, 12],
        "stem": [{"conv": CONV}],
        "head": [{"adaptive_avg_pool": 7}, "linear"],
    },
    "padded average pooling": {
        "stem": [{"conv": CONV}, {"avg_pool": {"kernel": 3, "stride": 2, "padding": 1}}],
        "head": LINEAR,
    },
    "padded max pooling": {
        "stem": [{"conv": CONV}, {"max_pool": {"kernel": 3, "stride": 3, "padding": 1}}],
        "head": LINEAR,
    },
    "groups": {
        "stem": [{"conv": {**CONV, "groups": 3, "padding": 0, "stride": 2}}],
        "head": LINEAR,
    },
    "norms in a row": {"stem": ["batch_norm", {"conv": CONV}, "batch_norm"], "head": LINEAR},
    "stem alone": {"stem": [{"conv": {**CONV, "stride": 3, "padding": 3}}]},
    "dropout at the end": {"stem": [{"conv": CONV}], "head": ["linear", {"dropout": 0.3}]},
    "one pixel": {
        "input": [2, 1, 1],
        "stem": [{"conv": {"width": 4, "kernel": 1}}],
        "head": ["global_avg_pool", "linear"],
    },
    "option A without stride": {
        "defaults": {"block": "basic", "depth": 1, "shortcut": "A"},
        "stages": [{"width": 8}, {"width": 8, "stride": 2}],
        "head": LINEAR,
    },
}


every_network = pytest.mark.parametrize("name", [*STRUCTURES, *ODD])


def network_called(name: str) -> Network:
    if name in STRUCTURES:
        return network_of(name)
    return compile_data({"name": "net", "input": [3, 16, 12], "classes": 5, **ODD[name]})


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.state_dict())


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def assert_runs(
    network: Network, module: nn.Module, content: bytes, *, at_least: float = 0
) -> None:
    """Fail unless onnxruntime puts out the module's logits, for one image and for seven.

    Differences are relative to the largest logit, or to ``at_least``. Where float32 itself takes
    the module further than this from what it computes in float64, four times as much is allowed.
    """
    runtime = session(content)
    exact = copy.deepcopy(module).double()
    for batch in (1, 7):
        images = images_for(network, batch)
        (found,) = runtime.run(["logits"], {"input": images.numpy()})
        with torch.no_grad():
            expected, precise = module(images).double(), exact(images.double())
        assert found.shape == tuple(expected.shape)
        scale = max(expected.abs().max().item(), at_least)
        assert scale > 0
        difference = (torch.from_numpy(found).double() - expected).abs().max().item()
        float32 = (expected - precise).abs().max().item()
        assert difference <= max(CLOSE * scale, 4 * float32)


def assert_clean(network: Network, content: bytes) -> None:
    """Fail if a file holds anything but the ops of a network under their ids."""
    graph = onnx.load_from_string(content).graph
    assert len({node.name for node in graph.node}) == len(graph.node)
    nodes: Counter[str] = Counter()
    for node in graph.node:
        owner = network.nodes[node.name.removesuffix(".subsampled").removesuffix(".columns_mean")]
        assert node.op_type in KINDS[owner.op.kind], node.name
        nodes[owner.id] += 1
    for one in network.nodes.values():
        if one.op.kind == "zero_pad_shortcut":
            assert 1 <= nodes[one.id] <= 3
        elif one.op.kind == "adaptive_avg_pool2d":
            assert nodes[one.id] <= 2
        elif KINDS[one.op.kind]:
            assert nodes[one.id] == 1, one.id


# What is in the file


@every_network
def test_a_network_runs_in_onnxruntime(name: str) -> None:
    network = network_called(name)
    module = trained(network)
    content = archc.export(network, weights=state_of(module))
    assert_clean(network, content)
    assert_runs(network, module, content)


@every_network
def test_its_deploy_form_runs_in_onnxruntime(name: str) -> None:
    network = network_called(name)
    state = state_of(trained(network))
    content = archc.export(network, weights=state, deploy=True)
    form = deploy_form(network)
    assert_clean(form, content)
    assert_runs(form, archc.module(network, weights=state, deploy=True).eval(), content)
    kinds = {node.op_type for node in onnx.load_from_string(content).graph.node}
    kept = any(isinstance(node.op, BatchNorm2d) for node in form.nodes.values())
    assert ("BatchNormalization" in kinds) == kept


SHIPPED = {
    **{
        f"cifar10/{kind}{depth}": None for kind in ("plain", "resnet") for depth in (20, 32, 44, 56)
    },
    "imagenet/resnet34": (3, 32, 32),
    "torchvision/resnet50": (3, 32, 32),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_run_in_onnxruntime(name: str) -> None:
    network = archc.load(name, input=SHIPPED[name])
    module = trained(network)
    content = archc.export(network, weights=state_of(module))
    assert_clean(network, content)
    assert_runs(network, module, content)


def test_random_networks_run_in_onnxruntime() -> None:
    """One class may come out as nearly nothing: numbers are compared with 1 at least."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=max(60, settings().max_examples // 10),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(specs(), st.booleans())
    def check(data: Data, deploy: bool) -> None:
        try:
            network = compile_data({"input": [3, 20, 24], **data})
        except SpecError:
            return
        if network.multiply_adds > 10**8 or not network.layers:
            return
        state = state_of(trained(network, batch=2))
        content = archc.export(network, weights=state, deploy=deploy)
        module = archc.module(network, weights=state, deploy=deploy).eval()
        assert_clean(deploy_form(network) if deploy else network, content)
        assert_runs(network, module, content, at_least=1)
        seen["ran"] += 1

    check()
    assert seen["ran"] >= 40


def test_initializers_are_the_state_dict_under_its_keys() -> None:
    network = network_of("mixed")
    state = state_of(trained(network))
    graph = onnx.load_from_string(archc.export(network, weights=state)).graph
    found = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    assert list(found) == [key for key in state if not key.endswith("num_batches_tracked")]
    for key, array in found.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, state[key].numpy())


def test_constants_of_ones_own_stand_beside_their_node() -> None:
    graph = onnx.load_from_string(archc.export(network_of("option A"))).graph
    extra = [one.name for one in graph.initializer if one.name not in network_of("option A").state]
    place = "layer2.0.shortcut"
    assert extra == [f"{place}.{name}" for name in ("starts", "ends", "axes", "steps", "pads")]
    nodes = [(node.op_type, node.name) for node in graph.node if place in node.name]
    assert nodes == [("Slice", f"{place}.subsampled"), ("Pad", place)]


def test_a_network_that_does_nothing_hands_its_input_on() -> None:
    network = compile_data({"name": "net", "input": [3, 4, 4], "head": ["dropout"]})
    content = archc.export(network)
    (node,) = onnx.load_from_string(content).graph.node
    assert node.op_type == "Identity"
    images = images_for(network, 7)
    (found,) = session(content).run(["logits"], {"input": images.numpy()})
    assert np.array_equal(found, images.numpy())
    network = compile_data({"name": "net", "input": [3, 4, 4], "head": ["flatten", "dropout"]})
    content = archc.export(network)
    (node,) = onnx.load_from_string(content).graph.node
    assert (node.op_type, node.output[0]) == ("Flatten", "logits")
    (found,) = session(content).run(["logits"], {"input": images.numpy()})
    assert np.array_equal(found, images.flatten(1).numpy())


def test_the_file_says_where_it_comes_from_and_what_it_takes() -> None:
    data = {"name": "net", "description": "a \N{GREEK SMALL LETTER ALPHA}", "head": ["linear"]}
    model = onnx.load_from_string(archc.export(compile_data({**data, "input": [3, 5, 4]})))
    assert (model.producer_name, model.producer_version) == ("archc", archc.__version__)
    assert (model.ir_version, model.opset_import[0].version) == (8, 18)
    assert model.graph.name == "net"
    assert model.graph.doc_string == "a \N{GREEK SMALL LETTER ALPHA}"
    assert [dims(one) for one in model.graph.input] == [["batch", 3, 5, 4]]
    assert [dims(one) for one in model.graph.output] == [["batch", 1000]]
    assert [one.name for one in model.graph.output] == ["logits"]


def test_every_value_between_has_its_shape() -> None:
    network = network_of("mixed")
    graph = onnx.load_from_string(archc.export(network)).graph
    shapes = {one.name: dims(one)[1:] for one in graph.value_info}
    assert shapes == {
        node.name: list(network.nodes[node.name].output_shape)
        for node in graph.node
        if node.output[0] != "logits"
    }


def dims(value: onnx.ValueInfoProto) -> list[str | int]:
    return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]


def test_the_same_weights_give_the_same_bytes() -> None:
    network = network_of("option A")
    state = state_of(trained(network))
    assert archc.export(network, weights=state) == archc.export(network, weights=state)


def test_a_batch_size_may_be_fixed() -> None:
    network = network_of("option A")
    content = archc.export(network, batch=3)
    graph = onnx.load_from_string(content).graph
    assert {dims(one)[0] for one in (*graph.input, *graph.output, *graph.value_info)} == {3}
    session(content).run(["logits"], {"input": images_for(network, 3).numpy()})
    wrong = {"input": images_for(network, 2).numpy()}
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        session(content).run(["logits"], wrong)


def test_weights_of_other_types_are_exported_as_float32() -> None:
    network = network_of("bottlenecks")
    state = state_of(trained(network))
    half = {key: one.bfloat16() if one.is_floating_point() else one for key, one in state.items()}
    content = archc.export(network, weights=half)
    assert_runs(network, archc.module(network, weights=half).eval(), content)


class Huge:
    """Stands for an array of many bytes that nobody has to hold."""

    nbytes = 3 * 10**8


def test_more_than_two_gigabytes_are_refused() -> None:
    network = compile_data({"name": "huge", "input": [3, 4, 4], "head": [{"linear": 5}] * 4})
    weights: Mapping[str, Any] = dict.fromkeys(network.state, Huge())
    assert len(weights) == 8
    with pytest.raises(OnnxError) as caught:
        to_onnx(network, weights)
    assert str(caught.value) == (
        "an ONNX file holds at most 2.14 GB, and the weights of huge take 2.40 GB"
    )


def test_what_just_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("vgg")
    monkeypatch.setattr(backend, "MAX_BYTES", 4 * network.params)
    assert archc.export(network)
    monkeypatch.setattr(backend, "MAX_BYTES", 4 * network.params - 1)
    with pytest.raises(OnnxError, match="the weights of net take"):
        archc.export(network)


@pytest.mark.parametrize("missing", ["onnx", "numpy"])
def test_a_machine_without_onnx_is_told_what_to_do(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where onnx is missing, numpy may be, too, which torch needs to give its tensors away."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    if missing == "numpy":
        monkeypatch.setattr(torch.Tensor, "numpy", _raise_runtime_error)
    with pytest.raises(ModuleNotFoundError, match=r"^an ONNX file needs onnx: pip install "):
        archc.export("cifar10/resnet20")


def _raise_runtime_error(_: torch.Tensor) -> None:
    raise RuntimeError("Numpy is not available")


@pytest.mark.parametrize("batch", [0, True, 2.5, "3"])
def test_a_wrong_batch_is_refused(batch: Any) -> None:
    message = f"`batch` must be an integer of at least 1, not {batch!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        archc.export("cifar10/resnet20", batch=batch)


def test_a_wrong_format_is_refused() -> None:
    with pytest.raises(ValueError, match="`format` must be one of onnx, pt2, not 'tflite'"):
        archc.export("cifar10/resnet20", "tflite")  # type: ignore[arg-type]


# torch's exported program


@pytest.mark.parametrize("structure", ["option A", "pre-activation", "mixed"])
@pytest.mark.parametrize("deploy", [False, True])
def test_an_exported_program_agrees_for_every_batch_size(structure: str, deploy: bool) -> None:
    network = network_of(structure)
    state = state_of(trained(network))
    content = archc.export(network, "pt2", weights=state, deploy=deploy)
    program = torch.export.load(io.BytesIO(content)).module()
    module = archc.module(network, weights=state, deploy=deploy).eval()
    for batch in (1, 3, 7):
        images = images_for(network, batch)
        torch.testing.assert_close(program(images), module(images))


def test_an_exported_program_may_have_a_fixed_batch_size() -> None:
    network = network_of("vgg")
    program = torch.export.load(io.BytesIO(archc.export(network, "pt2", batch=1))).module()
    assert program(images_for(network, 1)).shape == (1, 5)
    with pytest.raises(AssertionError):
        program(images_for(network, 2))


@pytest.mark.parametrize("around", ["float64", "bfloat16", "meta"])
def test_files_are_of_float32_whatever_is_usual(around: str) -> None:
    """Whatever torch's default dtype and device are."""
    network = network_of("option A")
    usual = torch.get_default_dtype()
    try:
        with torch.device("meta" if around == "meta" else "cpu"):
            if around != "meta":
                torch.set_default_dtype(getattr(torch, around))
            model, program = archc.export(network), archc.export(network, "pt2")
    finally:
        torch.set_default_dtype(usual)
    images = torch.randn(3, *network.input_shape)
    session = onnxruntime.InferenceSession(model)
    (logits,) = session.run(None, {"input": images.numpy()})
    assert logits.dtype == "float32"
    assert torch.export.load(io.BytesIO(program)).module()(images).dtype == torch.float32
