"""docs/commands.md: what `archc COMMAND --help` says of every command, as one page.

python tools/command_reference.py
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from archc.cli import GROUPS, cli

PAGE = Path(__file__).parents[1] / "docs/commands.md"

_HEAD = """\
# Commands

Look up here what a command does and which options it takes. The page is generated from the text of
`archc COMMAND --help`. `archc --version` prints the version, and
`archc completion --help` says how a shell completes commands, options and names.

SPEC is the path of a YAML file, the name of a shipped spec (`imagenet/resnet34`; `archc list` has
all of them), or `-` for standard input. Options may come before or after SPEC, and every command
also has `-h` and `--help`.

| exit code | |
| --- | --- |
| 0 | done |
| 1 | the input is wrong, or a check failed; for `archc diff`, the specs differ |
| 2 | the command line is wrong; for `archc diff`, any error |
| 130, 143, 129 | ended by Ctrl-C, SIGTERM or SIGHUP |

[Files](files.md) describes how output files are written: completely or not at all.
"""


def render() -> str:
    """The page in Markdown."""
    parts = [_HEAD, _contents()]
    for heading, commands in GROUPS.items():
        parts.append(f"## {heading}\n")
        parts += [_section(name) for name in commands]
    return "\n".join(parts)


def _contents() -> str:
    rows = [
        f"| [`archc {name}`](#archc-{name}) | {help} |"
        for commands in GROUPS.values()
        for name, help in commands.items()
    ]
    return "\n".join(["| command | |", "| --- | --- |", *rows, ""])


def _section(name: str) -> str:
    """What a command does, its examples and its options."""
    command: click.Command = importlib.import_module(f"archc.cli.{name}_command").command
    with click.Context(
        command, info_name=name, parent=click.Context(cli, info_name="archc")
    ) as ctx:
        usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
        rows = [
            _row(option, *record)
            for option in command.get_params(ctx)
            if isinstance(option, click.Option)
            and "--help" not in option.opts
            and (record := option.get_help_record(ctx))
        ]
    parts = [f"### archc {name}\n", f"```text\n{usage}\n```\n", *_paragraphs(command.help or "")]
    if rows:
        parts += ["\n".join(["| option | |", "| --- | --- |", *rows]) + "\n"]
    return "\n".join(parts)


def _paragraphs(help: str) -> Iterator[str]:
    """The paragraphs of a docstring, a line each; what click leaves as it is becomes code."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(help)):
        if not paragraph.startswith("\b\n"):
            yield _text(" ".join(paragraph.split())) + "\n"
            continue
        heading, _, lines = paragraph.removeprefix("\b\n").partition("\n")
        kind = "bash" if heading == "Examples:" else "text"
        yield f"```{kind}\n{inspect.cleandoc(lines) if kind == 'bash' else heading + lines}\n```\n"


def _row(option: click.Option, names: str, help: str) -> str:
    """An option as a row of a table. The choices stand among the words, where they can wrap."""
    if isinstance(option.type, click.Choice) and len(option.type.choices) == 1:
        names = names.replace("[", "").replace("]", "")
    elif isinstance(option.type, click.Choice) and option.metavar is None:
        choices = ", ".join(f"`{one}`" for one in option.type.choices)
        names = names.partition(" [")[0]
        before, bracket, defaults = help.partition("[default:")
        help = f"{before.strip()} One of {choices}. {bracket}{defaults}"
    # In code that is marked by backticks, GitHub and the site disagree on how to write a bar.
    code = f"`{names}`" if "|" not in names else f"<code>{names.replace('|', '&#124;')}</code>"
    return f"| {code} | {_text(' '.join(help.split())).replace('|', '&#124;')} |"


def _text(text: str) -> str:
    """A help text in Markdown: options become code, and nothing is markup by accident."""
    pieces = re.split(r"(`[^`]+`)", text)
    for at in range(0, len(pieces), 2):
        plain = re.sub(r"[*_]", r"\\\g<0>", pieces[at]).replace("<", "&lt;").replace(">", "&gt;")
        pieces[at] = re.sub(r"(?<![\w`-])--[a-z][\w-]*", r"`\g<0>`", plain)
    return "".join(pieces)


if __name__ == "__main__":
    PAGE.write_text(render())
