"""``archc new``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from archc.cli.common import SPEC, put_out
from archc.cli.terminal import say


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option("--from", "parent", metavar="SPEC", type=SPEC, required=True, help="What to extend.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="[default: NAME.yaml]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(name: str, parent: str, output: Path | None, force: bool) -> None:
    """Write a variant of a spec to start from: three lines, with comments.

    \b
    Examples:
      archc new resnet65 --from imagenet/resnet50
      archc count resnet65.yaml
    """
    from archc.build import ConflictError
    from archc.files import write
    from archc.spec.variant import variant

    if parent == "-":
        raise click.BadParameter("nothing can extend standard input", param_hint="'--from'")
    path = output or Path(f"{name}.yaml")
    text = variant(name, parent, path)
    if str(path) == "-":
        put_out(text, None)
        return
    if path.exists() and not force:
        raise ConflictError([f"{str(path)!r} is there already"], "`--force` overwrites it")
    write(path, text.encode())
    say(f"{path}: edit it, then `archc count {shlex.quote(str(path))}`")
