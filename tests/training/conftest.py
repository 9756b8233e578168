"""Images, a small network, and a run that nothing has disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest
from images import make_cifar, make_folder

import archc
from archc.training import TrainOptions

TINY = """
name: tiny
input: [3, 32, 32]
classes: 10
stem: [conv: {width: 4, kernel: 3, stride: 2}]
stages:
  - {block: basic, depth: 1, width: 4, shortcut: A}
  - {block: basic, depth: 1, width: 8, shortcut: A, stride: 2}
head: [global_avg_pool, linear]
"""

RECIPE = """
recipe: trial
extends: cifar10
limit: 256
iterations: 120
batch: 16
learning_rate: {initial: 0.05, at: [90]}
evaluate_every: 50
checkpoint_every: 20
"""


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cifar(tmp_path_factory.mktemp("images") / "cifar-10-batches-bin")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("folder"))


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "trial.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def undisturbed(cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the spec with the recipe that nothing has disturbed, nor may: copy it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "trial.yaml").write_text(RECIPE)
    options = TrainOptions(device="cpu", workers=0)
    recipe, run = str(folder / "trial.yaml"), folder / "run"
    archc.train(folder / "tiny.yaml", recipe, cifar, run, options=options)
    return run
