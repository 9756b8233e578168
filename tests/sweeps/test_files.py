"""What a sweep leaves: files that are whole whenever it stops, specs that compile."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.errors import OutputError
from archc.spec import Source, resolve
from archc.spec.files import open_spec
from archc.spec.overrides import InputSize
from archc.sweeps import Plan, RowsFile, Variant, parse_axes, parse_bounds, parse_order, run
from archc.sweeps.plan import Unbuildable
from archc.sweeps.specs import variant_specs

SOURCE = Source("x", "extends: cifar10/resnet20\nname: x")
EVERYTHING = parse_bounds([], [])
BY_SIZE = parse_order("multiply_adds")


def plan(*vary: str) -> Plan:
    return Plan(SOURCE, parse_axes(vary, resolve(SOURCE)))


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        return rows
    with path.open(newline="") as file:
        return [
            {key: int(v) if v.isdecimal() else v for key, v in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
@pytest.mark.parametrize("vary", [("depth=1..40", "width=x0.5,x1,x1.5"), ("depth=3",)])
def test_a_file_has_every_variant_in_order(
    name: str, vary: tuple[str, ...], tmp_path: Path
) -> None:
    sweep = plan(*vary)
    run(sweep.variants(), EVERYTHING, BY_SIZE, 3, RowsFile(tmp_path / name, sweep.axes))
    expected = [
        {
            **{
                a.name: str(s) if "x" in str(s) else s
                for a, s in zip(sweep.axes, v.settings, strict=True)
            },
            **dict(zip(("layers", "params", "multiply_adds"), v.numbers, strict=True)),
        }
        for v in sweep.variants()
        if isinstance(v, Variant)
    ]
    assert rows_of(tmp_path / name) == expected
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_file_is_sorted_on_demand(name: str, tmp_path: Path) -> None:
    sweep, order = plan("depth=1..30", "width=x1,x2"), parse_order("-params")
    rows = RowsFile(tmp_path / name, sweep.axes)
    outcome = run(sweep.variants(), EVERYTHING, order, 5, rows, sort_rows=True)
    params = [row["params"] for row in rows_of(tmp_path / name)]
    assert params == sorted(params, reverse=True)
    assert len(params) == 60
    assert [one.numbers[1] for one in outcome.best] == params[:5]
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_no_variant_at_all_is_a_file_without_rows(name: str, tmp_path: Path) -> None:
    sweep = plan("depth=1..3")
    bounds = parse_bounds(["layers=1000"], [])
    outcome = run(sweep.variants(), bounds, BY_SIZE, 3, RowsFile(tmp_path / name, sweep.axes))
    assert (outcome.seen, outcome.kept, outcome.best) == (3, 0, [])
    assert rows_of(tmp_path / name) == []


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
@pytest.mark.parametrize("sort_rows", [False, True])
def test_an_interrupted_sweep_leaves_what_it_has_seen(
    name: str, sort_rows: bool, tmp_path: Path
) -> None:
    sweep = plan("depth=1..2000")

    def interrupted() -> Iterator[Variant | Unbuildable]:
        for one in sweep.variants():
            if one.index == 1234:
                raise KeyboardInterrupt
            yield one

    rows = RowsFile(tmp_path / name, sweep.axes)
    outcome = run(interrupted(), EVERYTHING, BY_SIZE, 3, rows, sort_rows=sort_rows)
    assert (outcome.interrupted, outcome.seen) == (True, 1234)
    assert len(rows_of(tmp_path / name)) == 1234
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_full_disk_keeps_the_variants_so_far_and_the_old_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text("old")
    sweep = plan("depth=1..9000")
    rows = RowsFile(path, sweep.axes)
    put, calls = rows._put, 0

    def full(content: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            put(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(content)

    monkeypatch.setattr(rows, "_put", full)
    with pytest.raises(OutputError) as caught:
        run(sweep.variants(), EVERYTHING, BY_SIZE, 3, rows)
    kept = len(rows_of(path.with_name(f"{name}.partial").rename(tmp_path / f"kept{path.suffix}")))
    assert kept > 500
    assert str(caught.value) == (
        f"cannot write {str(path)!r}: no space left on device; the {kept:,} variants so far are "
        f"in {str(path) + '.partial'!r}"
    )
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_a_killed_sweep_leaves_whole_rows(number: int, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archc", "sweep", "cifar10/resnet20", "-o", "rows.json"]
    vary = ["--vary", "depth=1..1000", "--vary", "width=x1..x1000"]
    process = subprocess.Popen(
        [*command, *vary], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    partial = tmp_path / "rows.json.partial"
    while not partial.exists() or partial.stat().st_size < 200_000:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    if number == signal.SIGKILL:
        assert rows_of(partial.rename(tmp_path / "kept.json"))
        return
    rows = rows_of(tmp_path / "rows.json")
    words = f"archc: interrupted: {len(rows):,} of 1,000,000 variants counted"
    assert told.decode().startswith(words)


@pytest.mark.parametrize("name", ["rows.csv/x.csv", "folder.csv"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_counted(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("old")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        RowsFile(tmp_path / name, plan("depth=1").axes)
    assert (tmp_path / "rows.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["folder.csv", "rows.csv"]


def swept(path: Path) -> None:
    """A small sweep into a file."""
    sweep = plan("depth=1..3")
    run(sweep.variants(), EVERYTHING, BY_SIZE, 3, RowsFile(path, sweep.axes), sort_rows=True)


def test_a_partial_file_that_is_not_a_sweeps_stays(tmp_path: Path) -> None:
    (tmp_path / "rows.csv.partial").write_text("mine")
    swept(tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv.partial").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["rows.csv", "rows.csv.partial"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_what_a_killed_sweep_left_goes_with_the_next(name: str, tmp_path: Path) -> None:
    for kept in (0, 3):
        rows = RowsFile(tmp_path / name, plan("depth=1").axes)
        for variant in list(plan("depth=1..3").variants())[:kept]:
            assert isinstance(variant, Variant)
            rows.add(variant)
        rows._flush()
        rows._file.close()  # as the kernel does where a process is killed
        assert os.listdir(tmp_path) == [f"{name}.partial"]
    swept(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_sweeps_to_one_place_at_once_do_not_meet(tmp_path: Path) -> None:
    first = RowsFile(tmp_path / "rows.csv", plan("depth=1").axes)
    swept(tmp_path / "rows.csv")
    assert first.partial == tmp_path / "rows.csv.partial"
    first.finish()
    assert os.listdir(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_text() == "depth,layers,params,multiply_adds\n"


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_sweep_killed_while_it_sorts_leaves_the_rows_as_they_came(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, pid = plan("depth=1..300"), os.fork()
    if pid == 0:
        monkeypatch.setattr("archc.sweeps.rows._COPIED", 1000)
        monkeypatch.setattr("archc.sweeps.rows.write_fully", _torn)
        order = parse_order("-params")
        run(
            sweep.variants(),
            EVERYTHING,
            order,
            3,
            RowsFile(tmp_path / name, sweep.axes),
            sort_rows=True,
        )
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    left = sorted(os.listdir(tmp_path))
    assert [one for one in left if not one.startswith(".archc-")] == [f"{name}.partial"]
    assert len(left) == 2
    copy = tmp_path / f"copy{Path(name).suffix}"
    copy.write_bytes((tmp_path / f"{name}.partial").read_bytes())
    assert [row["depth"] for row in rows_of(copy)] == list(range(1, 301))
    copy.unlink()
    swept(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def _torn(file: Any, content: bytes) -> None:
    """Write, until it is the rows in their new order: a part of these, and the end."""
    if ".archc-" not in os.readlink(f"/proc/self/fd/{file.fileno()}"):
        file.write(content)
        return
    file.write(content[:100])
    os.kill(os.getpid(), signal.SIGKILL)


def test_rows_are_written_within_a_page_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed = []

    def note(file: Any, content: bytes) -> None:
        at = file.tell()
        crossed.append((at + len(content) - 1) // 4096 - at // 4096)
        file.write(content)

    monkeypatch.setattr("archc.sweeps.rows.write_fully", note)
    sweep = plan("depth=1..500")
    run(sweep.variants(), EVERYTHING, BY_SIZE, 3, RowsFile(tmp_path / "rows.json", sweep.axes))
    assert len(crossed) > 8
    assert max(crossed) == 1  # the first row of a write is what the page before had no room for


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    name = "é" * 125 + "n.csv"
    assert len(name.encode()) == 255
    rows = RowsFile(tmp_path / name, plan("depth=1").axes)
    assert rows.partial is not None
    assert len(rows.partial.name.encode()) <= 255
    assert rows.partial.name.startswith("é" * 100)
    assert rows.partial.name.endswith(".partial")
    rows.finish()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_descriptor_is_written_to_where_it_stands(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/stdout")
    (tmp_path / "log").write_text("kept\n")
    command = [sys.executable, "-m", "archc", "sweep", "cifar10/resnet20", "--vary", "depth=1..2"]
    with (tmp_path / "log").open("a") as log:
        subprocess.run(
            [*command, "-o", name, "--sort", "-layers"],
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.PIPE,
            check=True,
        )
    text = (tmp_path / "log").read_text()
    assert text.startswith("kept\n")
    assert sorted(os.listdir(tmp_path)) == sorted(["log", name])
    assert text.index('"depth": 2' if "json" in name else "\n2,14,") > 0


def test_a_device_that_is_full_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"rows.csv': no space left on device$"):
        swept(tmp_path / "rows.csv")
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_a_file_keeps_its_permissions_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o600)
    (tmp_path / "rows.csv").symlink_to("real.csv")
    swept(tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").is_symlink()
    assert len(rows_of(tmp_path / "real.csv")) == 3
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    reader = subprocess.Popen(["cat", "rows.csv"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    swept(tmp_path / "rows.csv")
    out, _ = reader.communicate(timeout=30)
    assert len(out.splitlines()) == 4
    assert os.listdir(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").is_fifo()


def test_nothing_is_left_of_a_file_that_cannot_be_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RowsFile, "_put", full)
    with pytest.raises(OutputError, match=r"no space left on device$"):
        RowsFile(tmp_path / "rows.json", plan("depth=1").axes)
    assert os.listdir(tmp_path) == []


# Specs


@pytest.mark.parametrize(
    ("parent", "vary"),
    [
        ("imagenet/resnet50", ["depth[3]=2..8:3", "width=x0.5..x1.5:0.5", "shortcut=A,B"]),
        ("torchvision/vgg16_bn", ["depth=1..2", "width[4]=64", "pool[1]=2,none", "bias=true"]),
        ("imagenet/resnet34", ["block[4]=basic,bottleneck", "depth=x2"]),
        ("torchvision/resnext50_32x4d", ["groups=1,32", "stride_at=1x1"]),
        ("mine.yaml", ["depth=1,4", "width[2]=20"]),
        ("biased.yaml", ["bias=true,false", "kernel[1]=1,5"]),
    ],
)
def test_written_specs_compile_to_just_their_numbers(
    parent: str, vary: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "extends: cifar10/resnet20\nname: mine\nwith: {depth: [1, 2, null], shortcut: B}\n"
    )
    Path("biased.yaml").write_text(
        "extends: torchvision/vgg11\nname: biased\nwith: {bias: [true, null, null, null, null]}\n"
    )
    source = Source("x", f"extends: {parent}\nname: x", path="x.yaml")
    sweep = Plan(source, parse_axes(vary, resolve(source)), [InputSize("3,64,96")])
    found = [one for one in sweep.variants() if isinstance(one, Variant)]
    texts = variant_specs(sweep, found, parent, Path("variants"))
    assert len(texts) == len(found) == sweep.count
    Path("variants").mkdir()
    for (path, text), variant in zip(texts.items(), found, strict=True):
        path.write_text(text)
        network = archc.load(path)
        numbers = (network.layers, network.params, network.multiply_adds)
        assert numbers == variant.numbers
        assert network.input_shape == (3, 64, 96)
        assert len(text.splitlines()) <= 5


def test_a_parent_that_is_whole_with_what_is_set_alone(tmp_path: Path) -> None:
    """Its variants say of every stage what it needs."""
    path = tmp_path / "part.yaml"
    path.write_text(
        "name: part\ninput: [3, 16, 16]\ndefaults: {block: basic, shortcut: B}\n"
        "stages: [{width: 8}, {width: 16, stride: 2}]\n"
    )
    source = open_spec(str(path))
    whole = Plan(source, (), ["depth=2"])
    sweep = Plan(source, parse_axes(["width=x1,x2"], whole.spec), ["depth=2"])
    found = [one for one in sweep.variants() if isinstance(one, Variant)]
    for (target, text), variant in zip(
        variant_specs(sweep, found, str(path), tmp_path).items(), found, strict=True
    ):
        target.write_text(text)
        network = archc.load(target)
        assert (network.layers, network.params, network.multiply_adds) == variant.numbers


def test_a_name_that_would_be_too_long_has_the_variant_s_number() -> None:
    vary = [
        f"{n}[{stage}]={v}"
        for n, v in (("depth", "1,2"), ("shortcut", "A,B"), ("stride", "1,2"))
        for stage in (1, 2, 3)
    ]
    sweep = plan(*vary)
    found = [one for one in sweep.variants() if isinstance(one, Variant)]
    names = [path.stem for path in variant_specs(sweep, found, "cifar10/resnet20", Path("d"))]
    assert names[:2] == ["x-000", "x-001"]
    assert len(set(names)) == len(found)
