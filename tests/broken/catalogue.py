"""The catalogue of broken specs: what is written, and all that archc says of it.

An entry is a section of a Markdown file in this folder, with fenced blocks:

    yaml            the spec, `spec.yaml`
    yaml NAME       another file beside it
    bytes           the spec as bytes literals, where it is no text that a page can show
    csv NAME        a file of metrics, which then is read in place of a spec
    sh              the command, where it has options, or is another than `archc check`
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

from archc.cli import cli
from archc.design import Design
from archc.expectations import check_expectations
from archc.source.caller import on_command_line
from archc.spec import Diagnostic, SpecError, load_spec
from archc.spec.overrides import Change, InputSize, Set

FOLDER = Path(__file__).parent
SPEC = "spec.yaml"
CHECK = ("archc", "check", SPEC)

_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A section: its files, the options of the command, and the text that is expected."""

    page: str
    title: str
    files: dict[str, bytes]
    command: tuple[str, ...]
    expected: str

    @property
    def is_check(self) -> bool:
        """Whether the spec is checked, rather than given to another command."""
        return self.command[:3] == CHECK

    def said(self, folder: Path) -> str:
        """What archc says, its files having been written to a folder; empty for a valid spec."""
        return "\n".join(diagnostic.render() for diagnostic in self.diagnostics(folder))

    def diagnostics(self, folder: Path) -> tuple[Diagnostic, ...]:
        """The mistakes, or the warnings of a valid spec."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with chdir(folder):
            try:
                return self._run()
            except SpecError as error:
                return error.diagnostics

    def _run(self) -> tuple[Diagnostic, ...]:
        if any(name.endswith(".csv") for name in self.files):
            from archc.training.metrics import read_metrics

            read_metrics(Path(next(iter(self.files))))
        elif self.is_check:
            design = Design(load_spec(SPEC, self._changes()))
            check_expectations(design.spec, design.network)
            return design.warnings
        else:
            cli.main(list(self.command[1:]), prog_name="archc", standalone_mode=False)
        return ()

    def _changes(self) -> list[Change]:
        kinds = {"--with": str, "--set": Set, "--input": InputSize}
        options = self.command[3:]
        pairs = zip(options[::2], options[1::2], strict=True)
        return [kinds[option](value) for option, value in pairs]


def entries() -> list[Entry]:
    """Every entry of the catalogue."""
    return [entry for path in sorted(FOLDER.glob("*.md")) for entry, _ in _sections(path)]


def _sections(path: Path) -> Iterator[tuple[Entry, str]]:
    """The entries of a page, each with its section's text; first what stands before them."""
    _, *sections = re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for section in sections:
        files: dict[str, bytes] = {}
        command: tuple[str, ...] = CHECK
        expected = ""
        for kind, name, body in _BLOCK.findall(section):
            if kind in ("yaml", "csv"):
                files[name or SPEC] = body.encode()
            elif kind == "bytes":
                files[SPEC] = _bytes(body)
            elif kind == "sh":
                command = tuple(shlex.split(body))
            else:
                expected = body.removesuffix("\n")
        title = section.partition("\n")[0].removeprefix("## ")
        yield Entry(path.stem, title, files, command, expected), section


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
