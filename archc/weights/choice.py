"""Which of the state dicts of a file is meant, where its keys alone do not say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archc.source.caller import said
from archc.text import listing, quote
from archc.weights.checkpoint import Checkpoint
from archc.weights.errors import WeightsError
from archc.weights.names import is_average

_MAX_KEYS = 8
"""How many keys a message lists of which one is to be chosen."""


def chosen(checkpoint: Checkpoint, fits: Callable[[Checkpoint], bool]) -> Checkpoint:
    """The checkpoint with the state dict that its options ask for, or, where no key says which is
    the model's, with that which fits. A model comes before averages of it.

    Raises `WeightsError` where several are as good.
    """
    wants_average = checkpoint.options.ema
    averages = [key for key in checkpoint.keys if is_average(key)]
    if not (checkpoint.is_ambiguous or (wants_average and averages)):
        return checkpoint
    if wants_average and averages:
        if checkpoint.inside in averages and not checkpoint.is_ambiguous:
            return checkpoint
        keys = averages
    else:
        keys = list(checkpoint.keys)
    if len(keys) == 1:
        return checkpoint.select(keys[0])
    fitting = [key for key in keys if fits(checkpoint.select(key))]
    found = fitting if wants_average else [key for key in fitting if key not in averages]
    found = found or fitting
    if len(found) == 1:
        return checkpoint.select(found[0])
    if not found:
        checkpoint.check_unambiguous()
        raise several(checkpoint, keys, "holds several averages")
    raise several(checkpoint, found, "holds several state dicts that fit")


def several(checkpoint: Checkpoint, keys: Sequence[str], what: str) -> WeightsError:
    """The error for keys of which a user has to choose one."""
    names = [quote(key, 200) for key in keys[:_MAX_KEYS]]
    more = [f"{len(keys) - _MAX_KEYS} more"] if len(keys) > _MAX_KEYS else []
    told = listing([*names, *more], "and")
    examples = [quote(f"{checkpoint.file}#{key}", 300) for key in keys[:2]]
    hint = f"choose one by its key: {listing(examples, 'or')}"
    if checkpoint.is_in_memory:
        rename = quote(f"{keys[0]}=", 200)
        hint = f"choose one: {said(f'--rename {rename}', f'rename=[{rename}]')}"
    return WeightsError(checkpoint.file, f"{what}: {told}", hint)
