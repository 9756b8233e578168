"""docs/python.md and its notebook show what is so: all they run is run here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sessions import SESSIONS, notebook_with_outputs, page_with_outputs, written

import archc
from archc.cli import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NOTEBOOK = DOCS / "python.md", DOCS / "python.ipynb"


@pytest.mark.parametrize("path", [PAGE, NOTEBOOK], ids=lambda path: path.name)
def test_outputs_are_those_that_are_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python tools/sessions.py docs/python.md docs/python.ipynb` writes them."""
    monkeypatch.setenv("COLUMNS", "100")
    assert written(path) == path.read_text()


def test_the_notebook_is_one() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
    for cell in notebook["cells"]:
        keys = {"cell_type", "metadata", "source"}
        if cell["cell_type"] == "code":
            keys |= {"execution_count", "outputs"}
            assert all(
                one["output_type"] in ("stream", "execute_result") for one in cell["outputs"]
            )
        assert set(cell) == keys
    html = [line for cell in notebook["cells"] for line in json.dumps(cell).split("text/html")[1:]]
    assert len(html) == 2  # the figure of a network, the table of a count


def test_the_page_has_every_function_and_command() -> None:
    text = PAGE.read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M))
    assert set(table) >= set(COMMANDS) - {"completion", "explain"}
    for names in table.values():
        for name in re.findall(r"`(?:archc\.)?(\w+)`", names):
            assert callable(getattr(archc, name))
    assert len(SESSIONS.findall(text)) >= 8


def test_what_a_cell_raises_is_raised() -> None:
    cell = {"cell_type": "code", "source": ["x = 1\n", "x / 0"]}
    with pytest.raises(ZeroDivisionError):
        notebook_with_outputs({"cells": [cell]})


def test_outputs_of_a_session_are_written_anew() -> None:
    page = "```pycon\n>>> x = 3\n>>> x\n4\n>>> for n in range(2):\n...     print(n)\n```\n"
    found = page_with_outputs(page + "```pycon\n>>> x + y\n```\n")
    assert found.split("```pycon\n") == [
        "",
        ">>> x = 3\n>>> x\n3\n>>> for n in range(2):\n...     print(n)\n0\n1\n```\n",
        ">>> x + y\nTraceback (most recent call last):\n  ...\n"
        "NameError: name 'y' is not defined\n```\n",
    ]
