"""Emitted classes take `num_classes` where exactly one layer puts out the classes."""

from __future__ import annotations

import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from strategies import compile_data
from structures import STRUCTURES, network_of
from torch import nn

import archc
from archc.backends.pytorch import emit
from archc.graph import Network, classifiers
from archc.live import load_source
from archc.verification import Fault, Options, verify

POOLED: list[Any] = ["global_avg_pool", "flatten"]
STEM = [{"conv": {"width": 5, "kernel": 3}}]


def net(*head: Any, stem: list[Any] | None = None, **more: Any) -> Network:
    """A network of 5 classes with a head."""
    about = {"name": "net", "input": [3, 8, 8], "classes": 5}
    return compile_data({**about, "stem": stem or STEM, "head": list(head), **more})


def kind_of(network: Network) -> Any:
    """A network's emitted class."""
    module = load_source(network.name, emit(network))
    (name,) = module.__all__
    return getattr(module, name)


HEADS = {
    "linear": (net(*POOLED, "linear"), {"fc"}),
    "a width that equals it": (net(*POOLED, {"linear": 5}, "linear"), {"fc2"}),
    "what acts on each class": (net(*POOLED, "linear", "relu", "dropout", "softmax"), {"fc"}),
    "convolution": (
        net({"conv": {"width": "classes", "kernel": 1, "norm": "none"}}, *POOLED),
        {"conv2"},
    ),
    "convolution in a row": (
        net(
            {
                "name": "classifier",
                "layers": [
                    "dropout",
                    {"conv": {"width": "classes", "kernel": 1, "norm": "none"}},
                    "global_avg_pool",
                ],
            },
            "flatten",
            "softmax",
        ),
        {"classifier.1"},
    ),
    "convolution with a norm": (net({"conv": {"width": 5, "kernel": 1}}, *POOLED), set()),
    "wide convolution": (net({"conv": {"width": 5, "kernel": 3, "norm": "none"}}, *POOLED), set()),
    "map": (net({"conv": {"width": 5, "kernel": 1, "norm": "none"}}), set()),
    "none": (net(*POOLED), set()),
    "places": (net({"conv": {"width": 5, "kernel": 1, "norm": "none"}}, "flatten"), set()),
}


@pytest.mark.parametrize("head", HEADS)
def test_only_the_layer_that_puts_out_the_classes_changes(head: str) -> None:
    network, layers = HEADS[head]
    assert set(classifiers(network)) == layers
    kind = kind_of(network)
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == ["num_classes"] * bool(layers)
    if not layers:
        return
    assert parameters["num_classes"].default == 5
    plain, other = kind().state_dict(), kind(num_classes=7).state_dict()
    changed = {key for key in plain if plain[key].shape != other[key].shape}
    assert changed == {f"{layer}.{name}" for layer in layers for name in ("weight", "bias")}
    assert kind(num_classes=7).eval()(torch.zeros(2, 3, 8, 8)).shape == (2, 7)


LAYERS: list[Any] = [
    {"linear": "hidden", "name": "fc1"},
    "relu",
    {"dropout": {}, "name": "drop", "if": "hidden > 5"},
    {"linear": "out", "name": "fc2"},
]
WIDTH = {"type": "int", "min": 1, "max": 100}


def perceptron(*layers: Any, out: Any = 5) -> Network:
    """A head of two blocks of one type, the second of which puts out the classes."""
    attributes = {"hidden": WIDTH, "out": WIDTH}
    let = {"let": {"wide": "3 * out"}} if "wide" in str(layers) else {}
    blocks = {"mlp": {"attributes": attributes, **let, "layers": list(layers)}}
    first, last = {"hidden": 7, "out": 4}, {"hidden": 5, "out": out}
    return net(
        *POOLED, {"mlp": first, "name": "a"}, "relu", {"mlp": last, "name": "b"}, blocks=blocks
    )


def test_the_number_goes_through_a_block() -> None:
    network = perceptron(*LAYERS, out="classes")
    assert classifiers(network) == ("b.fc2",)
    assert "self.b = Mlp(4, 5, num_classes)" in emit(network)
    assert kind_of(network)(num_classes=9).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 9)


