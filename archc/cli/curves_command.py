"""``archc curves``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.common import PLOT_WIDTH, OutputFile, put_out, quiet
from archc.widths import HELP


@click.command("curves")
@click.argument("runs", metavar="RUN...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(),
    required=True,
    help="FILE.svg, FILE.png or FILE.pdf.",
)
@quiet
@click.option("--split", is_flag=True, help="Training error on the left, test error on the right.")
@click.option(
    "--width", metavar="WIDTH", type=PLOT_WIDTH, default="column", show_default=True, help=HELP
)
def command(runs: tuple[Path, ...], output: Path, split: bool, width: float) -> None:
    """Plot the training error (dashed) and the test error (solid) of runs over each other.

    \b
    Examples:
      archc curves runs/plain56-cifar10 runs/resnet56-cifar10 -o figure6.svg
      archc curves runs/plain20-cifar10 runs/plain56-cifar10 --split --width page -o figure1.pdf
    """
    from archc.extras import require
    from archc.plots import SUFFIXES, plot_format

    if output.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"FILE ends in {', '.join(SUFFIXES)}", param_hint="'-o'")
    require("torch", "a run", "torch")
    from archc.training import draw_curves, open_run

    found = [open_run(run) for run in runs]
    picture = draw_curves(found, plot_format(output), split=split, width=width)
    put_out(picture, output)
