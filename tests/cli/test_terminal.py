"""What reaches a terminal: nothing that disturbs it, diagnostics in colour, words behind Tab."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import archc.cli
from archc.backends.figure import png
from archc.backends.table import Column, Table
from archc.cli import COMMANDS, GROUPS, cli
from archc.cli.terminal import say, say_click_error
from archc.errors import ArchcWarning
from archc.text import visible

HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|^FORGED",
    re.MULTILINE,
)
"""What no text may hold, a second line that a file name has begun included."""

HOSTILE = "e\x1b[31m\r\nFORGED\u202e\x85\udcff"
"""A file name: colours, the start of the line, another line, right to left, no UTF-8."""

SPEC = """\
name: tiny
title: "T\u200fx $\\\\foo$ \u202e"
description: "D\u202e \u2066y"
input: [3, 8, 8]
classes: 5
stages: [{block: basic, depth: 1, width: 4, shortcut: A}]
head: [global_avg_pool, linear]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path(f"{HOSTILE}.yaml").write_text(SPEC)
    Path(f"{HOSTILE}-broken.yaml").write_text(SPEC.replace("stages", "stagess"))
    Path(f"{HOSTILE}.py").write_text("raise ValueError('\\x1b[31m\\nFORGED\\u202e')\n")
    Path(f"{HOSTILE}-folder").mkdir()
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["archc", *arguments])
    with pytest.raises(SystemExit) as ended:
        archc.cli.main()
    code = ended.value.code
    out, err = (part.decode(errors="surrogateescape") for part in capfdbinary.readouterr())
    return (code if isinstance(code, int) else 1), out, err


GOOD, BROKEN, NOWHERE = f"{HOSTILE}.yaml", f"{HOSTILE}-broken.yaml", f"{HOSTILE}-nowhere"
COMMAND_LINES: list[tuple[int, list[str]]] = [
    (0, ["check", GOOD]),
    (1, ["check", BROKEN]),
    (1, ["check", NOWHERE]),
    (1, ["check", BROKEN, "--format", "json"]),
    (1, ["check", BROKEN, "--format", "github"]),
    (0, ["show", GOOD]),
    (0, ["count", GOOD]),
    (0, ["count", GOOD, GOOD, "--format", "markdown"]),
    (0, ["count", GOOD, "--format", "json"]),
    (0, ["count", GOOD, "--convention", "thop"]),
    (1, ["count", GOOD, "--roofline", HOSTILE]),
    (1, ["count", GOOD, "--roofline", "h200-bf16", "--devices", GOOD]),
    (1, ["count", GOOD, "--with", HOSTILE]),
    (1, ["count", GOOD, "--input", HOSTILE]),
    (0, ["fit", GOOD, "--memory", "1GB"]),
    (2, ["fit", GOOD, "--memory", HOSTILE]),
    (1, ["diff", GOOD, "imagenet/resnet18"]),
    (1, ["diff", GOOD, "imagenet/resnet18", "--format", "markdown"]),
    (0, ["sweep", GOOD, "--vary", "depth=1,2", "-o", f"{HOSTILE}.csv", "--plot", f"{HOSTILE}.svg"]),
    (1, ["sweep", GOOD, "--vary", "depth=1,2", "--write", f"{HOSTILE}-variants"]),  # not UTF-8
    (1, ["sweep", GOOD, "--vary", "depth=1,2", "--plot", f"{GOOD}/x.svg"]),
    (1, ["sweep", GOOD, "--vary", HOSTILE]),
    (0, ["graph", GOOD]),
    (0, ["graph", GOOD, "--format", "graphml"]),
    (0, ["emit", GOOD]),
    (1, ["emit", GOOD, "-o", f"{HOSTILE}-folder"]),
    (0, ["build", GOOD, "-o", f"{HOSTILE}-built"]),
    (1, ["build", GOOD, "-o", GOOD]),
    (1, ["new", "mine", "--from", GOOD, "-o", f"{HOSTILE}-new.yaml"]),  # not UTF-8
    (0, ["new", "mine", "--from", "imagenet/resnet18", "-o", f"{HOSTILE}-new.yaml"]),
    (1, ["new", "mine", "--from", GOOD, "-o", BROKEN]),
    (1, ["new", HOSTILE, "--from", GOOD]),
    (0, ["draw", GOOD, "-o", "-", "--format", "svg"]),
    (0, ["draw", GOOD, "-o", "-", "--format", "dot"]),
    (0, ["draw", GOOD, "-o", "-", "--format", "tex", "--transparent"]),
    (1, ["draw", GOOD, "-o", f"{GOOD}/x.svg"]),
    (0, ["report", GOOD, "imagenet/resnet18", "-o", "-"]),
    (1, ["fold", GOOD, NOWHERE, "-o", "x.safetensors"]),
    (1, ["fold", GOOD, BROKEN, "-o", "x.safetensors"]),
    (1, ["verify", GOOD, "--source", f"{HOSTILE}.py"]),
    (2, ["verify", GOOD, "--device", HOSTILE]),
    (1, ["train", GOOD, "--recipe", HOSTILE, "--data", "."]),
    (1, ["train", GOOD, "--recipe", "cifar10", "--set", HOSTILE, "--data", "."]),
    (1, ["evaluate", f"{HOSTILE}-folder", "--data", "."]),
    (1, ["curves", f"{HOSTILE}-folder", "-o", "x.svg"]),
    (1, ["watch", NOWHERE]),
    (2, ["count", f"--{HOSTILE}", GOOD]),
    (2, ["count", GOOD, "--by", HOSTILE]),
    (2, ["draw", GOOD, "-o", NOWHERE]),
    (2, ["list", HOSTILE]),
    (2, [HOSTILE]),
]


