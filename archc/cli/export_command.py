"""``archc export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    MAX_BATCH,
    OutputFile,
    deploy,
    load_networks,
    put_out,
    quiet,
    spec,
    tell_foldings,
)
from archc.cli.terminal import say
from archc.cli.weights_options import GivenWeights, partial_weights, tell_own_weights, tell_weights

if TYPE_CHECKING:
    from pathlib import Path


@click.command("export", cls=SpecCommand)
@spec
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OutputFile(),
    required=True,
    help="FILE.onnx, or FILE.pt2 for torch.export.load.",
)
@quiet
@partial_weights
@deploy
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, MAX_BATCH),
    help="Fix the batch size. [default: free]",
)
def command(
    spec: str,
    changes: Changes,
    output: Path,
    weights: GivenWeights | None,
    deploy: bool,
    batch: int | None,
) -> None:
    """Write an ONNX file or a torch exported program.

    It takes float32 images (batch, channels, height, width) and returns the logits. An ONNX file
    has the graph's ids as names, the state dict's keys as initializers, and no other nodes.
    A model that has weights of its own keeps them unless --weights gives others.

    \b
    Examples:
      archc export torchvision/resnet50 --weights resnet50.pth --deploy -o resnet50.onnx
      archc export torchvision/resnet50 --weights moco.pth.tar --partial -o resnet50.onnx
      archc export cifar10/resnet20 -o resnet20.pt2
    """
    format_ = output.suffix.lower().lstrip(".")
    if format_ not in ("onnx", "pt2"):
        raise click.BadParameter(
            f"{str(output)!r} does not end in .onnx or .pt2", param_hint="'-o'"
        )
    (network,) = load_networks([spec], changes)
    from archc import api

    api.require_torch("exporting")
    checkpoint = None if weights is None else weights.read()
    content = api.export(
        network,
        "onnx" if format_ == "onnx" else "pt2",
        weights=checkpoint,
        deploy=deploy,
        batch=batch,
    )
    if checkpoint is not None:
        tell_weights(network, checkpoint, deploy=deploy)
    elif not tell_own_weights(network):
        say("archc: the weights are random; use --weights for trained ones", err=True)
    if deploy:
        tell_foldings(network, checkpoint)
    put_out(content, output)
