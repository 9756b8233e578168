"""``archc count``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.analysis import CONVENTIONS, LEVELS, Level, count
from archc.cli.common import load_networks, output, print_table, put_out, specs

if TYPE_CHECKING:
    from archc.backends.table import Table


@click.command("count")
@specs
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
    help="All but the table have every number exactly.",
)
@click.option(
    "--by",
    type=click.Choice(LEVELS),
    help="What the rows are. [default: stage for one spec, network for several]",
)
@click.option(
    "--convention",
    type=click.Choice(list(CONVENTIONS)),
    default="multiply-adds",
    show_default=True,
    help="What counts as FLOPs.",
)
@output
def command(
    specs: tuple[str, ...],
    with_: tuple[str, ...],
    input_: str | None,
    format_: str,
    by: Level | None,
    convention: str,
    output: Path | None,
) -> None:
    """Count parameters and multiply-adds, for one image.

    The paper's FLOPs are multiply-adds of convolutions and linear layers.

    \b
    Examples:
      archc count imagenet/resnet34 imagenet/vgg19
      archc count imagenet/resnet50 --by layer
      archc count imagenet/resnet50 --with depth=3,4,11,3 --format json
    """
    by = by or ("stage" if len(specs) == 1 else "network")
    networks = load_networks(specs, with_, input_)
    counts = [count(network, by, convention) for network in networks]
    if format_ == "json":
        from archc.backends.jsontext import to_text

        rows = [
            {"name": one.name, "spec": spec, **one.as_dict()}
            for spec, one in zip(specs, counts, strict=True)
        ]
        put_out(to_text(rows), output)
        return
    from archc.cli import count_tables
    from archc.spec.diagnostics import quote_name

    if format_ == "table" and output is None and by != "network":
        for one in counts:
            print_table(count_tables.parts(one))
        return
    shown = [quote_name(spec) for spec in specs]
    if by != "network":
        table = count_tables.all_parts(shown, counts)
    elif format_ == "csv":
        table = count_tables.networks(shown, counts)
    else:
        table = count_tables.compared(shown, counts)
    _print(table, format_, output)


def _print(table: Table, format_: str, output: Path | None) -> None:
    if format_ == "csv":
        put_out(table.csv(), output)
    elif format_ == "markdown" or output is not None:
        put_out(table.markdown(), output)
    else:
        print_table(table)