@pytest.mark.parametrize(
    ("code", "arguments"),
    [pytest.param(*row, id=f"{n} {row[1][0][:8]!a}") for n, row in enumerate(COMMAND_LINES)],
)
def test_no_text_disturbs_a_terminal(
    code: int,
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    found, out, err = run(monkeypatch, capfdbinary, *arguments)
    assert found == code, out + err
    assert "internal error" not in err
    for text in (out, err):
        assert HARMFUL.search(text) is None, repr(text)


def test_every_command_that_takes_a_text_is_tried() -> None:
    tried = {arguments[0] for _, arguments in COMMAND_LINES}
    assert set(COMMANDS) - tried == {"schema", "bench", "export", "completion", "explain", "lift"}


def test_json_and_csv_keep_a_file_name_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    _, out, _ = run(monkeypatch, capfdbinary, "count", GOOD, "--format", "json")
    assert out.isascii()
    assert json.loads(out)[0]["spec"] == GOOD
    _, out, _ = run(monkeypatch, capfdbinary, "check", BROKEN, "--format", "json")
    assert json.loads(out)[0]["file"] == BROKEN
    _, out, _ = run(monkeypatch, capfdbinary, "count", GOOD, "--format", "csv")
    assert [row[0] for row in csv.reader(io.StringIO(out, newline=""))][1:] == [GOOD, GOOD]


def test_show_writes_what_is_not_seen_as_escapes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    _, out, _ = run(monkeypatch, capfdbinary, "show", GOOD)
    assert '"D\\u202e \\u2066y"' in out
    Path("shown.yaml").write_text(out)
    assert run(monkeypatch, capfdbinary, "show", "shown.yaml")[1].count('"D\\u202e \\u2066y"') == 1


def test_figures_and_pages_of_hostile_texts_are_well_formed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for arguments in (["draw", GOOD, "-o", "-", "--format", "svg"], ["graph", GOOD]):
        if arguments[0] == "graph":
            arguments += ["--format", "graphml"]
        _, out, _ = run(monkeypatch, capfdbinary, *arguments)
        root = ElementTree.fromstring(out.encode())
        assert root.tag.rpartition("}")[2] in ("svg", "graphml")


@given(st.lists(st.text()))
def test_what_is_said_is_a_line_each(lines: list[str]) -> None:
    @click.command()
    def command() -> None:
        say(*lines)

    output = CliRunner().invoke(command).output
    assert HARMFUL.search(output.replace("FORGED", "")) is None
    assert output.count("\n") == len(lines)


@given(st.text())
def test_cells_titles_and_headings_are_visible(text: str) -> None:
    table = Table((Column(text, "key"),), ((text,),), text)
    for shown in (table.text(), table.markdown()):
        assert HARMFUL.search(shown.replace("FORGED", "")) is None
    assert table.texts(table.rows[0]) == [visible(text)]


@given(st.text())
def test_what_click_says_is_visible(text: str) -> None:
    @click.command()
    def command() -> None:
        say_click_error(click.UsageError(text))

    output = CliRunner().invoke(command).output
    assert HARMFUL.search(output.replace("FORGED", "")) is None
    assert output.count("\n") == 1


# CSV


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("-", "-"),
        ("a=b", "a=b"),
        (-5, "-5"),
        (-0.5, "-0.5"),
        (None, ""),
        ((3, 8, 8), "3x8x8"),
    ],
)
def test_a_text_in_csv_is_no_formula(cell: str | int | float | None, written: str) -> None:
    table = Table((Column("a", "a"), Column("b", "b")), ((cell, 1),))
    assert table.csv() == f"a,b\n{written},1\n"


