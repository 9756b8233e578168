"""`archc bench`: what its numbers are made of. How large they are is no matter of tests."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shell
import torch
from click.testing import CliRunner
from shell import record_of
from strategies import compile_data
from structures import network_of
from torch import nn

import archc.api
import archc.timing.run
from archc import DeviceError
from archc.analysis import work
from archc.cli import cli
from archc.devices import RunError
from archc.graph import Network, deploy_form
from archc.timing import BenchOptions, BenchResult, Rates, at_best, bench
from archc.timing.run import prepared
from archc.timing.timing import measure_rates, peak_memory, time_step

CPU = torch.device("cpu")
QUICK = BenchOptions(batches=(1, 3), seconds=0.01)


def measured(monkeypatch: pytest.MonkeyPatch, *rates: Rates) -> None:
    """Rates as if they had been measured, the last again and again."""
    left = list(rates)

    def measure(*_: object) -> Rates:
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(archc.timing.run, "measure_rates", measure)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Rates:
    """Rates as if they had been measured."""
    fixed = Rates(multiply_adds=1e9, bytes_moved=1e6)
    measured(monkeypatch, fixed)
    return fixed


def rows(options: BenchOptions, structure: str = "option A") -> list[BenchResult]:
    return rows_of(network_of(structure), options)


def rows_of(network: Network, options: BenchOptions) -> list[BenchResult]:
    return list(bench([network], options))


@pytest.mark.parametrize("limited_by", ["memory", "compute"])
def test_the_limit_is_the_larger_of_both_bounds(
    limited_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = Rates(1e9, 1e6) if limited_by == "memory" else Rates(1e6, 1e9)
    measured(monkeypatch, rates)
    least = work(network_of("option A"))
    found = rows(QUICK)
    for row in found:
        assert row.multiply_adds == row.batch * least.multiply_adds
        assert row.bytes_moved == 4 * (row.batch * least.activations + least.weights)
        bounds = row.multiply_adds / rates.multiply_adds, row.bytes_moved / rates.bytes_moved
        assert row.limit == max(bounds)
        assert row.limited_by == limited_by
        assert row.fraction == row.limit / row.latency.median
        assert row.images_per_second == row.batch / row.latency.median
        assert row.rates == rates
    assert [row.batch for row in found] == [1, 3]


def test_rates_are_the_best_until_a_row_and_at_best_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, Rates(2, 8), Rates(1, 9), Rates(3, 7))
    found = rows(QUICK)
    assert [row.rates for row in found] == [Rates(2, 9), Rates(3, 9)]
    together = at_best(found)
    assert [row.rates for row in together] == [Rates(3, 9)] * 2
    for before, after in zip(found, together, strict=True):
        assert after.limit == max(before.multiply_adds / 3, before.bytes_moved / 9)
        assert after.fraction == after.limit / before.latency.median
        assert after.latency == before.latency


def test_rows_are_beside_the_best_rates_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, Rates(2, 8), Rates(1, 9), Rates(3, 7))
    found = archc.api.bench(network_of("option A"), network_of("vgg"), options=QUICK)
    assert [(row.batch, row.rates) for row in found] == [(1, Rates(3, 9)), (3, Rates(3, 9))] * 2
    assert archc.api.bench() == []


@pytest.mark.usefixtures("rates")
def test_between_rows_all_is_as_the_caller_left_it() -> None:
    torch.manual_seed(7)
    expected = torch.random.get_rng_state()
    level, filters = logging.getLogger("torch").level, list(warnings.filters)
    for _ in bench([network_of("option A")], QUICK):
        assert torch.random.get_rng_state().equal(expected)
        assert (logging.getLogger("torch").level, list(warnings.filters)) == (level, filters)


def test_values_are_those_of_a_trained_network() -> None:
    """Of running statistics as they are fresh, those of a deep network would not be finite."""
    module = prepared(archc.load("cifar10/resnet1202", input=(3, 8, 8)), QUICK, CPU)
    with torch.no_grad():
        assert module(torch.randn(1, 3, 8, 8)).isfinite().all()
    assert {one.momentum for one in module.modules() if isinstance(one, nn.BatchNorm2d)} == {0.1}


@pytest.mark.usefixtures("rates")
def test_options_change_what_is_measured() -> None:
    network = network_of("option A")
    (deployed,) = rows(replace(QUICK, batches=(2,), deploy=True, channels_last=True))
    assert deployed.mode == "forward, deploy, channels_last"
    (half,) = rows(replace(QUICK, batches=(2,), dtype="bfloat16"))
    assert half.bytes_moved == work(network).bytes_moved(2, 2)
    (step,) = rows(replace(QUICK, batches=(2,), train=True, dtype="bfloat16"))
    assert step.mode == "train"
    assert step.multiply_adds == 2 * work(network, training=True).multiply_adds
    assert deployed.bytes_moved == work(deploy_form(network)).bytes_moved(2, 4)


@pytest.mark.usefixtures("rates")
def test_memory_holds_at_least_weights_images_and_one_map() -> None:
    network = network_of("option A")
    (row,) = rows(replace(QUICK, batches=(5,)))
    largest = max(len(network.nodes[i].output_shape) and _size(i) for i in network.nodes)
    assert row.peak_memory >= 4 * (network.params + 5 * 3 * 16 * 12 + 5 * largest)
    (step,) = rows(replace(QUICK, batches=(5,), train=True))
    assert step.peak_memory > row.peak_memory


@pytest.mark.usefixtures("rates")
def test_memory_of_training_holds_gradients_and_momentum() -> None:
    network = compile_data({"name": "x", "input": [3, 4, 4], "head": ["flatten", {"linear": 9999}]})
    (step,) = rows_of(network, replace(QUICK, batches=(1,), train=True))
    assert 3 <= step.peak_memory / (4 * network.params) < 3.5


def _size(node_id: str) -> int:
    size = 1
    for side in network_of("option A").nodes[node_id].output_shape:
        size *= side
    return size


def test_peak_memory_is_what_lives_at_once() -> None:
    def step() -> None:
        one = torch.empty(1000, 100)
        del one
        pair = torch.empty(1000, 200), torch.empty(1000, 100)
        del pair

    assert peak_memory(step, CPU) == 4 * 300_000


def test_times_are_in_order() -> None:
    times = time_step(lambda: None, CPU, 0.001)
    assert 0 < times.best <= times.lower <= times.median <= times.upper
    assert times.runs >= 7


def test_of_two_measurements_the_better_rates_count() -> None:
    assert Rates(1, 4).or_better(Rates(3, 2)) == Rates(3, 4)
    measured = measure_rates(CPU, torch.float32, 0.01)
    assert min(measured.multiply_adds, measured.bytes_moved) > 0


def test_a_deploy_form_is_not_trained() -> None:
    with pytest.raises(ValueError, match="cannot be trained"):
        bench([network_of("vgg")], BenchOptions(deploy=True, train=True))


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "int8"},
        {"batches": (0,)},
        {"batches": ()},
        {"batches": 8},
        {"batches": (1.5,)},
        {"seconds": float("nan")},
    ],
)
def test_options_that_cannot_be_measured_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^`{next(iter(options))}` must be "):
        BenchOptions(**options)


def test_what_cannot_be_trained_is_told() -> None:
    train = BenchOptions(train=True, batches=(1,))
    for data, message in (
        ({"head": ["flatten"]}, "x has no parameters to train"),
        (
            {"stem": [{"conv": {"width": 4, "kernel": 3, "stride": 4}}]},
            "x: bn1 would normalise over a single value in training mode: "
            "use a larger batch or larger images",
        ),
    ):
        network = compile_data({"name": "x", "input": [3, 4, 4], **data})
        with pytest.raises(RunError) as caught:
            bench([network], train)
        assert str(caught.value) == message


@pytest.mark.usefixtures("rates")
def test_a_network_without_a_classifier_is_trained_too() -> None:
    network = compile_data(
        {"name": "x", "input": [3, 8, 8], "stem": [{"conv": {"width": 4, "kernel": 3}}]}
    )
    (row,) = bench([network], replace(QUICK, batches=(2,), train=True))
    assert row.multiply_adds == 2 * 2 * network.multiply_adds


@pytest.mark.usefixtures("rates")
def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class InvalidCxxCompiler(Exception):
        pass

    def fails(*_: object) -> None:
        raise InvalidCxxCompiler("torch's own words")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fails)
    with pytest.raises(
        RunError, match=r"^torch\.compile failed: inductor needs a C\+\+ compiler, "
    ):
        rows(replace(QUICK, compile=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(DeviceError, match="no CUDA device is available: "):
        bench([network_of("vgg")], BenchOptions(device="cuda"))
    with pytest.raises(DeviceError, match="unknown device `gpu`: use cpu or cuda"):
        bench([network_of("vgg")], BenchOptions(device="gpu"))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archc", "bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_table_and_json() -> None:
    quick = ("cifar10/resnet20", "--input", "3,8,8", "--seconds", "0.1")
    result = command(*quick)
    assert (result.returncode, result.stderr) == (0, "")
    title, heading, _, row = result.stdout.splitlines()
    assert "float32, forward; at best " in title
    assert heading.split("  ")[0] == "spec"
    assert row.startswith("cifar10/resnet20 ")
    more = ("--train", "--batch", "2", "--batch", "3", "--format", "json")
    result = shell.archc("bench", *quick, *more)
    assert (result.returncode, result.stderr) == (0, "")
    records = record_of("bench", result.stdout)
    assert [(one["spec"], one["batch"], one["mode"]) for one in records] == [
        ("cifar10/resnet20", 2, "train"),
        ("cifar10/resnet20", 3, "train"),
    ]


@pytest.mark.parametrize("format_", ["table", "json"])
def test_rows_that_were_measured_are_not_lost(
    format_: str, rates: Rates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a larger batch does not fit; a file is whole or not written."""
    del rates

    def lacks_memory(step: Any, *others: Any) -> Any:
        step()
        if len(tried) == 2:
            raise MemoryError
        tried.append(step)
        return time_step(step, *others)

    tried: list[object] = []
    monkeypatch.setattr(archc.timing.run, "time_step", lacks_memory)
    file = tmp_path / "rows"
    specs = ("cifar10/resnet20", "--input", "3,8,8", "--batch", "1", "--batch", "2", "--batch", "4")
    options = ("--seconds", "0.1", "--format", format_, "-o", str(file))
    result = CliRunner().invoke(cli, ["bench", *specs, *options], standalone_mode=False)
    message = "resnet20, batch 4: not enough memory on `cpu`"
    assert str(result.exception) == message
    assert not file.exists()
    if format_ == "json":
        assert [row["batch"] for row in json.loads(result.stdout)] == [1, 2]
    else:
        assert [line.split()[1] for line in result.stdout.splitlines()[3:]] == ["1", "2"]


@pytest.mark.parametrize("seconds", ["nan", "0", "inf", "soon"])
def test_wrong_seconds_are_refused(seconds: str) -> None:
    result = command("cifar10/resnet20", "--seconds", seconds)
    assert result.returncode == 2
    assert "Invalid value for '--seconds': " in result.stderr


@pytest.mark.parametrize(("rate", "told"), [(1e6, True), (1e15, False)])
def test_a_row_beyond_the_limit_is_explained(
    rate: float, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archc.timing.run, "measure_rates", lambda *_: Rates(rate, rate))
    quick = ("bench", "cifar10/resnet20", "--input", "3,8,8", "--seconds", "0.1")
    result = CliRunner().invoke(cli, quick, standalone_mode=False)
    words = (
        "archc: more than 100 % of the limit means that data came from a cache, or that other work "
        "slowed down the measurement of the rates\n"
    )
    assert result.stderr == words * told


def test_a_wrong_command_line_exits_with_2() -> None:
    assert command("cifar10/resnet20", "--deploy", "--train").returncode == 2
    assert command("cifar10/resnet20", "--dtype", "int8").returncode == 2
    assert command("cifar10/resnet20", "--batch", "0").returncode == 2
