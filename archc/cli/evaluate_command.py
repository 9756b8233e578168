"""``archc evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.cli.common import (
    LENGTHS,
    SPEC,
    data,
    device_or_auto,
    put_out,
    recipe,
    spec_options,
    weights,
    workers,
)
from archc.cli.terminal import say
from archc.text import listing

if TYPE_CHECKING:
    from archc.training import Score, Subject


@click.command("evaluate")
@click.argument("subject", metavar="RUN|SPEC", type=SPEC)
@spec_options
@weights
@data
@recipe(
    "The recipe that prepares pixels, for a SPEC. [default: cifar10 or imagenet, depending on DIR]"
)
@click.option(
    "--crops",
    type=click.Choice(["1", "10"]),
    help="1: the centre; 10: centre and corners, each also mirrored. [default: the recipe's]",
)
@click.option(
    "--fully-convolutional",
    is_flag=True,
    help="Uncropped images: the linear layers at every position, averaged.",
)
@click.option(
    "--scales",
    metavar="N,N,...",
    type=LENGTHS,
    help="With --fully-convolutional: lengths of the shorter side, averaged. [default: the "
    "recipe's]",
)
@device_or_auto
@click.option(
    "--as-trained",
    is_flag=True,
    help="Test on the images that training used for its tests, if the recipe holds out or limits "
    "images.",
)
@workers
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    subject: str,
    with_: tuple[str, ...],
    input_: str | None,
    weights: str | None,
    data: Path,
    recipe: str | None,
    crops: str | None,
    fully_convolutional: bool,
    scales: tuple[int, ...] | None,
    device: str,
    as_trained: bool,
    workers: int | None,
    format_: str,
) -> None:
    """Measure the test error of a run, or of a spec with weights.

    A RUN is a folder from `archc train`; it is tested with its own recipe on the full test set.

    \b
    Examples:
      archc evaluate runs/resnet20-cifar10 --data cifar-10-batches-bin
      archc evaluate runs/resnet50-imagenet --data DIR --crops 10 --device cuda
      archc evaluate runs/resnet50-imagenet --data DIR --fully-convolutional \\
          --scales 224,256,384,480,640
      archc evaluate torchvision/resnet50 --weights FILE.pth --recipe torchvision --data DIR
    """
    from archc.live import require_torch

    require_torch("testing")
    if scales and not fully_convolutional:
        raise click.UsageError("--scales needs --fully-convolutional")
    if crops and fully_convolutional:
        raise click.UsageError("--crops and --fully-convolutional cannot be used together")
    chosen = _subject(subject, with_, input_, weights, data, recipe)
    from archc.training import evaluate, workers_for

    number = int(crops) if crops else chosen.recipe.testing.crops
    if fully_convolutional and not scales:
        _, height, width = chosen.network.input_shape
        scales = (chosen.recipe.testing.shorter_side((height, width)),)
    found = evaluate(
        chosen,
        data,
        number,
        scales=scales or (),
        device=device,
        workers=workers_for() if workers is None else workers,
        as_trained=as_trained,
    )
    _tell(subject, found, number, scales or (), format_)


def _subject(
    name: str,
    with_: tuple[str, ...],
    input_: str | None,
    weights: str | None,
    data: Path,
    recipe: str | None,
) -> Subject:
    """What is tested: the run in a folder, or a spec's network with weights."""
    from archc.cli.common import load_networks

    file = Path(weights) if weights else None
    if Path(name).is_dir():
        if with_ or input_ or recipe:
            raise click.UsageError(
                "--with, --input and --recipe cannot be used with a RUN: it has its own spec and "
                "recipe"
            )
        from archc.training import subject_of_run

        return subject_of_run(Path(name), file)
    if file is None:
        from archc.spec.files import open_spec

        open_spec(name)
        raise click.UsageError("a SPEC needs --weights FILE; a RUN has its own")
    from archc.training import subject_of_spec

    return subject_of_spec(load_networks([name], with_, input_)[0], file, data, recipe)


def _tell(name: str, found: Score, crops: int, scales: Sequence[int], format_: str) -> None:
    if format_ == "json":
        looked = {"scales": list(scales)} if scales else {"crops": crops}
        put_out(json.dumps({"subject": name, **looked, **vars(found)}, indent=1) + "\n", None)
        return
    views = "the centre of each" if crops == 1 else "10 crops of each"
    if scales:
        sides = listing([str(one) for one in scales], "and")
        views = f"uncropped images, shorter side {sides}"
    say(
        f"{name}: {found.error:.2f} % of {found.images:,} images wrong, "
        f"{found.top5_error:.2f} % top-5 error ({views}), loss {found.loss:.4f}"
    )
