"""``archc lift``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from archc.cli.common import SPEC, OutputFile, is_stream, put_out, quiet, tell_running
from archc.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path


@click.command("lift")
@click.argument("model", metavar="MODEL", type=SPEC)
@click.option("--input", metavar="C,H,W", help="The image's size, where the model leaves it open.")
@click.option("--name", metavar="NAME", help="The spec's name; by default the model's.")
@click.option("--explain", is_flag=True, help="Say how the spec was found.")
@click.option("-o", "--output", metavar="FILE", type=OutputFile(allow_dash=True))
@quiet
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(
    model: str,
    input: str | None,
    name: str | None,
    output: Path | None,
    *,
    explain: bool,
    force: bool,
) -> None:
    """Write a model of another library as a spec, to count, change and train it.

    MODEL is an ONNX file, an exported program (.pt2), or a torch module as package.module:callable
    or FILE.py:Name, whose code is run.

    Blocks that repeat become stages: of blocks of the library where they are those, otherwise of
    definitions in the spec. The spec is compiled and compared with the model op by op before it is
    written, and modules keep their names, so that weights load. What cannot be written in a spec
    is named.

    \b
    Examples:
      archc lift resnet50.pt2
      archc lift resnet50.pt2 -o resnet50.yaml
      archc lift torchvision.models:resnet18 -o resnet18.yaml
      archc lift model.onnx --input 3,224,224 --explain -o model.yaml
    """
    from archc import api
    from archc.building import ConflictError

    tell_running(model)
    found = api.lifted_model(model, input=input, name=name)
    if explain:
        say(*found.steps, err=True)
    for note in found.notes:
        say(f"note: {note}", err=True)
    path = output
    if path is not None and str(path) != "-" and path.exists() and not (force or is_stream(path)):
        raise ConflictError([f"{str(path)!r} already exists"], "`--force` overwrites it")
    put_out(
        found.text,
        path,
        hint=None if path is None else f"run `archc count {shlex.quote(str(path))}`",
    )
