"""Expressions are laid out as ruff would, at every width."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from agreement import assert_formatted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.backends.pytorch.text import Call, Expression, Repeat, call, lay_out, prose, run_together

names = st.integers(1, 20).map(lambda length: "f" * length)
words = st.integers(1, 40).map(lambda length: "n" * length)


def _calls(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Any]:
    positional = st.lists(inner.map(lambda x: ("", x)), max_size=4)
    named = st.lists(
        st.tuples(words, st.one_of(words, inner)), max_size=3, unique_by=lambda x: x[0]
    )
    repeated = st.builds(lambda x: ("", Repeat(x, 3)), inner.filter(lambda x: isinstance(x, Call)))
    rows = st.tuples(positional, st.lists(repeated, max_size=1), named)
    return st.builds(lambda name, parts: Call(name, (*parts[0], *parts[1], *parts[2])), names, rows)


expressions = st.recursive(words, _calls, max_leaves=12)


def test_random_expressions_are_laid_out_as_ruff_has_them(tmp_path: Path) -> None:
    rows: list[str] = []

    @settings(
        max_examples=max(400, settings().max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(names, expressions, st.integers(1, 2))
    def collect(name: str, expression: Expression, depth: int) -> None:
        indent = "    " * depth
        lines = lay_out(indent, f"self.{name} = ", expression)
        text = "\n".join(["if x:" if depth == 1 else "if x:\n    if x:", *lines, ""])
        (statement,) = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assign)]
        assert ast.unparse(statement.value) == ast.unparse(ast.parse(str(expression)).body[0])
        rows.append(text)

    collect()
    (tmp_path / "laid_out.py").write_text("x = n = self = None\n" + "".join(rows))
    assert_formatted(tmp_path, lint=False)


def test_a_call_breaks_exactly_where_it_grows_too_long(tmp_path: Path) -> None:
    """One line, else its arguments on a line, else a line each."""
    calls = [call("f", "a" * width, kernel_size="1") for width in range(60, 80)]
    rows = [lay_out("", "x = ", one) for one in calls]
    assert [len(row) for row in rows] == [1] * 7 + [3] * 3 + [4] * 10
    (tmp_path / "laid_out.py").write_text("".join("\n".join([*row, ""]) for row in rows))
    assert_formatted(tmp_path, lint=False)


def test_equal_neighbours_run_together_from_three_on() -> None:
    a, b = call("A", "1"), call("A", "2")
    assert run_together([a, a, b, b, b, a]) == [a, a, Repeat(b, 3), a]
    assert str(Repeat(b, 3)) == "*(A(2) for _ in range(3))"


def test_prose_is_wrapped_and_harmless() -> None:
    text = 'He said """no""" \\ twice\x00\u202e\n\n' + "word " * 40
    lines = prose(text)
    assert lines[0].startswith("He said '''no''' \\\\ twice word")
    assert max(map(len, lines)) <= 89  # a backslash is doubled after wrapping
    assert prose(" \n\u200b ") == []
