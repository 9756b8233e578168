"""``archc emit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import (
    OutputFile,
    deploy,
    load_networks,
    output,
    put_out,
    spec,
    tell_foldings,
)
from archc.errors import ArchcError
from archc.text import quote_name

if TYPE_CHECKING:
    from pathlib import Path

    from archc.graph import Network


@click.command("emit", cls=SpecCommand)
@spec
@deploy
@click.option(
    "--weights-to",
    metavar="FILE.safetensors",
    type=OutputFile(),
    help="Write the weights of the model as the module's state dict; a spec has none.",
)
@output
def command(
    spec: str, changes: Changes, deploy: bool, weights_to: Path | None, output: Path | None
) -> None:
    """Print the PyTorch module: one file that needs torch alone.

    An ONNX file, an exported program or a module becomes readable source, too; --weights-to
    writes its weights beside that.

    \b
    Examples:
      archc emit imagenet/resnet34 -o resnet34.py
      archc emit imagenet/resnet50 --deploy -o resnet50_deploy.py
      archc emit model.onnx --weights-to model.safetensors -o model.py
      python -c "from resnet34 import ResNet34; print(ResNet34())"
    """
    if weights_to is not None and weights_to.suffix.lower() != ".safetensors":
        what = f"{str(weights_to)!r} does not end in .safetensors"
        raise click.BadParameter(what, param_hint="'--weights-to'")
    (network,) = load_networks([spec], changes)
    if deploy:
        tell_foldings(network)
    from archc import api

    source = api.emit(network, deploy=deploy)
    if weights_to is not None:
        content = _weights(network, deploy=deploy)
        put_out(content, weights_to)
    put_out(source, output)


def _weights(network: Network, *, deploy: bool) -> bytes:
    """A model's own weights as a safetensors file."""
    from archc import api

    if network.model is None:
        raise ArchcError(f"{quote_name(network.source)} is a spec, which has no weights")
    api.require_torch("writing weights")
    return api.to_safetensors(api.fold(network) if deploy else api.state_dict(network))
