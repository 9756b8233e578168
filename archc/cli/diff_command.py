"""``archc diff``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.common import (
    SpecArgument,
    close_stdout,
    load_networks,
    output,
    print_table,
    put_out,
    spec_options,
    table_format,
)

SAME, DIFFERENT, TROUBLE = 0, 1, 2


@click.command("diff")
@click.argument("a", metavar="A", type=SpecArgument())
@click.argument("b", metavar="B", type=SpecArgument())
@spec_options
@table_format("csv has a row for every op that differs.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code says it.")
@output
def command(
    a: str,
    b: str,
    with_: tuple[str, ...],
    input_: str | None,
    format_: str,
    quiet: bool,
    output: Path | None,
) -> int:
    """Compare two specs: stage by stage, op by op, and what the difference costs.

    Like diff(1), exits with 0 if both compile to the same graph, 1 if they differ, 2 in trouble.
    --with and --input hold for both. Memory is for one image in float32.

    \b
    Examples:
      archc diff imagenet/resnet50 imagenet/resnet101
      archc diff imagenet/resnet50 torchvision/resnet50 --format markdown
    """
    if quiet and output is not None:
        raise click.UsageError("--quiet goes not with -o: it prints nothing")
    try:
        return _compare(a, b, with_, input_, format_, quiet, output)
    except Exception as error:
        if isinstance(error, click.ClickException):
            raise
        if isinstance(error, BrokenPipeError):
            close_stdout()
            return TROUBLE
        from archc.cli.errors import explain

        for line in explain(error):
            click.echo(line, err=True)
        return TROUBLE


def _compare(
    a: str,
    b: str,
    with_: tuple[str, ...],
    input_: str | None,
    format_: str,
    quiet: bool,
    output: Path | None,
) -> int:
    from archc.analysis import compare
    from archc.spec.diagnostics import quote_name
    from archc.tables import diff as tables

    found = compare(*load_networks([a, b], with_, input_))
    code = SAME if found.same else DIFFERENT
    if quiet:
        return code
    names = (quote_name(a), quote_name(b))
    if format_ == "json":
        from archc.backends.jsontext import to_text

        put_out(to_text({"spec_a": a, "spec_b": b, **found.as_dict()}), output)
        return code
    if format_ == "csv":
        put_out(tables.layers(found).csv(), output)
        return code
    shown = [tables.totals(found, *names)]
    if not found.same:
        shown += [tables.parts(found, *names), tables.changes(found)]
    shown = [table for table in shown if table.rows]
    if format_ == "table" and output is None:
        for index, table in enumerate(shown):
            click.echo("\n" * (index > 0), nl=False)
            print_table(table)
    else:
        texts = [t.markdown() if format_ == "markdown" else t.text() for t in shown]
        put_out("\n".join(texts), output)
    return code
