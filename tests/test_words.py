"""Plain English: no message, help text or page has the phrases that sound translated."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from archc.cli import COMMANDS

ROOT = Path(__file__).parents[1]

TICS = {
    "is no ...": r"(?<!there )\b(is|are|was|were|be) no (?!longer\b|more\b|difference\b)",
    "goes not": r"\bgo(es)? not\b",
    "means nothing to": r"\bmeans? nothing\b",
    "says nothing about": r"\bsa(y|ys|id) nothing\b",
    "tells": r"\b(tells?|told)\b",
    "whole": r"\bwholes?\b",
    "stands": r"\bstands?\b",
    "anew": r"\banew\b",
    "behind": r"\bbehind\b",
    "is said": r"\b(is|are) said\b",
    "none of archc's": r"\bof archc's\b(?! own)",
    "what became of": r"\bwhat (became|came) of\b",
    "not for everybody": r"\b(everybody|nobody)\b",
    "cannot be had": r"\bcannot be had\b",
    "go on": r"\bgo(es)? on\b",
    "a second, an element": r"\b(operations|bytes|images|values|bits) an? "
    "(second|element|pixel|channel)\b",
}
"""Phrases by what style guides would call them; a native speaker would not say them here."""

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def tics(text: str) -> list[str]:
    """The phrases that a text has, each with the words around it."""
    return [
        f"{name}: …{text[max(0, found.start() - 30) : found.end() + 30]}…"
        for name, pattern in TICS.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that a user may read: its literals of several words, no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in docstrings and " " in node.value.strip():
            yield node.lineno, node.value


@pytest.mark.parametrize("path", sorted((ROOT / "archc").rglob("*.py")), ids=str)
def test_messages_are_plain_english(path: Path) -> None:
    found = [(line, tic) for line, text in messages(path) for tic in tics(text)]
    assert found == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_plain_english(name: str) -> None:
    command: click.Command = importlib.import_module(f"archc.cli.{name}_command").command
    with click.Context(command, info_name=name) as context:
        assert tics(command.get_help(context)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain_english(page: Path) -> None:
    assert tics(page.read_text()) == []


@pytest.mark.parametrize("page", sorted((ROOT / "tests/broken").glob("*.md")), ids=lambda p: p.name)
def test_the_catalogue_is_plain_english(page: Path) -> None:
    assert tics(page.read_text()) == []


def test_what_is_refused() -> None:
    assert tics("the port is no number, and stands for nobody") != []
    assert tics("there is no file `x`; the file is no longer there") == []
