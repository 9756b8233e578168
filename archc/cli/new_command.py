"""``archc new``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from archc.cli.common import SPEC, OutputFile, is_stream, put_out, quiet


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--from", "parent", metavar="SPEC", type=SPEC, required=True, help="The spec to extend."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(allow_dash=True),
    help="[default: NAME.yaml]",
)
@quiet
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(name: str, parent: str, output: Path | None, force: bool) -> None:
    """Write a variant of a spec to start from: three lines, with comments.

    NAME may be the path of the file, too: nets/resnet65 and nets/resnet65.yaml are the spec
    resnet65 in nets/. Editors complete the file by the schema that its first line names: the
    nearest archc.schema.json in its folder or above (`archc schema -o archc.schema.json`), or
    else the one that is installed.

    \b
    Examples:
      archc new resnet65 --from imagenet/resnet50
      archc count resnet65.yaml
    """
    from archc.build import ConflictError
    from archc.spec.variant import name_and_path, variant

    if parent == "-":
        raise click.BadParameter("a file cannot extend standard input", param_hint="'--from'")
    name, usual = name_and_path(name)
    path = output or usual
    text = variant(name, parent, path)
    if str(path) != "-" and path.exists() and not (force or is_stream(path)):
        raise ConflictError([f"{str(path)!r} already exists"], "`--force` overwrites it")
    put_out(text, path, hint=f"edit it, then run `archc count {shlex.quote(str(path))}`")