def test_a_carriage_return_in_csv_is_no_formula() -> None:
    assert Table((Column("a", "a"),), (("\r=1",),)).csv() == 'a\n"\'\r=1"\n'


def test_a_file_name_in_csv_is_no_formula(folder: Path) -> None:
    Path("=cmd.yaml").write_text(SPEC)
    output = CliRunner().invoke(cli, ["count", "=cmd.yaml", "--format", "csv"]).output
    assert output.splitlines()[1].startswith("'=cmd.yaml,")


# Colours

DIAGNOSTIC = """\
\x1b[1mx.yaml:1:1:\x1b[0m \x1b[31m\x1b[1merror:\x1b[0m a spec has no key `nmae`
  nmae: x
  \x1b[32m\x1b[1m^\x1b[0m
\x1b[36m\x1b[1mhint:\x1b[0m did you mean `name`?
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "x.yaml").write_text("nmae: x\n")
    return tmp_path


def stderr_of(folder: Path, *arguments: str, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if "COLOR" not in key}
    result = subprocess.run(
        [sys.executable, "-m", "archc", *arguments],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stderr


@pytest.mark.parametrize("command", [["count"], ["check"], ["emit"], ["diff", "x.yaml"]])
def test_diagnostics_are_coloured_where_it_is_forced(broken: Path, command: list[str]) -> None:
    coloured = stderr_of(broken, *command, "x.yaml", FORCE_COLOR="1")
    assert coloured.startswith(DIAGNOSTIC)
    plain = stderr_of(broken, *command, "x.yaml")
    assert re.sub(r"\x1b\[[0-9]*m", "", coloured) == plain
    assert stderr_of(broken, *command, "x.yaml", FORCE_COLOR="1", NO_COLOR="1") == plain
    assert "\x1b" not in plain


def test_other_errors_are_coloured(broken: Path) -> None:
    text = stderr_of(broken, "new", "x", "--from", "imagenet/vgg19", FORCE_COLOR="1")
    assert text == (
        "\x1b[31m\x1b[1marchc: error:\x1b[0m 'x.yaml' already exists\n"
        "\x1b[36m\x1b[1mhint:\x1b[0m `--force` overwrites it\n"
    )


@pytest.mark.parametrize(
    ("environment", "has_colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_diagnostics_are_coloured_on_a_terminal(
    broken: Path, environment: dict[str, str], has_colour: bool
) -> None:
    kept = {key: value for key, value in os.environ.items() if "COLOR" not in key}
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "archc", "count", "x.yaml"],
            cwd=broken,
            env=kept | environment,
            stderr=theirs,
            check=False,
        )
        shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown.startswith(DIAGNOSTIC) == has_colour
    assert ("\x1b" in shown) == has_colour


def test_a_source_that_looks_like_a_diagnostic_is_not_coloured(broken: Path) -> None:
    (broken / "x.yaml").write_text("nmae: 'a.yaml:1:1: error: b'\n")
    lines = stderr_of(broken, "count", "x.yaml", FORCE_COLOR="1").splitlines()
    assert lines[1] == "  nmae: 'a.yaml:1:1: error: b'"


# Warnings


def test_warnings_are_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("zh.yaml").write_text(
        "name: zh\ntitle: 残差 34 \U0001f680\nhead: [global_avg_pool, linear]\n"
    )
    monkeypatch.setattr(png, "unknown", list)
    for format, problem in (
        ("png", "no font on this machine has glyphs"),
        ("pdf", "the figure font has no glyphs"),
    ):
        code, out, err = run(monkeypatch, capfdbinary, "draw", "zh.yaml", "-o", f"zh.{format}")
        assert (code, out) == (0, "")
        assert err.startswith(
            f"archc: warning: {problem} for 残 (U+6B8B), 差 (U+5DEE) and "
            f"\U0001f680 (U+1F680): the {format.upper()} shows boxes instead; "
            "draw it as SVG to use the viewer's fonts\n"
        )
    code, _, err = run(monkeypatch, capfdbinary, "draw", "zh.yaml", "-o", "zh.svg")
    assert code == 0
    assert "warning" not in err


def test_a_program_gets_the_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "unknown", list)
    path = tmp_path / "zh.yaml"
    path.write_text("name: zh\ntitle: 层\nhead: [global_avg_pool, linear]\n")
    with pytest.warns(ArchcWarning, match=r"has glyphs for 层 \(U\+5C42\): the PNG"):
        drawn = archc.draw(path, format="png")
    assert drawn.startswith(b"\x89PNG")


# Help and completion


def test_help_groups_the_commands_without_importing_them() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from archc.cli import cli;"
        "print(CliRunner().invoke(cli, ['--help']).output);"
        "print([name for name in sys.modules if name.endswith('_command')])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    headings = re.findall(r"^(\w+):$", output, re.MULTILINE)
    assert headings == ["Options", *GROUPS]
    assert list(GROUPS) == ["Author", "Count", "Draw", "Modules", "Train", "Shell"]
    for commands in GROUPS.values():
        for name, help in commands.items():
            assert re.search(rf"^  {name} +{re.escape(help)}$", output, re.MULTILINE)
    assert output.splitlines()[-1] == "[]"


def completed(*words: str, folder: Path | None = None) -> list[str]:
    """What bash is offered for the last word."""
    result = subprocess.run(
        [sys.executable, "-m", "archc"],
        cwd=folder,
        env={
            **os.environ,
            "_ARCHC_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["archc", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_attributes_are_offered() -> None:
    basic = ["block=", "depth=", "width=", "stride=", "shortcut="]
    assert completed("count", "imagenet/resnet34", "--with", "") == basic
    of_network = ["input=", "classes=", "norm=", "activation=", "pre_activation="]
    assert completed("sweep", "imagenet/resnet34", "--vary", "") == [*of_network, *basic]
    header = ["name=", "title=", *of_network, "init=", "names="]
    assert completed("count", "imagenet/resnet34", "--set", "") == [*header, *basic]
    assert completed("sweep", "imagenet/resnet34", "--vary", "s") == ["stride=", "shortcut="]
    assert completed("count", "torchvision/vgg11", "--with", "k") == ["kernel="]
    assert completed("diff", "torchvision/vgg11", "imagenet/resnet50", "--with", "") == [
        *basic[:4],
        *("kernel=", "bias=", "pool="),
        *("shortcut=", "stride_at=", "expansion=", "groups=", "base_width="),
    ]
    every = completed("count", "--with", "")
    assert {"depth=", "kernel=", "expansion="} < set(every)
    assert completed("count", "nowhere.yaml", "--with", "") == every


def test_attributes_are_offered_of_a_spec_that_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("nmae: x\n")
    assert "kernel=" in completed("count", "x.yaml", "--with", "", folder=tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "kernel=" in completed("count", "pipe", "--with", "", folder=tmp_path)


def test_devices_are_offered(tmp_path: Path) -> None:
    assert completed("count", "--roofline", "h200") == ["h200-bf16", "h200-tf32", "h200-fp32"]
    (tmp_path / "mine.yaml").write_text(
        "mine: {title: M, dtype: float16, tflops: 1, gb_per_s: 1, source: me}\n"
    )
    words = ("count", "--devices", "mine.yaml", "--roofline", "m")
    assert completed(*words, folder=tmp_path) == ["mine"]
    assert completed("count", "--devices", "none.yaml", "--roofline", "a100")


def test_columns_are_offered() -> None:
    columns = ["layers", "params", "multiply_adds"]
    dashed = [f"-{name}" for name in columns]
    assert completed("sweep", "x", "--sort", "") == columns + dashed
    assert completed("sweep", "x", "--sort", "-") == dashed
    assert completed("sweep", "x", "--sort", "-p") == ["-params"]
    assert completed("sweep", "x", "--max", "p") == ["params="]
    assert completed("sweep", "x", "--s") == ["--set", "--sort"]


def test_settings_of_recipes_are_offered() -> None:
    assert completed("train", "x", "--set", "testing.") == ["testing.resize=", "testing.crops="]
    assert completed("train", "x", "--set", "iter") == ["iterations="]


def test_bash_puts_no_blank_behind_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "archc"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m archc "$@"\n')
    path.chmod(0o755)
    script = f"""
        PATH={tmp_path}:$PATH
        compopt() {{ echo "compopt $1 $2"; }}
        eval "$(archc completion bash)"
        COMP_WORDS=(archc count imagenet/resnet34 --with de) COMP_CWORD=4
        _archc_completion archc
        echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(archc count imagenet/resnet34) COMP_CWORD=2 COMPREPLY=()
        _archc_completion archc
        echo "${{COMPREPLY[0]}}"
    """
    result = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.stdout.splitlines()[:2] == ["compopt -o nospace", "depth="], result.stderr


def _sources() -> Iterator[Path]:
    folder = Path(archc.cli.__file__).parent
    return (path for path in folder.glob("*.py") if path.name != "terminal.py")


@pytest.mark.parametrize("path", list(_sources()), ids=lambda path: path.name)
def test_words_have_one_way_out(path: Path) -> None:
    """A file name that goes around `say` reaches the terminal as it is."""
    found = re.findall(r"click\.(?:s?echo|secho)\(|(?<!\.)\bprint\((?!Re)", path.read_text())
    assert found == []
