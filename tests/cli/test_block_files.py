"""Files of blocks, and the blocks of specs, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from shell import archc

import archc as package
from archc.graph import walk

LAB = """\
description: Blocks of a laboratory
blocks:
  gate:
    description: Channel attention
    attributes: {reduction: 16}
    layers: [{squeeze_excitation: {reduction: reduction}}]
  gated:
    attributes: {width: int, kernel: 3}
    layers: [{conv: {width: width, kernel: kernel, stride: stride}}, gate]
"""
NET = """\
name: net
input: [3, 8, 8]
use: [lab.yaml]
blocks:
  pair:
    attributes: {width: int}
    layers: [{gated: {width: width, stride: stride}}, {gate: {reduction: 4}}]
defaults: {block: pair}
stages: [{depth: 2, width: 16}, {depth: 2, width: 32, stride: 2}]
head: [global_avg_pool, linear]
"""
NOT_A_SPEC = """\
lab.yaml:2:1: error: this is a file of blocks, not a spec
  blocks:
  ^
hint: a spec gets these blocks with `use: [lab.yaml]`
"""
PLACE = "lab.yaml:1:1: error: "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "deep.yaml").write_text(
        "extends: net.yaml\nname: deep\nwith: {depth: [2, 4]}\n",
    )
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["count"],
        ["emit"],
        ["draw", "--blocks", "-o", "x.svg"],
        ["graph"],
        ["report", "-o", "x.html"],
        ["build"],
        ["sweep", "--vary", "width=3"],
        ["new", "x", "--from"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_wants_a_spec_says_what_it_got(command: list[str], folder: Path) -> None:
    done = archc(*command, "lab.yaml", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", NOT_A_SPEC)


def test_a_difference_of_one_is_in_trouble(folder: Path) -> None:
    done = archc("diff", "lab.yaml", "net.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (2, NOT_A_SPEC)


def test_show_prints_the_blocks_of_a_file_of_blocks(folder: Path) -> None:
    done = archc("show", "lab.yaml", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.startswith('blocks:\n  gate:\n    description: "Channel attention"\n')
    assert archc("show", "--blocks", "lab.yaml", cwd=folder).stdout == done.stdout
    assert package.show(folder / "lab.yaml") == done.stdout
    (folder / "shown.yaml").write_text(done.stdout)
    assert "ok, 2 blocks: gate, gated" in archc("check", "shown.yaml", cwd=folder).stdout


@pytest.mark.parametrize("file", ["lab.yaml", "net.yaml", "deep.yaml"])
def test_show_prints_a_block_of_a_file_with_those_that_it_uses(file: str, folder: Path) -> None:
    done = archc("show", "--blocks", "gated", file, cwd=folder)
    assert done.returncode == 0
    names = [line for line in done.stdout.splitlines() if line[:3].strip() and line[2:3] != " "]
    assert names == ["blocks:", "  squeeze_excitation:", "  gate:", "  gated:"]


def test_show_prints_a_block_that_no_stage_uses(folder: Path) -> None:
    (folder / "plain.yaml").write_text("name: plain\nuse: [lab.yaml]\nhead: [linear]\n")
    done = archc("show", "--blocks", "gated", "plain.yaml", cwd=folder)
    assert "  gated:" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["bottlenek"],
            "bottlenek:1:1: error: there is no block of the library, and no file, called "
            "`bottlenek`\nhint: did you mean `bottleneck`? `archc show --blocks bottlenek SPEC` "
            "prints a block of a spec\n",
        ),
        (
            ["gate"],
            "gate:1:1: error: there is no block of the library, and no file, called `gate`\n"
            "hint: `archc list --blocks` lists the library. `archc show --blocks gate SPEC` prints "
            "a block of a spec\n",
        ),
        (
            ["resnet18"],
            "resnet18:1:1: error: there is no file or shipped spec `resnet18`\n"
            "hint: did you mean `imagenet/resnet18` or `torchvision/resnet18`?\n",
        ),
        (
            ["gaet", "lab.yaml"],
            PLACE + "there is no block `gaet` in this file or the library\n"
            "hint: did you mean `gate`?\n",
        ),
        (
            ["botleneck", "lab.yaml"],
            PLACE + "there is no block `botleneck` in this file or the library\n"
            "hint: did you mean `bottleneck`?\n",
        ),
        (
            ["xyz", "lab.yaml"],
            PLACE + "there is no block `xyz` in this file or the library\n"
            "hint: its own blocks are `gate` and `gated`\n",
        ),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_block_that_does_not_exist(words: list[str], told: str, folder: Path) -> None:
    done = archc("show", "--blocks", *words, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["gate", "lab.yaml"],
            "Got unexpected extra argument (lab.yaml); --blocks prints a block of a spec",
        ),
        (["--blocks", "a", "b", "lab.yaml"], "Got unexpected extra argument (lab.yaml)"),
        (
            ["--blocks", "basic", "--with", "width=8"],
            "--with is for specs, and 'basic' is a block of the library",
        ),
    ],
    ids=["without --blocks", "two blocks", "options of specs"],
)
def test_a_wrong_command_line_of_show(words: list[str], told: str, folder: Path) -> None:
    done = archc("show", *words, cwd=folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"archc: error: {told}"


def test_a_block_of_the_library_is_not_a_spec(tmp_path: Path) -> None:
    done = archc("count", "basic", cwd=tmp_path)
    assert done.stderr == (
        "basic:1:1: error: there is no file or shipped spec `basic`\n"
        "hint: it is a block of the library, which `archc show --blocks basic` prints\n"
    )


@pytest.mark.parametrize("command", ["check", "show", "show --blocks"])
def test_options_of_specs_are_refused_for_a_file_of_blocks(command: str, folder: Path) -> None:
    for option, value in (("--with", "width=3"), ("--input", "3,8,8")):
        done = archc(*command.split(), "lab.yaml", option, value, cwd=folder)
        assert done.returncode == 1
        assert f"{PLACE}`{option}` is for specs, and this is a file of blocks" in done.stderr
    (told,) = package.check(folder / "lab.yaml", with_={"width": 3})
    assert told.message == "`with_` is for specs, and this is a file of blocks"


def test_options_of_specs_are_refused_for_a_recipe(folder: Path) -> None:
    (folder / "mine.yaml").write_text("extends: cifar10\nrecipe: mine\n")
    done = archc("check", "mine.yaml", "--input", "3,8,8", cwd=folder)
    assert done.returncode == 1
    assert "mine.yaml:1:1: error: `--input` is for specs, and this is a recipe" in done.stderr


def test_options_of_specs_are_for_the_specs_of_a_folder(folder: Path) -> None:
    done = archc("check", ".", "--with", "width=64", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "./lab.yaml: ok, 2 blocks: gate, gated" in done.stdout


def test_a_file_that_only_uses_others_is_a_file_of_blocks(folder: Path) -> None:
    (folder / "all.yaml").write_text("description: All\nuse: [lab.yaml]\n")
    assert archc("check", "all.yaml", cwd=folder).stdout == "all.yaml: ok, 2 blocks: gate, gated\n"


def test_the_schema_of_a_file_of_blocks_is_that_of_specs_that_use_it(folder: Path) -> None:
    done = archc("schema", "lab.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    valid = jsonschema.validators.validator_for(made := json.loads(done.stdout))(made)
    stage: dict[str, Any] = {"block": "gated", "depth": 2, "width": 8, "kernel": 5}
    spec: dict[str, Any] = {"name": "net", "use": ["lab.yaml"], "stages": [stage]}
    assert valid.is_valid(spec)
    assert not valid.is_valid({**spec, "stages": [{**stage, "kernle": 5}]})


def test_the_library_s_blocks_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (80, 66, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = archc("list", "--blocks").stdout.splitlines()
        assert columns - 12 < max(map(len, lines)) <= columns
    names = archc("list", "--blocks", "--format", "names").stdout.split()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == names


def test_blocks_of_files_are_listed_beside_the_library_s(folder: Path) -> None:
    done = archc("list", "--blocks", "net.yaml", "imagenet/resnet18", cwd=folder)
    assert done.stdout.startswith(
        "blocks of net.yaml\n"
        "gate                 Channel attention\n"
        "                     attributes: reduction\n"
        "gated                attributes: width, kernel\n"
        "pair                 attributes: width\n"
        "\n"
        "no blocks of imagenet/resnet18 itself\n"
        "\n"
        "blocks of the library\n"
        "basic                Two 3x3 "
    )
    names = archc("list", "--blocks", "lab.yaml", "--format", "names", cwd=folder).stdout.split()
    assert names[:3] == ["gate", "gated", "basic"]
    rows = json.loads(archc("list", "--blocks", "net.yaml", "--format", "json", cwd=folder).stdout)
    assert [row["file"] for row in rows[:4]] == ["lab.yaml", "lab.yaml", "net.yaml", None]
    assert rows[1] == {
        "block": "gated",
        "attributes": ["width", "kernel"],
        "description": "",
        "file": "lab.yaml",
    }


def test_blocks_of_standard_input(folder: Path) -> None:
    done = archc("list", "--blocks", "-", cwd=folder, stdin=LAB)
    assert done.stdout.startswith("blocks of standard input\ngate  ")


def test_a_spec_without_blocks_shows_a_mapping_without_any(folder: Path) -> None:
    (folder / "plain.yaml").write_text("name: plain\nhead: [linear]\n")
    assert archc("show", "--blocks", "plain.yaml", cwd=folder).stdout == "blocks: {}\n"


def test_a_long_name_of_a_block_has_a_line_of_its_own(folder: Path) -> None:
    name = "a_block_whose_name_is_long_beyond_reason"
    (folder / "long.yaml").write_text(f"blocks: {{{name}: {{layers: [relu], description: x}}}}\n")
    lines = archc("list", "--blocks", "long.yaml", cwd=folder).stdout.splitlines()
    assert lines[1:3] == [name, " " * 27 + "x"]


def test_list_without_blocks_says_how_files_are_listed(folder: Path) -> None:
    done = archc("list", "lab.yaml", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.endswith("torchvision; --blocks lists the blocks of a file\n")


def test_blocks_inside_a_block_do_not_count_as_blocks_of_the_stage(folder: Path) -> None:
    done = archc("diff", "net.yaml", "deep.yaml", cwd=folder)
    assert "stage 2   2 Pair, 32x4x4   4 Pair, 32x4x4 " in done.stdout
    found = package.compare(folder / "net.yaml", folder / "deep.yaml").parts
    stage = {pair.name: pair.b for pair in found}["stage 2"]
    assert stage is not None
    assert (stage.blocks, stage.block) == (4, "Pair")


def test_an_op_bears_the_label_of_the_block_of_its_stage(folder: Path) -> None:
    network = package.load(folder / "net.yaml")
    labels = {
        standing.label for standing in network.standings.values() if standing.block is not None
    }
    assert labels == {"Pair"}
    inner = {region.label for region in walk(network.regions) if region.kind == "group"}
    assert {"Gate", "Gated"} <= inner
