"""``archc graph``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import load_networks, output, put_out, spec

if TYPE_CHECKING:
    from pathlib import Path


@click.command("graph", cls=SpecCommand)
@spec
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "graphml"]),
    help="[default: by FILE's extension, otherwise json]",
)
@output
def command(
    spec: str,
    changes: Changes,
    format_: str | None,
    output: Path | None,
) -> None:
    """Print the graph as node-link JSON (networkx reads it back) or GraphML.

    \b
    Examples:
      archc graph imagenet/resnet34 -o resnet34.json
      archc graph imagenet/resnet34 -o resnet34.graphml
    """
    if format_ is None:
        # Standard output and other devices have no extension to go by.
        extension = ""
        if output is not None and str(output) != "-" and (output.is_file() or not output.exists()):
            extension = output.suffix.lower().lstrip(".") or "none"
        if extension not in ("", "json", "graphml"):
            raise click.BadParameter(
                f"{str(output)!r} does not end in .json or .graphml; use --format",
                param_hint="'-o'",
            )
        format_ = extension or "json"
    (network,) = load_networks([spec], changes)
    from archc import api

    put_out(api.to_json(network) if format_ == "json" else api.to_graphml(network), output)
