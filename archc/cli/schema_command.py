"""``archc schema``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archc.cli.common import output, put_out, read_spec_or_blocks
from archc.cli.complete import offering
from archc.schemas import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = offering(lambda _: SCHEMAS)


@click.command("schema")
@click.argument("name", metavar="[NAME|SPEC]", default="spec", shell_complete=NAMES)
@output
def command(name: str, output: Path | None) -> None:
    """Print the JSON Schema of specs and recipes, for editors, or of what a command prints.

    NAME is spec (the default), recipe, count, explain, memory, fit, receptive-field, roofline,
    diff, sweep, verify or bench. The schema of a SPEC also has the spec's own blocks, and that of a
    file of blocks is for specs that use the file.

    An editor with a YAML language server completes and checks a spec whose first line is
    "# yaml-language-server: $schema=FILE".

    \b
    Examples:
      archc schema -o archc.schema.json
      archc schema memory
      archc schema my.yaml -o archc.schema.json
    """
    from archc.schemas import schema, schema_of, schema_of_blocks

    if name in SCHEMAS:
        made = schema(name)
    else:
        found = read_spec_or_blocks(name)
        made = schema_of_blocks(found) if isinstance(found, dict) else schema_of(found.spec)
    put_out(json.dumps(made, indent=1) + "\n", output)
