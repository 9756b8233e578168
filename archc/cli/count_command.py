"""``archc count``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.analysis import CONVENTIONS, LEVELS, Level, count
from archc.cli.common import load_networks, output, print_table, put_out, specs


@click.command("count")
@specs
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
    help="csv and json also have stage and block as numbers.",
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

        records = [
            {"name": one.name, "spec": spec, **one.as_dict()}
            for spec, one in zip(specs, counts, strict=True)
        ]
        put_out(to_text(records), output)
        return
    from archc import tables
    from archc.spec.diagnostics import quote_name

    shown = [quote_name(spec) for spec in specs]
    if format_ == "csv":
        tabulate = tables.networks if by == "network" else tables.all_parts
        put_out(tabulate(shown, counts).csv(), output)
        return
    if by == "network":
        shown_tables = [tables.compared(shown, counts)]
    else:
        shown_tables = [tables.parts(one) for one in counts]
    if format_ == "table" and output is None:
        for index, table in enumerate(shown_tables):
            click.echo("\n" * (index > 0), nl=False)
            print_table(table)
    else:
        texts = [t.markdown() if format_ == "markdown" else t.text() for t in shown_tables]
        put_out("\n".join(texts), output)
