"""The largest batch that fits, against what torch holds: in a forward and in a training step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from measuring import inference_peak, training_peak
from strategies import compile_data, specs

import archc
from archc.amounts import parse_memory
from archc.analysis.lifetimes import Size
from archc.analysis.moments import Moment, Moments, inference_moments, training_moments
from archc.choices import OPTIMIZERS
from archc.graph import Network
from archc.live import build_module
from archc.ops import BatchNorm2d, Dropout
from archc.spec import SpecError

MB = 10**6
NOISE = 4096
"""Bytes that are not told: numbers per channel that a norm allocates at inference, and scalars."""

FAMILIES = {
    "cifar10/resnet20": (3, 32, 32),  # option A
    "torchvision/squeezenet1_1": (3, 64, 64),  # concatenations, dropout
    "torchvision/shufflenet_v2_x0_5": (3, 32, 32),  # chunks, shuffles
    "torchvision/mobilenet_v3_small": (3, 64, 64),  # gates
}


def trained(network: Network, optimizer: str = "momentum", dtype: str = "float32") -> Moments:
    (found,) = training_moments(network, dtype, [optimizer])
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_batch_that_fits_is_the_largest_that_torch_holds(name: str) -> None:
    network = archc.load(name, input=FAMILIES[name])
    memory = trained(network).peak(3)[0] + NOISE
    inference, training = archc.fit(network, memory, dtype="float32", optimizer="momentum").rows
    assert training.batch == 3
    assert training_peak(network, 3) <= memory < training_peak(network, 4)
    batch = inference.batch
    assert inference_peak(network, batch) <= memory + NOISE < inference_peak(network, batch + 2)


@pytest.mark.parametrize(
    ("optimizer", "dtype"), [("sgd", "float32"), ("adam", "float32"), ("momentum", "bfloat16")]
)
def test_a_training_step_holds_what_is_said(optimizer: str, dtype: str) -> None:
    network = archc.load("cifar10/resnet20", with_={"depth": 1})
    for batch in (1, 5):
        most = training_peak(network, batch, optimizer, getattr(torch, dtype))
        assert trained(network, optimizer, dtype).peak(batch)[0] == pytest.approx(most, abs=NOISE)


def test_side_heads_and_their_losses_count_in_training() -> None:
    side = {
        "side": [{"max_pool": {"kernel": 2, "stride": 2}}, "global_avg_pool", "linear"],
        "name": "aux",
        "weight": 0.3,
    }
    stem = [{"conv": {"width": 8, "kernel": 3}}, side]
    stages = [{"block": "basic", "depth": 2, "width": 8, "shortcut": "B"}]
    head = ["global_avg_pool", "linear"]
    data = {"name": "n", "input": [3, 16, 16], "stem": stem, "stages": stages, "head": head}
    network = compile_data(data)
    assert network.sides
    assert trained(network).peak(3)[0] == pytest.approx(training_peak(network, 3), abs=64)


def test_the_step_of_the_optimizer_may_hold_most() -> None:
    network = archc.load("torchvision/squeezenet1_1", input=(3, 32, 32))
    for optimizer in OPTIMIZERS:
        found, moment = trained(network, optimizer).peak(1)
        assert found == pytest.approx(training_peak(network, 1, optimizer), abs=NOISE)
        assert (moment.phase == "optimizer") == (optimizer == "adam")


@given(specs())
@settings(max_examples=20)
def test_any_network_s_training_step_holds_what_is_said(data: dict[str, Any]) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        assume(False)
    assume(network.params and network.params < 10**6 and network.multiply_adds < 10**8)
    for node in network.nodes.values():
        # Over a single value torch cannot normalise, and of p = 1 it keeps no mask.
        assume(not isinstance(node.op, BatchNorm2d) or node.output_shape[1:] != (1, 1))
        assume(not isinstance(node.op, Dropout) or node.op.p < 1)
    most = training_peak(network, 2)
    assert trained(network).peak(2)[0] == pytest.approx(most, abs=16)


_LINES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=8)


@given(_LINES, st.integers(1, 500))
def test_the_largest_batch_is_where_the_first_moment_does_not_fit(
    lines: list[tuple[int, int]], memory: int
) -> None:
    moments = Moments([Moment("forward", "x", Size(*line)) for line in lines])

    def peak(batch: int) -> int:
        return max(fixed + batch * each for fixed, each in lines)

    batch = moments.largest_batch(memory)
    assert batch == 0 or peak(batch) <= memory
    assert peak(batch + 1) > memory
    assert moments.peak(7)[0] == peak(7)


def test_rows_say_how_much_the_batch_takes_and_when() -> None:
    found = archc.fit("imagenet/resnet50", "24GB")
    assert found.memory == 24 * 10**9
    assert [(row.dtype, row.use, row.optimizer) for row in found.rows][:4] == [
        ("float32", "inference", None),
        ("float32", "training", "sgd"),
        ("float32", "training", "momentum"),
        ("float32", "training", "adam"),
    ]
    network = archc.load("imagenet/resnet50")
    for row in found.rows:
        moments = inference_moments(network, row.dtype)
        if row.optimizer is not None:
            moments = trained(network, row.optimizer, row.dtype)
        assert row.bytes == moments.peak(row.batch)[0] <= found.memory
        assert moments.peak(row.batch + 1)[0] > found.memory
        assert row.bytes_of_one == moments.peak(1)[0]
        assert row.op is None or row.op in network.nodes or row.op == "loss"


def test_a_network_too_large_says_what_one_image_needs() -> None:
    row = archc.fit("cifar10/resnet20", "2MB", dtype="float32", optimizer="sgd").rows[1]
    assert (row.batch, row.bytes) == (0, None)
    assert row.bytes_of_one == training_peak(archc.load("cifar10/resnet20"), 1, "sgd")


def test_what_does_not_learn_is_not_trained() -> None:
    network = compile_data({"name": "n", "input": [3, 8, 8], "head": ["global_avg_pool"]})
    assert [row.use for row in archc.fit(network, "1kB", dtype="float32").rows] == ["inference"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GB", 24 * 10**9),
        ("24 GiB", 24 * 2**30),
        ("500mb", 500 * MB),
        ("1.5kB", 1500),
        ("1_500_000 B", 1_500_000),
        ("2TiB", 2 * 2**40),
        ("80B", 80),
    ],
)
def test_memory_has_units(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("24", "`24` has no unit of memory: write 24GB, or 24B for bytes"),
        ("24G", "`24G` has no unit of memory: write 24GB or 24GiB"),
        ("24 k", "`24 k` has no unit of memory: write 24kB or 24KiB"),
        ("3GBit", "`GBit` in `3GBit` is not a unit of memory: for example 24GB (24 * 10^9 bytes)"),
        ("24,000MB", "`24,000MB` is not an amount of memory: write 24_000MB, without commas"),
        ("1,5GB", "`1,5GB` is not an amount of memory: use a decimal point, 1.5GB"),
        ("-1GB", "`-1GB` is not an amount of memory: it must be above 0"),
        ("0GB", "`0GB` is not an amount of memory: it must be at least one byte"),
        ("", "`` is not an amount of memory: for example 24GB"),
        ("1__0GB", "`1__0GB` is not an amount of memory"),
        ("9" * 40 + "GB", "is not an amount of memory"),
    ],
)
def test_what_is_no_memory_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="memory") as caught:
        parse_memory(text)
    assert message in str(caught.value)


def test_wrong_calls_are_refused() -> None:
    network = archc.load("cifar10/resnet20")
    with pytest.raises(ValueError, match="`memory` must be at least 1 byte, not 0"):
        archc.fit(network, 0)
    with pytest.raises(ValueError, match="`dtype` must be one of float32, bfloat16, "):
        archc.fit(network, 1, dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`optimizer` must be one of sgd, momentum, adam, not"):
        archc.fit(network, 1, optimizer="lion")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match='bytes or a text such as "24GB", not a float'):
        archc.fit(network, 24e9)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["imagenet/resnet18", "torchvision/resnet50", "torchvision/vgg11"])
def test_a_gpu_s_peak_is_within_three_percent(name: str) -> None:
    """With kernels that need no workspace, so that tensors alone are measured."""
    network, batch = archc.load(name), 64
    module = build_module(network).cuda().train()
    stepper = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    with torch.backends.cudnn.flags(enabled=False):
        for _ in range(2):
            images = torch.randn(batch, *network.input_shape, device="cuda")
            labels = torch.zeros(batch, dtype=torch.int64, device="cuda")
            torch.cuda.reset_peak_memory_stats()
            loss = torch.nn.functional.cross_entropy(module(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            stepper.step()
            stepper.zero_grad()
    assert trained(network).peak(batch)[0] == pytest.approx(
        torch.cuda.max_memory_allocated(), rel=0.03
    )
