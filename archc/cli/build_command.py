"""``archc build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    OutputFolder,
    is_quiet,
    print_table,
    quiet,
    read_specs,
    specs,
    with_progress,
)
from archc.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path


@click.command("build", cls=SpecCommand)
@specs
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=OutputFolder(),
    default="generated",
    show_default=True,
    help="The folder for NAME.py, .json and .svg.",
)
@click.option(
    "--figures/--no-figures", default=True, help="Write figures, or not.  [default: figures]"
)
@click.option(
    "--force", is_flag=True, help="Overwrite files that were changed or not written by archc."
)
@quiet
def command(
    specs: tuple[str, ...],
    changes: Changes,
    output: Path,
    figures: bool,
    force: bool,
) -> None:
    """Write module, counts and figure of many specs.

    A spec in specs/GROUP/ is written to GROUP/, any other to the folder itself.

    A manifest keeps each file's digest: a file that was changed by hand, or that archc did not
    write, is not overwritten without --force.

    \b
    Examples:
      archc build imagenet/vgg19 imagenet/plain34 imagenet/resnet34
      archc build my.yaml -o out --no-figures
    """
    from archc.building import build
    from archc.tables.counts import built as table_of

    built = build(
        [design.spec for design in read_specs(specs, changes)],
        output,
        figures=figures,
        force=force,
        progress=lambda items: with_progress(items, "compiling"),
        say=lambda words: say(f"archc: {words}", err=True),
    )
    print_table(table_of(built))
    written = sum(sum(one.files.values()) for one in built)
    total = sum(len(one.files) for one in built)
    if not is_quiet():
        folder = f"{output}{'/' * (str(output)[-1:] != '/')}"
        say(f"archc: wrote {written} of {total} files in {folder}", err=True)
