"""Training: the loss falls, and nothing that happens on the way changes where it ends."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import shell
import torch
from safetensors.torch import load_file
from torch import Tensor

import archc
from archc.errors import Interrupted, OutputError, TrainingError
from archc.live import build_module
from archc.temporaries import create, temporary_for
from archc.training import Progress, Trained, TrainOptions, loop, open_run
from archc.training import run as runs
from archc.training.cifar10 import Cifar10
from archc.training.initialize import initialize_he
from archc.training.metrics import read_metrics
from archc.training.run import Run, alone

pytestmark = pytest.mark.usefixtures("speaking_command_line")

CPU = TrainOptions(device="cpu", workers=0)
RESUME = TrainOptions(device="cpu", workers=0, resume=True)


class Watcher:
    """An observer that remembers, and can do something at an iteration."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.tests: list[float] = []

    def advanced(self, progress: Progress) -> None:
        pass

    def tested(self, progress: Progress) -> None:
        assert progress.test_error is not None
        self.tests.append(progress.test_error)

    def said(self, words: str) -> None:
        self.words.append(words)


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "weights.safetensors")


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


NEW = """
recipe: new
extends: RECIPE
warm_up: null
learning_rate: {initial: 0.05, schedule: cosine, warm_up_iterations: 30}
label_smoothing: 0.1
ema_decay: 0.9
"""


@pytest.fixture
def new(recipe: Path) -> Path:
    """A cosine behind a warm-up, smoothed labels, averaged weights."""
    path = recipe.with_name("new.yaml")
    path.write_text(NEW.replace("RECIPE", recipe.name))
    return path


