"""``archc emit``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import deploy, load_networks, output, put_out, spec, tell_foldings


@click.command("emit", cls=SpecCommand)
@spec
@deploy
@output
def command(spec: str, changes: Changes, deploy: bool, output: Path | None) -> None:
    """Print the PyTorch module: one file that needs torch alone.

    \b
    Examples:
      archc emit imagenet/resnet34 -o resnet34.py
      archc emit imagenet/resnet50 --deploy -o resnet50_deploy.py
      python -c "from resnet34 import ResNet34; print(ResNet34())"
    """
    (network,) = load_networks([spec], changes)
    if deploy:
        tell_foldings(network)
    from archc import api

    put_out(api.emit(network, deploy=deploy), output)
