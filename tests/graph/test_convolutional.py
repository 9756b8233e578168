"""The fully convolutional form: which networks have one, and that it is the same network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from shipped import network_of
from strategies import compile_data
from trained import images_for, trained

import archc
from archc.graph import Network, NotConvolutionalError, fully_convolutional, smallest_side
from archc.ops import AdaptiveAvgPool2d, Conv2d, Flatten, Linear
from archc.shipped import shipped_names
from archc.training.evaluation import convolutional_module


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_network_has_one(name: str) -> None:
    network = network_of(name)
    form = fully_convolutional(network)
    nodes = form.network.nodes
    ways = [nodes[id].op for id in form.network.main_path]  # gates have poolings of their own
    if "convnext" not in name:  # whose norm behind the pooling keeps that where it is
        assert not any(isinstance(op, AdaptiveAvgPool2d) for op in ways)
    assert not any(isinstance(node.op, (Linear, Flatten)) for node in nodes.values())
    assert form.network.params == network.inference.params
    assert form.network.nodes[form.network.output].output_shape[0] == 1000 or "cifar" in name
    assert set(form.network.state) >= {new for new, _ in form.linear.values()}


CASES = {
    "a global pooling": ("[global_avg_pool, linear]", 1),
    "a pooling of the whole map": ("[avg_pool: {kernel: 8}, linear]", 1),
    "a hidden layer": ("[flatten, {linear: 12}, relu, dropout: 0.5, linear]", 15),
    "a softmax": ("[flatten, {linear: 12}, linear, softmax]", 15),
    "a pooling before the flatten": ("[avg_pool: {kernel: 2}, flatten, linear]", 15),
}


def small(head: str, input: tuple[int, ...] = (3, 16, 16), classes: int = 5) -> Network:
    return compile_data(
        {
            "name": "small",
            "input": list(input),
            "classes": classes,
            "stem": [{"conv": {"width": 4, "kernel": 3, "stride": 2}}],
            "stages": [{"block": "basic", "depth": 1, "width": 8, "shortcut": "B"}],
            "head": yaml.safe_load(head),
        }
    )


@pytest.mark.parametrize("case", CASES)
def test_at_its_own_size_it_is_the_network(case: str) -> None:
    head, least = CASES[case]
    network = small(head)
    form = fully_convolutional(network)
    assert smallest_side(form.network) == least
    module = trained(network)
    dense = convolutional_module(form, module).eval()
    images = images_for(network)
    with torch.no_grad():
        whole, scores = module(images), dense(images)
    torch.testing.assert_close(scores.mean((2, 3)), whole, rtol=1e-4, atol=1e-5)
    larger = torch.randn(1, 3, 23, 37)
    with torch.no_grad():
        assert dense(larger).shape[:2] == (1, 5)


@pytest.mark.parametrize("head", ["[global_avg_pool, linear]", "[avg_pool: {kernel: 8}, linear]"])
def test_a_pooling_over_the_map_sees_all_of_a_larger_image(head: str) -> None:
    network = small(head)
    dense = convolutional_module(fully_convolutional(network), trained(network)).eval()
    image = torch.randn(1, 3, 24, 24)
    other = image.clone()
    other[..., -3:, -3:] += 1  # the corner
    with torch.no_grad():
        scores, others = dense(image), dense(other)
    assert scores.shape == (1, 5, 12, 12)
    assert not torch.equal(scores.mean((2, 3)), others.mean((2, 3)))


def test_a_map_that_is_not_square_gets_a_window_like_it() -> None:
    network = small("[flatten, linear]", (3, 16, 24))
    module = trained(network)
    dense = convolutional_module(fully_convolutional(network), module).eval()
    images = images_for(network)
    with torch.no_grad():
        torch.testing.assert_close(dense(images).mean((2, 3)), module(images), rtol=1e-4, atol=1e-5)


def test_linear_layers_become_convolutions() -> None:
    form = fully_convolutional(archc.load("imagenet/vgg19"))
    found = {
        node.id: node.op
        for node in form.network.nodes.values()
        if node.id.startswith("classifier") and isinstance(node.op, Conv2d)
    }
    assert [(op.in_channels, op.out_channels, op.kernel_size) for op in found.values()] == [
        (512, 4096, 7),
        (4096, 4096, 1),
        (4096, 1000, 1),
    ]
    assert smallest_side(form.network) == 224


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"head": "[flatten]", "classes": 512},
            "small has no linear layer after `flatten`: its scores are positions of a map",
        ),
        ({"head": "[]"}, "small puts out a map, not a vector for each image"),
        (
            {"head": "[adaptive_avg_pool: 3, flatten, linear]"},
            "small pools a map of 8x8 to 3x3 at `avgpool`: its windows are not all of one size",
        ),
    ],
)
def test_networks_that_have_none(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NotConvolutionalError) as told:
        fully_convolutional(small(**change))
    assert str(told.value) == message
