"""The script of the paper's experiment: what it trains, and what it makes of finished runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from images import make_cifar

from archc.recipes import load_recipe

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks/experiments.py"
sys.path.insert(0, str(SCRIPT.parent))

import experiments  # noqa: E402

from archc.training import Run  # noqa: E402
from archc.training.metrics import Row  # noqa: E402


def test_a_budget_keeps_the_recipe_s_proportions() -> None:
    whole = load_recipe("cifar10")
    assert (
        load_recipe("cifar10", experiments._settings(64_000)).learning_rate == whole.learning_rate
    )
    short = load_recipe("cifar10", experiments._settings(2400))
    assert short.header.iterations == 2400
    assert short.learning_rate.at == (1200, 1800)
    assert short.header.checkpoint_every == 200
    assert short.optimizer == whole.optimizer


def done(name: str, training: float, test: float) -> experiments.Trained:
    rows = [
        Row(2300, 1.0, 0.1, training_error=training + 1, seconds=50),
        Row(2400, 1.0, 0.1, training_error=training - 1, seconds=30),
        Row(2400, 1.0, 0.1, test_error=test, seconds=40),
    ]
    return experiments.Trained(name, 2400, 0, Run(Path(name)), rows)


def test_what_runs_show() -> None:
    runs = [
        done("plain20", 28, 30),
        done("resnet20", 25, 27),
        done("plain56", 60, 61),
        done("resnet56", 31, 33),
    ]
    assert runs[0].training_error == 28
    assert runs[0].seconds == 90  # of two sittings
    words = experiments._claims(runs).splitlines()
    assert "plain networks get worse with depth: shown." in words[0]
    assert "shortcuts help at 56 layers: shown." in words[1]
    assert "residual networks get better with depth: not shown." in words[2]
    assert "| cifar10/resnet20 | 2,400 | 0 | 25.00 % | 27.00 % | 8.75 % | 2 min |" in (
        experiments._table(runs)
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget", "0", "--runs", "x"], "--budget must be at least 400"),
        (["--runs", str(ROOT / "runs")], "--runs must be a folder outside the checkout"),
    ],
)
def test_what_it_refuses(
    more: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--data", "x", *more])
    with pytest.raises(SystemExit) as ended:
        experiments.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cifar(tmp_path_factory.mktemp("images") / "cifar")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_it_is_waited_for(number: signal.Signals, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [
        *(sys.executable, str(SCRIPT), "--data", str(data)),
        *("--runs", str(tmp_path / "runs"), "--page", str(page)),
        *("--budget", "400", "--networks", "plain20", "--", "--device", "cpu"),
    ]
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs/plain20-400/run.json"
    while not metrics.exists():
        assert child.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:
        child.send_signal(number)
    _, words = child.communicate(timeout=120)
    assert child.returncode == 128 + number
    assert f"archc: {number.name}: saved at iteration" in words
    assert list((tmp_path / "runs/plain20-400/checkpoints").glob("*.json"))
    assert not page.exists()
