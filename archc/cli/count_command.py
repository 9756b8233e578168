"""``archc count``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from archc.choices import BYTES, CONVENTIONS, LEVELS, ConventionName, Dtype, Level
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import format_for, load_networks, output, specs, table_format
from archc.cli.complete import DEVICES

if TYPE_CHECKING:
    from pathlib import Path

    from archc.cli.views import View
    from archc.graph import Network

_TAKES = {
    "--by": (None, "--memory"),
    "--batch": ("--memory", "--roofline"),
    "--dtype": ("--memory",),
    "--devices": ("--roofline",),
    "--convention": (None,),
}
"""Which views an option is for; None is the counts themselves."""


@click.command("count", cls=SpecCommand)
@specs
@table_format("csv and json also have the stage and block numbers.")
@click.option(
    "--by",
    type=click.Choice(LEVELS),
    help="Rows of the table. [default: stage for one spec, network for several]",
)
@click.option(
    "--convention",
    type=click.Choice(CONVENTIONS),
    help="Whose FLOPs to count: the paper's, or those that a tool prints. [default: multiply-adds]",
)
@click.option(
    "--explain", is_flag=True, help="Show all conventions, and what each adds by kind of op."
)
@click.option(
    "--memory", is_flag=True, help="Show the bytes of parameters, activations and gradients."
)
@click.option("--receptive-field", is_flag=True, help="Show the receptive field of each layer.")
@click.option(
    "--roofline",
    metavar="DEVICE",
    shell_complete=DEVICES,
    help="Show a lower bound on each layer's time on a device: h200-bf16, a100-tf32, ...",
)
@click.option(
    "--devices",
    metavar="FILE",
    type=click.Path(),
    help="A YAML table with more devices for --roofline.",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, 2**20),
    help="Batch size for --memory and --roofline. [default: 1]",
)
@click.option(
    "--dtype", type=click.Choice(list(BYTES)), help="The dtype for --memory. [default: float32]"
)
@output
def command(
    specs: tuple[str, ...],
    changes: Changes,
    format_: str | None,
    by: Level | None,
    convention: ConventionName | None,
    explain: bool,
    memory: bool,
    receptive_field: bool,
    roofline: str | None,
    devices: str | None,
    batch: int | None,
    dtype: Dtype | None,
    output: Path | None,
) -> None:
    """Count parameters and multiply-adds, for one image.

    --memory, --receptive-field and --roofline show what else follows from the graph.

    The paper's FLOPs are multiply-adds of convolutions and linear layers.

    \b
    Examples:
      archc count imagenet/resnet34 imagenet/vgg19
      archc count imagenet/resnet50 --by layer --convention fvcore
      archc count torchvision/resnet50 --explain
      archc count imagenet/resnet50 --memory --batch 32 --by layer
      archc count imagenet/resnet50 --roofline h200-bf16 --batch 256
      archc count model.onnx
      archc count my_net.py:Net --input 3,32,32 --by layer
    """
    asked = {"--explain": explain, "--memory": memory, "--receptive-field": receptive_field}
    view = _one_of({**asked, "--roofline": roofline is not None})
    _check_options(
        view,
        {
            "--by": by,
            "--batch": batch,
            "--dtype": dtype,
            "--devices": devices,
            "--convention": convention,
        },
    )
    networks = load_networks(specs, changes)
    from archc.cli import views

    if view is None:
        level = by or ("stage" if len(specs) == 1 else "network")
        found: views.View = views.Counts(networks, level, convention or CONVENTIONS[0])
    elif view == "--explain":
        found = views.Explained(networks)
    elif view == "--memory":
        from archc.cli.layer_views import Memories

        found = Memories(networks, batch or 1, dtype or "float32", by == "layer")
    else:
        found = _of_layers(networks, roofline, devices, batch or 1)
    views.put_out_view(found, specs, format_for(format_, output), output)


def _of_layers(
    networks: Sequence[Network], roofline: str | None, devices: str | None, batch: int
) -> View:
    """The layers beside a device's limits, or what each of them sees of the image."""
    from archc.cli import layer_views

    if roofline is not None:
        return layer_views.Rooflines(networks, roofline, devices, batch)
    return layer_views.ReceptiveFields(networks)


def _one_of(asked: Mapping[str, bool]) -> str | None:
    """The view that is asked for; a command line that asks for two is wrong."""
    views = [name for name, is_asked in asked.items() if is_asked]
    if len(views) > 1:
        raise click.UsageError(f"{views[0]} and {views[1]} cannot be used together")
    return views[0] if views else None


def _check_options(view: str | None, given: Mapping[str, object]) -> None:
    """Refuse options that a view would not heed."""
    if view == "--memory" and given["--by"] not in (None, "network", "layer"):
        raise click.UsageError("--memory supports only --by network and --by layer")
    for name, value in given.items():
        if value is None or view in _TAKES[name]:
            continue
        if view is not None:
            raise click.UsageError(f"{name} cannot be used with {view}")
        raise click.UsageError(f"{name} is for {' and '.join(v for v in _TAKES[name] if v)}")
