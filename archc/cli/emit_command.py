"""``archc emit``."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.common import load_networks, output, put_out, spec


@click.command("emit")
@spec
@output
def command(spec: str, with_: tuple[str, ...], input_: str | None, output: Path | None) -> None:
    """Print the PyTorch module: one file that needs torch alone.

    \b
    Examples:
      archc emit imagenet/resnet34 -o resnet34.py
      python -c "from resnet34 import ResNet34; print(ResNet34())"
    """
    from archc.backends.pytorch import emit

    (network,) = load_networks([spec], with_, input_)
    put_out(emit(network), output)
