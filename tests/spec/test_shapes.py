"""Faults of shape: all of them, and none that only follows from another."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.blocks import STANDARD
from archc.blocks.lowering import lower_row
from archc.compile import compile_spec
from archc.graph import Fragment, Shape
from archc.spec import Diagnostic, Spec, SpecError, load_spec
from archc.spec.shapes import shape_faults


def faults(spec: dict[str, Any], tmp_path: Path) -> tuple[Diagnostic, ...]:
    path = tmp_path / "net.yaml"
    path.write_text(json.dumps({"name": "net", **spec}, indent=1), encoding="utf-8")
    try:
        compile_spec(load_spec(str(path)))
    except SpecError as error:
        return error.diagnostics
    return ()


def layer(rng: random.Random) -> object:
    kernel = rng.choice([1, 2, 3, 5, 9, 40])
    pool = {"kernel": kernel, "stride": rng.choice([1, 2, 3]), "padding": rng.choice([0, 1, 3])}
    conv = {**pool, "width": rng.choice([4, 6, 8]), "groups": rng.choice([1, 1, 2, 3])}
    simple = ["batch_norm", "relu", "flatten", "linear", "global_avg_pool"]
    return rng.choice([{"conv": conv}, {"max_pool": pool}, {"avg_pool": pool}, *simple])


def stage(rng: random.Random) -> dict[str, object]:
    common = {
        "depth": rng.choice([1, 2, 5]),
        "width": rng.choice([4, 8, 16]),
        "stride": rng.choice([1, 2]),
    }
    block = rng.choice(["basic", "bottleneck", "conv"])
    if block == "conv":
        return {"block": block, "kernel": rng.choice([2, 3, 9]), "pool": 2, **common}
    shortcut = {"block": block, "shortcut": rng.choice(["A", "B", "none"]), **common}
    return shortcut | ({"base_width": rng.choice([4, 64])} if block == "bottleneck" else {})


@pytest.mark.parametrize("seed", range(300))
def test_what_compiling_stumbles_over_is_among_the_faults(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    spec = {
        "input": [rng.choice([3, 4]), rng.choice([4, 16, 33]), 16],
        "stem": [layer(rng) for _ in range(rng.randrange(4))],
        "stages": [stage(rng) for _ in range(rng.randrange(1, 5))],
        "head": [layer(rng) for _ in range(rng.randrange(4))],
    }
    found = faults(spec, tmp_path)
    assert len({(one.place.line, one.place.column, one.message) for one in found}) == len(found)
    if not found:
        return
    first = first_fault(load_spec(str(tmp_path / "net.yaml")))
    assert any(first in one.message for one in found)


def first_fault(spec: Spec) -> str:
    """What compiling stumbles over, found without the survey."""
    shape: Shape = spec.header.input
    pieces: list[Any] = [lambda x, r=(one.item,): lower_row(r, x, spec.around) for one in spec.stem]
    for placed in spec.stages:
        for index in range(placed.model.depth):
            stride = placed.model.stride if index == 0 else 1
            pieces.append(lambda x, m=placed.model, s=stride: m.lower(x, s, spec.around))
        pieces.append(lambda x, m=placed.model: m.finish(x, spec.around) or Fragment(x, ()))
    pieces += [lambda x, r=(one.item,): lower_row(r, x, spec.around) for one in spec.head]
    for piece in pieces:
        try:
            shape = piece(shape).output_shape
        except archc.graph.ShapeError as error:
            return error.message
    raise AssertionError("all shapes fit")


def test_a_deep_stage_is_gone_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal blocks tell nothing new."""
    lowered = []
    original = STANDARD["basic"].lower

    def lower(self: Any, x: Shape, stride: int, around: Any, index: int) -> Fragment:
        lowered.append(x)
        return original(self, x, stride, around, index)

    path = tmp_path / "net.yaml"
    path.write_text(
        "name: net\nstem: [max_pool: {kernel: 2, padding: 2}]\n"
        "stages: [{block: basic, depth: 9999, width: 8, shortcut: A}]\n"
    )
    spec = load_spec(str(path))
    monkeypatch.setattr(STANDARD["basic"], "lower", lower)
    (fault,) = shape_faults(spec).diagnostics
    assert fault.message.startswith("`max_pool`: a pooling of 2x2 can be padded by at most 1")
    assert len(lowered) == 2


def test_there_are_at_most_fifty_faults(tmp_path: Path) -> None:
    found = faults({"stem": [{"max_pool": {"kernel": 1, "padding": 1}}] * 60}, tmp_path)
    assert len(found) == 51
    assert found[-1].message == "there are more mistakes from here on; archc stops after 50"
