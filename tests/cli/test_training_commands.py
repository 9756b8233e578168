"""``archc train``, ``evaluate`` and ``curves`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from images import make_cifar
from shell import archc

SPEC = """
name: tiny
input: [3, 32, 32]
classes: 10
stem: [conv: {width: 4, kernel: 3, stride: 2}]
head: [global_avg_pool, linear]
"""
SHORT = ("--set", "limit=64", "--set", "iterations=100", "--set", "batch=8", "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, a spec, and a run that is done."""
    home = tmp_path_factory.mktemp("home")
    make_cifar(home / "images")
    (home / "tiny.yaml").write_text(SPEC)
    done = archc("train", "tiny.yaml", "--recipe", "cifar10", "--data", "images", *SHORT, cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "archc: wrote runs/tiny-cifar10/weights.safetensors\n"
    first, last = done.stdout.splitlines()
    assert first.startswith("iteration       100  test error ")
    assert last.startswith("runs/tiny-cifar10: 100 iterations, test error ")
    return home


def test_a_run_is_evaluated_with_its_own_recipe(home: Path) -> None:
    done = archc("evaluate", "runs/tiny-cifar10", "--data", "images", cwd=home)
    assert "of 10,000 images wrong" in done.stdout
    done = archc("evaluate", "runs/tiny-cifar10", "--data", "images", "--as-trained", cwd=home)
    assert "of 64 images wrong" in done.stdout
    ten = ("--crops", "10", "--as-trained", "--format", "json")
    told = json.loads(
        archc("evaluate", "runs/tiny-cifar10", "--data", "images", *ten, cwd=home).stdout
    )
    assert (told["subject"], told["crops"], told["images"]) == ("runs/tiny-cifar10", 10, 64)


def test_a_set_is_of_the_recipe_or_of_the_spec(home: Path) -> None:
    options = ("--data", "images", "--recipe", "cifar10", *SHORT)
    done = archc("train", "tiny.yaml", *options, "--set", "name=flat", "--set", "bacth=3", cwd=home)
    assert (done.returncode, done.stderr.split("\n")[0]) == (
        1,
        "--set:1:1: error: neither the recipe nor flat has a key `bacth`",
    )
    (home / "both.yaml").write_text(SPEC.replace("tiny", "both") + "variables: {batch: 1}\n")
    done = archc("train", "both.yaml", *options, cwd=home)
    assert done.returncode == 1
    assert "`batch` is a key of the recipe and a variable of both" in done.stderr
    assert "hint: write recipe.batch=8 or spec.batch=8" in done.stderr
    with_weights = ("evaluate", "tiny.yaml", "--weights", "runs/tiny-cifar10/weights.safetensors")
    limited = ("--data", "images", "--as-trained", "--set", "limit=32", "--set", "title=x")
    done = archc(*with_weights, *limited, cwd=home)
    assert "of 32 images wrong" in done.stdout
    for setting, told in (
        ("limit=32", "all images are tested, whatever `limit` is"),
        ("recipe.batch=8", "`batch` is for training and changes nothing of a test"),
        ("classes=11", "weights"),
    ):
        done = archc(*with_weights, "--data", "images", "--set", setting, cwd=home)
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    done = archc("evaluate", "runs/tiny-cifar10", "--set", "limit=3", "--data", "images", cwd=home)
    assert done.returncode == 2


def test_a_spec_is_evaluated_with_weights(home: Path) -> None:
    weights = "runs/tiny-cifar10/weights.safetensors"
    done = archc("evaluate", "tiny.yaml", "--weights", weights, "--data", "images", cwd=home)
    assert "of 10,000 images wrong" in done.stdout
    done = archc("evaluate", "tiny.yaml", "--data", "images", cwd=home)
    assert done.returncode == 2
    assert "a SPEC needs --weights FILE; a RUN has its own" in done.stderr
    done = archc("evaluate", "runs/tinny", "--data", "images", cwd=home)
    assert (done.returncode, done.stderr.split("\n")[0]) == (
        1,
        "runs/tinny:1:1: error: there is no file or shipped spec `runs/tinny`",
    )
    done = archc(
        *("evaluate", "cifar10/resnet20", "--weights", weights, "--data", "images"), cwd=home
    )
    assert done.returncode == 1
    assert "does not fit cifar10/resnet20" in done.stderr


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_curves_are_the_same_bytes_each_time(home: Path, suffix: str) -> None:
    for name in ("a", "b"):
        file = f"{name}.{suffix}"
        more = ("--split",) if suffix == "pdf" else ()
        done = archc("curves", *(["runs/tiny-cifar10"] * 2), "-o", file, *more, cwd=home)
        assert (done.returncode, done.stderr) == (0, f"archc: wrote {file}\n")
    assert (home / f"a.{suffix}").read_bytes() == (home / f"b.{suffix}").read_bytes()


def test_curves_are_as_wide_as_is_said(home: Path) -> None:
    for width, points in (("page", "481.88"), ("3.25in", "234pt"), (None, "233.85")):
        more = () if width is None else ("--width", width)
        done = archc("curves", "runs/tiny-cifar10", "-o", "w.svg", *more, cwd=home)
        assert done.returncode == 0
        assert f'width="{points}' in (home / "w.svg").read_text()
    done = archc("curves", "runs/tiny-cifar10", "-o", "w.svg", "--width", "8.25", cwd=home)
    assert done.returncode == 2
    assert "`8.25` has no unit: write 8.25cm, 8.25in or 8.25pt" in done.stderr


def test_curves_of_what_is_no_run(home: Path) -> None:
    done = archc("curves", "images", "-o", "c.svg", cwd=home)
    assert (done.returncode, done.stderr) == (
        1,
        "archc: error: 'images' is not a run folder: run.json is missing\n",
    )
    assert archc("curves", "runs/tiny-cifar10", "-o", "c.gif", cwd=home).returncode == 2


def test_a_run_is_not_overwritten(home: Path) -> None:
    options = ("--recipe", "cifar10", "--data", "images", *SHORT)
    done = archc("train", "tiny.yaml", *options, cwd=home)
    assert (done.returncode, done.stderr) == (
        1,
        "archc: error: 'runs/tiny-cifar10' already holds a run\nhint: --resume continues it\n",
    )
    done = archc("train", "tiny.yaml", *options, "--resume", cwd=home)
    assert done.stdout.startswith("runs/tiny-cifar10: 100 iterations, test error")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("tiny.yaml", "--recipe", "cifar10", "--data", "nowhere"),
            "archc: error: --data 'nowhere': there is no such folder\n",
        ),
        (
            ("imagenet/resnet18", "--recipe", "cifar10", "--data", "images"),
            "archc: error: the network has 1,000 classes; CIFAR-10 has 10\n"
            "hint: use `--set classes=10`, or write `classes: 10` in the spec\n",
        ),
        (
            ("tiny.yaml", "--recipe", "imagenet", "--data", "images"),
            "archc: error: there is no folder 'images/train'\n"
            "hint: a directory of images has train/CLASS/... and val/CLASS/...\n",
        ),
        (
            ("tiny.yaml", "--recipe", "cifar10", "--data", "images", "--devices", "3"),
            "archc: error: a batch of 128 images cannot be split evenly over 3 devices\n"
            "hint: `batch` in the recipe counts the images on all devices\n",
        ),
        (
            ("tiny.yaml", "--recipe", "cifar10", "--data", "images", "--input", "1,32,32"),
            "archc: error: tiny takes images of 1 channel; these have 3\n",
        ),
        (
            ("tiny.yaml", "--recipe", "cifar01", "--data", "images"),
            "--recipe:1:1: error: there is no file or shipped recipe `cifar01`\n  cifar01\n  ^\n"
            "hint: did you mean `cifar10`?\n",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_and_nothing_is_left(
    home: Path, arguments: tuple[str, ...], error: str
) -> None:
    done = archc("train", *arguments, "--out", "new", "--device", "cpu", cwd=home)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", error)
    assert not (home / "new").exists()


def test_check_knows_recipes(home: Path) -> None:
    (home / "mine.yaml").write_text("recipe: mine\nextends: cifar10\nbatch: 0\n")
    done = archc("check", "mine.yaml", "tiny.yaml", cwd=home)
    assert done.returncode == 1
    assert done.stderr.startswith("mine.yaml:3:8: error: `batch` must be an integer from 1")
    assert done.stdout.startswith("tiny.yaml: ok, 2 layers")
    (home / "mine.yaml").write_text("recipe: mine\nextends: cifar10\niterations: 10\n")
    assert (
        archc("check", "mine.yaml", cwd=home).stdout == "mine.yaml: ok, a recipe of 10 iterations\n"
    )
    assert "this is a recipe, not a spec" in archc("count", "mine.yaml", cwd=home).stderr
