"""The learning rate: the paper's dates, warming up, plateaus."""

from __future__ import annotations

import pytest

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


def test_its_state_goes_through_a_checkpoint() -> None:
    recipe = load_recipe("imagenet")
    schedule = Schedule.begin(recipe, layers=50)
    for error in (60, 61, 62, 50):
        schedule.tested(error)
    assert Schedule.restore(recipe, schedule.state()) == schedule
