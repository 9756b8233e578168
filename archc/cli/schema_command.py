"""``archc schema``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from archc.cli.common import output, put_out


@click.command("schema")
@output
def command(output: Path | None) -> None:
    """Print the JSON Schema of specs, for editors.

    An editor with a YAML language server completes and checks a spec whose first line is
    "# yaml-language-server: $schema=FILE".

    \b
    Examples:
      archc schema -o archc.schema.json
    """
    from archc.spec.schema import json_schema

    put_out(json.dumps(json_schema(), indent=1) + "\n", output)
