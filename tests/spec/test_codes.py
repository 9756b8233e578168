"""Each diagnostic has a code of the list."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from broken.catalogue import entries

from archc.source.codes import CODES, ERRORS, WARNINGS

ARCHC = Path(__file__).parents[2] / "archc"
MAKERS = ("fail", "Diagnostic")
MADE = re.compile(r"findings\.(error|warning)\(|\b(fail|Diagnostic|ShapeError|LayerFault)\(")


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax of every module that may make diagnostics."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(ARCHC.rglob("*.py"))}
    return {
        str(path.relative_to(ARCHC)): ast.parse(t) for path, t in texts.items() if MADE.search(t)
    }


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call that makes a diagnostic, and where it is."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if re.search(r"findings\.(error|warning)$", called) or called in MAKERS:
                    yield f"{path}:{node.lineno}", node


def literals(node: ast.expr) -> list[str]:
    """The texts that an expression may come to."""
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_every_call_that_makes_a_diagnostic_gives_a_code_of_the_list() -> None:
    found = list(calls())
    assert len(found) > 200
    for where, call in found:
        code = next((one.value for one in call.keywords if one.arg == "code"), None)
        assert code is not None, where
        computed = isinstance(code, (ast.Attribute, ast.Name, ast.Call))
        assert computed or literals(code), where
        assert set(literals(code)) <= CODES.keys(), where


def test_faults_of_shapes_have_codes_of_the_list() -> None:
    codes = set[str]()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "code":
                codes |= set(literals(node.value))
    assert codes - {"yaml-syntax"} <= CODES.keys()
    assert {"channel-mismatch", "failed-check", "size-mismatch"} <= codes


def test_every_code_is_met_in_the_catalogue(tmp_path: Path) -> None:
    met = set[str]()
    for index, entry in enumerate(entries()):
        folder = tmp_path / str(index)
        folder.mkdir()
        met |= {one.code for one in entry.diagnostics(folder)}
    assert met == CODES.keys()


@pytest.mark.parametrize("codes", [WARNINGS, ERRORS], ids=["warnings", "errors"])
def test_codes_are_words_and_sentences(codes: dict[str, str]) -> None:
    for code, sentence in codes.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert re.fullmatch(r"[A-Z`][^\n]{10,90}\.", sentence), code
    assert list(WARNINGS) == sorted(WARNINGS)
    assert 50 <= len(CODES) <= 75
