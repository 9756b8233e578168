"""A few kills of `kills.py`, at moments that its seed draws."""

from __future__ import annotations

from pathlib import Path

from kills import build_and_sweep, kill_all


def test_nothing_is_torn_lost_accused_or_left(tmp_path: Path) -> None:
    counts = {"build": 3, "sweep rows.json": 2}
    assert kill_all(counts, build_and_sweep(), tmp_path, seed=1).total() == 5
