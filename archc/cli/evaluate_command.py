"""``archc evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    LENGTHS,
    SPEC,
    data,
    device_or_auto,
    put_out,
    read_model,
    read_spec,
    recipe,
    spec_and_recipe_options,
    workers,
)
from archc.cli.terminal import say
from archc.cli.weights_options import GivenWeights, partial_weights, tell_own_weights, tell_weights
from archc.errors import ArchcError
from archc.text import listing, quote_name

if TYPE_CHECKING:
    from archc.graph import Network
    from archc.training import Score


@click.command("evaluate", cls=SpecCommand)
@click.argument("subject", metavar="RUN|SPEC", type=SPEC)
@spec_and_recipe_options
@partial_weights
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
    changes: Changes,
    weights: GivenWeights | None,
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
    An ONNX file or an exported program has weights of its own.
    For a SPEC, --set changes the recipe if recipes have such a key, and otherwise the spec.

    \b
    Examples:
      archc evaluate runs/resnet20-cifar10 --data cifar-10-batches-bin
      archc evaluate runs/resnet50-imagenet --data DIR --crops 10 --device cuda
      archc evaluate runs/resnet50-imagenet --data DIR --fully-convolutional \\
          --scales 224,256,384,480,640
      archc evaluate torchvision/resnet50 --weights FILE.pth --recipe torchvision --data DIR
      archc evaluate cifar10/resnet20 --weights FILE.pth --data DIR --set pixels.mean=per_channel
    """
    if scales and not fully_convolutional:
        raise click.UsageError("--scales needs --fully-convolutional")
    if crops and fully_convolutional:
        raise click.UsageError("--crops and --fully-convolutional cannot be used together")
    from archc.extras import require

    require("torch", "testing", "torch")
    from archc.training import workers_for
    from archc.training.facade import evaluate

    tested, settings = _subject(subject, changes, weights, recipe)
    checkpoint = None if weights is None else weights.read()
    if checkpoint is not None and not isinstance(tested, Path):
        tell_weights(tested, checkpoint, deploy=False, always=False)
    found = evaluate(
        tested,
        data,
        int(crops) if crops else None,
        weights=checkpoint,
        recipe=recipe,
        settings=settings,
        fully_convolutional=fully_convolutional,
        scales=scales or (),
        device=device,
        workers=workers_for() if workers is None else workers,
        as_trained=as_trained,
    )
    _tell(subject, found, format_)


def _subject(
    name: str, changes: Changes, weights: GivenWeights | None, recipe: str | None
) -> tuple[Path | Network, Sequence[str]]:
    """What is tested, the run in a folder or a spec's network, which needs weights, and the
    settings of its recipe."""
    from archc.recipes import check_settings, route

    if Path(name).is_dir():
        if changes or recipe:
            raise click.UsageError(
                "--with, --set, --input and --recipe cannot be used with a RUN: it has its own "
                "spec and recipe"
            )
        return Path(name), ()
    from archc import api

    of_spec, settings = route(changes)
    if api.is_model(name):
        network = read_model(name, of_spec)
        if weights is None and not tell_own_weights(network):
            raise ArchcError(
                f"{quote_name(name)} has no weights", "give them with `--weights FILE`"
            )
        return network, settings
    if weights is None:
        from archc.spec.files import open_spec

        open_spec(name)
        raise click.UsageError("a SPEC needs --weights FILE; a RUN has its own")
    design = read_spec(name, of_spec)
    check_settings(settings, design.spec)
    return design.network, settings


def _tell(name: str, found: Score, format_: str) -> None:
    if format_ == "json":
        put_out(json.dumps({"subject": name, **found.as_dict()}, indent=1) + "\n", None)
        return
    views = "the centre of each" if found.crops == 1 else "10 crops of each"
    if found.scales:
        sides = listing([str(one) for one in found.scales], "and")
        views = f"uncropped images, shorter side {sides}"
    say(
        f"{name}: {found.error:.2f} % of {found.images:,} images wrong, "
        f"{found.top5_error:.2f} % top-5 error ({views}), loss {found.loss:.4f}"
    )
