"""What Python programs get: records with names, tables on print, functions for the commands."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import shell
import torch

import archc
from archc import choices
from archc.cli import COMMANDS as COMMANDS_OF_SHELL
from archc.timing import BenchOptions, BenchResult, Rates, Timings
from archc.timing.timing import Times
from archc.verification import Options

SPEC = "cifar10/resnet20"
NETWORK = archc.load(SPEC)

api: Any = archc  # which is called with arguments of types that it does not take
options: Any = BenchOptions


def timed(batch: int) -> BenchResult:
    """What a benchmark may find."""
    times = Times(0.001, 0.002, 0.0015, 0.0025, 10)
    about = ("resnet20", "cpu", "a machine", "float32", batch, "forward", times, batch / 0.002)
    return BenchResult(*about, 10**6, 10**9, 10**7, Rates(1e12, 1e11), 0.001, "compute", 0.5)


RESULTS: dict[str, Callable[[], Any]] = {
    "count": lambda: archc.count(NETWORK, "layer"),
    "explain": lambda: archc.explain(NETWORK),
    "memory": lambda: archc.memory(NETWORK, batch=2),
    "receptive fields": lambda: archc.receptive_fields(NETWORK),
    "roofline": lambda: archc.roofline(NETWORK, "h200-bf16"),
    "diff": lambda: archc.diff(SPEC, "cifar10/plain20"),
    "sweep": lambda: archc.sweep(SPEC, {"depth": range(1, 4), "width": ["x1", "x2"]}),
    "list": lambda: archc.list("cifar10"),
    "check": lambda: archc.check(SPEC, with_={"depth": 0}),
    "verify": lambda: archc.verify(NETWORK, options=Options(quick=True)),
    "bench": lambda: Timings([timed(1), timed(8)]),  # timing takes long
}


def frame(rows: Any) -> dict[str, list[Any]]:
    """The columns that `pandas.DataFrame(rows)` has: of dataclasses and mappings it takes the
    fields and keys, as long as the first row is one."""
    assert isinstance(rows, (list, tuple))
    assert rows
    plain = [
        asdict(row) if is_dataclass(row) and not isinstance(row, type) else row for row in rows
    ]
    assert all(isinstance(row, dict) for row in plain)
    names = dict.fromkeys(name for row in plain for name in row)
    return {name: [row.get(name) for row in plain] for name in names}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_has_rows_for_a_frame_and_prints_as_a_table(name: str) -> None:
    result = RESULTS[name]()
    columns = frame(result.rows)
    assert all(len(column) == len(result.rows) for column in columns.values())
    assert not {"output_size", "out_shape", "parameters", "macs", "output_channels"} & set(columns)
    if "op" in columns and name not in ("explain", "diff"):
        assert "output_shape" in columns
    assert str(result).count("\n") >= 2
    assert len(repr(result)) < 100 or name == "check"


def test_pandas_takes_the_rows() -> None:
    pandas = pytest.importorskip("pandas")
    for make in RESULTS.values():
        rows = make().rows
        assert dict.fromkeys(pandas.DataFrame(rows)) == dict.fromkeys(frame(rows))


def test_columns_of_counts_and_sweeps() -> None:
    columns = frame(archc.count(NETWORK, "layer").rows)
    assert columns["params"][0] == 432
    assert columns["output_shape"][0] == (16, 32, 32)
    assert sum(columns["multiply_adds"]) == NETWORK.multiply_adds
    swept = frame(RESULTS["sweep"]().rows)
    assert list(swept) == ["depth", "width", "layers", "params", "multiply_adds"]
    assert swept["width"] == ["x1", "x2"] * 3
    assert archc.count(NETWORK).input_shape == NETWORK.input_shape


def test_a_table_is_that_of_the_command(tmp_path: Path) -> None:
    for command, result in (
        (("count", SPEC), archc.count(SPEC)),
        (("count", SPEC, "--memory"), archc.memory(SPEC)),
        (("list", "cifar10"), archc.list("cifar10")),
        (("sweep", SPEC, "--vary", "depth=1,2"), archc.sweep(SPEC, {"depth": [1, 2]})),
        (("diff", SPEC, "cifar10/plain20"), None),
    ):
        told = shell.archc(*command, cwd=tmp_path).stdout
        if result is not None:
            assert told.rstrip("\n") == str(result)


VARY: list[tuple[dict[str, Any], list[str]]] = [
    ({"depth[3]": range(4, 37, 2)}, ["depth[3]=4..36:2"]),
    ({"depth": range(5, 1, -1)}, ["depth=5,4,3,2"]),
    ({"depth": 3, "width": "x0.5"}, ["depth=3", "width=x0.5"]),
    ({"depth": "2..8:2"}, ["depth=2..8:2"]),
    ({"depth": np.arange(1, 4), "width": (np.int64(8), 16)}, ["depth=1,2,3", "width=8,16"]),
    ({"shortcut": ["A", "B"]}, ["shortcut=A,B"]),
    ({"depth": (n for n in (1, 2))}, ["depth=1,2"]),
]


@pytest.mark.parametrize(("vary", "texts"), VARY, ids=[texts[0] for _, texts in VARY])
def test_axes_of_python_values_are_those_of_the_command(
    vary: dict[str, Any], texts: list[str]
) -> None:
    assert list(archc.sweep(SPEC, vary)) == list(archc.sweep(SPEC, texts))


def test_a_sweep_is_counted_when_it_is_gone_through() -> None:
    swept = archc.sweep(SPEC, {"depth": range(1, 10**6)})
    assert len(swept) == 10**6 - 1
    first = next(iter(swept))
    assert first == next(iter(swept))
    assert first.settings == {"depth": 1}
    assert repr(swept) == "Sweep('resnet20', 999,999 variants of depth)"


def test_the_best_of_a_sweep() -> None:
    swept = archc.sweep("imagenet/resnet34", {"width[2]": [32, 128], "depth": [2, 1]})
    assert [one.settings for one in swept.best(1)] == [{"width[2]": 128, "depth": 1}]
    most = swept.best(5, "params", most=True)
    assert [one.settings["depth"] for one in most] == [2, 1]
    assert [fault.settings for fault in swept.faults] == [
        {"width[2]": 32, "depth": depth} for depth in (2, 1)
    ]
    assert "cannot reduce" in swept.faults[0].reason
    with pytest.raises(ValueError, match="`by` must be one of layers, params, multiply_adds, not "):
        api.sweep(SPEC, {"depth": 1}).best(1, "flops")


@pytest.mark.parametrize(
    ("vary", "kind", "words"),
    [
        (3, TypeError, "`vary` must be a list of NAME=VALUES, or a mapping"),
        ([3], TypeError, "`vary` as a list has texts"),
        ({"depth": {1: 2}}, TypeError, "a value of `depth` in `vary` is a dict"),
        ({"depth": [object()]}, TypeError, "a value of `depth` in `vary` is an object"),
        ({"depth": [[1, 2, 3]]}, TypeError, "a value of `depth` in `vary` is a list: to vary"),
        ({"depth": ["1,2"]}, ValueError, "a value of `depth` is '1,2', which would be several"),
        ({"depht": [1]}, archc.SpecError, "vary:1:1: error: resnet20 has no "),
        ({"depth": []}, archc.SpecError, "vary:1:7: error: "),
        ({"depth": [None]}, archc.SpecError, "vary:1:7: error: `null` leaves a stage unchanged"),
    ],
)
def test_what_cannot_be_varied(vary: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as error:
        api.sweep(SPEC, vary)
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: api.count(SPEC, "stge"), "not 'stge'; did you mean 'stage'?"),
        (lambda: api.count(SPEC, convention="ptflop"), "not 'ptflop'; did you mean 'ptflops'?"),
        (lambda: api.memory(SPEC, dtype="float8"), "`dtype` must be one of float32, bfloat16, "),
        (lambda: api.draw(SPEC, format="jpg"), "`format` must be one of svg, png, pdf, tex, dot, "),
        (
            lambda: api.draw(SPEC, theme="drak"),
            "one of light, dark, grey, not 'drak'; did you mean",
        ),
        (lambda: api.draw(SPEC, heat="param"), "not 'param'; did you mean 'params'?"),
        (lambda: api.draw(SPEC, detail="norm"), "`detail` must be 'norms', not 'norm'; did you"),
        (
            lambda: api.export(SPEC, "onxx"),
            "`format` must be one of onnx, pt2, not 'onxx'; did you",
        ),
        (
            lambda: Options(backend=api),
            "`backend` must be one of inductor, aot_eager, eager, not <",
        ),
        (lambda: options(dtype="float64"), "`dtype` must be one of"),
        (lambda: api.curves("x", format="gif"), "`format` must be one of svg, png, pdf, not 'gif'"),
    ],
)
def test_a_wrong_choice_is_told_the_others(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        call()
    assert words in str(error.value)


def test_the_types_of_choices_are_the_choices() -> None:
    assert set(get_args(archc.Dtype)) == set(choices.BYTES)
    assert get_args(archc.Level) == choices.LEVELS
    assert get_args(archc.FigureFormat) == choices.FORMATS
    assert set(choices.TIMED_DTYPES) < set(choices.BYTES)


COMMANDS = {
    "count": ("count", "explain", "memory", "receptive_fields", "roofline"),
    "graph": ("to_json", "to_graphml"),
}
"""Where a command is a function, or several, of another name: `archc.graph` is a package."""


def test_what_the_commands_do_is_at_the_top_level() -> None:
    for command in COMMANDS_OF_SHELL:
        if command == "completion":
            continue  # which is for shells
        for name in COMMANDS.get(command, (command,)):
            assert callable(getattr(archc, name)), name
            assert name in dir(archc)


def test_importing_archc_imports_little() -> None:
    heavy = "{'torch', 'numpy', 'yaml', 'pydantic', 'click', 'archc.api'}"
    code = f"import sys, archc; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "set()\n"


def test_build_writes_and_says_what(tmp_path: Path) -> None:
    built = archc.build(
        SPEC, {"name": "net", "head": ["global_avg_pool", "linear"]}, output=tmp_path
    )
    assert [row["written"] for row in built.rows] == [True] * 6
    assert {Path(str(row["file"])).name for row in built.rows} == {
        f"{name}.{ending}" for name in ("resnet20", "net") for ending in ("py", "json", "svg")
    }
    assert "cifar10/resnet20.py" in str(built)
    again = archc.build(archc.read(SPEC), output=tmp_path)
    assert not any(row["written"] for row in again.rows)
    (tmp_path / "net.py").write_text("mine")
    with pytest.raises(archc.ArchcError, match="was changed after archc wrote it"):
        archc.build({"name": "net", "head": ["global_avg_pool", "linear"]}, output=tmp_path)


def test_new_writes_a_variant_or_a_block(tmp_path: Path) -> None:
    path = archc.new(str(tmp_path / "mine"), "imagenet/resnet18")
    assert path == tmp_path / "mine.yaml"
    assert archc.load(path).params == archc.load("imagenet/resnet18").params
    with pytest.raises(archc.ArchcError, match="already exists"):
        archc.new("mine", SPEC, output=path)
    archc.new("mine", SPEC, output=path, force=True)
    assert archc.load(path).layers == 20
    block = archc.new("my_block", output=tmp_path / "block.yaml")
    assert archc.check(block) == ()
    assert str(archc.check(block)) == "no mistakes"


def test_schemas_are_those_of_the_command() -> None:
    for name in ("spec", "memory"):
        assert archc.schema(name) == json.loads(shell.archc("schema", name).stdout)
    own = {"b": {"layers": [{"conv": {"width": 4, "kernel": 1}}]}}
    data = {"name": "x", "blocks": own, "stages": [{"block": "b", "depth": 1}]}
    assert '"b"' in json.dumps(archc.schema(data))
    with pytest.raises(archc.SpecError):
        archc.schema("nothing")


def test_watch_serves_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("starlette")

    def serve(preview: Any, port: int, ready: Callable[[str], None], warn: object) -> None:
        ready(f"http://127.0.0.1:{port}/")
        assert (preview.spec, preview.base) == (SPEC, "cifar10/plain20")

    monkeypatch.setattr("archc.watching.serve", serve)
    archc.watch(SPEC, "cifar10/plain20", port=4321)
    assert capsys.readouterr().out == f"http://127.0.0.1:4321/ shows {SPEC}; Ctrl-C stops it\n"
    with pytest.raises(archc.SpecError):
        archc.watch("nothing.yaml")


def test_curves_need_a_run(tmp_path: Path) -> None:
    with pytest.raises(archc.TrainingError, match="is not a run folder"):
        archc.curves(tmp_path)
    with pytest.raises(ValueError, match="there is no run to plot"):
        archc.curves()


def test_settings_in_the_types_of_python() -> None:
    assert archc.load(SPEC, set={"depth": range(1, 4)}).layers == 14
    assert archc.load(SPEC, input="48x64").input_shape == (3, 48, 64)
    assert archc.load(SPEC, input="1x28x28").input_shape == (1, 28, 28)
    with pytest.raises(TypeError, match="not an int"):
        api.load(3)
    with pytest.raises(archc.SpecError, match=r"`archc\.loads` reads YAML text"):
        archc.load("name: net")


def test_tracebacks_have_hints() -> None:
    state = {key: torch.zeros(shape) for key, shape in NETWORK.state.items()}
    head = {"fc.weight": torch.zeros(100, 64), "fc.bias": torch.zeros(100)}
    with pytest.raises(archc.WeightsError) as caught:
        archc.match_weights(SPEC, state | head)
    lines = traceback.format_exception_only(caught.value)
    assert lines[-1].startswith("hint: the weights are for")
    with pytest.raises(archc.SpecError) as mistaken:
        archc.load(SPEC, set={"dpth": 3})
    assert "".join(traceback.format_exception_only(mistaken.value)).count("hint:") == 1
