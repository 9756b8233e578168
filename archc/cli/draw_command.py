"""``archc draw``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.choices import DPI, FORMATS, THEMES
from archc.cli.common import OutputFile, load_networks, put_out, quiet, specs


@click.command("draw")
@specs
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(allow_dash=True),
    required=True,
    help="FILE.svg, .png, .pdf, .tex or .dot; use - with --format for standard output.",
)
@quiet
@click.option("--format", "format_", type=click.Choice(FORMATS), help="[default: by extension]")
@click.option("--fold", is_flag=True, help="Draw a run of equal blocks once, with its length.")
@click.option("--blocks", is_flag=True, help="Draw the distinct blocks in detail, as in Figure 5.")
@click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True)
@click.option("--transparent", is_flag=True, help="Leave out the background.")
@click.option(
    "--dpi",
    type=click.IntRange(18, 1200),
    help=f"Pixels per inch of a PNG. [default: {DPI}]",
)
def command(
    specs: tuple[str, ...],
    with_: tuple[str, ...],
    input_: str | None,
    output: Path,
    format_: str | None,
    fold: bool,
    blocks: bool,
    theme: str,
    transparent: bool,
    dpi: int | None,
) -> None:
    """Draw networks side by side, as Figure 3 of the ResNet paper does.

    With --blocks their distinct blocks, as Figure 5 does.

    \b
    Examples:
      archc draw imagenet/resnet34 -o resnet34.svg
      archc draw imagenet/vgg19 imagenet/plain34 imagenet/resnet34 -o figure3.pdf
      archc draw imagenet/resnet152 --fold --theme dark -o resnet152.png --dpi 300
      archc draw imagenet/resnet34 imagenet/resnet50 --blocks -o figure5.svg
      archc draw imagenet/resnet50 --fold -o resnet50.tex
    """
    if format_ is None and str(output) == "-":
        raise click.UsageError("standard output needs --format svg, png, pdf, tex or dot")
    format_ = format_ or output.suffix.lower().lstrip(".")
    if format_ not in FORMATS:
        raise click.BadParameter(
            f"{str(output)!r} does not end in .svg, .png, .pdf, .tex or .dot; use --format",
            param_hint="'-o'",
        )
    if dpi is not None and format_ != "png":
        raise click.UsageError("--dpi is only for PNG")
    if fold and blocks:
        raise click.UsageError("--fold cannot be used with --blocks, which draws each block once")
    networks = load_networks(specs, with_, input_)
    from archc import api

    figure = api.draw(
        *networks,
        format=format_,
        fold=fold,
        blocks=blocks,
        theme=theme,
        dpi=dpi or DPI,
        transparent=transparent,
    )
    put_out(figure, output)
