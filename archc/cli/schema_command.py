"""``archc schema``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archc.cli.common import output, put_out
from archc.schemas import SCHEMAS


@click.command("schema")
@click.argument("name", metavar="[NAME]", type=click.Choice(list(SCHEMAS)), default="spec")
@output
def command(name: str, output: Path | None) -> None:
    """Print the JSON Schema of specs and recipes, for editors, or of what a command prints.

    NAME is spec, which is the default, recipe, count, explain, memory, receptive-field, roofline,
    diff, sweep, verify or bench.

    An editor with a YAML language server completes and checks a spec whose first line is
    "# yaml-language-server: $schema=FILE".

    \b
    Examples:
      archc schema -o archc.schema.json
      archc schema memory
    """
    from archc.schemas import schema

    put_out(json.dumps(schema(name), indent=1) + "\n", output)
