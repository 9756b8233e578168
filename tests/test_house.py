"""An op's facts are in its record: few files outside `archc/ops/` may name concrete ops."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import archc
from archc.ops.foreign import EVERY_OP

ROOT = Path(archc.__file__).parent
NAMES = {op.__name__ for op in EVERY_OP.values()}

MOST = 40
"""References to concrete ops outside of their package: layers and blocks make them, folding knows
convolutions and norms, inputs and final softmaxes are found, a note on weights names shortcuts."""


def test_few_files_name_ops() -> None:
    found: Counter[str] = Counter()
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("ops/") or path.name == "interpreter.py" or "convention" in name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id in NAMES:
                found[name] += 1
    assert found.total() <= MOST, found.most_common()
