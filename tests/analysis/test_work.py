"""The least work of a network: hand arithmetic, and torch's own count of a training step."""

from __future__ import annotations

import pytest
import torch
from strategies import compile_data
from structures import STRUCTURES, network_of
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.analysis import Work, work
from archc.graph import deploy_form
from archc.live import build_module

BATCH = 3


# torch's counter leaves groups out of account on the way back.
UNGROUPED = [
    name
    for name in STRUCTURES
    if all(node.op.numbers.get("groups", 1) == 1 for node in network_of(name).nodes.values())
]


@pytest.mark.parametrize("structure", UNGROUPED)
def test_a_training_step_has_the_multiply_adds_that_torch_counts(structure: str) -> None:
    network = network_of(structure)
    with torch.device("meta"):
        module = build_module(network).train()
        images = torch.empty(BATCH, *network.input_shape)
    with FlopCounterMode(display=False) as counter:
        module(images).sum().backward()
    assert counter.get_total_flops() == 2 * BATCH * work(network, training=True).multiply_adds


def test_elements_moved_are_those_of_hand_arithmetic() -> None:
    network = compile_data(
        {
            "name": "x",
            "input": [3, 8, 8],
            "classes": 5,
            "stem": [{"conv": {"width": 4, "kernel": 3}}],
            "head": ["global_avg_pool", "linear", "softmax"],
        }
    )
    image, map_, vector = 3 * 64, 4 * 64, 4
    conv, linear = 3 * 4 * 9, 4 * 5 + 5
    assert work(network) == Work(
        multiply_adds=network.multiply_adds,
        activations=(image + map_) + (map_ + vector) + (vector + 5),
        weights=conv + linear,
    )
    # No gradient of the image; a pooling has no weights and is passed twice.
    assert work(network, training=True) == Work(
        multiply_adds=2 * conv * 64 + 3 * 20,
        activations=2 * (image + map_) + 2 * (map_ + vector) + 3 * (vector + 5),
        weights=2 * conv + 3 * linear,
    )
    assert work(network).bytes_moved(10, 2) == 2 * (10 * (448 + 260 + 9) + 133)


def test_a_sum_reads_its_other_summand() -> None:
    with_sums = archc.load("cifar10/resnet20")
    without = archc.load("cifar10/plain20")
    padded = 16 * 32 * 32 + 32 * 16 * 16 + 32 * 16 * 16 + 64 * 8 * 8  # read and written
    summands = 3 * (16 * 32 * 32 + 32 * 16 * 16 + 64 * 8 * 8)
    difference = work(with_sums).activations - work(without).activations
    assert difference == padded + summands


def test_norms_are_done_on_the_way() -> None:
    network = archc.load("torchvision/resnet50")
    assert work(network).activations == work(deploy_form(network)).activations
    assert work(network).multiply_adds == network.multiply_adds
