"""``archc new``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from archc.cli.common import SPEC, OutputFile, is_stream, put_out, quiet

if TYPE_CHECKING:
    from pathlib import Path


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option("--from", "parent", metavar="SPEC", type=SPEC, help="The spec to extend.")
@click.option("--block", is_flag=True, help="Write a block to start from, in a file of blocks.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(allow_dash=True),
    help="[default: NAME.yaml]",
)
@quiet
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(
    name: str, parent: str | None, output: Path | None, force: bool, *, block: bool
) -> None:
    """Write a variant of a spec, or with --block a block of your own, to start from.

    A variant has three lines, a file with a block about twenty; comments explain them.

    NAME may be a path, too: nets/resnet65 and nets/resnet65.yaml both write the spec resnet65 to
    nets/. The first line of the file names the schema by which editors complete it: the nearest
    archc.schema.json in its folder or above (`archc schema -o archc.schema.json` writes one), or
    else the one that is installed with archc.

    \b
    Examples:
      archc new resnet65 --from imagenet/resnet50
      archc count resnet65.yaml
      archc new --block my_block
    """
    from archc.building import ConflictError
    from archc.spec.variant import block_file, name_and_path, variant

    if block == (parent is not None):
        raise click.UsageError("give either --from SPEC or --block")
    if parent == "-":
        raise click.BadParameter("a file cannot extend standard input", param_hint="'--from'")
    name, usual = name_and_path(name)
    path = output or usual
    text = block_file(name) if parent is None else variant(name, parent, path)
    verb = "check" if block else "count"
    if str(path) != "-" and path.exists() and not (force or is_stream(path)):
        raise ConflictError([f"{str(path)!r} already exists"], "`--force` overwrites it")
    put_out(text, path, hint=f"edit it, then run `archc {verb} {shlex.quote(str(path))}`")
