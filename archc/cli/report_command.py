"""``archc report``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.choices import diff_conflict
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import OutputFile, is_stream, load_networks, put_out, quiet, specs

if TYPE_CHECKING:
    from pathlib import Path


@click.command("report", cls=SpecCommand)
@specs
@click.option(
    "-o",
    "--output",
    metavar="FILE.html",
    type=OutputFile(allow_dash=True),
    required=True,
    help="The file to write; - is standard output.",
)
@quiet
@click.option(
    "--fold/--no-fold",
    default=None,
    help="Show a run of equal blocks once at first; the reader can fold and unfold the figure. "
    "[default: if a network has more than 60 layers]",
)
@click.option("--diff", is_flag=True, help="Mark what differs between two SPECs in the figure.")
def command(
    specs: tuple[str, ...],
    changes: Changes,
    output: Path,
    fold: bool | None,
    diff: bool,
) -> None:
    """Write a report: figure, tables and source in one HTML file that needs nothing else.

    Several specs are drawn side by side and compared with the first.

    \b
    Examples:
      archc report imagenet/resnet34 -o resnet34.html
      archc report imagenet/plain34 imagenet/resnet34 -o residual.html
      archc report imagenet/resnet50 resnet65.yaml --diff -o deeper.html
    """
    has_name = output.suffix.lower() in (".html", ".htm") or str(output) == "-"
    if not has_name and not is_stream(output):
        raise click.BadParameter(f"{str(output)!r} does not end in .html", param_hint="'-o'")
    if diff and (trouble := diff_conflict(len(specs), "--diff")):
        raise click.UsageError(trouble)
    networks = load_networks(specs, changes)
    from archc import api

    put_out(api.report(*networks, fold=fold, names=specs, diff=diff), output)
