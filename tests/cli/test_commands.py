"""The commands as a shell sees them: output, exit codes, and no traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import networkx
import pytest
from shell import archc

import archc as package
from archc.cli import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "name: tiny\ninput: [3, 8, 8]\nclasses: 10\n"
        "defaults: {block: basic, shortcut: A}\n"
        "stages: [{depth: 1, width: 4}, {depth: 1, width: 8, stride: 2}]\n"
        "head: [global_avg_pool, linear]\n"
    )
    return path


def test_the_issue_that_started_it_all_resnet34_against_vgg19() -> None:
    result = archc("count", "imagenet/resnet34", "imagenet/vgg19")
    assert result.returncode == 0
    assert re.search(r"^imagenet/resnet34 .* 3,644,493,824 +3\.64 G +18\.6 %$", result.stdout, re.M)
    assert re.search(r"^imagenet/vgg19 .* 19,632,062,464 +19\.63 G +100\.0 %$", result.stdout, re.M)


def test_options_apply_in_the_order_given(spec: Path) -> None:
    def widths(*options: str) -> list[int]:
        told = archc("show", str(spec), *options).stdout
        return [int(one) for one in re.findall(r"^    width: ([0-9]+)", told, re.M)]

    assert widths("--with", "width=6,12", "--set", "width=x2") == [12, 24]
    assert widths("--set", "width=x2", "--with", "width=6,12") == [6, 12]
    assert widths("--set", "width=8", "--set=width[2]=x2", "--set", "width=x0.5") == [4, 8]
    sizes = ["--set", "input=16", "--input", "1,24,24", "--set=input=12"]
    assert "input: [1, 12, 12] " in archc("show", *sizes, str(spec)).stdout
    assert "input: [1, 24, 24] " in archc("show", str(spec), *sizes[:-1]).stdout
    assert "width: 7" in archc("show", str(spec), "--set", "width[1]=7").stdout
    result = archc("show", str(spec), "--set")
    assert (result.returncode, "requires an argument" in result.stderr) == (2, True)


def test_a_set_is_told_where_it_is_and_names_the_spec(spec: Path) -> None:
    family = spec.with_name("family.yaml")
    family.write_text(spec.read_text().replace("tiny", "family") + "variables: {mult: 2}\n")
    result = archc("diff", str(spec), str(family), "--set", "mult=3")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--set:1:1: error: tiny has no key, variable or stage attribute `mult`" in result.stderr
    result = archc("count", str(spec), str(family), "--set", "classes=100", "--format", "json")
    assert [row["params"] for row in json.loads(result.stdout)] == [2064, 2064]
    result = archc("show", str(spec), "--set", "classes=3", "--set", "depth=2")
    assert re.search(r"^classes: 3 +# --set$", result.stdout, re.M)
    assert len(re.findall(r"depth: 2 +# --set$", result.stdout, re.M)) == 2
    assert "tiny.yaml --set classes=3" in archc("emit", str(spec), "--set", "classes=3").stdout


def test_a_set_that_changes_nothing_is_told(spec: Path) -> None:
    spec.write_text(spec.read_text().replace("linear]", "linear: 10]"))
    result = archc("count", str(spec), "--set", "classes=100")
    assert (result.returncode, "`classes` has no effect" in result.stderr) == (0, True)


def test_version_is_printed() -> None:
    result = archc("--version")
    assert (result.returncode, result.stdout) == (0, "archc 0.1.0\n")


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_with_examples(command: str) -> None:
    result = archc(command, "--help")
    assert result.returncode == 0
    assert "Examples:" in result.stdout
    assert "archc " + command in result.stdout or command == "completion"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["count"],
        ["count", "imagenet/resnet34", "--format", "xml"],
        ["count", "imagenet/resnet34", "--by", "weight"],
        ["count", "--frob", "imagenet/resnet34"],
        ["draw", "imagenet/resnet34"],
        ["draw", "imagenet/resnet34", "-o", "figure.bmp"],
        ["draw", "imagenet/resnet34", "--heat", "flops", "-o", "figure.svg"],
        ["graph", "imagenet/resnet34", "-o", "graph.xls"],
        ["list", "imagenot"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_with_2_and_writes_nothing(
    arguments: list[str], tmp_path: Path
) -> None:
    result = archc(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "\n\narchc: error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--fold --blocks", "--fold cannot be used with --blocks, which draws each block once"),
        (
            "--fold --overview",
            "--fold cannot be used with --overview, which draws each stage as one box",
        ),
        ("--blocks --overview", "--overview cannot be used with --blocks"),
        ("--diff --overview", "--overview cannot be used with --diff"),
        ("--heat params --overview", "--overview cannot be used with --heat"),
        ("--diff --blocks", "--blocks cannot be used with --diff"),
        ("--heat memory --blocks", "--blocks cannot be used with --heat"),
        ("--heat params --diff", "--diff cannot be used with --heat"),
        ("--diff", "--diff needs exactly two specs, not 1"),
        ("imagenet/plain18 imagenet/vgg19 --diff", "--diff needs exactly two specs, not 3"),
    ],
)
def test_kinds_of_figures_that_cannot_be_drawn_together(
    arguments: str, message: str, tmp_path: Path
) -> None:
    given = ["imagenet/resnet18", *arguments.split(), "-o", "figure.svg"]
    result = archc("draw", *given, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.endswith(f"archc: error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_answered_with_the_closest() -> None:
    assert "Did you mean `count`?" in archc("cout").stderr


@pytest.mark.parametrize("command", ["check", "show", "count", "graph", "emit", "build"])
def test_a_missing_spec_exits_with_1(command: str, tmp_path: Path) -> None:
    result = archc(command, "imagenet/resnet43", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(
        "imagenet/resnet43:1:1: error: there is no file or shipped spec `imagenet/resnet43`\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bad_with_is_shown_with_its_column() -> None:
    result = archc("count", "imagenet/resnet50", "--with", "depth=3,4,x,3")
    assert result.returncode == 1
    assert result.stderr == (
        "--with:1:11: error: `depth` must be an integer from 1 to 10,000, not `x`\n"
        "  depth=3,4,x,3\n"
        "            ^\n"
    )


def test_check_reports_the_mistakes_of_all_specs(spec: Path) -> None:
    broken = spec.with_name("broken.yaml")
    broken.write_text(spec.read_text().replace("basic", "bottelneck"))
    result = archc("check", spec.name, broken.name, cwd=spec.parent)
    assert result.returncode == 1
    assert result.stdout == "tiny.yaml: ok, 5 layers, 1.25 k parameters, 30.03 k multiply-adds\n"
    assert result.stderr == (
        "broken.yaml:4:19: error: there is no block `bottelneck`\n"
        "  defaults: {block: bottelneck, shortcut: A}\n"
        "                    ^\n"
        "hint: did you mean `bottleneck`?\n"
        "1 mistake\n"
    )


def test_check_speaks_json_and_github(spec: Path) -> None:
    spec.write_text(spec.read_text().replace("depth: 1, width: 4", "depth: 0, width: 4"))
    result = archc("check", spec.name, "--format", "json", cwd=spec.parent)
    assert result.returncode == 1
    (fault,) = json.loads(result.stdout)
    assert (fault["file"], fault["line"], fault["column"]) == ("tiny.yaml", 5, 18)
    result = archc("check", spec.name, "--format", "github", cwd=spec.parent)
    assert result.returncode == 1
    assert result.stdout.startswith("::error file=tiny.yaml,line=5,col=18::`depth` must be ")


def test_check_of_a_valid_spec_is_an_empty_list_in_json(spec: Path) -> None:
    result = archc("check", str(spec), "--format", "json")
    assert (result.returncode, json.loads(result.stdout)) == (0, [])


def test_a_spec_comes_from_standard_input(spec: Path) -> None:
    result = archc("count", "-", "--format", "json", stdin=spec.read_text())
    assert json.loads(result.stdout)[0]["name"] == "tiny"
    result = archc("count", "-", stdin="name: 3\nhead: [flatten]\n")
    assert result.returncode == 1
    assert result.stderr.startswith("<stdin>:1:7: error: ")


def test_count_as_json_is_exact_and_names_the_argument(spec: Path) -> None:
    result = archc("count", str(spec), "--format", "json", "--input", "3,16,16")
    (one,) = json.loads(result.stdout)
    assert list(one)[:4] == ["name", "spec", "input", "layers"]
    assert one["spec"] == str(spec)
    assert one["input"] == [3, 16, 16]
    assert one["flops"] == one["multiply_adds"] == sum(r["multiply_adds"] for r in one["rows"])
    assert [(r["stage"], r["block"]) for r in one["rows"]] == [(1, None), (2, None), (None, None)]


@pytest.mark.parametrize("command", ["count", "check"])
def test_standard_input_is_read_once(command: str, spec: Path) -> None:
    result = archc(command, "-", "-", stdin=spec.read_text())
    assert result.returncode == 2
    assert result.stderr.endswith("\n\narchc: error: standard input can be read only once\n")


def test_new_extends_no_standard_input_and_may_print(tmp_path: Path) -> None:
    result = archc("new", "net", "--from", "-", cwd=tmp_path, stdin="name: x\n")
    assert result.returncode == 2
    assert "a file cannot extend standard input" in result.stderr
    result = archc("new", "net", "--from", "imagenet/resnet50", "-o", "-", cwd=tmp_path)
    assert result.stdout.splitlines()[1].startswith("extends: imagenet/resnet50 ")
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("self", "a block cannot be called `self`: torch's modules have it"),
        ("class", "a block cannot be called `class`: that is a word of Python"),
        ("relu", "a block cannot be called `relu`: that is a word of the language"),
    ],
)
def test_new_writes_no_block_of_a_name_that_has_a_meaning(
    name: str, why: str, tmp_path: Path
) -> None:
    result = archc("new", "--block", name, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[0] == f"NAME:1:1: error: {why}"
    assert list(tmp_path.iterdir()) == []


def test_a_closed_standard_output_is_told() -> None:
    script = f"{sys.executable} -m archc count imagenet/resnet34 >&-"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "archc: error: cannot write to standard output: it is closed\n"


def test_a_shipped_name_without_its_group_is_answered_with_it(spec: Path) -> None:
    (spec.parent / "resnet65.yaml").write_text("name: resnet65\n")
    for name, hint in (
        ("resnet50", "`imagenet/resnet50` or `torchvision/resnet50`"),
        ("resnet66.yaml", "`resnet65.yaml`"),
        ("imagenet/resnet35", "`imagenet/resnet34`"),
    ):
        result = archc("count", name, cwd=spec.parent)
        assert result.stderr.endswith(f"hint: did you mean {hint}?\n")


def test_shipped_specs_are_called_by_their_names_throughout() -> None:
    shown = archc("show", "torchvision/resnext50_32x4d").stdout
    assert {
        line.split("#")[1].split(":")[0].strip() for line in shown.splitlines() if "#" in line
    } == {
        "default",
        "imagenet/plain34",
        "imagenet/resnet50",
        "std/bottleneck.yaml",
        "torchvision/resnet50",
        "torchvision/resnext50_32x4d",
    }


def test_count_as_csv_and_markdown(spec: Path) -> None:
    csv = archc("count", str(spec), "--format", "csv").stdout.splitlines()
    assert csv[0] == "spec,stage,block,part,op,output_shape,layers,params,multiply_adds"
    assert csv[1] == f"{spec},1,,stage 1,,4x8x8,2,268,16128"
    table = archc("count", str(spec), "--format", "markdown", "--by", "network").stdout
    assert table.splitlines()[1] == "| --- | --- | ---: | ---: | ---: | --- |"


def test_graph_reads_back_into_networkx(spec: Path, tmp_path: Path) -> None:
    data = json.loads(archc("graph", str(spec)).stdout)
    graph = networkx.node_link_graph(data, edges="edges")
    assert graph.nodes["layer2.0.shortcut"]["out_channels"] == 8
    out = tmp_path / "tiny.graphml"
    assert archc("graph", str(spec), "-o", str(out)).returncode == 0
    assert set(networkx.read_graphml(out)) == set(graph)


def test_show_prints_a_spec_that_compiles_to_the_same(spec: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yaml"
    assert archc("show", str(spec), "--with", "width=4,16", "-o", str(shown)).returncode == 0
    assert "# --with\n" in shown.read_text()
    again = archc("show", str(shown)).stdout
    strip = re.compile(r" +#.*")
    assert strip.sub("", again) == strip.sub("", shown.read_text())


def test_list_shows_every_shipped_network() -> None:
    result = archc("list")
    assert result.returncode == 0
    names = archc("list", "--format", "names").stdout.split()
    assert len(names) == 99
    assert all(name in result.stdout for name in names)
    rows = json.loads(archc("list", "torchvision/", "--format", "json").stdout)
    assert [row["spec"] for row in rows][:2] == ["torchvision/alexnet", "torchvision/convnext_base"]


def test_new_writes_a_variant_that_compiles_and_overwrites_nothing(tmp_path: Path) -> None:
    result = archc("new", "resnet65", "--from", "imagenet/resnet50", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "resnet65.yaml").read_text()
    first, *lines = text.splitlines()
    assert first.startswith("# yaml-language-server: $schema=")
    assert [line.split(":")[0] for line in lines] == ["extends", "name", "with"]
    assert result.stdout == ""
    assert result.stderr == (
        "archc: wrote resnet65.yaml\nhint: edit it, then run `archc count resnet65.yaml`\n"
    )
    assert archc("check", "resnet65.yaml", cwd=tmp_path).returncode == 0
    result = archc("new", "resnet65", "--from", "imagenet/resnet50", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "archc: error: 'resnet65.yaml' already exists\nhint: `--force` overwrites it\n"
    )
    assert archc("new", "9net", "--from", "imagenet/resnet50", cwd=tmp_path).returncode == 1


def test_new_refers_to_a_parent_by_the_way_from_the_new_file(spec: Path, tmp_path: Path) -> None:
    result = archc("new", "wide", "--from", "tiny.yaml", "-o", "sub/wide.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert '"../tiny.yaml"' in (tmp_path / "sub/wide.yaml").read_text()
    assert archc("check", "sub/wide.yaml", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["null", "true", "123", "1e3", "é", "\N{GRINNING FACE}", "a\x7f"])
def test_new_writes_any_name_as_the_text_that_it_is(name: str, spec: Path, tmp_path: Path) -> None:
    spec.rename(tmp_path / name)
    result = archc("new", "wide", "--from", name, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert archc("check", "wide.yaml", cwd=tmp_path).returncode == 0
    result = archc("sweep", name, "--vary", "depth=2", "--write", "to", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (written,) = (tmp_path / "to").iterdir()
    assert archc("check", str(written)).returncode == 0


def test_new_may_be_called_like_a_value(spec: Path, tmp_path: Path) -> None:
    assert archc("new", "true", "--from", str(spec), cwd=tmp_path).returncode == 0
    assert archc("check", "true.yaml", cwd=tmp_path).returncode == 0


def test_a_file_whose_name_no_yaml_can_hold_is_not_extended(spec: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.yaml")
    spec.rename(tmp_path / name)
    told = (
        "\N{REPLACEMENT CHARACTER}.yaml:1:1: error: a spec cannot extend this file: its name is "
        "not UTF-8\nhint: rename it\n"
    )
    for arguments in (
        ("new", "wide", "--from", name),
        ("sweep", name, "--vary", "depth=2", "--write", "to"),
    ):
        result = archc(*arguments, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (1, told)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_whose_name_is_not_utf8_is_read_and_told_of(spec: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.yaml")
    spec.rename(tmp_path / name)
    for arguments in (["count"], ["count", "--format", "csv"], ["count", "--format", "json"]):
        result = subprocess.run(
            [sys.executable, "-m", "archc", *arguments, name], cwd=tmp_path, capture_output=True
        )
        assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    result = archc("completion", shell)
    assert result.returncode == 0
    assert "_ARCHC_COMPLETE" in result.stdout


def test_completion_knows_the_shipped_specs() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from archc.cli import main; main()"],
        env={
            **os.environ,
            "_ARCHC_COMPLETE": "bash_complete",
            "COMP_WORDS": "archc count imagenet/resnet3",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,imagenet/resnet34" in result.stdout.splitlines()


def test_an_unwritable_output_is_told_and_nothing_is_left(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for target in (tmp_path / "file" / "net.py", tmp_path):
        result = archc("emit", str(spec), "-o", str(target))
        assert result.returncode == 1
        assert result.stderr.startswith("archc: error: cannot write ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tiny.yaml"]


def test_a_closed_pipe_is_no_error_message() -> None:
    script = f"{sys.executable} -m archc graph cifar10/resnet1202 | head -n 1"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert result.stdout == "{\n"
    assert result.stderr == ""


def test_what_is_imported_when_first_used_is_listed_too() -> None:
    assert set(package.__all__) <= set(dir(package))
    assert all(hasattr(package, name) for name in package.__all__)


def test_counting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from archc.cli import cli;"
        "result = CliRunner().invoke(cli, ['count', 'imagenet/resnet152']);"
        "assert result.exit_code == 0, result.output;"
        "print({'torch', 'networkx', 'resvg_py', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "set()\n", result.stderr


def test_drawing_and_emitting_import_no_torch() -> None:
    code = (
        "import sys, archc; archc.emit('imagenet/resnet34'); archc.draw('imagenet/resnet34');"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "False\n", result.stderr
