"""``archc list``."""

from __future__ import annotations

import click

from archc.cli.common import print_table, put_out
from archc.cli.terminal import say


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from archc.shipped import shipped_names

    groups = sorted({name.split("/")[0] for name in shipped_names()})
    return [group for group in groups if group.startswith(incomplete)]


@click.command("list")
@click.argument("groups", metavar="[GROUP]...", nargs=-1, shell_complete=_complete)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "names"]),
    default="table",
    show_default=True,
    help="names prints one name per line, for scripts.",
)
@click.option("--blocks", is_flag=True, help="List the block types of the library instead.")
def command(groups: tuple[str, ...], format_: str, *, blocks: bool) -> None:
    """List the shipped networks with depth, parameters and multiply-adds.

    \b
    Examples:
      archc list
      archc list imagenet
      archc count $(archc list cifar10 --format names)
      archc list --blocks
    """
    if blocks:
        if groups:
            raise click.UsageError("--blocks lists the library: it takes no GROUP")
        _list_blocks(format_)
        return
    from archc.listing import summaries
    from archc.shipped import shipped_names

    names = shipped_names()
    known = sorted({name.split("/")[0] for name in names})
    for group in groups:
        if group.rstrip("/") not in known:
            raise click.BadParameter(
                f"{group!r} is none of {', '.join(known)}", param_hint="'GROUP'"
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
    from archc.backends.numbers import in_short
    from archc.backends.table import Column, Table

    columns = (
        Column("spec", "spec"),
        Column("layers", "layers"),
        Column("parameters", "params", in_short),
        Column("multiply-adds", "multiply_adds", in_short),
        Column("title", "title"),
    )
    print_table(Table(columns, tuple(tuple(row[c.key] for c in columns) for row in rows)))


def _list_blocks(format_: str) -> None:
    """The block types of the library, with what may be said of each."""
    from archc.listing import block_summaries

    rows = block_summaries()
    if format_ == "names":
        say(*(str(row["block"]) for row in rows))
        return
    if format_ == "json":
        from archc.backends.jsontext import to_text

        put_out(to_text(rows), None)
        return
    from archc.backends.table import Column, Table

    columns = (
        Column("block", "block"),
        Column("attributes", "attributes"),
        Column("description", "description"),
    )
    cells = ((row["block"], ", ".join(row["attributes"]), row["description"]) for row in rows)
    print_table(Table(columns, tuple(cells)))
