"""``archc build``: what it writes, and what it will not overwrite."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archc.api import draw, load
from archc.building import MANIFEST, ConflictError, build, digest, outputs
from archc.errors import OutputError
from archc.files import write
from archc.shipped import shipped_names
from archc.spec import Spec, load_spec

ROOT = Path(__file__).parents[1]

FIGURES: dict[str, Callable[[], bytes]] = {
    "figure3.svg": lambda: draw("imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34"),
    "figure3-folded.svg": lambda: draw(
        "imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34", fold=True
    ),
    "figure5.svg": lambda: draw("imagenet/resnet34", "imagenet/resnet50", blocks=True),
    "figure3-column.svg": lambda: draw(
        "imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34", width="column"
    ),
    "resnet152-column.svg": lambda: draw("imagenet/resnet152", fold=True, width="column"),
    "resnets-page.svg": lambda: draw(
        *[f"imagenet/resnet{depth}" for depth in (18, 34, 50, 101, 152)], fold=True, width="page"
    ),
    "figure5-paper.svg": lambda: draw("imagenet/resnet34", "imagenet/resnet50", block="1:1"),
    "inception_v3.svg": lambda: draw("torchvision/inception_v3"),
    "branches.svg": lambda: draw(
        "torchvision/densenet121",
        "torchvision/mobilenet_v3_small",
        "torchvision/shufflenet_v2_x0_5",
        fold=True,
    ),
    "plain.svg": lambda: draw(
        "torchvision/alexnet",
        "torchvision/vgg11",
        "torchvision/squeezenet1_1",
        "torchvision/googlenet",
        fold=True,
    ),
    "mobile.svg": lambda: draw(
        "torchvision/mobilenet_v2",
        "torchvision/mnasnet1_0",
        "torchvision/efficientnet_b0",
        fold=True,
    ),
    "residual.svg": lambda: draw(
        "torchvision/resnext50_32x4d",
        "torchvision/regnet_y_400mf",
        "torchvision/convnext_tiny",
        fold=True,
    ),
    "blocks-with-branches.svg": lambda: draw(
        "timm/seresnet50",
        "torchvision/efficientnet_b0",
        "torchvision/inception_v3",
        block=["1:0", "2:1", "InceptionE"],
    ),
    "readme.svg": lambda: draw(
        "imagenet/resnet50",
        "timm/seresnet50",
        "torchvision/inception_v3",
        block=["1:1", "InceptionE"],
    ),
    "resnet152-folded.svg": lambda: draw("imagenet/resnet152", fold=True),
    "overview.svg": lambda: draw(
        "imagenet/resnet50",
        "torchvision/efficientnet_b0",
        "torchvision/densenet121",
        overview=True,
    ),
    "difference.svg": lambda: draw("torchvision/resnet50", "timm/seresnet50", diff=True, fold=True),
    "tutorial.svg": lambda: draw(
        "imagenet/resnet50", ROOT / "docs/tutorial/resnet65.yaml", diff=True, fold=True
    ),
    "heat.svg": lambda: draw(
        "imagenet/resnet50", "torchvision/vgg16", heat="multiply_adds", fold=True
    ),
    **{
        f"blocks/{spec.stem}.svg": partial(draw, spec, blocks=True)
        for spec in sorted((ROOT / "docs/blocks").glob("*.yaml"))
    },
}
"""What `make generated` draws beside what `archc build` writes."""


def test_it_writes_module_counts_and_figure_in_groups(tmp_path: Path) -> None:
    (built,) = build([load_spec("cifar10/resnet20")], tmp_path)
    assert list(built.files) == [f"cifar10/resnet20{e}" for e in (".py", ".json", ".svg")]
    assert all(built.files.values())
    counts = json.loads((tmp_path / "cifar10/resnet20.json").read_text())
    assert (counts["params"], counts["multiply_adds"]) == (269_722, 40_551_040)
    manifest = json.loads((tmp_path / MANIFEST).read_text())["files"]
    for name, known in manifest.items():
        assert digest((tmp_path / name).read_bytes()) == known


def test_a_second_build_writes_nothing(tmp_path: Path) -> None:
    specs = [load_spec("cifar10/resnet20")]
    build(specs, tmp_path, figures=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    (built,) = build(specs, tmp_path, figures=False)
    assert not any(built.files.values())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_builds_into_one_folder_share_the_manifest(tmp_path: Path) -> None:
    build([load_spec("cifar10/resnet20")], tmp_path, figures=False)
    build([load_spec("cifar10/plain20")], tmp_path, figures=False)
    manifest = json.loads((tmp_path / MANIFEST).read_text())["files"]
    assert len(manifest) == 4


def test_a_file_changed_by_hand_stays_unless_forced(tmp_path: Path) -> None:
    specs = [load_spec("cifar10/resnet20"), load_spec("cifar10/plain20")]
    build(specs[:1], tmp_path, figures=False)
    path = tmp_path / "cifar10/resnet20.py"
    path.write_text("# mine\n")
    with pytest.raises(ConflictError, match="was changed after archc wrote it"):
        build(specs, tmp_path, figures=False)
    assert path.read_text() == "# mine\n"
    assert not (tmp_path / "cifar10/plain20.py").exists()
    build(specs, tmp_path, figures=False, force=True)
    assert "class ResNet20" in path.read_text()


def test_a_file_that_is_not_archcs_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "cifar10/resnet20.py"
    path.parent.mkdir()
    path.write_text("# mine\n")
    with pytest.raises(ConflictError, match="was not written by archc build"):
        build([load_spec("cifar10/resnet20")], tmp_path, figures=False)
    assert path.read_text() == "# mine\n"


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"files": 3}')
    with pytest.raises(ConflictError, match="is not an archc manifest"):
        build([load_spec("cifar10/resnet20")], tmp_path, figures=False)


def test_a_build_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    build([load_spec("cifar10/resnet20")], tmp_path, figures=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "imagenet").write_text("in the way")
    specs = [load_spec("cifar10/plain20"), load_spec("imagenet/plain34")]
    with pytest.raises(OutputError, match="a file is in the place of its folder"):
        build(specs, tmp_path, figures=False)
    (tmp_path / "imagenet").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    build(specs, tmp_path, figures=False)


def test_a_figure_that_is_no_longer_asked_for_goes(tmp_path: Path) -> None:
    spec = load_spec("cifar10/resnet20")
    build([spec], tmp_path)
    build([load_spec("cifar10/resnet20", ["depth=1"])], tmp_path, figures=False)
    assert not (tmp_path / "cifar10/resnet20.svg").exists()
    assert "cifar10/resnet20.svg" not in (tmp_path / MANIFEST).read_text()
    build([spec], tmp_path)
    (tmp_path / "cifar10/resnet20.svg").write_text("mine")
    build([spec], tmp_path, figures=False)
    assert (tmp_path / "cifar10/resnet20.svg").read_text() == "mine"


def test_a_failed_write_keeps_a_figure_that_was_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build([load_spec("cifar10/resnet20")], tmp_path)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archc.files.os.fsync", fail)
    with pytest.raises(OutputError):
        build([load_spec("cifar10/resnet20", ["depth=1"])], tmp_path, figures=False)
    assert (tmp_path / "cifar10/resnet20.svg").exists()


def test_a_spec_called_like_the_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("name: manifest\nhead: [linear]\n")
    with pytest.raises(ConflictError, match="is reserved for the manifest"):
        build([load_spec(str(tmp_path / "net.yaml"))], tmp_path / "out", figures=False)
    assert not (tmp_path / "out").exists()


def specs_called(folder: Path, *names: str) -> list[Spec]:
    paths = [folder / f"{number}.yaml" for number in range(len(names))]
    for path, name in zip(paths, names, strict=True):
        path.write_text(f"name: {name}\nhead: [linear]\n")
    return [load_spec(str(path)) for path in paths]


@pytest.mark.parametrize("force", [False, True])
def test_names_that_differ_by_case_alone_are_one_name(tmp_path: Path, force: bool) -> None:
    """A folder travels, also to systems where they are one file."""
    lower, upper = specs_called(tmp_path, "net", "NET")
    with pytest.raises(ConflictError) as caught:
        build([lower, upper], tmp_path / "out", force=force)
    out = str(tmp_path / "out")
    assert caught.value.reasons == (
        f"'{out}/NET.py' and '{out}/net.py' differ only in case, and on some systems they "
        "are the same file",
    )
    assert not (tmp_path / "out").exists()
    build([lower], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ConflictError, match="which archc built earlier, differ only in case"):
        build([upper], tmp_path / "out", figures=False, force=force)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_name_is_free_again_once_its_files_are_gone(tmp_path: Path) -> None:
    lower, upper = specs_called(tmp_path, "net", "NET")
    build([lower], tmp_path / "out", figures=False)
    for name in ("net.py", "net.json"):
        (tmp_path / "out" / name).unlink()
    build([upper], tmp_path / "out", figures=False)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]
    assert sorted(manifest) == ["NET.json", "NET.py"]


def test_a_spec_called_like_the_manifest_in_capitals_is_refused(tmp_path: Path) -> None:
    specs = specs_called(tmp_path, "MANIFEST")
    with pytest.raises(ConflictError, match="is reserved for the manifest"):
        build(specs, tmp_path / "out", figures=False, force=True)


def test_the_same_spec_twice_is_built_once(tmp_path: Path) -> None:
    assert len(build([load_spec("cifar10/resnet20")] * 2, tmp_path, figures=False)) == 1


def test_a_spec_outside_a_specs_folder_has_no_group(tmp_path: Path) -> None:
    text = "name: net\nhead: [linear]\n"
    for folder, group in (("specs/mine", "mine"), ("specs/mine/deep", ""), ("elsewhere", "")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "net.yaml").write_text(text)
        assert load_spec(str(tmp_path / folder / "net.yaml")).group == group


def test_two_specs_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder, width in (("a", 4), ("b", 8)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.yaml").write_text(
            f"name: net\nstages: [{{block: basic, shortcut: A, depth: 1, width: {width}}}]\n"
        )
    specs = [load_spec(str(tmp_path / folder / "net.yaml")) for folder in "ab"]
    with pytest.raises(ConflictError, match="two specs would both be written"):
        build(specs, tmp_path / "out", figures=False)
    assert not (tmp_path / "out").exists()


# Kills, other builds, special files


def killed_after(renames: int, specs: list[Spec], folder: Path, **how: Any) -> bool:
    """Build in a process that is killed once it has put so many files in place; whether it was."""
    pid = os.fork()
    if pid == 0:
        replace, done = os.replace, 0

        def until_killed(*paths: Path) -> None:
            nonlocal done
            if done == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            replace(*paths)

        os.replace = until_killed  # type: ignore[assignment]
        build(specs, folder, **how)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


SMALL, LARGE = ["depth=1"], ["depth=2"]


@pytest.mark.parametrize("renames", range(6))
@pytest.mark.parametrize("then", [SMALL, LARGE, ["depth=4"]])
def test_a_build_killed_between_two_files_accuses_nobody(
    renames: int, then: list[str], tmp_path: Path
) -> None:
    def specs(with_: list[str]) -> list[Spec]:
        return [load_spec(name, with_) for name in ("cifar10/resnet20", "cifar10/plain20")]

    out, expected = tmp_path / "out", tmp_path / "expected"
    build(specs(SMALL), out, figures=False)
    assert killed_after(renames, specs(LARGE), out, figures=False)
    build(specs(then), out, figures=False)
    build(specs(then), expected, figures=False)
    assert everything(out) == everything(expected)


@pytest.mark.parametrize("renames", range(4))
def test_a_first_build_killed_leaves_files_of_archcs(renames: int, tmp_path: Path) -> None:
    specs = [load_spec("cifar10/resnet20")]
    assert killed_after(renames, specs, tmp_path, figures=False)
    (tmp_path / "cifar10/resnet20.json").unlink(missing_ok=True)
    build([load_spec("cifar10/resnet20", LARGE)], tmp_path, figures=False)
    names = {"cifar10/resnet20.py", "cifar10/resnet20.json"}
    assert everything(tmp_path).keys() == names | {MANIFEST}
    assert json.loads((tmp_path / MANIFEST).read_text())["files"].keys() == names


@pytest.mark.parametrize("renames", range(5))
def test_a_figure_that_was_to_go_is_known_after_a_kill(renames: int, tmp_path: Path) -> None:
    specs = [load_spec("cifar10/resnet20", LARGE)]
    build([load_spec("cifar10/resnet20", SMALL)], tmp_path)
    assert killed_after(renames, specs, tmp_path, figures=False) == (renames < 4)
    build(specs, tmp_path)
    build(specs, tmp_path, figures=False)
    assert not (tmp_path / "cifar10/resnet20.svg").exists()


def test_what_is_changed_by_hand_after_a_kill_is_not_archcs(tmp_path: Path) -> None:
    build([load_spec("cifar10/resnet20", SMALL)], tmp_path, figures=False)
    assert killed_after(1, [load_spec("cifar10/resnet20", LARGE)], tmp_path, figures=False)
    (tmp_path / "cifar10/resnet20.py").write_text("# mine\n")
    with pytest.raises(ConflictError, match=r"resnet20.py' was changed after archc wrote it"):
        build([load_spec("cifar10/resnet20", LARGE)], tmp_path, figures=False)


def test_a_second_build_waits_and_says_so(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    told: list[str] = []

    def say(words: str) -> None:
        told.append(words)
        assert os.listdir(tmp_path) == []
        os.close(folder)

    build([load_spec("cifar10/resnet20")], tmp_path, figures=False, say=say)
    assert told == [
        f"another build is writing to {str(tmp_path)!r}; waiting for it to finish",
    ]
    assert sorted(os.listdir(tmp_path)) == ["cifar10", MANIFEST]


def test_builds_at_once_are_all_there(tmp_path: Path) -> None:
    names = ["resnet20", "plain20", "resnet32", "resnet44"]
    command = [sys.executable, "-m", "archc", "build", "-o", "out", "--no-figures"]
    builds = [
        subprocess.Popen([*command, f"cifar10/{name}"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        for name in [*names, *names]
    ]
    assert [process.wait(120) for process in builds] == [0] * 8
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]
    assert len(manifest) == 2 * len(names)
    assert everything(tmp_path / "out").keys() == {MANIFEST, *manifest}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, None])
def test_where_nothing_can_be_locked_a_build_goes_on_with_a_note(
    number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number or 0))

    monkeypatch.setattr("archc.locks.fcntl", SimpleNamespace(flock=flock, LOCK_EX=1, LOCK_NB=2))
    if number is None:
        monkeypatch.setattr("archc.locks.fcntl", None)
    told: list[str] = []
    build([load_spec("cifar10/resnet20")], tmp_path, figures=False, say=told.append)
    why = os.strerror(number).lower() if number else "this system does not support file locks"
    assert told == [
        f"note: {str(tmp_path)!r} cannot be locked ({why}); run only one build into it at a time"
    ]
    assert (tmp_path / "cifar10/resnet20.py").exists()


@pytest.mark.parametrize("name", ["cifar10/resnet20.py", "cifar10/resnet20.svg", MANIFEST])
@pytest.mark.parametrize("force", [False, True])
def test_special_files_are_refused_in_words(name: str, force: bool, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    os.mkfifo(tmp_path / name)
    for kind in ("a pipe", "a device"):
        with pytest.raises(OutputError) as told:
            build([load_spec("cifar10/resnet20")], tmp_path, force=force)
        assert str(told.value) == f"cannot write {str(tmp_path / name)!r}: it is {kind}"
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/dev/zero")
    (tmp_path / name).unlink()
    assert everything(tmp_path) == {}


def test_a_failed_write_leaves_the_old_file_and_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archc.files.os.fsync", fail)
    with pytest.raises(OutputError, match="no space left on device"):
        write(path, b"new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", shipped_names())
def test_generated_is_up_to_date(name: str) -> None:
    """`make generated` writes it."""
    group = name.split("/")[0]
    made = outputs(load(name), group, figures=group == "imagenet")
    for path, content in made.items():
        assert (ROOT / "generated" / path).read_bytes() == content, f"{path} is stale"


@pytest.mark.parametrize("name", FIGURES)
def test_the_generated_figures_are_up_to_date(name: str) -> None:
    assert (ROOT / "generated" / name).read_bytes() == FIGURES[name]()


def test_generated_holds_nothing_else() -> None:
    manifest = json.loads((ROOT / "generated" / MANIFEST).read_text())["files"]
    present = {
        path.relative_to(ROOT / "generated").as_posix()
        for path in (ROOT / "generated").rglob("*")
        if path.is_file()
    }
    assert present == {*manifest, MANIFEST, *FIGURES}
