"""``archc draw``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.backends.figure import FORMATS, draw
from archc.cli.common import load_networks, put_out, specs


@click.command("draw")
@specs
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="FILE.svg, .png, .pdf or .dot; - with --format is standard output.",
)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="[default: by extension]")
def command(
    specs: tuple[str, ...],
    with_: tuple[str, ...],
    input_: str | None,
    output: Path,
    format_: str | None,
) -> None:
    """Draw networks side by side, as Figure 3 of the ResNet paper does.

    \b
    Examples:
      archc draw imagenet/resnet34 -o resnet34.svg
      archc draw imagenet/vgg19 imagenet/plain34 imagenet/resnet34 -o figure3.pdf
    """
    format_ = format_ or output.suffix.lower().lstrip(".")
    if format_ not in FORMATS:
        raise click.BadParameter(
            f"{str(output)!r} does not end in .svg, .png, .pdf or .dot; --format says which it is",
            param_hint="'-o'",
        )
    networks = load_networks(specs, with_, input_)
    put_out(draw(networks, format_), output)
