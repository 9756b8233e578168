"""``archc fold``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    OutputFile,
    put_out,
    quiet,
    read_spec,
    spec,
    tell_foldings,
)
from archc.cli.weights_options import GivenWeights, tell_weights, weights_argument


@click.command("fold", cls=SpecCommand)
@spec
@weights_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE.safetensors",
    type=OutputFile(),
    required=True,
    help="The file for the folded weights.",
)
@quiet
def command(spec: str, changes: Changes, weights: GivenWeights, output: Path) -> None:
    """Fold batch norms into trained weights, for the module of `archc emit --deploy`.

    WEIGHTS is a checkpoint of SPEC, .pth or .safetensors. Folding computes in float64 and
    keeps the dtype of the weights.

    \b
    Examples:
      archc fold torchvision/resnet50 resnet50.pth -o resnet50_deploy.safetensors
      archc fold torchvision/resnet50 timm.pth --ema -o resnet50_deploy.safetensors
      archc emit torchvision/resnet50 --deploy -o resnet50_deploy.py
    """
    if output.suffix.lower() != ".safetensors":
        raise click.BadParameter(f"{str(output)!r} does not end in .safetensors", param_hint="'-o'")
    from archc import api

    design = read_spec(spec, changes)
    network = design.network
    api.require_torch("folding weights")
    checkpoint = weights.read()
    content = api.to_safetensors(api.fold(network, checkpoint), api.origin(design))
    tell_weights(network, checkpoint, deploy=True)
    tell_foldings(network, checkpoint)
    put_out(content, output)
