"""The docs are true: their specs compile, their commands print what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import archc
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
    for command, expected in commands(text):
        if not write_file(command, expected, tmp_path):
            assert run(command, tmp_path).stdout.rstrip() == expected.rstrip(), command


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(line.partition("#")[0].strip(), id=f"{at}-{line.split()[1]}")
        for at, text in blocks("sh")
        for line in text.splitlines()
        if line.startswith("archc")
    ],
)
def test_a_command_that_is_listed_works(command: str, tmp_path: Path) -> None:
    """Its output is not shown; the files that it reads are those that sessions write."""
    for _, text in blocks("console"):
        for line, expected in commands(text):
            write_file(line, expected, tmp_path)
    result = run(command, tmp_path)
    differs = command.startswith("archc diff")  # which says so with 1, like diff(1)
    assert result.returncode == differs, result.stdout
    assert "error:" not in result.stdout


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a session, each with the lines behind it."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M)


def write_file(command: str, content: str, folder: Path) -> bool:
    """Write the file that a command is the beginning of, if it is."""
    here = re.fullmatch(r"cat > (\S+) <<END", command)
    if here:
        (folder / here[1]).write_text(content.removesuffix("END\n"))
    return here is not None


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, stderr among its output as on a terminal."""
    words = shlex.split(command)
    if words[0] == "archc":
        words[:1] = [sys.executable, "-m", "archc"]
    elif words[0] == "python":
        words[0] = sys.executable
    return subprocess.run(
        words,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.mark.parametrize("text", [pytest.param(text, id=at) for at, text in blocks("python")])
def test_a_program_runs(text: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_pages_have_examples() -> None:
    assert len(blocks("yaml")) >= 7
    assert len(blocks("console")) >= 5


def test_the_table_of_counters_has_what_they_print() -> None:
    rows = re.findall(
        r"^\| (\S+)[^|]* \| ([\d,]+) \| ([\d,]+) \|", (ROOT / "README.md").read_text(), re.M
    )
    printed = {tool.strip(",`"): (paper, torchvision) for tool, paper, torchvision in rows}
    expected = {
        {"multiply-adds": "the"}.get(a.convention, a.convention): (f"{a.flops:,}", f"{b.flops:,}")
        for a, b in zip(
            archc.explain("imagenet/resnet50").conventions,
            archc.explain("torchvision/resnet50").conventions,
            strict=True,
        )
    }
    assert printed == expected
