"""``archc draw``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.choices import DPI, FORMATS, HEATS, THEMES, diff_conflict, figure_conflict
from archc.cli.common import OutputFile, load_networks, put_out, quiet, specs


@click.command("draw")
@specs
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(allow_dash=True),
    required=True,
    help="FILE.svg, .png, .pdf or .dot; use - with --format for standard output.",
)
@quiet
@click.option("--format", "format_", type=click.Choice(FORMATS), help="[default: by extension]")
@click.option("--fold", is_flag=True, help="Draw a run of equal blocks once, with its length.")
@click.option("--blocks", is_flag=True, help="Draw the distinct blocks in detail, as in Figure 5.")
@click.option("--overview", is_flag=True, help="Draw a box for each stage, for a talk or a page.")
@click.option("--diff", is_flag=True, help="Mark what differs between two SPECs, and its cost.")
@click.option("--heat", type=click.Choice(HEATS), help="Shade boxes by their share of a total.")
@click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True)
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
    overview: bool,
    diff: bool,
    heat: str | None,
    theme: str,
    dpi: int | None,
) -> None:
    """Draw networks side by side, as Figure 3 of the ResNet paper does.

    With --blocks their distinct blocks, as Figure 5 does; with --overview a box for each stage.

    \b
    Examples:
      archc draw imagenet/resnet34 -o resnet34.svg
      archc draw imagenet/vgg19 imagenet/plain34 imagenet/resnet34 -o figure3.pdf
      archc draw imagenet/resnet152 --fold --theme dark -o resnet152.png --dpi 300
      archc draw imagenet/resnet34 imagenet/resnet50 --blocks -o figure5.svg
      archc draw imagenet/resnet50 torchvision/densenet121 --overview -o overview.pdf
      archc draw timm/seresnet50 torchvision/resnet50 --diff --fold -o difference.svg
      archc draw imagenet/resnet50 --heat params --fold -o parameters.png
    """
    if format_ is None and str(output) == "-":
        raise click.UsageError("standard output needs --format svg, png, pdf or dot")
    format_ = format_ or output.suffix.lower().lstrip(".")
    if format_ not in FORMATS:
        raise click.BadParameter(
            f"{str(output)!r} does not end in .svg, .png, .pdf or .dot; use --format",
            param_hint="'-o'",
        )
    if dpi is not None and format_ != "png":
        raise click.UsageError("--dpi is only for PNG")
    kinds = {"fold": fold, "blocks": blocks, "overview": overview, "diff": diff, "heat": heat}
    trouble = figure_conflict([name for name, value in kinds.items() if value], "--{}".format)
    if diff and trouble is None:
        trouble = diff_conflict(len(specs), "--diff")
    if trouble:
        raise click.UsageError(trouble)
    networks = load_networks(specs, with_, input_)
    from archc import api

    figure = api.draw(
        *networks,
        format=format_,
        fold=fold,
        blocks=blocks,
        theme=theme,
        dpi=dpi or DPI,
        overview=overview,
        diff=diff,
        heat=heat,
    )
    put_out(figure, output)
