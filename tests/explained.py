"""What `archc explain` shows: every example run, and what archc says of it.

Run this file to write the messages anew: git shows what has changed.
"""

from __future__ import annotations

import re
import shlex
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from archc.api.checking import check_source
from archc.cli import cli
from archc.source.caller import on_command_line
from archc.source.diagnostics import Diagnostic, SpecError
from archc.source.explaining import PAGE, Example, explanations
from archc.spec.files import open_spec


def found(example: Example, text: str, folder: Path) -> tuple[Diagnostic, ...]:
    """The diagnostics of a spec or of a command."""
    with chdir(folder), on_command_line():
        for name, content in example.files.items():
            Path(name).write_text(content, encoding="utf-8")
        try:
            if example.is_command:
                cli.main(shlex.split(text)[1:], prog_name="archc", standalone_mode=False)
                return ()
            Path("spec.yaml").write_text(text, encoding="utf-8")
            checked = check_source(open_spec("spec.yaml"))
        except SpecError as error:
            return error.diagnostics
    return (*checked.mistakes, *checked.warnings)


def _rewrite() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for code, one in explanations().items():
        if one.example is None:
            continue
        with TemporaryDirectory() as folder:
            told = found(one.example, one.example.before, Path(folder))
        said = "\n".join(diagnostic.render() for diagnostic in told)
        kind = "sh" if one.example.is_command else "yaml"
        block = re.compile(
            rf"(^## {code}\n.*?^```{kind} before\n.*?^```\n)(\n```text\n.*?^```\n)?",
            re.MULTILINE | re.DOTALL,
        )
        match = block.search(page)
        assert match is not None
        page = page.replace(match[0], f"{match[1]}\n```text\n{said}\n```\n")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    _rewrite()
