"""ONNX's operations on elements, emitted: what onnxruntime computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import onnxruntime
import torch
from onnxmaker import Maker

import archc

Ops = Callable[[Maker, str], Iterator[str]]


def unary(m: Maker, x: str) -> Iterator[str]:
    smooth = ["Elu", "Selu", "Celu", "Softplus", "Softsign", "Mish", "Exp", "Sin", "Cos", "Erf"]
    yield from (m.node(op, x) for op in smooth)
    yield from (m.node(op, x) for op in ["Abs", "Neg", "Floor", "Ceil", "Round", "Sign"])
    yield from (m.node(op, m.node("Abs", x)) for op in ("Sqrt", "Reciprocal", "Log"))
    yield from (m.node(op, x, alpha=0.3) for op in ("Elu", "Celu", "LeakyRelu"))


def bounds(m: Maker, x: str) -> Iterator[str]:
    y = m.node("Cos", x)
    for op in ("Min", "Max"):
        yield m.node(op, x, m.tensor(0.25))
        yield m.node(op, m.tensor(0.0), x)
        yield m.node(op, x, y)
        yield m.node(op, m.weight(3, 1, 1), x)
        yield m.node(op, y, m.weight(3, 1, 1), m.tensor(0.1), x)
    yield m.node("Clip", x, m.tensor(-0.5), m.tensor(0.5))
    yield m.node("Clip", x, m.tensor(-0.5))


def powers(m: Maker, x: str) -> Iterator[str]:
    yield m.node("Pow", x, m.tensor(2.0))
    yield m.node("Pow", m.tensor(2.0), x)
    yield m.node("Pow", m.node("Abs", x), m.node("Cos", x))
    yield m.node("Pow", m.node("Abs", x), m.weight(3, 1, 1))
    yield m.node("Div", m.tensor(1.0), x)
    yield m.node("CumSum", x, m.tensor(-1, dtype=np.int64))


def choices(m: Maker, x: str) -> Iterator[str]:
    y = m.node("Cos", x)
    for op in ("Equal", "Greater", "Less", "LessOrEqual", "GreaterOrEqual"):
        yield m.node("Where", m.node(op, x, m.tensor(0.1)), x, y)
        yield m.node("Where", m.node(op, x, y), x, m.tensor(2.0))
    some, others = m.node("Greater", x, m.tensor(0.1)), m.node("Less", x, m.tensor(0.5))
    yield m.node("Where", some, m.tensor(1.0), m.tensor(2.0))
    yield m.node("Where", m.node("Not", some), m.weight(3, 1, 1), m.weight(3, 8, 8))
    yield m.node("Where", m.tensor(np.eye(8) > 0, dtype=bool), x, m.tensor(-1.0))
    yield m.node("Where", m.node("And", some, others), x, y)
    yield m.node("Where", m.node("Or", some, others), x, y)


def reductions(m: Maker, x: str) -> Iterator[str]:
    for op in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceLogSumExp", "ReduceMean"):
        for keep in (0, 1):
            y = m.node(op, x, axes=[1], keepdims=keep)
            yield m.node("Mul", x, y if keep else m.node("Unsqueeze", y, axes=[1]))


GROUPS: Mapping[str, tuple[Ops, int]] = {
    **{"unary": (unary, 18), "bounds": (bounds, 18), "powers": (powers, 18)},
    **{"choices": (choices, 18), "reductions": (reductions, 12)},
}


def emitted(tmp_path: Path, data: bytes) -> Any:
    (tmp_path / "net.onnx").write_bytes(data)
    return archc.module(archc.from_onnx(tmp_path / "net.onnx"))


@pytest.mark.parametrize("group", GROUPS)
def test_operations_on_elements_are_emitted(tmp_path: Path, group: str) -> None:
    ops, opset = GROUPS[group]
    m = Maker((1, 3, 8, 8), opset)
    data = m.data(m.node("Concat", *ops(m, "x"), axis=1))
    module = emitted(tmp_path, data)
    x = np.random.default_rng(3).normal(size=(2, 3, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(data)
    expected = np.concatenate([session.run(None, {"x": one[None]})[0] for one in x])
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.tensor(x)).numpy(), expected, 1e-5, 2e-6)


@pytest.mark.parametrize(
    ("op", "attributes", "name"),
    [
        ("Selu", {"alpha": 1.2}, "scaled_elu"),  # torch's has one alpha
        ("Mod", {"fmod": 1}, "fmod"),  # torch's `%` has the sign of the divisor
        ("CumSum", {"exclusive": 1}, "cumulative_sum"),
    ],
)
def test_what_torch_has_otherwise_is_not_taken_for_it(
    tmp_path: Path, op: str, attributes: dict[str, Any], name: str
) -> None:
    m = Maker((1, 3, 8, 8), 18)
    second = {"Mod": [m.tensor(0.7)], "CumSum": [m.tensor(1, dtype=np.int64)]}.get(op, [])
    with pytest.raises(archc.EmitError, match=f"how to write `{name}`"):
        emitted(tmp_path, m.data(m.node(op, "x", *second, **attributes)))
