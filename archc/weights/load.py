"""Checkpoints as the weights of a network, or a message that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.graph import Network, deploy_form, foldings
from archc.source.caller import said
from archc.text import listing, quote, quote_name
from archc.weights.checkpoint import Checkpoint
from archc.weights.errors import WeightsError
from archc.weights.fit import OPTIONAL, Fit, fit
from archc.weights.fold import FoldError, fold_weights
from archc.weights.origin import check_origin

if TYPE_CHECKING:
    from torch import Tensor

MAX_BLOCKS = 20
"""Of how many blocks a message tells what does not fit."""


class MisfitError(WeightsError):
    """A checkpoint is not one of the network; ``fit`` has all of what does not match."""

    def __init__(self, checkpoint: Checkpoint, network: Network, found: Fit, hint: str | None):
        self.fit = found
        told = describe(checkpoint, found)
        lines = [f"does not fit {network.source or network.name}: {told}"]
        blocks = found.by_block()
        width = max(map(len, list(blocks)[:MAX_BLOCKS]))
        for block, faults in list(blocks.items())[:MAX_BLOCKS]:
            rows = _labelled(block, faults)
            lines += [quote_name(f"  {name:{width}}  {fault}") for name, fault in rows]
        if len(blocks) > MAX_BLOCKS:
            left = len(blocks) - MAX_BLOCKS
            lines.append(f"  and in {left} more block{'s' * (left > 1)}")
        super().__init__(checkpoint.file, "\n".join(lines), hint)


def describe(checkpoint: Checkpoint, found: Fit) -> str:
    """How a checkpoint fits, and under which key of the file its state dict was."""
    inside = checkpoint.inside
    where = "" if inside is None else f", found under {quote(inside)}"
    if checkpoint.beside:
        where += f" ({listing([quote(key) for key in checkpoint.beside], 'and')} left out)"
    return found.summary() + where


def match(network: Network, checkpoint: Checkpoint, *, deploy: bool = False) -> Fit:
    """How a checkpoint matches a network, or with ``deploy`` its deploy form if it fits that.

    Raises `MisfitError` if it does not fit, `WeightsError` where it holds several state dicts and
    nothing says which is the model's.
    """
    checkpoint.check_unambiguous()
    if deploy and (folded := _fit(deploy_form(network), checkpoint)).fits:
        return folded
    found = _fit(network, checkpoint)
    if found.needed and not checkpoint.tensors:
        raise WeightsError(checkpoint.file, "is an empty state dict")
    if not found.fits:
        raise MisfitError(checkpoint, network, found, _hint(network, checkpoint))
    return found


def is_folded(network: Network, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is one of a network's deploy form, and not of the network."""
    folds = bool(foldings(network).count) or bool(network.sides)
    return folds and _fits(deploy_form(network), checkpoint)


def weights_of(network: Network, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the keys of `Network.state`.

    Raises `MisfitError`, and `WeightsError` for weights that are no finite floating-point
    numbers, for negative variances, and for a file that says it is of another network. Warns with
    `WeightsWarning` where they fit a shipped spec that computes something else.
    """
    keys = match(network, checkpoint).keys
    weights = {key: checkpoint.tensors[theirs].detach() for key, theirs in keys.items()}
    for key, tensor in weights.items():
        counts = key.rpartition(".")[2] == OPTIONAL and not tensor.is_complex()
        if not tensor.is_floating_point() and not counts:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(checkpoint.file, f"`{key}` holds {kind}, not floating-point numbers")
        numbers = tensor.float() if tensor.itemsize == 1 else tensor  # torch compares no float8
        if not numbers.isfinite().all():
            raise WeightsError(checkpoint.file, f"`{key}` holds values that are not finite")
        if key.endswith(".running_var") and (numbers < 0).any():
            raise WeightsError(checkpoint.file, f"`{key}` holds negative variances")
    check_origin(network, checkpoint)
    return weights


def deploy_weights(network: Network, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The weights of a network's deploy form, from a checkpoint of the network or of that form.

    Raises `MisfitError` if it fits neither, `WeightsError` if it cannot be folded.
    """
    folded = deploy_form(network)
    if _fits(folded, checkpoint):
        return weights_of(folded, checkpoint)
    weights = weights_of(network, checkpoint)
    try:
        return fold_weights(network, weights)
    except FoldError as error:
        raise WeightsError(checkpoint.file, f"cannot be folded: {error}") from None


def weights_to_load(
    network: Network, checkpoint: Checkpoint, *, deploy: bool = False
) -> dict[str, Tensor]:
    """The weights of a network, or of its deploy form, for a module of torch's default dtype.

    Raises what `weights_of` and `deploy_weights` do, and `WeightsError` for numbers beyond that
    type, which would become infinite.
    """
    import torch

    weights = (deploy_weights if deploy else weights_of)(network, checkpoint)
    dtype = torch.get_default_dtype()
    for key, tensor in weights.items():
        if not tensor.is_floating_point() or tensor.dtype == dtype:
            continue
        if not tensor.to(dtype).isfinite().all():
            what = f"`{key}` has values that are too large for {dtype}".replace("torch.", "")
            raise WeightsError(checkpoint.file, what)
    return weights


def _fits(network: Network, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint fits, found out without comparing where it has not the number of tensors
    for it; beside the network's there may be a counter."""
    if not len(network.state) // 2 <= len(checkpoint.tensors) <= len(network.state) + 1:
        return False
    return _fit(network, checkpoint).fits


def _fit(network: Network, checkpoint: Checkpoint) -> Fit:
    return fit(network, {key: tuple(one.shape) for key, one in checkpoint.tensors.items()})


def _labelled(block: str, faults: list[str]) -> Iterator[tuple[str, str]]:
    """The faults of a block, its name before the first."""
    for index, fault in enumerate(faults):
        yield "" if index else block, fault


def _hint(network: Network, checkpoint: Checkpoint) -> str | None:
    """What the checkpoint does fit, if archc knows."""
    if _fits(deploy_form(network), checkpoint):
        use = said(
            "use `--deploy` if the command has it", "use `deploy=True` where that can be given"
        )
        return f"it fits the network's deploy form: {use}"
    from archc.compile import compile_spec
    from archc.listing import weight_counts
    from archc.spec import load_spec

    # Only those are compiled that have as many weights: compiling all takes seconds.
    theirs = sum(tensor.ndim > 1 for tensor in checkpoint.tensors.values())
    names = [name for name, count in weight_counts().items() if count == theirs]
    fitting = [f"`{name}`" for name in names if _fits(compile_spec(load_spec(name)), checkpoint)]
    return f"it fits {listing(fitting, 'and')}" if fitting else None