@pytest.fixture
def whole(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the run that nothing has disturbed, of the `spec` with the `recipe`."""
    return Path(shutil.copytree(undisturbed, tmp_path / "whole"))


def test_the_loss_falls_and_the_run_is_all_there(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path
) -> None:
    watcher, run = Watcher(), tmp_path / "run"
    trained = archc.train(
        spec,
        str(recipe),
        cifar,
        run,
        settings=["iterations=300", "learning_rate.at=[250]"],
        options=CPU,
        observer=watcher,
    )
    rows = read_metrics(run / "metrics.csv")
    losses = [row.training_loss for row in rows if row.training_loss is not None]
    assert len(losses) == 3
    assert losses[-1] < 0.5 * losses[0]
    assert trained.test is not None
    assert trained.test.error < 40
    assert watcher.tests[-1] == trained.test.error
    assert len(watcher.tests) == 6
    record = json.loads((run / "run.json").read_text())
    assert record["seed"] == 0
    assert record["sittings"][0]["versions"]["archc"] == archc.__version__
    assert (run / "module.py").read_text().startswith('"""tiny')
    assert (run / "curves.svg").read_text().startswith("<?xml")
    assert archc.load(run / "spec.yaml").params == archc.load(spec).params
    assert len(list((run / "checkpoints").glob("*.json"))) == 2
    again = archc.evaluate(run, cifar, as_trained=True)
    assert again.error == trained.test.error
    assert again.loss == pytest.approx(trained.test.loss, rel=1e-6)
    assert archc.evaluate(run, cifar).images == 10_000
    assert build_module(archc.load(spec)).load_state_dict(weights(run))


def test_the_seed_decides(
    spec: Path, recipe: Path, cifar: Path, whole: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        options = TrainOptions(device="cpu", seed=seed)
        archc.train(spec, str(recipe), cifar, tmp_path / f"seed{seed}", options=options)
    assert equal(weights(whole), weights(tmp_path / "seed0"))
    assert not equal(weights(whole), weights(tmp_path / "seed1"))


@pytest.mark.parametrize("moment", [7, 20, 50, 119])
def test_a_signal_saves_and_resume_ends_in_the_same_weights(
    spec: Path,
    recipe: Path,
    cifar: Path,
    whole: Path,
    tmp_path: Path,
    moment: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    step = loop.Loop.step

    def interrupted(self: loop.Loop, images: Tensor, labels: Tensor) -> None:
        step(self, images, labels)
        if self.iteration + 1 == moment:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.Loop, "step", interrupted)
    with pytest.raises(Interrupted) as stopped:
        archc.train(spec, str(recipe), cifar, run, options=CPU)
    assert (stopped.value.iteration, stopped.value.signal) == (moment, signal.SIGTERM)
    monkeypatch.undo()
    trained = archc.train(spec, str(recipe), cifar, run, options=RESUME)
    assert trained.iteration == 120
    assert equal(weights(whole), weights(run))
    assert [r.training_loss for r in read_metrics(run / "metrics.csv")] == [
        r.training_loss for r in read_metrics(whole / "metrics.csv")
    ]
    sittings = json.loads((run / "run.json").read_text())["sittings"]
    assert [one["from_iteration"] for one in sittings] == [0, moment]


def test_kill_9_with_averages_and_a_cosine_ends_in_the_same_weights(
    spec: Path, new: Path, cifar: Path, tmp_path: Path
) -> None:
    archc.train(spec, str(new), cifar, tmp_path / "whole", options=CPU)
    run = tmp_path / "run"
    child = subprocess.Popen(command(spec, new, cifar, run, "--resume"))
    while not list((run / "checkpoints").glob("iteration-0000060.json")):
        assert child.poll() is None
        time.sleep(0.002)
    child.kill()
    child.wait()
    archc.train(spec, str(new), cifar, run, options=RESUME)
    assert equal(weights(tmp_path / "whole"), weights(run))
    last = load_file(run / "checkpoints" / "iteration-0000120.safetensors")
    averaged = load_file(run / "checkpoints" / "iteration-0000120.averaged.safetensors")
    assert equal(weights(run), averaged)
    assert not equal(last, averaged)
    found = archc.evaluate(run, cifar, as_trained=True)
    tests = [row.test_error for row in read_metrics(run / "metrics.csv") if row.test_error]
    assert found.error == pytest.approx(tests[-1], abs=1e-3)
    # What is left of an unfinished run is its averages, too.
    (run / "weights.safetensors").unlink()
    assert open_run(run).trained_weights().name == "iteration-0000120.averaged.safetensors"


@pytest.mark.parametrize("test", [1, 3])
def test_a_signal_during_a_test_leaves_it_for_later(
    spec: Path,
    recipe: Path,
    cifar: Path,
    whole: Path,
    tmp_path: Path,
    test: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, test_batches, tests = tmp_path / "run", Cifar10.test_batches, []

    def interrupted(self: Cifar10, crops: int) -> Iterator[tuple[Tensor, Tensor]]:
        tests.append(crops)
        if len(tests) == test:
            os.kill(os.getpid(), signal.SIGINT)
        return test_batches(self, crops)

    monkeypatch.setattr(Cifar10, "test_batches", interrupted)
    with pytest.raises(Interrupted) as stopped:
        archc.train(spec, str(recipe), cifar, run, options=CPU)
    assert stopped.value.iteration == (50, 100, 120)[test - 1]
    for _ in range(2):
        archc.train(spec, str(recipe), cifar, run, options=RESUME)
    assert equal(weights(whole), weights(run))
    tested = [
        [(row.iteration, row.test_error) for row in read_metrics(path) if row.test_error]
        for path in (run / "metrics.csv", whole / "metrics.csv")
    ]
    assert tested[0] == tested[1]


def command(spec: Path, recipe: Path, cifar: Path, run: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "archc", "train", str(spec), "--recipe", str(recipe)),
        *("--data", str(cifar), "--out", str(run), "--device", "cpu", *more),
    ]


def test_kill_9_and_resume_ends_in_the_same_weights(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path, whole: Path
) -> None:
    run = tmp_path / "run"
    for kills in range(2):
        child = subprocess.Popen(command(spec, recipe, cifar, run, "--resume"))
        wanted = (20, 60)[kills]
        while not list((run / "checkpoints").glob(f"iteration-{wanted:07d}.json")):
            assert child.poll() is None
            time.sleep(0.002)
        child.kill()
        child.wait()
    finished = shell.archc(*command(spec, recipe, cifar, run, "--resume")[3:])
    assert finished.returncode == 0, finished.stderr
    assert "120 iterations, test error" in finished.stdout
    assert equal(weights(whole), weights(run))


def test_a_damaged_checkpoint_gives_way_and_the_end_is_the_same(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path, whole: Path
) -> None:
    last = whole / "checkpoints" / "iteration-0000120.safetensors"
    last.write_bytes(last.read_bytes()[:-5])
    before = weights(whole)
    (whole / "weights.safetensors").unlink()
    watcher = Watcher()
    archc.train(spec, str(recipe), cifar, whole, options=RESUME, observer=watcher)
    assert watcher.words[0].startswith("the checkpoint of iteration 120 is damaged")
    assert watcher.words[0].endswith("continuing from iteration 100")
    assert equal(before, weights(whole))


def test_a_run_that_is_done_stays_as_it_is(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    before = weights(whole)
    trained = archc.train(spec, str(recipe), cifar, whole, options=RESUME)
    assert trained.iteration == 120
    assert trained.test is not None
    assert equal(before, weights(whole))


def test_what_a_killed_process_left_is_swept_and_what_is_damaged_mended(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    before = weights(whole)
    (whole / "checkpoints" / "iteration-0000120.json").unlink()
    for left in (whole / "checkpoints" / "iteration-0000140.json", whole / "run.json"):
        create(temporary_for(left), 0o600).close()
    mine = [whole / ".run.json.swp", whole / "checkpoints" / ".iteration-0000120.json.swp"]
    mine.append(whole / "checkpoints" / "iteration-best.safetensors")
    for path in mine:
        path.write_text("mine")
    (whole / "spec.yaml").write_text("x: [")
    mean = whole / "pixel-mean.safetensors"
    content = mean.read_bytes()
    mean.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(TrainingError, match=r"pixel-mean.safetensors' is damaged or missing"):
        archc.evaluate(whole, cifar)
    watcher = Watcher()
    archc.train(spec, str(recipe), cifar, whole, options=RESUME, observer=watcher)
    assert watcher.words == [
        "pixel-mean.safetensors is damaged or missing and will be computed again"
    ]
    assert equal(before, weights(whole))
    assert mean.read_bytes() == content
    assert archc.load(whole / "spec.yaml").params == archc.load(spec).params
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert sorted(path.name for path in whole.glob(".*")) == [".lock", ".run.json.swp"]
    assert len(list((whole / "checkpoints").iterdir())) == 6 + 2


@pytest.mark.parametrize("how", ["torn", "flipped", "other", "a pipe's"])
def test_weights_that_are_damaged_are_written_anew(
    spec: Path, recipe: Path, cifar: Path, whole: Path, how: str
) -> None:
    path, content = whole / "weights.safetensors", (whole / "weights.safetensors").read_bytes()
    if how == "a pipe's":
        path.unlink()
        path.symlink_to("/dev/null")
        with pytest.raises(OutputError, match=r"weights.safetensors': it is a device$"):
            archc.train(spec, str(recipe), cifar, whole, options=RESUME)
        path.unlink()
        return
    earlier = (whole / "checkpoints" / "iteration-0000100.safetensors").read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes({"torn": content[:-9], "flipped": flipped, "other": earlier}[how])
    watcher = Watcher()
    archc.train(spec, str(recipe), cifar, whole, options=RESUME, observer=watcher)
    assert watcher.words == ["weights.safetensors is damaged and is rewritten from the checkpoint"]
    assert path.read_bytes() == content


def test_a_seed_that_is_not_as_it_was_written(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    record = whole / "run.json"
    text = record.read_text()
    record.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(TrainingError, match=r"run.json' is damaged"):
        archc.train(spec, str(recipe), cifar, whole, options=RESUME)


def test_a_lock_that_is_not_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    lock = tmp_path / "run" / ".lock"
    lock.symlink_to("../mine")
    with pytest.raises(OutputError, match=r"'\.lock' in it is a link$"), _alone(tmp_path):
        raise AssertionError
    assert (tmp_path / "mine").read_text() == "mine"
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(OutputError, match=r"it is a pipe$"), _alone(tmp_path):
        raise AssertionError
    lock.unlink()
    lock.write_text("mine")
    with (
        _alone(tmp_path),
        pytest.raises(TrainingError, match="is already training in"),
        _alone(tmp_path),
    ):
        raise AssertionError
    assert lock.read_text() == "mine"
    lock.write_text("")
    with _alone(tmp_path):
        pass
    assert not (tmp_path / "run").exists()


def test_where_nothing_can_be_locked_training_goes_on_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archc.locks.fcntl", None)
    told: list[str] = []
    with alone(Run(tmp_path / "run"), told.append):
        pass
    assert told == [
        f"note: {str(tmp_path / 'run')!r} cannot be locked "
        "(this system does not support file locks); run only one training in it at a time"
    ]


def _alone(folder: Path) -> AbstractContextManager[None]:
    return alone(Run(folder / "run"), pytest.fail)


def test_other_images_are_no_images_to_go_on_with(
    spec: Path, recipe: Path, cifar: Path, whole: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(cifar, tmp_path / "other")
    shutil.copy(cifar / "test_batch.bin", other / "data_batch_1.bin")
    for path in ("weights.safetensors", "pixel-mean.safetensors"):
        (whole / path).unlink()
    with pytest.raises(TrainingError, match="was started with different images"):
        archc.train(spec, str(recipe), other, whole, options=RESUME)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"seed": 1}'])
def test_a_damaged_record(spec: Path, recipe: Path, cifar: Path, whole: Path, text: str) -> None:
    (whole / "run.json").write_text(text)
    with pytest.raises(TrainingError, match=r"run.json' is damaged") as told:
        archc.train(spec, str(recipe), cifar, whole, options=RESUME)
    assert told.value.hint == "the weights in checkpoints/ can be used without it"


def test_processes_that_have_not_been_started(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    options = TrainOptions(device="cpu", nodes=2)
    with pytest.raises(TrainingError, match="start the processes with torchrun") as told:
        archc.train(spec, str(recipe), cifar, tmp_path / "run", options=options)
    assert str(told.value.hint).startswith("torchrun --nnodes 2 --nproc_per_node 1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="4 processes were started for 1") as told:
        archc.train(spec, str(recipe), cifar, tmp_path / "run", options=CPU)
    assert told.value.hint == "give --devices 2 --nodes 2"


def test_folders_that_hold_something_else(
    spec: Path, recipe: Path, cifar: Path, whole: Path, tmp_path: Path
) -> None:
    def train(out: Path, options: TrainOptions, *settings: str) -> Trained:
        return archc.train(spec, str(recipe), cifar, out, settings=settings, options=options)

    with pytest.raises(TrainingError, match="already holds a run") as told:
        train(whole, CPU)
    assert told.value.hint == "--resume continues it"
    with pytest.raises(TrainingError, match="different recipe: `iterations` is not what it was"):
        train(whole, RESUME, "iterations=130")
    with pytest.raises(TrainingError, match="was started with seed 0"):
        train(whole, TrainOptions(device="cpu", resume=True, seed=3))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    for options in (CPU, RESUME):
        with pytest.raises(TrainingError, match=r"is not empty: it holds 'thesis.tex'"):
            train(tmp_path / "mine", options)
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]


def test_a_run_goes_on_with_another_archc_and_torch(
    spec: Path, recipe: Path, cifar: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, record = weights(whole), Run(whole)
    (whole / "checkpoints" / "iteration-0000120.json").unlink()
    (whole / "weights.safetensors").unlink()
    written = runs._read(record)
    sitting = {**written.sittings[0], "versions": {"archc": "0.0.9", "torch": "2.12.1"}}
    changes = {"spec_sha256": "0" * 64, "recipe_sha256": "1" * 64, "sittings": [sitting]}
    record.record.write_bytes(written.model_copy(update=changes).text())
    module = (whole / "module.py").read_text()
    (whole / "module.py").write_text(module.replace('"""', '"""Older words. ', 1))
    watcher = Watcher()
    archc.train(spec, str(recipe), cifar, whole, options=RESUME, observer=watcher)
    torch_now = importlib.metadata.version("torch")
    assert watcher.words == [
        "note: the spec has changed since the run began, but its module is the same",
        "note: this run was last trained with archc 0.0.9 and torch 2.12.1; it continues with "
        f"archc {archc.__version__} and torch {torch_now}",
    ]
    assert equal(before, weights(whole))
    after = runs._read(record)
    assert after.spec_sha256 == written.spec_sha256
    assert after.recipe_sha256 == written.recipe_sha256
    assert len(after.sittings) == 2


def test_a_run_whose_module_is_another_does_not_go_on(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    (whole / "weights.safetensors").unlink()
    spec.write_text(spec.read_text().replace("depth: 1, width: 8", "depth: 2, width: 8"))
    with pytest.raises(TrainingError, match="holds a run of a different spec, "):
        archc.train(spec, str(recipe), cifar, whole, options=RESUME)


def test_a_run_for_other_images_does_not_go_on(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    """The module is the same for images of another size."""
    spec.write_text(spec.read_text().replace("[3, 32, 32]", "[3, 28, 28]"))
    with pytest.raises(TrainingError, match="holds a run of a different spec, "):
        archc.train(spec, str(recipe), cifar, whole, options=RESUME)


def test_a_run_whose_module_archc_emits_otherwise_does_not_go_on(
    spec: Path, recipe: Path, cifar: Path, whole: Path
) -> None:
    module = whole / "module.py"
    module.write_text(module.read_text() + "\nEXTRA = 1\n")
    with pytest.raises(TrainingError, match="this archc emits a different module for") as told:
        archc.train(spec, str(recipe), cifar, whole, options=RESUME)
    words = f"continue it with archc {archc.__version__}, or choose another folder with --out"
    assert told.value.hint == words


def test_bfloat16_that_a_processor_has_not_is_a_note(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TrainOptions(device="cpu", precision="bfloat16")
    for has in (False, True):
        train = sys.modules["archc.training.training"]
        monkeypatch.setattr(train, "computes_bfloat16", lambda _, has=has: has)
        watcher = Watcher()
        settings = ["iterations=1", "batch=2"]
        run = tmp_path / str(has)
        archc.train(
            spec, str(recipe), cifar, run, settings=settings, options=options, observer=watcher
        )
        words = "note: this processor has no bfloat16 instructions; --precision float32 is faster"
        assert watcher.words == ([] if has else [f"{words} on it"])


def test_a_loss_that_is_no_number_ends_training_and_keeps_checkpoints(
    spec: Path, recipe: Path, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.Loop.step

    def spoilt(self: loop.Loop, images: Tensor, labels: Tensor) -> None:
        step(self, images * (float("nan") if self.iteration == 50 else 1), labels)

    monkeypatch.setattr(loop.Loop, "step", spoilt)
    run = tmp_path / "run"
    with pytest.raises(
        TrainingError, match=r"not finite at iteration \d+, with a learning rate"
    ) as e:
        archc.train(spec, str(recipe), cifar, run, options=CPU)
    assert e.value.hint is not None
    assert e.value.hint.endswith("the checkpoint of iteration 40 is kept")
    kept = sorted(path.name for path in (run / "checkpoints").glob("*.json"))
    assert kept == ["iteration-0000020.json", "iteration-0000040.json"]


def test_a_full_disk_ends_training_and_keeps_checkpoints(
    spec: Path,
    recipe: Path,
    cifar: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, fsync = tmp_path / "run", os.fsync

    def full(descriptor: int) -> None:
        if (run / "checkpoints" / "iteration-0000040.json").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="no space left on device"):
        archc.train(spec, str(recipe), cifar, run, options=CPU)
    monkeypatch.undo()
    names = sorted(os.listdir(run / "checkpoints"))
    assert len(names) == 6
    assert names[3:] == [
        f"iteration-0000040{end}" for end in (".json", ".momentum.safetensors", ".safetensors")
    ]
    archc.train(spec, str(recipe), cifar, run, options=RESUME)
    assert equal(weights(whole), weights(run))


COSINE = "learning_rate={initial: 0.02, schedule: cosine, warm_up_iterations: 10}"
WITHOUT_NORM = """
name: bare
input: [3, 32, 32]
classes: 10
norm: none
stem: [conv: {width: 16, kernel: 3, stride: 2}]
stages: [{block: basic, depth: 1, width: 32, shortcut: B, stride: 2}]
head: [global_avg_pool, linear]
"""


@pytest.mark.parametrize(
    "more", [[], ["label_smoothing=0.1", "ema_decay=0.9", "warm_up=null", COSINE]]
)
def test_two_processes_train_as_one_with_the_doubled_batch(
    recipe: Path, cifar: Path, tmp_path: Path, more: list[str]
) -> None:
    spec = tmp_path / "bare.yaml"
    spec.write_text(WITHOUT_NORM)
    settings = ["iterations=40", "learning_rate.initial=0.02", *more]
    archc.train(spec, str(recipe), cifar, tmp_path / "one", settings=settings, options=CPU)
    asked = [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(
        command(spec, recipe, cifar, tmp_path / "two", "--devices", "2", *asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"archc: wrote {tmp_path / 'two' / 'weights.safetensors'}\n"
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    fresh = load_file(fresh_weights(spec))
    for key in one:
        moved = (one[key] - fresh[key]).norm()
        assert moved > 1e-3
        assert (one[key] - two[key]).norm() < 1e-4 * moved
    tests = [
        [r.test_error for r in read_metrics(tmp_path / name / "metrics.csv") if r.test_error]
        for name in ("one", "two")
    ]
    assert tests[0] == pytest.approx(tests[1], abs=1.0)


def fresh_weights(spec: Path) -> Path:
    """The weights that training begins with, as a file."""
    from archc.recipes import load_recipe
    from archc.training.initialize import initial_module
    from archc.weights.files import to_safetensors

    module = initial_module(archc.load(spec), load_recipe("cifar10"), 0)
    path = spec.parent / "fresh.safetensors"
    path.write_bytes(to_safetensors(module.state_dict()))
    return path


def test_he_initialisation() -> None:
    with torch.device("meta"):  # torch would draw weights of its own first
        module = build_module(archc.load("torchvision/vgg11"))
    module.to_empty(device="cpu")
    initialize_he(module, torch.Generator().manual_seed(0))
    for layer in module.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            assert layer.weight.mean().abs() < 0.01
            assert layer.weight.var().item() == pytest.approx(2 / layer.weight[0].numel(), rel=0.15)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_dropout_draws_the_same_after_resuming(cifar: Path, recipe: Path, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "name: net\ninput: [3, 32, 32]\nclasses: 10\nstem: [conv: {width: 4, kernel: 3, stride: 4}]"
        "\nhead: [flatten, dropout: 0.5, linear]\n"
    )
    settings = ["iterations=40"]
    archc.train(spec, str(recipe), cifar, tmp_path / "a", settings=settings, options=CPU)
    archc.train(spec, str(recipe), cifar, tmp_path / "b", settings=settings, options=CPU)
    last = tmp_path / "b" / "checkpoints" / "iteration-0000040.json"
    last.unlink()
    archc.train(spec, str(recipe), cifar, tmp_path / "b", settings=settings, options=RESUME)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_batch_norm_wants_more_than_one_value(cifar: Path, recipe: Path, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "name: net\ninput: [3, 32, 32]\nclasses: 10\nstem: [global_avg_pool, batch_norm]\n"
        "head: [linear]\n"
    )
    with pytest.raises(TrainingError, match="a batch norm needs more than one value per channel"):
        archc.train(spec, str(recipe), cifar, tmp_path / "a", settings=["batch=1"], options=CPU)


def test_runs_can_be_opened(whole: Path, tmp_path: Path) -> None:
    run = open_run(whole)
    assert run.recipe().name == "trial"
    assert run.title == "tiny"
    with pytest.raises(TrainingError, match=r"is not a run folder: run.json is missing"):
        open_run(tmp_path)
