"""The catalogue of broken specs: what is written, and all that archc says of it.

An entry is a section of a Markdown file in this folder, with fenced blocks:

    yaml            the spec, `spec.yaml`
    yaml NAME       another file beside it
    bytes           the spec as bytes literals, where it is no text that a page can show
    sh              the command, where it has options
    text            every diagnostic, as it is rendered

Run this file to write the last of them anew: git shows what has changed.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from archc.compile import compile_spec
from archc.expectations import check_expectations
from archc.source.caller import on_command_line
from archc.spec import SpecError, load_spec
from archc.spec.overrides import Change, InputSize, Set

FOLDER = Path(__file__).parent
SPEC = "spec.yaml"

_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A section: its files, the options of the command, and the text that is expected."""

    page: str
    title: str
    files: dict[str, bytes]
    options: tuple[str, ...]
    expected: str

    def said(self, folder: Path) -> str:
        """What archc says, its files having been written to a folder; empty for a valid spec."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with chdir(folder):
            try:
                spec = load_spec(SPEC, self._changes())
                check_expectations(spec, compile_spec(spec))
            except SpecError as error:
                return "\n".join(diagnostic.render() for diagnostic in error.diagnostics)
        return ""

    def _changes(self) -> list[Change]:
        kinds = {"--with": str, "--set": Set, "--input": InputSize}
        pairs = zip(self.options[::2], self.options[1::2], strict=True)
        return [kinds[option](value) for option, value in pairs]


def entries() -> list[Entry]:
    """Every entry of the catalogue."""
    return [entry for path in sorted(FOLDER.glob("*.md")) for entry, _ in _sections(path)]


def _sections(path: Path) -> Iterator[tuple[Entry, str]]:
    """The entries of a page, each with its section's text; first what stands before them."""
    _, *sections = re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for section in sections:
        files: dict[str, bytes] = {}
        options: tuple[str, ...] = ()
        expected = ""
        for kind, name, body in _BLOCK.findall(section):
            if kind == "yaml":
                files[name or SPEC] = body.encode()
            elif kind == "bytes":
                files[SPEC] = _bytes(body)
            elif kind == "sh":
                options = tuple(shlex.split(body)[3:])
            else:
                expected = body.removesuffix("\n")
        title = section.partition("\n")[0].removeprefix("## ")
        yield Entry(path.stem, title, files, options, expected), section


def _bytes(expression: str) -> bytes:
    """The value of bytes literals with `+` between them and `*` for repetition."""
    content = b""
    for term in expression.split(" + "):
        literal, _, times = term.partition(" * ")
        content += ast.literal_eval(literal.strip()) * int(times or 1)
    return content


def _rewrite(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for entry, section in _sections(path):
        with TemporaryDirectory() as folder:
            said = entry.said(Path(folder))
        head = section.partition("```text\n")[0].rstrip("\n")
        text = text.replace(section, f"{head}\n\n```text\n{said}\n```\n\n")
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    with on_command_line():
        for page in sorted(FOLDER.glob("*.md")):
            _rewrite(page)
