"""Checkpoints as the weights of a network, or a message that says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from archc.graph import Network, Shape, deploy_form, foldings
from archc.source.caller import said, takes
from archc.text import listing, quote, quote_name
from archc.weights.checkpoint import Checkpoint
from archc.weights.choice import chosen, several
from archc.weights.errors import WeightsError
from archc.weights.fit import Fit, fit
from archc.weights.fold import FoldError, fold_weights
from archc.weights.misfits import (
    MisfitError,
    StrangeNamesError,
    describe,
    mapping_lines,
    partial_hint,
)
from archc.weights.names import OPTIONAL, RenameError, is_average
from archc.weights.order import by_order
from archc.weights.origin import check_origin, warn

if TYPE_CHECKING:
    from torch import Tensor


def match(network: Network, checkpoint: Checkpoint, *, deploy: bool = False) -> Fit:
    """How a checkpoint matches a network, or with ``deploy`` its deploy form if it fits that.

    Raises `MisfitError` if it does not fit, `WeightsError` where it holds several state dicts and
    nothing says which is the model's.
    """
    return _matched(network, checkpoint, deploy=deploy)[1]


def match_in_words(
    network: Network, checkpoint: Checkpoint, *, deploy: bool = False, always: bool = True
) -> list[str]:
    """How a checkpoint matches a network, as `match` finds it out, and below it each module that
    was matched by its order. Raises as that.

    Without ``always`` nothing is said of one that has just the network's names.
    """
    chosen, found = _matched(network, checkpoint, deploy=deploy)
    if not always and found.is_plain and chosen.inside is None:
        return []
    return [describe(chosen, found), *(mapping_lines(found.keys) if found.is_by_order else [])]


def _matched(
    network: Network, checkpoint: Checkpoint, *, deploy: bool = False
) -> tuple[Checkpoint, Fit]:
    """A checkpoint with the state dict that is meant, and how that fits."""
    checkpoint = _chosen(network, checkpoint)
    if deploy and (folded := _fit(deploy_form(network), checkpoint)).fits:
        return checkpoint, folded
    found = _fit(network, checkpoint)
    if found.needed and not checkpoint.tensors:
        raise WeightsError(checkpoint.file, "is an empty state dict")
    if found.rivals:
        prefixes = [prefix.rstrip(".") for prefix in found.rivals if prefix]
        if len(prefixes) == len(found.rivals):
            raise several(checkpoint, prefixes, "holds several copies of the network")
    options = checkpoint.options
    if options.ema and not (found.is_average or is_average(checkpoint.inside or "")):
        hint = f"leave out {said('`--ema`', '`ema`')} to use the weights that are there"
        raise WeightsError(checkpoint.file, "holds no averaged weights", hint)
    if not found.fits and not (options.partial and _is_usable(network, checkpoint, found)):
        _raise_misfit(network, checkpoint, found)
    return checkpoint, found


def _chosen(network: Network, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the state dict that is meant; raises `WeightsError`."""
    forms = (network, deploy_form(network))
    return chosen(checkpoint, lambda one: any(_fit(form, one).fits for form in forms))


def _is_usable(network: Network, checkpoint: Checkpoint, found: Fit) -> bool:
    """Whether a part of the network's tensors may be taken: some that do more than scale and shift,
    and from no checkpoint into which the norms have been folded."""
    has_weights = any(len(network.state[key]) > 1 for key in found.taken)
    return has_weights and not found.rivals and not _fits(deploy_form(network), checkpoint)


def _raise_misfit(network: Network, checkpoint: Checkpoint, found: Fit) -> NoReturn:
    hint = _hint(network, checkpoint)
    if hint is None:
        keys = by_order(network, _shapes(checkpoint))
        # Names that fit must not say something else than the order does.
        if keys is not None and all(keys.get(key, it) == it for key, it in found.taken.items()):
            raise StrangeNamesError(checkpoint, network, found, keys)
    raise MisfitError(checkpoint, network, found, hint or partial_hint(network, found))


