"""Training that begins with weights, and of which a part stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shell
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import archc
from archc.errors import Interrupted, TrainingError
from archc.training import Progress, TrainOptions, loop
from archc.training.fine_tuning import freeze, frozen_keys

pytestmark = [
    pytest.mark.usefixtures("speaking_command_line"),
    pytest.mark.filterwarnings("ignore:.*also fits:archc.WeightsWarning"),
]

CPU = TrainOptions(device="cpu", workers=0)
RESUME = TrainOptions(device="cpu", workers=0, resume=True)
SHORT = ["iterations=12", "limit=48", "learning_rate.at=[9]", "checkpoint_every=4"]
SHORT += ["evaluate_every=6"]


class Watcher:
    def __init__(self) -> None:
        self.words: list[str] = []

    def advanced(self, progress: Progress) -> None:
        pass

    def tested(self, progress: Progress) -> None:
        pass

    def said(self, words: str) -> None:
        self.words.append(words)


@pytest.fixture
def given(spec: Path, tmp_path: Path) -> Path:
    """Weights of the network, with a head of 7 classes, wrapped as in MoCo."""
    torch.manual_seed(5)
    state = {f"encoder.{key}": tensor for key, tensor in archc.module(spec).state_dict().items()}
    state |= {"encoder.fc.weight": torch.ones(7, 8), "encoder.fc.bias": torch.ones(7)}
    save_file(state, tmp_path / "given.safetensors")
    return tmp_path / "given.safetensors"


def end(run: Path) -> dict[str, Tensor]:
    return load_file(run / "weights.safetensors")


def changed(run: Path, given: Path) -> set[str]:
    """What of the given weights training has changed."""
    before, after = load_file(given), end(run)
    return {key for key in after if not torch.equal(after[key], before[f"encoder.{key}"])}


def test_a_part_is_trained_from_given_weights_and_the_rest_stays(
    spec: Path, recipe: Path, cifar: Path, given: Path, tmp_path: Path
) -> None:
    run, watcher = tmp_path / "run", Watcher()
    archc.train(
        spec, str(recipe), cifar, run, settings=SHORT, weights=given, partial=True,
        freeze=["conv1", "bn1", "layer1.*"], options=CPU, observer=watcher,
    )  # fmt: skip
    assert watcher.words == [
        f"{given}: 25 of 27 tensors taken, `encoder.` removed from their names; kept as "
        "initialised: fc; left out: fc.weight (7x8) and fc.bias (7)"
    ]
    kept = {key for key in end(run) if key.startswith(("conv1", "bn1", "layer1."))}
    assert len(kept) > 15
    assert changed(run, given) == end(run).keys() - kept  # counters of frozen norms among these
    record = json.loads((run / "run.json").read_text())
    assert record["freeze"] == ["conv1", "bn1", "layer1.*"]
    assert record["start"]["file"] == str(given)
    assert record["start"]["tensors"] == len(end(run)) - 2


def test_a_new_head_is_that_of_the_seed(
    spec: Path, recipe: Path, cifar: Path, given: Path, tmp_path: Path
) -> None:
    """What the weights lack is initialised as without them."""
    still = [*SHORT, "learning_rate.initial=1e-30", "optimizer.weight_decay=0"]
    heads = []
    for name, weights in (("with", given), ("without", None)):
        out = tmp_path / name
        archc.train(
            spec, str(recipe), cifar, out, settings=still, weights=weights,
            partial=weights is not None, options=CPU,
        )  # fmt: skip
        heads.append(end(out)["fc.weight"])
    assert torch.equal(*heads)
    assert torch.equal(
        end(tmp_path / "with")["conv1.weight"], load_file(given)["encoder.conv1.weight"]
    )


def test_resuming_is_exact_and_refuses_what_differs(
    spec: Path,
    recipe: Path,
    cifar: Path,
    given: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = archc.read_weights(given, partial=True)

    def train(name: str, options: TrainOptions, **more: Any) -> None:
        archc.train(
            spec, str(recipe), cifar, tmp_path / name, settings=SHORT, options=options,
            **more,
        )  # fmt: skip

    train("whole", CPU, weights=weights, freeze=["layer1"])
    step = loop.Loop.step

    def stop(self: loop.Loop, images: Tensor, labels: Tensor) -> None:
        step(self, images, labels)
        if self.iteration == 6:
            self._asked.signal = 2

    monkeypatch.setattr(loop.Loop, "step", stop)
    with pytest.raises(Interrupted):
        train("run", CPU, weights=weights, freeze=["layer1"])
    monkeypatch.undo()
    run = tmp_path / "run"
    other: dict[str, Any] = {"weights": archc.module(spec).state_dict()}
    for more, message in (
        ({"freeze": ["layer2"]}, "was started with `layer1` frozen"),
        (other, f"was started with other weights: those of `{given}`, as it was then"),
    ):
        with pytest.raises(TrainingError) as caught:
            train("run", RESUME, **more)
        assert str(caught.value) == f"{str(run)!r} {message}"
        assert caught.value.hint == "choose another folder with --out"
    train("run", RESUME, weights=weights, freeze=["layer1.*"])  # the same layers
    assert all(
        torch.equal(tensor, end(run)[key]) for key, tensor in end(tmp_path / "whole").items()
    )


def test_a_run_without_a_checkpoint_needs_its_weights_again(
    spec: Path, recipe: Path, cifar: Path, given: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    weights = archc.read_weights(given, partial=True)
    archc.train(spec, str(recipe), cifar, run, settings=SHORT, weights=weights, options=CPU)
    before = end(run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match="was started with weights, and has no checkpoint yet"):
        archc.train(spec, str(recipe), cifar, run, settings=SHORT, options=RESUME)
    archc.train(spec, str(recipe), cifar, run, settings=SHORT, weights=weights, options=RESUME)
    assert all(torch.equal(tensor, before[key]) for key, tensor in end(run).items())


def test_a_run_without_weights_takes_none_later(
    spec: Path, recipe: Path, cifar: Path, undisturbed: Path, tmp_path: Path
) -> None:
    state = archc.module(spec).state_dict()
    with pytest.raises(TrainingError, match="was started without weights"):
        archc.train(spec, str(recipe), cifar, undisturbed, weights=state, options=RESUME)
    with pytest.raises(TrainingError, match="was started with nothing frozen"):
        archc.train(spec, str(recipe), cifar, undisturbed, freeze=["fc"], options=RESUME)


def test_patterns_are_of_paths() -> None:
    network = archc.load("cifar10/resnet20")
    first = {key for key in network.state if key.startswith("layer1.")}
    assert frozen_keys(network, ["layer1"]) == first == frozen_keys(network, ["layer1.*"])
    assert frozen_keys(network, ["fc.bias"]) == {"fc.bias"}
    assert frozen_keys(network, ["layer[12].0.bn?"]) == {
        key for key in network.state if key.startswith(("layer1.0.bn", "layer2.0.bn"))
    }
    assert not frozen_keys(network, [])
    with pytest.raises(TrainingError) as caught:
        frozen_keys(network, ["layer1", "layer4.*"])
    assert str(caught.value) == "--freeze `layer4.*` matches nothing in resnet20"
    assert caught.value.hint == (
        "it has `conv1`, `bn1`, `layer1`, `layer2`, `layer3` and `fc`, and what is inside of these"
    )
    one = archc.load("torchvision/regnet_x_400mf")
    with pytest.raises(TrainingError) as caught:
        frozen_keys(one, ["trunk"])
    assert "`trunk_output`" in (caught.value.hint or "")


def test_frozen_norms_use_their_statistics() -> None:
    module = archc.module("cifar10/resnet20")
    freeze(module, frozen_keys(archc.load("cifar10/resnet20"), ["layer1", "bn1.weight"]))
    norms = {path: part for path, part in module.named_modules() if hasattr(part, "running_mean")}
    assert {path for path, norm in norms.items() if not norm.training} == {
        path for path in norms if path.startswith("layer1.")
    }
    frozen = {name for name, one in module.named_parameters() if not one.requires_grad}
    assert frozen == {name for name, _ in module.named_parameters() if name[:7] == "layer1."} | {
        "bn1.weight"
    }
    with pytest.raises(TrainingError, match="nothing is left to train: all parameters are frozen"):
        freeze(module, frozen_keys(archc.load("cifar10/resnet20"), ["*"]))


def test_the_command_begins_with_weights(
    spec: Path, recipe: Path, cifar: Path, given: Path, tmp_path: Path
) -> None:
    settings = [word for one in SHORT for word in ("--set", one)]
    train = [
        *("train", spec.name, "--recipe", recipe.name, "--data", str(cifar), "-o", "run"),
        *("--device", "cpu", "--weights", given.name, *settings),
    ]
    result = shell.archc(*train, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "hint: the weights are for 7 classes: use `--set classes=7`, or `--partial` to keep `fc` "
        "as initialised"
    )
    assert not (tmp_path / "run").exists()
    result = shell.archc(*train, "--partial", "--freeze", "stem", cwd=tmp_path)
    assert result.stderr.splitlines() == [
        "archc: error: --freeze `stem` matches nothing in tiny",
        "hint: it has `conv1`, `bn1`, `layer1`, `layer2` and `fc`, and what is inside of these",
    ]
    result = shell.archc(*train, "--set", "classes=7", cwd=tmp_path)
    assert result.returncode == 1  # the images have 10 classes
    assert "classes" in result.stderr
    result = shell.archc(*train, "--partial", "--freeze", "conv1", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.splitlines()[0] == (
        "archc: given.safetensors: 25 of 27 tensors taken, `encoder.` removed from their names; "
        "kept as initialised: fc; left out: fc.weight (7x8) and fc.bias (7)"
    )
