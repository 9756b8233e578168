"""The learning rate: the paper's dates, warming up, plateaus."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from archc.recipes import load_recipe
from archc.training.schedule import Schedule


def test_cifar10_divides_by_ten_at_32k_and_48k() -> None:
    schedule = Schedule.begin(load_recipe("cifar10"), layers=56)
    assert [schedule.rate(i) for i in (0, 31_999)] == [0.1, 0.1]
    assert [schedule.rate(i) for i in (32_000, 47_999)] == pytest.approx([0.01, 0.01])
    assert [schedule.rate(i) for i in (48_000, 63_999)] == pytest.approx([0.001, 0.001])


def test_110_layers_are_warmed_up_until_the_error_is_below_80_percent() -> None:
    schedule = Schedule.begin(load_recipe("cifar10"), layers=110)
    assert schedule.rate(0) == 0.01
    schedule.trained(80.0)
    assert schedule.rate(100) == 0.01
    schedule.trained(79.9)
    assert schedule.rate(200) == 0.1
    schedule.trained(95.0)  # once warm, it stays so
    assert schedule.rate(300) == 0.1


def test_a_plateau_divides_the_rate() -> None:
    recipe = load_recipe("imagenet", ["learning_rate.patience=2"])
    schedule = Schedule.begin(recipe, layers=50)
    for error in (60, 50, 49.95, 49.0):  # 49.95 is no 0.1 below 50, 49.0 is
        schedule.tested(error)
    assert schedule.rate(4) == 0.1
    schedule.tested(49.5)
    schedule.tested(48.95)
    assert schedule.rate(6) == pytest.approx(0.01)
    schedule.tested(48.8)
    schedule.tested(48.8)
    assert schedule.rate(8) == pytest.approx(0.01)
    schedule.tested(48.8)
    assert schedule.rate(9) == pytest.approx(0.001)


def test_warming_up_waits_for_no_plateau_and_ends_where_the_rate_is_smaller() -> None:
    warm = "warm_up={learning_rate: 0.02, until_error: 50}"
    schedule = Schedule.begin(load_recipe("imagenet", [warm, "learning_rate.patience=1"]), 50)
    for _ in range(5):
        schedule.tested(90.0)
    assert schedule.rate(5) == 0.02
    schedule.trained(40.0)
    assert schedule.rate(6) == 0.1
    never = Schedule.begin(load_recipe("cifar10", [warm]), layers=20)
    assert [never.rate(i) for i in (0, 32_000, 48_000)] == pytest.approx([0.02, 0.01, 0.001])


def test_a_cosine_behind_a_linear_warm_up() -> None:
    settings = ["iterations=1000", "learning_rate={initial: 0.4, schedule: cosine}"]
    plain = Schedule.begin(load_recipe("cifar10", settings), layers=20)
    # torch's own, which counts steps as archc does iterations.
    torch_rates = []
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.4)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000)
    for _ in range(1000):
        torch_rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        annealing.step()
    assert [plain.rate(i) for i in range(1000)] == pytest.approx(torch_rates, abs=1e-12)
    settings = [
        "iterations=1000",
        "warm_up=null",
        "learning_rate={initial: 0.4, schedule: cosine, final: 0.1, warm_up_iterations: 200}",
    ]
    warm = Schedule.begin(load_recipe("cifar10", settings), layers=110)
    rates = [warm.rate(i) for i in range(1000)]
    assert rates[:2] == pytest.approx([0.002, 0.004])
    assert (rates[199], rates[200]) == pytest.approx((0.4, 0.4))
    assert rates[600] == pytest.approx(0.25)
    assert 0.1 < rates[999] < 0.1 + 1e-5
    assert all(a >= b for a, b in pairwise(rates[200:]))


def test_a_warm_up_until_an_error_caps_a_cosine() -> None:
    settings = ["iterations=1000", "learning_rate={initial: 0.1, schedule: cosine}"]
    schedule = Schedule.begin(load_recipe("cifar10", settings), layers=110)
    assert schedule.rate(0) == 0.01
    schedule.trained(50.0)
    assert schedule.rate(0) == 0.1


def test_a_warm_up_before_a_rate_that_is_divided() -> None:
    rate = "learning_rate={initial: 0.1, at: [500], warm_up_iterations: 10}"
    schedule = Schedule.begin(load_recipe("cifar10", [rate, "warm_up=null"]), layers=20)
    rates = [schedule.rate(i) for i in (0, 4, 9, 10, 499, 500)]
    assert rates == pytest.approx([0.01, 0.05, 0.1, 0.1, 0.1, 0.01])


def test_its_state_goes_through_a_checkpoint() -> None:
    recipe = load_recipe("imagenet")
    schedule = Schedule.begin(recipe, layers=50)
    for error in (60, 61, 62, 50):
        schedule.tested(error)
    assert Schedule.restore(recipe, schedule.state()) == schedule
