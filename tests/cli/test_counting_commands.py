"""The commands that count, as a shell sees them: formats, schemas, exit codes, messages."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from shell import archc, record_of, spawned

from archc.schemas import SCHEMAS, schema

VIEWS: dict[str, tuple[str, ...]] = {
    "count": (),
    "explain": ("--explain",),
    "memory": ("--memory", "--batch", "4", "--dtype", "bfloat16"),
    "receptive-field": ("--receptive-field",),
    "roofline": ("--roofline", "h200-bf16", "--batch", "8"),
}
COMMANDS = {view: ("count", *options) for view, options in VIEWS.items()} | {
    "fit": ("fit", "--memory", "90MB")
}
SPECS = ("cifar10/resnet20", "torchvision/vgg11_bn", "torchvision/resnext50_32x4d")


@pytest.mark.parametrize("view", COMMANDS)
@pytest.mark.parametrize("by", ["network", "layer"])
def test_json_is_as_its_schema_says(view: str, by: str) -> None:
    if view not in ("count", "memory") and by == "layer":
        return
    extra = ("--by", "layer") if by == "layer" else ()
    result = archc(*COMMANDS[view], *SPECS, *extra, "--format", "json")
    assert (result.returncode, result.stderr) == (0, "")
    records = record_of(view, result.stdout)
    assert [record["spec"] for record in records] == list(SPECS)


@pytest.mark.parametrize("view", COMMANDS)
def test_a_schema_refuses_what_is_missing_or_unknown(view: str) -> None:
    result = archc(*COMMANDS[view], "cifar10/resnet20", "--format", "json")
    (record,) = json.loads(result.stdout)
    for broken in ({**record, "more": 1}, {k: v for k, v in record.items() if k != "name"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([broken], schema(view))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_printed(name: str) -> None:
    result = archc("schema", name)
    assert json.loads(result.stdout) == json.loads(json.dumps(schema(name)))


@pytest.mark.parametrize("view", COMMANDS)
@pytest.mark.parametrize("format", ["csv", "markdown", "table"])
def test_every_view_has_every_format(view: str, format: str, tmp_path: Path) -> None:
    command = (*COMMANDS[view], *SPECS, "--format", format)
    result = archc(*command)
    assert (result.returncode, result.stderr) == (0, "")
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert {row["spec"] for row in rows} == set(SPECS)
        assert all(None not in row and None not in row.values() for row in rows)
    elif format == "markdown":
        lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines[:3]}) == 1
    path = tmp_path / "out"
    written = archc(*command, "-o", str(path))
    assert (written.returncode, written.stdout) == (0, "")
    assert path.read_text() == result.stdout


def test_all_conventions_fit_on_one_screen() -> None:
    text = archc("count", "torchvision/resnet50", "--explain").stdout
    lines = text.splitlines()
    assert len(lines) <= 24
    table = lines[:11]
    assert max(map(len, table)) <= 100
    assert lines[6].split() == [
        *("ptflops", "+1,000", "+22,227,968", "+1,806,336", "+19,217,408", "4,132,436,968")
    ]
    assert "ptflops        ptflops 0.7.5, PyTorch backend (MACs): biases; norms 2 per" in text


def test_a_convention_names_its_tool_and_what_it_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(
        "name: odd\ninput: [1, 8, 8]\nstem: [conv: {width: 2, kernel: 3}, avg_pool: {kernel: 2}]\n"
    )
    result = archc("count", "odd.yaml", "--convention", "pycls", cwd=tmp_path)
    assert result.stderr == (
        "archc: odd.yaml: pycls 5719de6 has no rule for 1 avg_pool2d op, which its total leaves "
        "out: flops\n"
    )
    assert result.returncode == 0
    (record,) = record_of(
        "count",
        archc(
            "count", "odd.yaml", "--convention", "pycls", "--format", "json", cwd=tmp_path
        ).stdout,
    )
    assert (record["tool"], record["not_counted"]) == ("pycls 5719de6", {"avg_pool2d": 1})
    explained = archc("count", "odd.yaml", "--explain", cwd=tmp_path).stdout
    assert explained.endswith("has no rule for 1 avg_pool2d op\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--explain", "--memory"), "--explain and --memory cannot be used together"),
        (("--batch", "3"), "--batch is for --memory and --roofline"),
        (("--explain", "--batch", "3"), "--batch cannot be used with --explain"),
        (
            ("--roofline", "h200-bf16", "--dtype", "float16"),
            "--dtype cannot be used with --roofline",
        ),
        (("--devices", "x.yaml"), "--devices is for --roofline"),
        (("--memory", "--convention", "thop"), "--convention cannot be used with --memory"),
        (("--memory", "--batch", "0"), "Invalid value for '--batch'"),
        (("--convention", "deepspeed"), "Invalid value for '--convention'"),
    ],
)
def test_options_that_go_not_together_are_refused(arguments: tuple[str, ...], words: str) -> None:
    result = archc("count", "cifar10/resnet20", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_an_unknown_device_is_told() -> None:
    result = archc("count", "cifar10/resnet20", "--roofline", "h300-bf16")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "--roofline:1:1: error: there is no device `h300-bf16`\n  h300-bf16\n  ^\n"
        "hint: did you mean `h200-bf16`?\n"
    )


# diff


def test_specs_that_compile_to_the_same_exit_with_0(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "extends: imagenet/resnet50\nname: mine\nwith: {depth: [3, 4, 23, 3]}\n"
    )
    result = archc("diff", "mine.yaml", "imagenet/resnet101", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("mine.yaml and imagenet/resnet101: the same graph\n")


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_specs_that_differ_exit_with_1(format: str, tmp_path: Path) -> None:
    pair = ("imagenet/plain34", "imagenet/resnet34")
    result = archc("diff", *pair, "--format", format)
    assert (result.returncode, result.stderr) == (1, "")
    if format == "json":
        record = record_of("diff", result.stdout)
        assert (record["spec_a"], record["spec_b"], record["same"]) == (*pair, False)
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert {row["change"] for row in rows} == {"added", "changed"}
    written = archc("diff", *pair, "--format", format, "-o", str(tmp_path / "out"))
    assert (written.returncode, written.stdout) == (1, "")
    assert (tmp_path / "out").read_text() == result.stdout


def test_a_difference_as_people_read_it() -> None:
    result = archc("diff", "imagenet/resnet50", "torchvision/resnet50")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["multiply-adds", "3,857,973,248", "4,089,184,256", "+231,211,008", "1.060"] in lines
    assert "stage 2   0        changed     1   conv2: stride 1 → 2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("imagenet/resnet50", "nope.yaml"), "nope.yaml:1:1: error: there is no file"),
        (("imagenet/resnet50",) * 2 + ("-o", "x/../no\0"), "error: cannot write"),
        (("imagenet/resnet50",) * 2 + ("--with", "depth=0"), "--with:1:7: error: `depth`"),
        (("imagenet/resnet50",), "Missing argument 'B'"),
        (("-", "-"), "standard input can be read only once"),
    ],
)
def test_trouble_exits_with_2(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    if any("\0" in one for one in arguments):
        (tmp_path / "file").write_text("")
        arguments = (*arguments[:-1], "file/x")
    result = archc("diff", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_an_internal_error_has_a_traceback_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise AttributeError("no such thing")

    monkeypatch.setattr("archc.api.diff", fail)
    pair = ("cifar10/resnet20",) * 2
    plain = archc("diff", *pair)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr == (
        "archc: error: internal error: AttributeError: no such thing\n"
        "hint: this is a bug in archc; set ARCHC_DEBUG=1 for a traceback\n"
    )
    monkeypatch.setenv("ARCHC_DEBUG", "1")
    traced = archc("diff", *pair)
    assert traced.returncode == 2
    assert traced.stderr.startswith(plain.stderr)
    assert "Traceback (most recent call last)" in traced.stderr
    assert "in fail" in traced.stderr


def test_quiet_says_it_with_the_exit_code() -> None:
    result = archc("diff", "-q", "imagenet/resnet18", "imagenet/resnet34")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "")


# sweep


def test_a_sweep_shows_the_best_within_the_bounds(tmp_path: Path) -> None:
    vary = ("--vary", "depth[3]=4..36:2", "--vary", "width=x0.5..x2:0.25")
    limits = ("--max", "multiply_adds=4G", "--min", "params=20M", "--sort", "-params")
    result = archc(
        *("sweep", "imagenet/resnet50", *vary, *limits, "--top", "2"),
        *("-o", "rows.csv", "--plot", "plot.svg", "--write", "specs"),
        cwd=tmp_path,
    )
    assert result.returncode == 0
    assert result.stdout == (
        "resnet50: the 2 of 5 with the most parameters\n"
        "depth[3]   width   layers   parameters   multiply-adds   in short\n"
        "─────────────────────────────────────────────────────────────────\n"
        "       6   x1          50   25,557,032   3,857,973,248   3.86 G\n"
        "      20   x0.75       92   23,584,104   3,953,799,168   3.95 G\n"
    )
    first = "specs/resnet50-depth3_6-width_x1.yaml"
    assert result.stderr == (
        "archc: 119 variants, 5 within the bounds\n"
        "archc: wrote rows.csv\n"
        "archc: wrote plot.svg\n"
        f"archc: wrote {first} and 1 more\n"
        f"hint: `archc count {first}` to count it\n"
    )
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 6
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert archc("diff", first, "imagenet/resnet50", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("format", ["json", "csv", "markdown"])
def test_the_best_in_every_format(format: str) -> None:
    result = archc("sweep", "cifar10/resnet20", "--vary", "depth=2,3", "--format", format)
    assert (result.returncode, result.stderr) == (0, "archc: 2 variants\n")
    if format == "json":
        rows = record_of("sweep", result.stdout)
        assert [row["depth"] for row in rows] == [2, 3]
        assert rows[1] == {"depth": 3, "layers": 20, "params": 269722, "multiply_adds": 40551040}
    elif format == "csv":
        assert result.stdout.splitlines()[0] == "depth,layers,params,multiply_adds"
    else:
        assert result.stdout.startswith("**resnet20: the 2 of 2 with the fewest multiply-adds**")


def test_written_json_is_as_its_schema_says(tmp_path: Path) -> None:
    vary = ("--vary", "depth=1..50", "--vary", "shortcut=A,B")
    assert (
        archc("sweep", "cifar10/resnet20", *vary, "-o", "rows.json", cwd=tmp_path).returncode == 0
    )
    assert len(record_of("sweep", (tmp_path / "rows.json").read_text())) == 100


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ("--vary", "depth=1..10000", "--vary", "width=1..10000", "--vary", "stride=1..10000"),
            1,
            "archc: error: this is a sweep of 1,000,000,000,000 variants (10,000 of depth x 10,000 "
            "of width x 10,000 of stride), more than 1,000,000\n"
            "hint: narrow it, or raise `--limit`\n",
        ),
        (
            ("--vary", "depth=8..2"),
            1,
            "--vary:1:7: error: the range `8..2` is empty: it ends before it begins\n  depth=8..2\n"
            "        ^\nhint: write 2..8\n",
        ),
        (
            ("--vary", "depth=2", "--max", "flops=4G"),
            1,
            "--max:1:1: error: `--max` takes layers, params or multiply_adds, not `flops`\n"
            "  flops=4G\n  ^\nhint: did you mean `multiply_adds`?\n",
        ),
        (
            ("--vary", "depth=2", "--min", "params=many"),
            1,
            "--min:1:8: error: `many` is not a number\n  params=many\n         ^\n"
            "hint: for example 4G, 2.5M or 4000000000\n",
        ),
        (
            ("--vary", "depth=2", "--sort", "-size"),
            1,
            "--sort:1:2: error: `--sort` takes layers, params or multiply_adds, not `size`\n"
            "  -size\n   ^\n",
        ),
        (
            ("--vary", "depth=0"),
            1,
            "archc: 1 variant, 1 cannot be built\n"
            "  1: stage 1: `depth` must be an integer from 1 to 10,000, not `0` "
            "(first with depth=0)\n",
        ),
    ],
)
def test_a_sweep_that_cannot_be_made_says_why(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = archc("sweep", "imagenet/resnet34", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", words)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-o", "rows.xlsx"),
        ("--plot", "plot.gif"),
        ("--top", "0"),
        ("--width", "column"),
        ("--plot", "plot.svg", "--width", "4cm"),
    ],
)
def test_a_sweep_s_wrong_command_lines(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = archc("sweep", "imagenet/resnet34", "--vary", "depth=2", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_a_plot_has_no_room_for_are_counted(tmp_path: Path) -> None:
    vary = ("--vary", "depth[3]=4..36:4", "--vary", "width=x0.5..x2:0.25", "--plot", "plot.svg")
    told = {}
    for width in ("column", "page"):
        result = archc("sweep", "imagenet/resnet50", *vary, "--width", width, cwd=tmp_path)
        told[width] = result.stderr.splitlines()[2]
    form = r"archc: no room in the plot for the labels of (\d+) of 39 points of the Pareto front"
    column = re.fullmatch(form + "; `--width page` has more", told["column"])
    page = re.fullmatch(form, told["page"])
    assert column is not None
    assert page is not None
    assert int(column[1]) > int(page[1])
    result = archc("sweep", "-q", "imagenet/resnet50", *vary, cwd=tmp_path)
    assert "no room" not in result.stderr


@pytest.mark.parametrize(("format", "printed"), [("json", "[]\n"), ("csv", "depth,layers,params")])
def test_no_variant_within_the_bounds_is_still_json_and_csv(format: str, printed: str) -> None:
    vary = ("--vary", "depth=1", "--max", "params=1", "--format", format)
    result = archc("sweep", "cifar10/resnet20", *vary)
    assert (result.returncode, result.stdout[: len(printed)]) == (0, printed)


def test_settings_are_shown_as_specs_write_them(tmp_path: Path) -> None:
    vary = ("--vary", "bias=true,false", "--write", "d")
    result = archc("sweep", "torchvision/vgg11", *vary, "--format", "csv", cwd=tmp_path)
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["bias", "true", "false"]
    names = sorted(path.name for path in (tmp_path / "d").iterdir())
    assert names == ["vgg11-bias_false.yaml", "vgg11-bias_true.yaml"]


def test_reasons_that_differ_in_numbers_alone_are_one() -> None:
    result = archc("sweep", "imagenet/resnet34", "--vary", "width[1]=1..9", "--vary", "width[2]=64")
    assert result.stderr == (
        "archc: 9 variants, 9 cannot be built\n"
        "  9: stage 1: option A cannot reduce 64 channels to 1 "
        "(first with width[1]=1 width[2]=64)\n"
    )


def test_a_spec_that_cannot_be_built_by_itself_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "name: c\ninput: [3, 8, 8]\nstem: [conv: {width: 8, kernel: 9, padding: 0}]\n"
        "stages: [{block: conv, depth: 1, width: 4}]\n"
    )
    result = archc("sweep", "c.yaml", "--vary", "depth=1,2", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "archc: 2 variants, 2 cannot be built\n"
        "  2: `conv`: a window of 9x9 does not fit into a feature map of 8x8 (first with depth=1)\n"
        "c.yaml:3:33: error: `conv`: a window of 9x9 does not fit into a feature map of 8x8\n"
        "  stem: [conv: {width: 8, kernel: 9, padding: 0}]\n"
        "                                  ^\n"
        "hint: use a smaller window, fewer strides before it, or a larger input\n"
    )


@pytest.mark.parametrize("run", [archc, spawned], ids=["a redirected file", "a pipe"])
def test_what_is_no_file_cannot_be_extended(run: Any, tmp_path: Path) -> None:
    for spec in ("-", "/dev/stdin"):
        result = run(
            *("sweep", spec, "--vary", "depth=1", "--write", "d"),
            cwd=tmp_path,
            stdin="extends: cifar10/resnet20\nname: x\n",
        )
        assert result.returncode == 2
        assert "only a file can be extended" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_is_told_before_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option in (("--write", "file"), ("--plot", "file/x.svg"), ("-o", "file/x.csv")):
        result = archc("sweep", "cifar10/resnet20", "--vary", "depth=1", *option, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("archc: error: cannot write 'file")


def test_a_closed_stderr_is_no_trouble() -> None:
    command = [sys.executable, "-m", "archc", "sweep", "cifar10/resnet20", "--vary", "depth=1..3"]
    result = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} 2>&-"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert "the 3 of 3" in result.stdout


def test_a_closed_pipe_is_trouble_for_a_comparison() -> None:
    command = shlex.join([sys.executable, "-m", "archc", "diff", *["cifar10/resnet1202"] * 2])
    script = f"{{ {command} --format json; echo $? >&2; }} | true"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert result.stderr in ("2\n", "0\n")  # it may have been done before


@pytest.mark.skipif(shutil.which("script") is None, reason="there is no script(1)")
def test_nothing_is_cut_on_a_narrow_terminal() -> None:
    command = shlex.join(
        [sys.executable, "-m", "archc", "count", "torchvision/resnet50", "--explain"]
    )
    typed = f"stty cols 60; {command}"
    result = subprocess.run(
        ["script", "-qec", typed, "/dev/null"], capture_output=True, text=True, check=False
    )
    assert "4,132,436,968" in result.stdout
    assert "…" not in result.stdout


def test_specs_are_not_overwritten_unless_asked(tmp_path: Path) -> None:
    command = ("sweep", "cifar10/resnet20", "--vary", "depth=2", "--write", "d")
    assert archc(*command, cwd=tmp_path).returncode == 0
    path = tmp_path / "d" / "resnet20-depth_2.yaml"
    written = path.read_text()
    assert archc(*command, cwd=tmp_path).returncode == 0
    path.write_text("mine")
    result = archc(*command, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[1:] == [
        "archc: error: 'd/resnet20-depth_2.yaml' already exists and differs",
        "hint: `--force` overwrites it",
    ]
    assert path.read_text() == "mine"
    assert archc(*command, "--force", cwd=tmp_path).returncode == 0
    assert path.read_text() == written


def test_fit_says_what_one_image_needs_and_what_is_left_out() -> None:
    result = archc("fit", "cifar10/resnet20", "--memory", "3MB", "--dtype", "float32")
    assert result.returncode == 0
    title, _, _, *rows, _, note = result.stdout.splitlines()
    assert title == "resnet20: largest batch of 3x32x32 images in 3.00 MB"
    assert [row.split()[:4] for row in rows] == [
        ["float32", "inference", "5", "2.78"],
        ["float32", "training", "sgd", "0"],
        ["float32", "training", "momentum", "0"],
        ["float32", "training", "adam", "0"],
    ]
    assert rows[1].split("   ")[-2].strip() == "one image needs 3.33 MB"
    assert note.startswith("Tensors alone: the workspaces of kernels (cuDNN's, for example)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing option '--memory'"),
        (("--memory", "24G"), "`24G` has no unit of memory: write 24GB or 24GiB"),
        (("--memory", "1GB", "--dtype", "int8"), "Invalid value for '--dtype'"),
        (("--memory", "1GB", "--optimizer", "lion"), "Invalid value for '--optimizer'"),
    ],
)
def test_fit_refuses_what_it_cannot_take(options: tuple[str, ...], message: str) -> None:
    result = archc("fit", "cifar10/resnet20", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
