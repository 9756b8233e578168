"""Checkpoints and metrics: whole, or as if they were not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from archc.errors import TrainingError
from archc.spec import SpecError
from archc.training import Run, draw_curves
from archc.training.checkpoints import KEPT, Saved, newest, newest_weights, save
from archc.training.metrics import HEADING, Row, append, cut, read_metrics


def saved(iteration: int) -> Saved:
    weights = {"conv.weight": torch.full((2, 3), float(iteration)), "n": torch.tensor(iteration)}
    return Saved(iteration, weights, {"conv.weight": torch.ones(2, 3)}, {"warming": True})


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_what_is_saved_is_read_and_old_ones_go(tmp_path: Path) -> None:
    assert newest(tmp_path, pytest.fail) is None
    for iteration in (5, 10, 15, 100):
        save(tmp_path, saved(iteration))
    found = newest(tmp_path, pytest.fail)
    assert found is not None
    assert found.iteration == 100
    assert found.state == {"warming": True}
    assert same(dict(found.weights), dict(saved(100).weights))
    assert same(dict(found.momentum), dict(saved(100).momentum))
    assert len(list(tmp_path.glob("*.json"))) == KEPT
    assert len(list(tmp_path.iterdir())) == 3 * KEPT


PARTS = (".safetensors", ".momentum.safetensors", ".json")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("how", ["torn", "flipped", "empty", "gone"])
def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path, part: str, how: str) -> None:
    save(tmp_path, saved(10))
    save(tmp_path, saved(20))
    path = tmp_path / f"iteration-0000020{part}"
    content = path.read_bytes()
    middle = len(content) - 9
    flipped = bytes([content[middle] ^ 1])
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "torn": content[:middle],
                "flipped": content[:middle] + flipped + content[middle + 1 :],
                "empty": b"",
            }[how]
        )
    told: list[str] = []
    found = newest(tmp_path, told.append)
    assert found is not None
    assert found.iteration == 10
    assert newest_weights(tmp_path) == tmp_path / "iteration-0000010.safetensors"
    if part == ".json" and how == "gone":
        assert told == []  # it was never finished
    else:
        assert len(told) == 1
        assert told[0].startswith("the checkpoint of iteration 20 is damaged (iteration-0000020")
        assert told[0].endswith("continuing from iteration 10")


def test_where_none_is_whole_nothing_is_begun_anew(tmp_path: Path) -> None:
    save(tmp_path, saved(10))
    record = tmp_path / "iteration-0000010.json"
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, "iteration": 11}))
    with pytest.raises(TrainingError, match="has no intact checkpoint: the checkpoint of iter"):
        newest(tmp_path, pytest.fail)
    assert newest_weights(tmp_path) is None


def test_metrics_are_cut_where_training_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    rows = [
        Row(100, 0.5, 0.1, training_loss=2.25, training_error=87.5),
        Row(150, 0.75, 0.1, test_loss=2.0, test_error=80.0, seconds=3.5),
        Row(200, 1.0, 0.01, training_loss=1.5, training_error=50.0),
    ]
    for row in rows:
        append(path, row)
    assert read_metrics(path) == rows
    with path.open("a") as file:
        file.write("300,1.5,0.0")  # a line that was being written
    assert read_metrics(path) == rows
    cut(path, 150)
    assert path.read_text() == HEADING + rows[0].line() + rows[1].line()


def test_metrics_that_no_run_measures_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    good = Row(100, 0.5, 0.1, training_loss=float("nan"), training_error=87.5)
    rows = [f"{'9' * 400},1,0.05,1,1,1,1,1,1\n", "-5,1,1,1,1,1,1,1,1\n", good.line()]
    rows += ["5,1,1,1,nan,1,1e999,1,x\n", "5000000000,1,1,1,1,1,1,1,1\n", ",1,1,1,1,1,1,1,1\n"]
    path.write_text(HEADING + "".join(rows))
    with pytest.raises(SpecError) as told:
        read_metrics(path)
    bounds = "`iteration` must be an integer from 0 to 1,000,000,000, not"
    assert [
        f"{fault.place.line}:{fault.place.column}: {fault.message}"
        for fault in told.value.diagnostics
    ] == [
        f"2:1: {bounds} `{'9' * 39}…`",
        f"3:1: {bounds} `-5`",
        "5:9: `training_error` must be a number from 0 to 100, not `nan`",
        "5:15: `test_error` must be a number from 0 to 100, not `1e999`",
        "5:23: `seconds` must be a number, not `x`",
        f"6:1: {bounds} `5000000000`",
        f"7:1: {bounds} nothing",
    ]
    cut(path, 100)
    assert path.read_text() == HEADING + good.line()


def test_curves_of_a_run_that_has_just_begun(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("name: tiny\nhead: [linear]\n")
    (tmp_path / "metrics.csv").write_text(HEADING + Row(0, 0, 0.1, test_error=90.0).line())
    assert b">90.00</text>" in draw_curves([Run(tmp_path)])


def test_files_that_are_no_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    with pytest.raises(TrainingError, match="nothing has been measured yet"):
        read_metrics(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TrainingError, match="is not a metrics file"):
        read_metrics(path)
