"""Whether a checkpoint fits a network: what is missing, unexpected or of another shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter

from archc.backends.numbers import shape as in_words
from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.text import listing, quote_name

# Modules that others put around a network or its parts: data parallelism, torch.compile, sharding,
# checkpointing of activations. They may stand anywhere in a key.
_AROUND = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

OPTIONAL = "num_batches_tracked"
"""Counters that torch kept only from version 0.4.1 on; nothing computed depends on them."""

_AVERAGED = "n_averaged"
"""How many models `torch.optim.swa_utils.AveragedModel` has averaged: a counter of its own."""


@dataclass(frozen=True)
class Fit:
    """How the tensors of a checkpoint match those of a network.

    ``needed`` are the network's own keys, and ``keys`` has the checkpoint's key of each of them
    that it holds. ``prefixes`` are the parts of the checkpoint's keys that belong to wrappers and
    were left out (``module.``). ``misshapen`` has the shape found and the shape needed.
    """

    needed: tuple[str, ...]
    keys: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: Mapping[str, tuple[Shape, Shape]]
    prefixes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the checkpoint has just what the network needs."""
        return not (self.missing or self.unexpected or self.misshapen)

    def summary(self) -> str:
        """``12 tensors missing, 3 unexpected, 1 of another shape``."""
        counts = (
            (len(self.missing), "missing"),
            (len(self.unexpected), "unexpected"),
            (len(self.misshapen), "of another shape"),
        )
        told = [(count, what) for count, what in counts if count]
        words = [f"all {len(self.keys)} tensors fit"]
        if told:
            (first, fault), *others = told
            tensors = "tensor" if first == 1 else "tensors"
            words = [f"{first} {tensors} {fault}", *(f"{count} {what}" for count, what in others)]
        if self.prefixes:
            prefixes = listing([f"`{quote_name(prefix)}`" for prefix in self.prefixes], "and")
            words.append(f"{prefixes} removed from their names")
        return ", ".join(words)

    def by_block(self) -> dict[str, list[str]]:
        """What is wrong, a line each, by the block that it belongs to: the network's come first."""
        needed = _grouped(self.needed)
        missing, unexpected = _grouped(self.missing), _grouped(self.unexpected)
        blocks: dict[str, list[str]] = {block: [] for block in [*needed, *unexpected]}
        for block, names in missing.items():
            lacks_all = names == needed[block] and len(names) > 1
            what = f"all {len(names)} tensors" if lacks_all else ", ".join(names)
            blocks[block].append(f"missing: {what}")
        for block, names in unexpected.items():
            blocks[block].append(f"unexpected: {', '.join(names)}")
        for key, (found, shape) in self.misshapen.items():
            block, name = _split(key)
            blocks[block].append(f"{name} is {_in_words(found)}, not {_in_words(shape)}")
        return {block: faults for block, faults in blocks.items() if faults}


def _grouped(keys: Iterable[str]) -> dict[str, list[str]]:
    """The keys of each block, without its path."""
    blocks: dict[str, list[str]] = {}
    for key in keys:
        block, name = _split(key)
        blocks.setdefault(block, []).append(name)
    return blocks


def fit(network: Network, shapes: Mapping[str, Shape]) -> Fit:
    """Match the tensors of a checkpoint, given their shapes, with those of a network."""
    keys, prefixes = _unwrapped(network, list(shapes))
    needed = [key for key in network.state if key.rpartition(".")[2] != OPTIONAL]
    misshapen = {}
    for key, theirs in keys.items():
        if key in network.state and shapes[theirs] != network.state[key]:
            misshapen[key] = (shapes[theirs], network.state[key])
    return Fit(
        needed=tuple(needed),
        keys={key: theirs for key, theirs in keys.items() if key in network.state},
        missing=tuple(key for key in needed if key not in keys),
        unexpected=tuple(key for key in keys if key not in network.state and key != _AVERAGED),
        misshapen=misshapen,
        prefixes=prefixes,
    )


def _unwrapped(network: Network, theirs: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The checkpoint's keys by what they are without wrappers, and the wrappers."""
    own = {part for node_id in network.nodes for part in node_id.split(".")}
    keys = {key: key for key in theirs}
    prefixes: list[str] = []
    for wrapper in _AROUND:
        if wrapper in own or not any(wrapper in key.split(".")[:-1] for key in keys):
            continue
        without = {_without(key, wrapper): original for key, original in keys.items()}
        if len(without) == len(keys):
            keys, prefixes = without, [*prefixes, f"{wrapper}."]
    around = _around(network, keys)
    inner = {key.removeprefix(around): original for key, original in keys.items()}
    if len(inner) == len(keys):
        keys, prefixes = inner, prefixes + re.findall(r"[^.]*\.", around)
    return keys, tuple(prefixes)


def _around(network: Network, keys: Collection[str]) -> str:
    """The path of the module around the network, or of several: `model.` or `net.backbone.` of some
    framework. It stands before all keys, or before most of the network's: what a training framework
    keeps beside it, as a loss with weights, is then all that is unexpected."""
    votes = Counter(
        key[: match.end()]
        for key in keys
        for match in re.finditer(r"\.", key)
        if key[match.end() :] in network.state
    )
    most = max(votes.items(), key=itemgetter(1), default=("", 0))
    around, matches = most
    is_around = matches > len(network.state) / 2 or all(key.startswith(around) for key in keys)
    return around if is_around and matches > sum(key in network.state for key in keys) else ""


def _without(key: str, wrapper: str) -> str:
    *path, name = key.split(".")
    return ".".join([*(part for part in path if part != wrapper), name])


def _split(key: str) -> tuple[str, str]:
    """A key as the path of its block and the rest: ``layer1.0``, ``conv1.weight``."""
    parts = list(_block(key.split(".")))
    return ".".join(parts), ".".join(key.split(".")[len(parts) :])


def _block(parts: list[str]) -> Iterator[str]:
    for index, part in enumerate(parts[:-1]):
        yield part
        if part.isdigit() or (index == 0 and not any(other.isdigit() for other in parts)):
            return


def _in_words(shape: Shape) -> str:
    return in_words(shape) if shape else "a single number"
