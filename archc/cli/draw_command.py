"""``archc draw``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from archc.choices import DETAILS, DPI, FORMATS, HEATS, THEMES, diff_conflict, figure_conflict
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import WIDTH, OutputFile, is_quiet, load_networks, put_out, quiet, specs
from archc.cli.terminal import say
from archc.widths import HELP

if TYPE_CHECKING:
    from pathlib import Path


@click.command("draw", cls=SpecCommand)
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
@click.option(
    "--block",
    "block",
    metavar="NAME[,NAME]",
    help="Draw these blocks in detail: by type, class or STAGE:BLOCK, such as 2:0.",
)
@click.option(
    "--detail", type=click.Choice(DETAILS), help="Name norms and activations beside arrows."
)
@click.option(
    "--overview", is_flag=True, help="Draw a box for each stage, for a talk or a title page."
)
@click.option("--diff", is_flag=True, help="Mark what differs between two SPECs, and its cost.")
@click.option("--heat", type=click.Choice(HEATS), help="Shade boxes by their share of a total.")
@click.option("--width", type=WIDTH, metavar="WIDTH", help=HELP)
@click.option(
    "--font-size",
    type=click.FloatRange(2, 72),
    metavar="POINTS",
    help="Size of labels on paper.  [default: as large as the width allows]",
)
@click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True)
@click.option("--transparent", is_flag=True, help="Leave out the background.")
@click.option(
    "--dpi",
    metavar="N",
    type=click.IntRange(18, 1200),
    help=f"Pixels per inch of a PNG. [default: {DPI}]",
)
def command(
    specs: tuple[str, ...],
    changes: Changes,
    output: Path,
    format_: str | None,
    fold: bool,
    blocks: bool,
    block: str | None,
    detail: str | None,
    overview: bool,
    diff: bool,
    heat: str | None,
    width: float | None,
    font_size: float | None,
    theme: str,
    transparent: bool,
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
      archc draw imagenet/resnet50 --fold -o resnet50.tex
      archc draw imagenet/resnet34 imagenet/resnet50 --block 1:1 --width column -o blocks.pdf
      archc draw imagenet/resnet50 torchvision/densenet121 --overview -o overview.pdf
      archc draw timm/seresnet50 torchvision/resnet50 --diff --fold -o difference.svg
      archc draw imagenet/resnet50 --heat params --fold -o parameters.png
      archc draw model.pt2 --fold -o model.svg
    """
    format_ = _format(format_, output)
    if dpi is not None and format_ != "png":
        raise click.UsageError("--dpi is only for PNG")
    kinds: dict[str, Any] = {"fold": fold, "blocks": blocks, "overview": overview, "diff": diff}
    kinds |= {"block": _chosen(block), "detail": detail, "heat": heat}
    _check_kinds(kinds, len(specs))
    networks = load_networks(specs, changes)
    from archc import api

    figure = api.figure(
        *networks,
        format=format_,
        **kinds,
        theme=theme,
        dpi=dpi or DPI,
        transparent=transparent,
        width=width,
        font_size=font_size,
    )
    put_out(figure.content, output)
    if (width is not None or font_size is not None) and not is_quiet():
        say(f"archc: labels are {figure.label:.1f} pt", err=True)


def _format(format_: str | None, output: Path) -> str:
    """The format that is asked for, or that the file's name says."""
    if format_ is None and str(output) == "-":
        raise click.UsageError("standard output needs --format svg, png, pdf, tex or dot")
    format_ = format_ or output.suffix.lower().lstrip(".")
    if format_ not in FORMATS:
        raise click.BadParameter(
            f"{str(output)!r} does not end in .svg, .png, .pdf, .tex or .dot; use --format",
            param_hint="'-o'",
        )
    return format_


def _check_kinds(kinds: Mapping[str, object], count: int) -> None:
    """Refuse options that cannot be used together, or with so many specs."""
    trouble = figure_conflict([name for name, value in kinds.items() if value], "--{}".format)
    if kinds["diff"] and trouble is None:
        trouble = diff_conflict(count, "--diff")
    if trouble:
        raise click.UsageError(trouble)


def _chosen(block: str | None) -> tuple[str, ...]:
    """The blocks that ``--block`` names."""
    if block is None:
        return ()
    names = [name.strip() for name in block.split(",")]
    if not all(names):
        raise click.BadParameter("a name is missing", param_hint="'--block'")
    return tuple(names)
