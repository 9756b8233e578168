"""``archc diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    SPEC,
    close_stdout,
    format_for,
    keep_quiet,
    load_networks,
    output_alone,
    put_out,
    put_out_tables,
    spec_options,
    table_format,
)
from archc.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from archc.analysis import Comparison

SAME, DIFFERENT, TROUBLE = 0, 1, 2


@click.command("diff", cls=SpecCommand)
@click.argument("a", metavar="A", type=SPEC)
@click.argument("b", metavar="B", type=SPEC)
@spec_options
@table_format("csv has one row for each op that differs.")
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    callback=keep_quiet,
    help="Print nothing and only set the exit code; with -o, write FILE without a message.",
)
@output_alone
def command(
    a: str,
    b: str,
    changes: Changes,
    format_: str | None,
    quiet: bool,
    output: Path | None,
) -> int:
    """Compare two specs or models: stage by stage, op by op, and what the difference costs.

    Like diff(1), exits with 0 if both compile to the same graph, 1 if they differ, 2 on errors.
    --with, --set and --input apply to both. Memory is for one image in float32.

    \b
    Examples:
      archc diff imagenet/resnet50 imagenet/resnet101
      archc diff imagenet/resnet50 torchvision/resnet50 --format markdown
      archc diff model.onnx torchvision/resnet50
    """
    try:
        from archc import api

        found = api.diff(*load_networks([a, b], changes))
        if not quiet or output is not None:
            _print(found, (a, b), format_for(format_, output), output)
    except click.ClickException:
        raise
    except BrokenPipeError:
        close_stdout()
        return TROUBLE
    except Exception as error:
        from archc.cli.errors import explain, is_debugging

        say(*explain(error), err=True)
        if is_debugging():
            import traceback

            traceback.print_exception(error)
        return TROUBLE
    return SAME if found.same else DIFFERENT


def _print(found: Comparison, specs: tuple[str, str], format_: str, output: Path | None) -> None:
    from archc.tables import diff as tables

    a, b = specs
    if format_ == "json":
        from archc.backends.jsontext import to_text

        record = {"spec_a": specs[0], "spec_b": specs[1], **found.as_dict()}
        put_out(to_text(record), output)
        return
    if format_ == "csv":
        put_out(tables.layers(found).csv(), output)
        return
    shown = [tables.totals(found, a, b)]
    if not found.same:
        shown += [tables.parts(found, a, b), tables.changes(found)]
    notes = tables.notes(found, a, b)
    put_out_tables([table for table in shown if table.rows], format_, output, notes)
