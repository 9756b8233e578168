"""``archc check`` of files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import archc

GOOD = "name: good\ninput: [3, 8, 8]\nhead: [global_avg_pool, linear: 10]\n"
OK = "ok, 1 layer, 40 parameters, 30 multiply-adds"
SKIPPED = "skipped: no `name`, `extends`, `stages`, `blocks` or `recipe`"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two specs, a recipe, and much that is neither."""
    files = {
        "specs/b.yaml": GOOD,
        "specs/a/good.yml": GOOD,
        "specs/a/mine.yaml": "extends: cifar10\nrecipe: mine\n",
        "specs/other.yaml": "services: {web: {name: x}}\n",
        "specs/list.yml": "- name: x\n",
        "specs/template.yaml": "{{ if x }}\nkey: [\n",
        "specs/empty.yaml": "",
        "specs/name.txt": "name: 1\n",
        "specs/name.YAML.bak": "name: 1\n",
        "specs/.hidden/x.yaml": "name: 1\n",
        "specs/.hidden.yaml": "name: 1\n",
        "elsewhere/x.yaml": "name: 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "specs" / "link.yaml").symlink_to("b.yaml")
    (tmp_path / "specs" / "linked").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def test_every_spec_below_a_folder_is_checked(folder: Path) -> None:
    done = archc("check", "specs", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"specs/b.yaml: {OK}",
        f"specs/a/good.yml: {OK}",
        "specs/a/mine.yaml: ok, a recipe of 64,000 iterations",
        f"3 files checked, 4 {SKIPPED}",
    ]


def test_a_spec_that_is_no_yaml_is_a_spec(folder: Path) -> None:
    (folder / "specs" / "c.yaml").write_text("name: c\nhead: [linear\n")
    (folder / "specs" / "d.yaml").write_text('{\n  "name": "d",\n')
    (folder / "specs" / "e.yaml").write_bytes("extends: x # caf\xe9\n".encode("latin-1"))
    (folder / "specs" / "f.yaml").write_text("stages: [{block: basic}]\n", encoding="utf-16")
    done = archc("check", "specs", cwd=folder)
    assert done.returncode == 1
    for name in ("c.yaml:2:7:", "d.yaml:", "e.yaml:1:17:", "f.yaml:1:1:"):
        assert f"specs/{name}" in done.stderr
    assert done.stderr.splitlines()[-1] == f"4 mistakes; 7 files checked, 4 {SKIPPED}"


def test_files_and_folders_together_each_once(folder: Path) -> None:
    done = archc("check", "specs/other.yaml", "specs/a", "specs", "specs/a/", cwd=folder)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "specs/a/good.yml",
        "specs/a/mine.yaml",
        "specs/b.yaml",
    ]
    assert "specs/other.yaml:1:1: error: a spec has no key `services`" in done.stderr
    assert done.stderr.splitlines()[-1] == f"1 mistake; 4 files checked, 3 {SKIPPED}"


def test_a_folder_without_specs(folder: Path) -> None:
    (folder / "none").mkdir()
    done = archc("check", "none", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    keys = "`name`, `extends`, `stages`, `blocks` or `recipe`"
    hint = f"hint: specs are *.yaml and *.yml files with {keys}"
    assert done.stderr == (
        "none:1:1: error: there is no spec below `none`\n"
        f"{hint} at the top\n"
        "1 mistake; 0 files checked\n"
    )
    (folder / "none" / "x.yaml").write_text("a: 1\n")
    done = archc("check", "none", "specs", cwd=folder)
    assert done.returncode == 1
    assert f"{hint} at the top; 1 file below it has none of them\n" in done.stderr


def test_folders_in_other_formats(folder: Path) -> None:
    (folder / "specs" / "c.yaml").write_text("name: c\nclases: 3\nhead: [linear]\n")
    done = archc("check", "specs", "--format", "json", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert [one["file"] for one in json.loads(done.stdout)] == ["specs/c.yaml"]
    done = archc("check", "specs", "--format", "github", cwd=folder)
    assert done.stdout.startswith("::error file=specs/c.yaml,line=2,col=1::")


def test_a_mistake_that_several_specs_inherit_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nclases: 3\nhead: [linear]\n")
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nextends: base.yaml\n")
    said = (
        "base.yaml:2:1: error: a spec has no key `clases`\n"
        "  clases: 3\n"
        "  ^\n"
        "hint: did you mean `classes`?\n"
        "b.yaml:2:10: note: base.yaml is extended here\n"
        "a.yaml:2:10: note: base.yaml is extended here\n"
    )
    done = archc("check", "a.yaml", "b.yaml", "base.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, said + "1 mistake\n")
    done = archc("count", "a.yaml", "b.yaml", "base.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("command", ["check", "count", "show", "emit"])
def test_an_input_that_is_height_width_channels(command: str, tmp_path: Path) -> None:
    name = "imagenet/resnet18"
    done = archc(command, name, "--input", "64,64,3", cwd=tmp_path)
    shown = "  64,64,3\n  ^\n1 warning\n" * (command == "check")
    assert (done.returncode, done.stderr) == (
        0,
        "--input:1:1: warning: 64,64,3 looks like height, width, channels; channels come first: "
        f"3,64,64 [input-order]\n{shown}",
    )
    done = archc(command, name, "--input", "3,64,64", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "net.yaml").write_text("name: n\ninput: [28, 28, 1]\nhead: [linear]\n")
    done = archc(command, "net.yaml", cwd=tmp_path)
    assert done.stderr.splitlines()[0] == (
        "net.yaml:2:8: warning: [28, 28, 1] looks like height, width, channels; channels come "
        "first: [1, 28, 28] [input-order]"
    )


def test_a_warning_is_told_once_for_several_specs() -> None:
    done = archc("count", "imagenet/resnet18", "imagenet/resnet34", "--input", "64,64,3")
    assert done.stderr.count("warning:") == 1
    done = archc("count", "imagenet/resnet18", "--input", "64,100,1")
    assert (done.returncode, done.stderr) == (0, "")


def test_types_of_a_file_of_blocks_are_checked_alone(tmp_path: Path) -> None:
    (tmp_path / "blocks.yaml").write_text(
        "blocks:\n"
        "  b:\n"
        "    attributes: {width: int, act: relu, wide: true}\n"
        "    layers:\n"
        "      - conv: {width: act, kernel: wide, activation: act}\n"
        "      - conv: {width: width + act, kernel: 3, groups: not width}\n"
    )
    result = archc("check", "blocks.yaml", cwd=tmp_path)
    assert result.returncode == 1
    errors = [line.partition(": error: ") for line in result.stderr.splitlines() if "error" in line]
    size = "an integer from 1 to 32,768, or [height, width]"
    assert [(place, message) for place, _, message in errors] == [
        (
            "blocks.yaml:5:23",
            "`width` must be an integer from 1 to 65,536, not `act`, which is an activation",
        ),
        ("blocks.yaml:5:36", f"`kernel` must be {size}, not `wide`, which is true or false"),
        ("blocks.yaml:6:31", "a number is needed here, not `act`, which is an activation"),
        (
            "blocks.yaml:6:59",
            "a condition must be true or false, not `width`, which is an integer",
        ),
    ]
