"""``archc build``: what it writes, and what it will not overwrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archc.api import draw, load
from archc.build import MANIFEST, ConflictError, build, digest, outputs
from archc.files import OutputError, write
from archc.spec import Spec, load_spec
from archc.spec.files import shipped_names

ROOT = Path(__file__).parents[1]

FIGURES = {
    "figure3.svg": lambda: draw("imagenet/vgg19", "imagenet/plain34", "imagenet/resnet34"),
    "figure5.svg": lambda: draw("imagenet/resnet34", "imagenet/resnet50", blocks=True),
    "resnet152-folded.svg": lambda: draw("imagenet/resnet152", fold=True),
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
    with pytest.raises(ConflictError, match="was changed by hand"):
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
    with pytest.raises(ConflictError, match="not a manifest"):
        build([load_spec("cifar10/resnet20")], tmp_path, figures=False)


def test_a_build_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    build([load_spec("cifar10/resnet20")], tmp_path, figures=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "imagenet").write_text("in the way")
    specs = [load_spec("cifar10/plain20"), load_spec("imagenet/plain34")]
    with pytest.raises(OutputError, match="a file stands where its folder should be"):
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
    with pytest.raises(ConflictError, match="is the manifest's"):
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
        f"'{out}/NET.py' and '{out}/net.py' differ by case alone, so that some systems take them "
        "for one file",
    )
    assert not (tmp_path / "out").exists()
    build([lower], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ConflictError, match="which archc built before, differ by case alone"):
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
    with pytest.raises(ConflictError, match="is the manifest's"):
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
    with pytest.raises(ConflictError, match="two specs would be written"):
        build(specs, tmp_path / "out", figures=False)
    assert not (tmp_path / "out").exists()


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
