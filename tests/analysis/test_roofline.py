"""Rooflines: hand arithmetic, and the sums of what bounds each layer."""

from __future__ import annotations

import pytest
from strategies import compile_data

import archc
from archc.analysis import Device, roofline, work

DEVICE = Device("toy", "Toy", "float16", operations=2e12, bandwidth=1e9, source="")


def test_a_convolution_by_hand() -> None:
    data = {"name": "x", "input": [2, 4, 4], "stem": [{"conv": {"width": 3, "kernel": 3}}]}
    found = roofline(compile_data(data), DEVICE, batch=5)
    (row,) = found.rows
    assert row.multiply_adds == 5 * 16 * 3 * 2 * 9
    assert row.bytes_moved == 2 * (5 * (2 * 16 + 3 * 16) + 3 * 2 * 9)
    assert row.intensity == 2 * row.multiply_adds / row.bytes_moved
    assert row.seconds == row.bytes_moved / 1e9
    assert row.bound == "memory"
    assert (found.seconds, found.compute_bound) == (row.seconds, 0.0)


def test_a_device_with_fast_memory_is_bound_by_its_operations() -> None:
    fast = Device("fast", "Fast", "float32", operations=2e9, bandwidth=1e15, source="")
    found = archc.roofline("imagenet/vgg19", fast)
    convs = [row for row in found.rows if row.multiply_adds]
    assert {row.bound for row in convs} == {"compute"}
    assert found.seconds == pytest.approx(19632062464 / 1e9, rel=1e-4)


@pytest.mark.parametrize("name", ["imagenet/resnet50", "torchvision/vgg11", "cifar10/resnet20"])
def test_rows_add_up_to_the_network(name: str) -> None:
    network = archc.load(name)
    found = roofline(network, DEVICE, 7)
    assert found.multiply_adds == 7 * network.multiply_adds
    assert found.bytes_moved == work(network).bytes_moved(7, 2)
    assert found.seconds == sum(row.seconds for row in found.rows)
    computing = sum(row.seconds for row in found.rows if row.bound == "compute")
    assert found.compute_bound == computing / found.seconds


def test_a_larger_batch_reads_the_weights_once() -> None:
    one, many = (archc.roofline("torchvision/vgg16", "h200-bf16", batch) for batch in (1, 256))
    assert many.seconds < 256 * one.seconds / 2
    assert many.intensity > one.intensity


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="`batch` must be at least 1, not 0"):
        archc.roofline("cifar10/resnet20", "h200-bf16", 0)
