"""``archc fold``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    OutputFile,
    put_out,
    quiet,
    read_model,
    read_spec,
    spec,
    tell_foldings,
)
from archc.cli.weights_options import (
    GivenWeights,
    tell_own_weights,
    tell_weights,
    weights_argument,
)
from archc.errors import ArchcError
from archc.text import quote_name

if TYPE_CHECKING:
    from pathlib import Path


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
def command(spec: str, changes: Changes, weights: GivenWeights | None, output: Path) -> None:
    """Fold batch norms into trained weights, for the module of `archc emit --deploy`.

    WEIGHTS is a checkpoint of SPEC, .pth or .safetensors; without it, the weights are those
    of the model itself: an ONNX file, an exported program or a module. Folding computes in
    float64 and keeps the dtype of the weights.

    \b
    Examples:
      archc fold torchvision/resnet50 resnet50.pth -o resnet50_deploy.safetensors
      archc fold torchvision/resnet50 timm.pth --ema -o resnet50_deploy.safetensors
      archc fold resnet50.pt2 -o resnet50_deploy.safetensors
      archc emit torchvision/resnet50 --deploy -o resnet50_deploy.py
    """
    if output.suffix.lower() != ".safetensors":
        raise click.BadParameter(f"{str(output)!r} does not end in .safetensors", param_hint="'-o'")
    from archc import api
    from archc.graph import Network

    design = read_model(spec, changes) if api.is_model(spec) else read_spec(spec, changes)
    network = design if isinstance(design, Network) else design.network
    api.require_torch("folding weights")
    checkpoint = api.own_weights(network) if weights is None else weights.read()
    if checkpoint is None:
        if network.model is None:
            raise click.UsageError("Missing argument 'WEIGHTS'.")
        raise ArchcError(f"{quote_name(spec)} has no weights", "give them as WEIGHTS")
    content = api.to_safetensors(api.fold(network, checkpoint), api.origin(design))
    if weights is None:
        tell_own_weights(network)
    else:
        tell_weights(network, checkpoint, deploy=True)
    tell_foldings(network, checkpoint)
    put_out(content, output)
