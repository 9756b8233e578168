"""What ONNX calls an op stands in the op's record, and nowhere else."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import archc.frontends.onnx
from archc.frontends.onnx.rules import BY_KIND, OTHERS, rules
from archc.ops import Op
from archc.ops.foreign import EVERY_OP

NAMED = {name for op in EVERY_OP.values() for name in op.onnx_names}


def texts(path: Path) -> Iterator[str]:
    """The words of a module's literals, without its docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from node.value.split()


@pytest.mark.parametrize("op", EVERY_OP.values(), ids=lambda op: op.kind)
def test_records_say_what_they_are_written_as(op: type[Op]) -> None:
    """Those that are written as a single node; of others each node is an op by itself."""
    source = ast.parse(textwrap.dedent(inspect.getsource(op.onnx)))
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    made = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "OnnxNode"]
    if len(made) == 1 and made[0].startswith("'"):
        assert ast.literal_eval(made[0]) in op.onnx_names
    elif made:
        assert op.onnx_names


def test_what_is_exported_is_read() -> None:
    for op in EVERY_OP.values():
        assert bool(op.onnx_names) == bool(op.torch.exported), op.kind
    assert rules().keys() >= NAMED
    assert BY_KIND.keys() <= EVERY_OP.keys()
    for kind, each in BY_KIND.items():
        assert len(each) == len(EVERY_OP[kind].onnx_names), kind


def test_no_name_stands_in_two_places() -> None:
    assert not NAMED & OTHERS.keys()
    for path in Path(archc.frontends.onnx.__path__[0]).glob("*.py"):
        if path.name != "statics.py":  # arithmetic on constants, which no op has a part in
            assert not NAMED & set(texts(path)), path.name


def test_a_name_in_a_record_is_enough_for_what_acts_on_each_element() -> None:
    plain = [op.kind for op in EVERY_OP.values() if op.onnx_names and op.kind not in BY_KIND]
    assert {"relu", "sigmoid", "tanh", "hardswish"} < set(plain)
