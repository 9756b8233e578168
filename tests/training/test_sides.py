"""Training with side heads: their losses count, each times its weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import archc
from archc.errors import TrainingError
from archc.training import TrainOptions
from archc.training.loop import _Objective

TINY = """
name: tiny
input: [3, 32, 32]
classes: 10
stem:
  - conv: {width: 4, kernel: 3, stride: 2}
  - {side: [global_avg_pool, linear], name: early, weight: 0.5}
stages:
  - {block: basic, depth: 1, width: 4, shortcut: A}
head: [{side: [global_avg_pool, flatten, linear], name: late}, global_avg_pool, linear]
"""
SHORT = """
recipe: short
extends: cifar10
limit: 64
iterations: 4
batch: 16
learning_rate: {initial: 0.05, at: [3]}
evaluate_every: 4
checkpoint_every: 2
"""
CPU = TrainOptions(device="cpu", workers=0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    spec, recipe = tmp_path / "tiny.yaml", tmp_path / "short.yaml"
    spec.write_text(TINY)
    recipe.write_text(SHORT)
    return spec, recipe


def test_the_loss_is_a_weighted_sum(files: tuple[Path, Path]) -> None:
    net = archc.module(files[0])
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([1, 2, 3, 4])
    outputs = net(images)
    loss, sums = _Objective(net, 0.1, [0.5, 0.3])(images, labels)
    own, early, late = (F.cross_entropy(one, labels, label_smoothing=0.1) for one in outputs)
    torch.testing.assert_close(loss, own + 0.5 * early + 0.3 * late)
    # The epoch reports the loss of the logits alone, so that it compares with the test loss.
    torch.testing.assert_close(sums[0], own.detach().double() * 4)


def test_side_heads_learn_and_are_kept(
    files: tuple[Path, Path], cifar: Path, tmp_path: Path
) -> None:
    spec, recipe = files
    run = tmp_path / "run"
    trained = archc.train(spec, str(recipe), cifar, run, options=CPU)
    assert trained.test is not None
    found = load_file(run / "weights.safetensors")
    assert set(archc.load(spec).state) <= set(found)
    # In so few steps without a loss of its own, a bias would stay where it began.
    alone = tmp_path / "alone"
    spec.write_text(TINY.replace("weight: 0.5", "weight: 1e-09"))
    archc.train(spec, str(recipe), cifar, alone, options=CPU)
    other = load_file(alone / "weights.safetensors")
    moved = (found["early.1.bias"] - other["early.1.bias"]).abs().max()
    assert moved > 1e-4
    assert archc.evaluate(run, cifar).error <= 100


def test_a_run_goes_on_with_the_same_weights_alone(
    files: tuple[Path, Path], cifar: Path, tmp_path: Path
) -> None:
    spec, recipe = files
    run = tmp_path / "run"
    archc.train(spec, str(recipe), cifar, run, options=CPU)
    spec.write_text(TINY.replace("weight: 0.5", "weight: 0.9"))
    resume = TrainOptions(device="cpu", workers=0, resume=True)
    with pytest.raises(TrainingError, match="different spec"):
        archc.train(spec, str(recipe), cifar, run, options=resume)


def test_a_side_head_tells_the_same_classes_apart(
    files: tuple[Path, Path], cifar: Path, tmp_path: Path
) -> None:
    spec, recipe = files
    spec.write_text(
        TINY.replace("[global_avg_pool, linear], name: early", "[linear: 7], name: early")
    )
    with pytest.raises(archc.ArchcError, match="`early` of tiny has 7 outputs"):
        archc.train(spec, str(recipe), cifar, tmp_path / "run", options=CPU)
