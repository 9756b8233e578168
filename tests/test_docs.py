"""The docs are true: their specs compile, their commands print what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archc.compile import compile_spec
from archc.recipes import is_recipe, resolve_recipe
from archc.spec import Source, resolve

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str) -> list[tuple[str, str]]:
    """The fenced blocks of a kind in all pages, each with its page and line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S):
            line = text[: match.start()].count("\n") + 1
            found.append((f"{page.name}:{line}", match[1]))
    return found


@pytest.mark.parametrize("text", [pytest.param(text, id=at) for at, text in blocks("yaml")])
def test_an_example_spec_compiles(text: str) -> None:
    source = Source("example.yaml", text)
    if is_recipe(source):
        assert resolve_recipe(source).header.iterations > 0
    else:
        assert compile_spec(resolve(source)).layers > 0


@pytest.mark.parametrize("text", [pytest.param(text, id=at) for at, text in blocks("console")])
def test_a_session_prints_what_it_says(text: str, tmp_path: Path) -> None:
    """A session is run in a folder of its own; `$ cat FILE <<END` writes a file."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
        here = re.fullmatch(r"cat > (\S+) <<END", command)
        if here:
            (tmp_path / here[1]).write_text(expected.removesuffix("END\n"))
            continue
        words = shlex.split(command)
        if words[0] == "archc":
            words[:1] = [sys.executable, "-m", "archc"]
        elif words[0] == "python":
            words[0] = sys.executable
        result = subprocess.run(
            words,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "100"},
        )
        assert result.stdout.rstrip() == expected.rstrip(), command


@pytest.mark.parametrize("text", [pytest.param(text, id=at) for at, text in blocks("python")])
def test_a_program_runs(text: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_pages_have_examples() -> None:
    assert len(blocks("yaml")) >= 7
    assert len(blocks("console")) >= 5
