"""The docs are true: their specs compile, their commands print what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from shell import archc as archc_here

import archc
from archc import api
from archc.blocks import STANDARD
from archc.blocks.definition import Definition
from archc.recipes import is_recipe, resolve_recipe
from archc.spec import Source

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "docs/blocks.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Example:
    """A fenced block of a page, of a kind such as ``yaml``; ``at`` is where it begins."""

    page: Path
    at: int
    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that an example is; its first line has the name: ``# gated.yaml``."""
        found = re.match(r"# (\S+\.(?:yaml|py))\n", self.text)
        return found[1] if found and self.kind in ("yaml", "python") else None

    @property
    def numbers_vary(self) -> bool:
        """Whether its numbers are of one machine or run, as a comment before the example says."""
        return self.page.read_text()[: self.at].endswith("<!-- numbers vary -->\n")

    def write(self, folder: Path) -> Path:
        """Write the example into a folder."""
        path = folder / (self.file or "example.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text)
        return path

    def write_those_before(self, folder: Path) -> None:
        """Write the files that the page has before this example, the latest of each name."""
        for one in examples():
            if one.page == self.page and one.at < self.at and one.file:
                one.write(folder)


def examples(kind: str | None = None) -> list[Example]:
    """The fenced blocks of all pages, in order, or those of a kind."""
    found = []
    for page in PAGES:
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.M | re.S):
            if kind in (None, match[1]):
                found.append(Example(page, match.start(), match[1], match[2]))
    return found


def parameters(kind: str) -> list[object]:
    """The examples of a kind as parameters of a test, named by page and line."""
    return [
        pytest.param(one, id=f"{one.page.name}:{one.page.read_text()[: one.at].count(chr(10)) + 1}")
        for one in examples(kind)
    ]


@pytest.mark.parametrize("example", parameters("yaml"))
def test_an_example_is_valid(example: Example, tmp_path: Path) -> None:
    """A spec compiles, a file of blocks or a recipe is checked."""
    example.write_those_before(tmp_path)
    path = example.write(tmp_path)
    if is_recipe(Source("example.yaml", example.text)):
        assert resolve_recipe(Source("example.yaml", example.text)).header.iterations > 0
    elif example.page == LIBRARY:
        assert definitions_of(example)
    elif (definitions := api.read_blocks(path)) is not None:
        assert definitions
    else:
        assert archc.load(path).layers > 0


@pytest.mark.parametrize("example", parameters("console"))
def test_a_session_prints_what_it_says(example: Example, tmp_path: Path) -> None:
    """A session is run beside the files that its page has before it; `$ cat FILE <<END` writes
    another."""
    example.write_those_before(tmp_path)
    for command, expected in commands(example.text):
        if write_file(command, expected, tmp_path):
            continue
        printed = run(command, tmp_path).stdout
        if example.numbers_vary:
            printed, expected = without_numbers(printed), without_numbers(expected)
        if not re.fullmatch(elided(expected.rstrip()), printed.rstrip()):
            assert printed.rstrip() == expected.rstrip(), command


def elided(expected: str) -> str:
    """A pattern of what a page shows of an output; lines that are `...` are any lines."""
    return "".join(
        r"(?:.*\n)*?" if line == "...\n" else r"(?:.*\n?)*" if line == "..." else re.escape(line)
        for line in expected.splitlines(keepends=True)
    )


def without_numbers(text: str) -> str:
    """The text with every number, time or size as `N`, however wide its column is."""
    numbers = re.sub(r"\d[\d.,:]*(?:e[-+]\d+)?(?: [kMG]?B\b)?", "N", text)
    return re.sub(r"[─ ]+", " ", numbers)


def test_what_a_page_may_leave_open() -> None:
    """Lines may be left out and numbers may differ; anything else may not."""
    assert re.fullmatch(elided("a\n...\nd"), "a\nb\nc\nd")
    assert re.fullmatch(elided("a\n..."), "a\nb\nc\n")
    assert not re.fullmatch(elided("a\n...\nd"), "a\nb\nc")
    assert not re.fullmatch(elided("a.c"), "abc")
    assert without_numbers("✓   4 of 29  within 3e-16, 398.52 MB") == without_numbers(
        "✓   1,004 of 7 within 0e+00, 1.4 GB"
    )
    assert without_numbers("29 of 29 bit-equal") != without_numbers("29 of 29 differ")


def test_the_tutorial_pictures_its_spec() -> None:
    """`make generated` draws the tutorial's figure from a file of its own."""
    tutorial = (one for one in examples("yaml") if one.page.name == "tutorial.md")
    (shown,) = (one.text for one in tutorial if one.file == "resnet65.yaml")
    file = (ROOT / "docs/tutorial/resnet65.yaml").read_text()
    assert shown == f"# resnet65.yaml\n{file}"


def test_the_page_of_blocks_has_the_library() -> None:
    """The page has every block, and no other, with the same attributes and layers. It leaves out
    bounds and descriptions of attributes, which its tables have."""
    shown: dict[str, Definition] = {}
    for one in examples("yaml"):
        if one.page == LIBRARY:
            shown |= definitions_of(one)
    library = {name: STANDARD.definition(name) for name in STANDARD}
    assert list(shown) == list(library)
    for name, definition in library.items():
        assert definition is not None
        assert _meaning(shown[name]) == _meaning(definition), name


def definitions_of(example: Example) -> dict[str, Definition]:
    """The blocks of an example that may hide those of the library."""
    text = re.sub(r"^  \w+:\n", r"\g<0>    replaces: true\n", example.text, flags=re.M)
    return api.read_blocks(Source("example.yaml", text)) or {}


def _meaning(definition: Definition) -> object:
    attributes = [
        (one.name, one.kind, getattr(one.default, "text", one.default), one.optional, one.words)
        for one in definition.attributes.values()
    ]
    left_out = ("attributes", "description")
    return attributes, {k: v for k, v in definition.source.items() if k not in left_out}


@pytest.mark.parametrize("name", list(STANDARD))
def test_the_page_of_blocks_describes_every_attribute(name: str) -> None:
    section = LIBRARY.read_text().partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    definition = STANDARD.definition(name)
    assert definition is not None
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(definition.attributes)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(line.partition("#")[0].strip(), id=f"{one.page.name}-{line.split()[1]}")
        for one in examples("sh")
        for line in one.text.splitlines()
        if line.startswith("archc")
    ],
)
def test_a_command_that_is_listed_works(command: str, tmp_path: Path) -> None:
    """Its output is not shown; the files that it reads are those that sessions write."""
    for one in examples():
        if one.file:
            one.write(tmp_path)
        for line, expected in commands(one.text) if one.kind == "console" else ():
            write_file(line, expected, tmp_path)
    short = " --seconds 0.1" if command.startswith("archc bench") else ""
    result = run(command + short, tmp_path)
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
    """Run a command in a folder, stderr among its output as on a terminal; in this process where it
    does not train."""
    words = shlex.split(command)
    if words[0] == "archc" and words[1] not in ("train", "evaluate"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "100")
            return archc_here(*words[1:], cwd=folder, together=True)
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


@pytest.mark.parametrize("example", parameters("python"))
def test_a_program_runs(example: Example, tmp_path: Path) -> None:
    example.write_those_before(tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", example.text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_pages_have_examples() -> None:
    assert len(examples("yaml")) >= 30
    assert len(examples("console")) >= 15


def test_the_readme_is_short() -> None:
    """What takes more is in the docs."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


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
