"""``archc show``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.common import output, put_out, read_spec, spec


@click.command("show")
@spec
@output
def command(spec: str, with_: tuple[str, ...], input_: str | None, output: Path | None) -> None:
    """Print the resolved spec with the origin of each value.

    What a spec extends, its defaults and `with` are laid in; the result is a spec itself.

    \b
    Examples:
      archc show imagenet/resnet152
      archc show imagenet/resnet50 --with depth=3,4,11,3
    """
    put_out(read_spec(spec, with_, input_).text, output)