def is_folded(network: Network, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is one of a network's deploy form, and not of the network."""
    folds = bool(foldings(network).count) or bool(network.sides)
    return folds and _fits(deploy_form(network), _chosen(network, checkpoint))


def weights_of(network: Network, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the keys of `Network.state`, in the network's shapes.

    Some may be missing where the checkpoint's options are content with a part. Raises
    `MisfitError`, and `WeightsError` for weights that are no finite floating-point numbers, for
    negative variances, and for a file that says it is of another network. Warns with
    `WeightsWarning` where they fit a shipped spec that computes something else, or where they are
    averages although nobody asked for these.
    """
    checkpoint, found = _matched(network, checkpoint)
    weights = {key: checkpoint.tensors[theirs].detach() for key, theirs in found.taken.items()}
    for key in found.reshaped:
        weights[key] = weights[key].reshape(network.state[key])
    for key, tensor in weights.items():
        counts = key.rpartition(".")[2] == OPTIONAL and not tensor.is_complex()
        if key in network.buffer_types:
            continue
        if not tensor.is_floating_point() and not counts:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(checkpoint.file, f"`{key}` holds {kind}, not floating-point numbers")
        numbers = tensor.float() if tensor.itemsize == 1 else tensor  # torch compares no float8
        if not numbers.isfinite().all():
            raise WeightsError(checkpoint.file, f"`{key}` holds values that are not finite")
        if key.endswith(".running_var") and (numbers < 0).any():
            raise WeightsError(checkpoint.file, f"`{key}` holds negative variances")
    _warn_of_averages(checkpoint, found)
    check_origin(network, checkpoint)
    return weights


def _warn_of_averages(checkpoint: Checkpoint, found: Fit) -> None:
    """Warn where nothing but tensors that are called averages was there to be taken."""
    if checkpoint.is_chosen:
        return
    names = [name for name in (checkpoint.inside, *found.prefixes) if name and is_average(name)]
    if names and not checkpoint.options.ema:
        where = listing([quote(name) for name in names], "and")
        warn(
            f"{quote_name(checkpoint.file)} has no weights but those under {where}, which may be "
            "averages"
        )


def deploy_weights(network: Network, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The weights of a network's deploy form, from a checkpoint of the network or of that form.

    Raises `MisfitError` if it fits neither, `WeightsError` if it cannot be folded.
    """
    checkpoint = _chosen(network, checkpoint)
    folded = deploy_form(network)
    if _fits(folded, checkpoint):
        return weights_of(folded, checkpoint)
    return folded_weights(network, weights_of(network, checkpoint), checkpoint)


def folded_weights(
    network: Network, weights: dict[str, Tensor], checkpoint: Checkpoint
) -> dict[str, Tensor]:
    """All weights of a network, which come from a checkpoint, as those of its deploy form.

    Raises `WeightsError` if they cannot be folded.
    """
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
    weights = (deploy_weights if deploy else weights_of)(network, checkpoint)
    check_range(weights, checkpoint)
    return weights


def check_range(weights: dict[str, Tensor], checkpoint: Checkpoint) -> None:
    """Raise `WeightsError` for numbers beyond torch's default dtype."""
    import torch

    dtype = torch.get_default_dtype()
    for key, tensor in weights.items():
        if not tensor.is_floating_point() or tensor.dtype == dtype:
            continue
        if not tensor.to(dtype).isfinite().all():
            what = f"`{key}` has values that are too large for {dtype}".replace("torch.", "")
            raise WeightsError(checkpoint.file, what)


def _fits(network: Network, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint fits, found out without comparing where it has not the number of tensors
    for it; beside the network's there may be a counter."""
    if not len(network.state) // 2 <= len(checkpoint.tensors) <= len(network.state) + 1:
        return False
    return _fit(network, checkpoint).fits


def _fit(network: Network, checkpoint: Checkpoint) -> Fit:
    try:
        return fit(network, _shapes(checkpoint), checkpoint.options)
    except RenameError as error:
        rename = said("--rename", "rename")
        raise WeightsError(checkpoint.file, f"`{rename}` does not apply: {error}") from None


def _shapes(checkpoint: Checkpoint) -> dict[str, Shape]:
    return {key: tuple(one.shape) for key, one in checkpoint.tensors.items()}


def _hint(network: Network, checkpoint: Checkpoint) -> str | None:
    """What the checkpoint does fit, if archc knows."""
    if _fits(deploy_form(network), checkpoint):
        use = (
            "use `--deploy`" if takes("--deploy") else "`archc verify` and `export` have `--deploy`"
        )
        use = said(use, "use `deploy=True` where that can be given")
        return f"it fits the network's deploy form: {use}"
    from archc.compile import compile_spec
    from archc.listing import weight_counts
    from archc.spec import load_spec

    # Only those are compiled that have as many weights: compiling all takes seconds.
    theirs = sum(tensor.ndim > 1 for tensor in checkpoint.tensors.values())
    names = [name for name, count in weight_counts().items() if count == theirs]
    fitting = [f"`{name}`" for name in names if _fits(compile_spec(load_spec(name)), checkpoint)]
    return f"it fits {listing(fitting, 'and')}" if fitting else None
