"""What holds for every command that writes a file: not over an input, by its name, and told."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from shell import archc

from archc.api import module
from archc.cli import COMMANDS, cli
from archc.cli.common import is_stream
from archc.cli.errors import explain
from archc.errors import OutputError
from archc.inputs import guarded_inputs, note_input, note_output
from archc.shipped import shipped_folder
from archc.timing import Rates
from archc.training.metrics import HEADING

TINY = """\
name: tiny
input: [3, 8, 8]
classes: 10
stages: [{block: basic, shortcut: A, depth: 1, width: 4}]
head: [global_avg_pool, linear]
"""
DEVICES = "mine: {title: Mine, dtype: float16, tflops: 82.6, gb_per_s: 1008, source: measured}\n"

CASES: dict[str, tuple[list[str], str, str]] = {
    "show": (["show", "child.yaml", "-o", "{}"], "out.yaml", "child.yaml"),
    "show, a parent": (["show", "child.yaml", "-o", "{}"], "out.yaml", "tiny.yaml"),
    "count": (["count", "tiny.yaml", "-o", "{}"], "out.csv", "tiny.yaml"),
    "count, a device table": (
        ["count", "tiny.yaml", "--roofline", "mine", "--devices", "d.yaml", "-o", "{}"],
        "out.md",
        "d.yaml",
    ),
    "fit": (["fit", "child.yaml", "--memory", "1GB", "-o", "{}"], "out.csv", "tiny.yaml"),
    "graph": (["graph", "tiny.yaml", "-o", "{}"], "out.json", "tiny.yaml"),
    "emit": (["emit", "child.yaml", "-o", "{}"], "out.py", "tiny.yaml"),
    "draw": (["draw", "tiny.yaml", "-o", "{}"], "out.svg", "tiny.yaml"),
    "diff": (["diff", "child.yaml", "tiny.yaml", "-o", "{}"], "out.json", "tiny.yaml"),
    "report": (["report", "tiny.yaml", "child.yaml", "-o", "{}"], "out.html", "child.yaml"),
    "fold": (["fold", "tiny.yaml", "w.safetensors", "-o", "{}"], "o.safetensors", "tiny.yaml"),
    "fold, weights": (
        ["fold", "tiny.yaml", "w.safetensors", "-o", "{}"],
        "out.safetensors",
        "w.safetensors",
    ),
    "export": (["export", "tiny.yaml", "-o", "{}"], "out.onnx", "tiny.yaml"),
    "export, weights": (
        ["export", "tiny.yaml", "--weights", "w.safetensors", "-o", "{}"],
        "out.onnx",
        "w.safetensors",
    ),
    "bench": (["bench", "tiny.yaml", "--seconds", "0.1", "-o", "{}"], "out.json", "tiny.yaml"),
    "sweep": (["sweep", "child.yaml", "--vary", "depth=1", "-o", "{}"], "out.csv", "tiny.yaml"),
    "sweep --plot": (
        ["sweep", "tiny.yaml", "--vary", "depth=1", "--plot", "{}"],
        "out.svg",
        "tiny.yaml",
    ),
    "sweep --write": (
        ["sweep", "tiny.yaml", "--vary", "depth=1", "--write", "d", "--force"],
        "d/tiny-depth_1.yaml",
        "tiny.yaml",
    ),
    "new": (["new", "net", "--from", "tiny.yaml", "-o", "{}", "--force"], "out.yaml", "tiny.yaml"),
    "build": (["build", "tiny.yaml", "-o", "out", "--force"], "out/tiny.json", "tiny.yaml"),
    "curves": (["curves", "run", "-o", "{}"], "out.svg", "run/metrics.csv"),
}
"""Command lines by what they show, ``{}`` being the output, and an input that it must not be."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with one of everything that commands read; what the processor reaches
    is not measured."""
    reached = Rates(multiply_adds=1e9, bytes_moved=1e9)
    monkeypatch.setattr("archc.timing.run.measure_rates", lambda *_: reached)
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    Path("child.yaml").write_text("extends: tiny.yaml\nname: child\n")
    Path("d.yaml").write_text(DEVICES)
    torch.manual_seed(0)
    save_file(module("tiny.yaml").state_dict(), "w.safetensors")
    Path("run").mkdir()
    Path("run/run.json").write_text("{}")
    Path("run/spec.yaml").write_text(TINY)
    Path("run/metrics.csv").write_text(f"{HEADING}1,0.1,0.1,2,50,2,50,10,1\n")
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin, standalone_mode=False)


def told(result: Result) -> str:
    assert isinstance(result.exception, Exception), result.output
    return "\n".join(explain(result.exception))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_cases_are_all_commands_that_write_files() -> None:
    quiet = set()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        if any("--quiet" in parameter.opts for parameter in command.params):
            quiet.add(name)
    assert {arguments[0] for arguments, *_ in CASES.values()} == quiet - {"schema", "train", "lift"}


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symlink"])
@pytest.mark.parametrize("case", CASES)
def test_an_input_is_not_overwritten(home: Path, case: str, link: object) -> None:
    arguments, output, read = CASES[case]
    Path(output).parent.mkdir(exist_ok=True)
    if link is os.link:
        os.link(read, output)
    else:
        os.symlink(home / read, output)
    before = contents(home)
    result = run(*(word.format(output) for word in arguments))
    if case == "diff":
        words = result.stderr.strip()
        assert result.return_value == 2  # which is trouble, 1 being a difference
    else:
        assert isinstance(result.exception, OutputError)
        words = told(result)
    assert words == (
        f"archc: error: cannot write '{output}': it is the same file as '{read}', "
        "which this command reads"
    )
    assert contents(home) == before
    assert result.stdout == ""


@pytest.mark.parametrize("output", ["tiny.yaml", "./tiny.yaml", "run/../tiny.yaml"])
def test_other_spellings_of_a_path_are_the_same_file(home: Path, output: str) -> None:
    for spec in ("tiny.yaml", str(home / "tiny.yaml")):
        assert "cannot write " in told(run("show", spec, "-o", output))
    assert Path("tiny.yaml").read_text() == TINY
    words = "archc: error: cannot write 'tiny.yaml': this command also reads it"
    assert told(run("show", "tiny.yaml", "-o", "tiny.yaml")) == words


def test_standard_input_is_a_file_too(home: Path) -> None:
    command = [sys.executable, "-m", "archc", "show", "-", "-o", "tiny.yaml"]
    with open("tiny.yaml") as stdin:
        result = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        1,
        "archc: error: cannot write 'tiny.yaml': it is the same file as standard input, "
        "which this command reads\n",
    )
    assert Path("tiny.yaml").read_text() == TINY


def test_a_run_takes_no_spec_that_is_no_run_s_own(home: Path) -> None:
    from archc.training.run import Run, check_new

    Path("mine").mkdir()
    Path("mine/spec.yaml").write_text(TINY)
    with guarded_inputs():
        note_input("mine/spec.yaml")
        with pytest.raises(OutputError, match="this command also reads it"):
            check_new(Run(Path("mine")))


def test_pipes_and_devices_lose_nothing(home: Path) -> None:
    os.mkfifo("pipe")
    with guarded_inputs():
        for path in ("pipe", "/dev/null"):
            note_input(path)
            note_output(Path(path))
        note_input("tiny.yaml")
        with pytest.raises(OutputError):  # a file would be lost
            note_output(Path("tiny.yaml"))
    note_input("tiny.yaml")
    note_output(Path("tiny.yaml"))  # nobody has asked for it to be guarded
    assert Path("tiny.yaml").read_text() == TINY


@pytest.mark.parametrize("case", CASES)
def test_what_was_written_is_told_in_one_line(home: Path, case: str) -> None:
    arguments, output, _ = CASES[case]
    line = f"archc: wrote {output}"
    if case == "build":
        line = "archc: wrote 3 of 3 files in out/"
    quiet = run(*(word.format(f"q{output}") for word in arguments), "--quiet")
    assert "wrote" not in quiet.stderr
    for path in ("out", "d"):  # what cannot be called otherwise
        if Path(path).is_dir():
            Path(path).rename(f"q{path}")
    result = run(*(word.format(output) for word in arguments))
    assert result.exception is None, result.output
    assert quiet.return_value == result.return_value
    assert [one for one in result.stderr.splitlines() if "wrote" in one] == [line]
    assert Path(output).is_file()
    assert Path(output if case in ("build", "sweep --write") else f"q{output}").is_file()


def test_train_tells_its_weights_and_schema_its_file(home: Path) -> None:
    assert run("schema", "-o", "s.json").stderr == "archc: wrote s.json\n"
    assert run("schema", "-o", "s.json", "-q").stderr == ""
    assert "--quiet" in run("train", "--help").output


@pytest.mark.parametrize("output", ["/dev/stdout", "/dev/fd/1", "link", "/dev/null", "-"])
def test_of_streams_nothing_is_told(home: Path, output: str) -> None:
    Path("link").symlink_to("/dev/stdout")
    assert archc("show", "tiny.yaml", "-o", output, cwd=home).stderr == ""


def test_what_is_a_stream(home: Path) -> None:
    os.mkfifo("pipe")
    Path("link").symlink_to("/dev/stderr")
    Path("loop").symlink_to("loop")
    Path("file").symlink_to("tiny.yaml")
    for path in ("pipe", "link", "/dev/null", "/proc/self/fd/1", "/dev/fd/../fd/2"):
        assert is_stream(Path(path)), path
    for path in ("tiny.yaml", "new", "file", "run", "/dev/shm/x.csv"):
        assert not is_stream(Path(path)), path


# Formats


@pytest.mark.parametrize("extension", ["csv", "json", "md", "MARKDOWN", "txt", ""])
@pytest.mark.parametrize(
    "command",
    [
        ["count", "tiny.yaml"],
        ["count", "tiny.yaml", "--memory"],
        ["count", "tiny.yaml", "--roofline", "mine", "--devices", "d.yaml"],
        ["diff", "tiny.yaml", "cifar10/resnet20"],
        ["bench", "tiny.yaml", "--seconds", "0.1"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_a_file_is_written_as_its_name_says(home: Path, command: list[str], extension: str) -> None:
    file = f"out.{extension}" if extension else "out"
    assert run(*command, "-o", file).exception is None
    text = Path(file).read_text()
    if extension == "csv":
        rows = list(csv.reader(text.splitlines()))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) > 1
    elif extension == "json":
        json.loads(text)
    else:
        assert ("| ---" in text) == (extension in ("md", "MARKDOWN"))
        assert "─" in text or extension in ("md", "MARKDOWN")


def test_a_format_that_is_given_decides(home: Path) -> None:
    run("count", "tiny.yaml", "--format", "json", "-o", "out.csv")
    json.loads(Path("out.csv").read_text())
    run("count", "tiny.yaml", "--format", "table", "-o", "out.csv")
    assert "─" in Path("out.csv").read_text()


def test_a_bench_in_csv_has_what_json_has(home: Path) -> None:
    for file in ("out.csv", "out.json"):
        assert run("bench", "tiny.yaml", "--seconds", "0.1", "-o", file).exception is None
    (row,) = csv.DictReader(Path("out.csv").read_text().splitlines())
    (record,) = json.loads(Path("out.json").read_text())
    nested = {f"{a}_{b}" for a, value in record.items() if isinstance(value, dict) for b in value}
    flat = {key for key, value in record.items() if not isinstance(value, dict)}
    assert set(row) == flat | nested
    assert row["multiply_adds"] == str(record["multiply_adds"])


def test_a_sweep_prints_the_columns_that_it_writes(home: Path) -> None:
    vary = ["--vary", "depth=1,2", "--vary", "width=x0.5,x1"]
    result = run("sweep", "tiny.yaml", *vary, "--format", "csv", "-o", "out.csv")
    assert sorted(result.stdout.splitlines()) == sorted(Path("out.csv").read_text().splitlines())


def test_a_quiet_diff_writes_its_file(home: Path) -> None:
    result = run("diff", "tiny.yaml", "child.yaml", "-q", "-o", "out.json")
    assert (result.return_value, result.output) == (0, "")
    assert json.loads(Path("out.json").read_text())["spec_a"] == "tiny.yaml"


# archc new


@pytest.mark.parametrize(
    ("argument", "name", "file"),
    [
        ("q", "q", "q.yaml"),
        ("q.yaml", "q", "q.yaml"),
        ("q.YML", "q", "q.YML"),
        ("v1.5", "v1.5", "v1.5.yaml"),
        ("nets/q", "q", "nets/q.yaml"),
        ("nets/q.yaml", "q", "nets/q.yaml"),
    ],
)
def test_new_takes_a_name_or_a_path(home: Path, argument: str, name: str, file: str) -> None:
    assert run("new", argument, "--from", "tiny.yaml").stderr.splitlines() == [
        f"archc: wrote {file}",
        f"hint: edit it, then run `archc count {file}`",
    ]
    assert f"\nname: {name} " in Path(file).read_text()
    assert run("check", file).return_value == 0


def test_new_refuses_what_is_no_name(home: Path) -> None:
    for argument in (".yaml", "nets/", "9net.yaml", ""):
        assert "`name` " in told(run("new", argument, "--from", "tiny.yaml")), argument


def schema_line(file: str) -> str:
    return Path(file).read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")


def test_new_names_the_nearest_schema(home: Path) -> None:
    run("new", "a", "--from", "tiny.yaml")
    assert Path(schema_line("a.yaml")) == shipped_folder() / "schema.json"
    run("schema", "-o", "archc.schema.json")
    run("new", "b", "--from", "tiny.yaml")
    run("new", "nets/deep/c", "--from", "tiny.yaml")
    assert schema_line("b.yaml") == "archc.schema.json"
    assert schema_line("nets/deep/c.yaml") == "../../archc.schema.json"
    for file in ("a.yaml", "b.yaml", "nets/deep/c.yaml"):
        schema = json.loads((Path(file).parent / schema_line(file)).read_text())
        assert "stages" in schema["properties"]


def test_a_schema_s_path_has_no_space(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Language servers read up to the first one."""
    monkeypatch.setattr("archc.spec.variant.shipped_folder", lambda: home / "a b#")
    run("new", "a", "--from", "tiny.yaml")
    assert schema_line("a.yaml") == (home / "a b#" / "schema.json").as_uri()
    assert "a%20b%23" in schema_line("a.yaml")


# Errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "tiny.yaml", "--device", "tpu"],
        ["verify", "tiny.yaml", "--device", "cuda:x"],
        ["bench", "tiny.yaml", "--deploy", "--train"],
        ["count", "tiny.yaml", "--memory", "--convention", "multiply-adds"],
        ["count", "tiny.yaml", "--memory", "--explain"],
        ["draw", "tiny.yaml", "--fold", "--blocks", "-o", "x.svg"],
        ["draw", "tiny.yaml", "--dpi", "96", "-o", "x.svg"],
        ["sweep", "tiny.yaml", "--vary", "depth=1", "--force"],
        ["evaluate", "run", "--recipe", "cifar10", "--data", "x"],
        ["train", "-", "--recipe", "cifar10", "--data", "x", "--devices", "2"],
    ],
    ids=lambda words: " ".join(words),
)
def test_options_that_exclude_each_other_are_a_wrong_command_line(
    home: Path, arguments: list[str]
) -> None:
    before = contents(home)
    result = archc(*arguments, cwd=home)
    assert (result.returncode, result.stdout) == (2, "")
    usage, _, _, error = result.stderr.splitlines()
    assert usage.startswith(f"Usage: archc {arguments[0]} ")
    assert error.startswith("archc: error: ")
    assert contents(home) == before


@pytest.mark.parametrize(
    "option",
    [
        ["--with", "x"],
        ["--input", "x"],
        ["--vary", "depth=x"],
        ["--min", "x"],
        ["--max", "x"],
        ["--sort", "x"],
    ],
    ids=lambda words: words[0],
)
def test_what_archc_parses_is_a_diagnostic(home: Path, option: list[str]) -> None:
    result = run("sweep", "tiny.yaml", "--vary", "depth=1", *option)
    assert told(result).startswith(f"{option[0]}:1:")


def test_all_errors_have_one_prefix(home: Path) -> None:
    missing = run("fold", "tiny.yaml", "nope.pth", "-o", "out.safetensors")
    assert told(missing).startswith("archc: error: nope.pth: cannot be read: ")
    lines = list(explain(KeyError("x")))
    assert lines[0] == "archc: error: internal error: KeyError: 'x'"