@pytest.mark.parametrize(
    "layers",
    [
        [*LAYERS[:2], {"dropout": {}, "name": "drop", "if": "out > 4"}, LAYERS[3]],
        [
            {"linear": "wide", "name": "fc0"},
            "relu",
            {"linear": "hidden", "name": "fc1"},
            LAYERS[3],
        ],
    ],
    ids=["condition", "formula"],
)
def test_a_number_that_decides_something_else_is_not_taken(layers: list[Any]) -> None:
    source = emit(perceptron(*layers))
    assert "num_classes" not in source


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_module_draws_the_same_weights_with_and_without(structure: str) -> None:
    network = network_of(structure)
    source = emit(network)
    assert "num_classes: int = 5" in source
    without = source.replace(", num_classes: int = 5", "").replace("num_classes", "5")
    states = []
    for text in (source, without):
        torch.manual_seed(0)
        module = getattr(load_source("net", text), "Net")()  # noqa: B009
        states.append(module.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


def test_side_heads_of_as_many_outputs_follow() -> None:
    for name in ("googlenet", "inception_v3"):
        network = archc.load(f"torchvision/{name}")
        with torch.device("meta"):
            module = kind_of(network)(num_classes=10)
        heads = classifiers(network)
        assert len(heads) == 1 + len(network.sides)
        assert all(module.get_submodule(one).out_features == 10 for one in heads)


def test_side_heads_of_another_task_do_not() -> None:
    side = {"side": {"here": [*POOLED, {"linear": 4}]}, "name": "angle", "weight": 0.1}
    network = net(*POOLED, "linear", stem=[*STEM, {"label": "here"}, "relu", side])
    assert classifiers(network) == ("fc",)
    images = torch.zeros(2, 3, 8, 8)
    logits, angle = kind_of(network)(num_classes=9)(images)
    assert (logits.shape, angle.shape) == ((2, 9), (2, 4))


def test_a_side_head_without_a_layer_of_its_own_leaves_no_choice() -> None:
    side = {"side": {"here": POOLED}, "name": "aux", "weight": 0.1}
    network = net(*POOLED, "linear", stem=[*STEM, {"label": "here"}, "relu", side])
    assert classifiers(network) == ()
    assert list(inspect.signature(kind_of(network)).parameters) == []


def test_a_module_of_other_classes_can_be_pickled_and_exported() -> None:
    module = kind_of(network_of("vgg"))(num_classes=3).eval()
    again = pickle.loads(pickle.dumps(module))
    images = torch.zeros(1, 3, 16, 12)
    assert torch.equal(again(images), module(images))
    file = io.BytesIO()
    torch.save(module, file)
    assert isinstance(again, nn.Module)
    program = torch.export.export(module, (images,))
    assert program.module()(images).shape == (1, 3)


def test_the_deploy_form_takes_them_too() -> None:
    source = archc.emit(network_of("bottlenecks"), deploy=True)
    assert "def __init__(self, num_classes: int = 5) -> None:" in source


def test_verification_says_where_the_number_has_no_effect() -> None:
    network = network_of("option A")
    source = emit(network).replace("nn.Linear(16, num_classes)", "nn.Linear(16, 5)")
    report = verify(network, source=source, options=Options(quick=True))
    assert {row.check: row.faults for row in report.rows if row.faults} == {
        "state dict": (
            Fault("fc", "with `num_classes=6` `weight` is 5x16, not 6x16"),
            Fault("fc", "with `num_classes=6` `bias` is 5, not 6"),
        )
    }


def test_verification_lets_classes_be_without_it() -> None:
    network = network_of("option A")
    source = emit(network).replace(", num_classes: int = 5", "").replace("num_classes", "5")
    assert verify(network, source=source, options=Options(quick=True)).passed
    made = source.replace('__all__ = ["Net"]', '__all__ = ["net"]')
    made += "\n\nclass Other(Net):\n    def __init__(self, num_classes=3): super().__init__()\n"
    made += "\n\ndef net():\n    return Other()\n"
    assert verify(network, source=made, options=Options(quick=True)).passed
