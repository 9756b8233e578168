"""``archc list``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from archc.cli.common import print_table, put_out, read_spec_or_blocks, read_stdin_once
from archc.cli.terminal import say, say_heading

if TYPE_CHECKING:
    from archc.blocks import Definition

_LONGEST_NAME = 24
"""A longer name of a block has a line of its own."""


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from archc.shipped import shipped_names

    groups = sorted({name.split("/")[0] for name in shipped_names()})
    return [group for group in groups if group.startswith(incomplete)]


@click.command("list")
@click.argument("groups", metavar="[GROUP|SPEC]...", nargs=-1, shell_complete=_complete)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "names"]),
    default="table",
    show_default=True,
    help="names prints one name per line, for scripts.",
)
@click.option(
    "--blocks",
    is_flag=True,
    help="List block types instead: those of each SPEC or file of blocks, and the library's.",
)
def command(groups: tuple[str, ...], format_: str, *, blocks: bool) -> None:
    """List the shipped networks with depth, parameters and multiply-adds, or block types.

    \b
    Examples:
      archc list
      archc list imagenet
      archc count $(archc list cifar10 --format names)
      archc list --blocks
      archc list --blocks my.yaml
    """
    if blocks:
        _list_blocks(groups, format_)
        return
    from archc.listing import summaries
    from archc.shipped import shipped_names

    names = shipped_names()
    known = sorted({name.split("/")[0] for name in names})
    for group in groups:
        if group.rstrip("/") not in known:
            more = "; --blocks lists the blocks of a file" if os.path.isfile(group) else ""
            raise click.BadParameter(
                f"{group!r} is none of {', '.join(known)}{more}", param_hint="'GROUP'"
            )
    wanted = {group.rstrip("/") for group in groups}
    names = [name for name in names if not wanted or name.split("/")[0] in wanted]
    if format_ == "names":
        say(*names)
        return
    rows = [row for row in summaries() if row["spec"] in names]
    if format_ == "json":
        from archc.backends.jsontext import to_text

        put_out(to_text(rows), None)
        return
    from archc.tables.counts import listed

    print_table(listed(rows))


def _list_blocks(specs: tuple[str, ...], format_: str) -> None:
    """The block types of some files and of the library, with their attributes."""
    from archc.listing import block_summaries

    read_stdin_once(specs)
    names = {spec: "standard input" if spec == "-" else spec for spec in specs}
    groups = {names[spec]: block_summaries(_own_blocks(spec)) for spec in specs}
    groups["the library"] = block_summaries()
    rows = [row for group in groups.values() for row in group]
    if format_ == "names":
        say(*dict.fromkeys(row["block"] for row in rows))
    elif format_ == "json":
        from archc.backends.jsontext import to_text

        put_out(to_text(rows), None)
    else:
        _print_blocks(groups)


def _own_blocks(spec: str) -> Mapping[str, Definition]:
    """The blocks of a file of blocks, or those that a spec has besides the library's."""
    found = read_spec_or_blocks(spec)
    return found if isinstance(found, dict) else found.spec.library.own


def _print_blocks(groups: Mapping[str, list[dict[str, Any]]]) -> None:
    """Names on the left, and beside them descriptions and attributes in lines as long as the
    terminal takes; several groups below headings."""
    names = [row["block"] for group in groups.values() for row in group]
    indent = min(max(map(len, names)), _LONGEST_NAME) + 3
    width = max(get_terminal_size().columns, indent + 40)
    for index, (heading, rows) in enumerate(groups.items()):
        if len(groups) > 1:
            say(*[""] * bool(index))
            say_heading(f"blocks of {heading}" if rows else f"no blocks of {heading} itself")
        for row in rows:
            say(*_lines_of(row, indent, width))


def _lines_of(row: Mapping[str, Any], indent: int, width: int) -> Iterator[str]:
    """A block's name and what it is."""
    texts = [row["description"], f"attributes: {', '.join(row['attributes'])}"]
    kept = [texts[0]] * bool(row["description"]) + [texts[1]] * bool(row["attributes"])
    lines = [line for text in kept for line in wrap(text, width - indent, break_on_hyphens=False)]
    name = row["block"]
    if len(name) + 2 < indent and lines:
        yield f"{name:{indent}}{lines.pop(0)}"
    else:
        yield name
    yield from (" " * indent + line for line in lines)
