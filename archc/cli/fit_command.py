"""``archc fit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from archc.choices import BYTES, OPTIMIZERS, Dtype, OptimizerName
from archc.cli.changes import Changes, SpecCommand
from archc.cli.common import MEMORY, format_for, load_networks, output, specs, table_format

if TYPE_CHECKING:
    from pathlib import Path

_DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16")
_OPTIMIZERS: tuple[OptimizerName, ...] = ("sgd", "momentum", "adam")


@click.command("fit", cls=SpecCommand)
@specs
@click.option(
    "--memory",
    metavar="SIZE",
    type=MEMORY,
    required=True,
    help="The memory to fit into: 500MB, 24GB (24 * 10^9 bytes), 24GiB (24 * 2^30), ...",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(list(BYTES)),
    multiple=True,
    help="The dtype of parameters and images; may be repeated. [default: float32 and bfloat16]",
)
@click.option(
    "--optimizer",
    "optimizers",
    type=click.Choice(list(OPTIMIZERS)),
    multiple=True,
    help="The optimizer to train with; may be repeated. adam includes AdamW. [default: all]",
)
@table_format("json and csv have exact bytes.")
@output
def command(
    specs: tuple[str, ...],
    changes: Changes,
    memory: int,
    dtypes: Sequence[Dtype],
    optimizers: Sequence[OptimizerName],
    format_: str | None,
    output: Path | None,
) -> None:
    """Find the largest batch that fits into a memory, at inference and in training.

    It counts the tensors that torch holds when most are alive: parameters, buffers, images and
    values, and in training what is saved for gradients, the gradients, and the optimizer's state.
    Leave room for what is not counted: the workspaces of kernels, and what the allocator rounds up
    and caches.

    \b
    Examples:
      archc fit imagenet/resnet50 --memory 24GB
      archc fit imagenet/resnet50 torchvision/convnext_tiny --memory 80GB --format csv
      archc fit my.yaml --memory 500MB --dtype float32 --optimizer momentum
    """
    networks = load_networks(specs, changes)
    from archc.cli import layer_views, views

    found = layer_views.Fits(networks, memory, dtypes or _DTYPES, optimizers or _OPTIMIZERS)
    views.put_out_view(found, specs, format_for(format_, output), output)
