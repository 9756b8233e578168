"""Whether a checkpoint fits a network: what is missing, unexpected or of another shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from archc.backends.numbers import shape as in_words
from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.text import listing, quote, quote_name
from archc.weights.names import OPTIONAL, find_names, fits
from archc.weights.options import MatchOptions
from archc.weights.order import by_order

_AVERAGED = "n_averaged"
"""How many models `torch.optim.swa_utils.AveragedModel` has averaged: a counter of its own."""


_MAX_NAMES = 8
"""How many names a line has of what is kept and what is left out."""

_MAX_UNEXPECTED = 18
"""How many tensors of a block a message names that the network does not have: a residual block
with a projection has 18, counters included."""


@dataclass(frozen=True)
class Fit:
    """How the tensors of a checkpoint match those of a network.

    ``needed`` are the network's own keys, and ``keys`` has the checkpoint's key of each of them
    that it holds. ``prefixes`` are the parts of the checkpoint's keys that belong to wrappers and
    were left out (``module.``). ``misshapen`` has the shape found and the shape needed.

    ``scheme`` is the project whose names the checkpoint has; ``reshaped`` are keys whose tensors
    have the same numbers there in another shape. ``left_out`` has the prefixes of further copies of
    the network in the checkpoint, with the number of their tensors. Where several fit equally, and
    nothing says which of them is meant, ``rivals`` are their prefixes. ``is_average`` is whether
    the tensors are running averages, ``is_by_order`` whether they were matched by their order.
    """

    needed: tuple[str, ...]
    keys: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: Mapping[str, tuple[Shape, Shape]]
    prefixes: tuple[str, ...]
    scheme: str | None = None
    reshaped: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    rivals: tuple[str, ...] = ()
    is_average: bool = False
    is_by_order: bool = False

    @property
    def fits(self) -> bool:
        """Whether the checkpoint has just what the network needs."""
        return not (self.missing or self.unexpected or self.misshapen or self.rivals)

    @property
    def taken(self) -> dict[str, str]:
        """The checkpoint's key of each of the network's tensors that has the right shape."""
        return {key: theirs for key, theirs in self.keys.items() if key not in self.misshapen}

    @property
    def is_plain(self) -> bool:
        """Whether the checkpoint has just what the network needs, under its names."""
        return self.fits and not any(self._remarks())

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
        return ", ".join([*words, *self._remarks()])

    def _remarks(self) -> Iterator[str]:
        """How the names were made those of the network, and what stays behind."""
        if self.prefixes:
            prefixes = listing([f"`{quote_name(prefix)}`" for prefix in self.prefixes], "and")
            yield f"{prefixes} removed from their names"
        if self.scheme:
            yield f"named as in {self.scheme}"
        if self.reshaped:
            yield f"{len(self.reshaped)} reshaped"
        if self.is_by_order:
            yield "matched by their order"
        for prefix, count in self.left_out.items():
            yield (
                f"{count} under {quote(prefix)} left out" if prefix else f"{count} others left out"
            )

    def words(self, where: str = "") -> str:
        """``all 116 tensors fit``; where only a part does, what the network keeps as it is
        initialised, and what is left out. ``where`` says where in a file the tensors are."""
        if self.fits or not self.taken:
            return self.summary() + where
        return "; ".join([self.partial_summary() + where, *self._parts()])

    def _parts(self) -> Iterator[str]:
        if kept := self.kept():
            yield f"kept as initialised: {_some(kept)}"
        if stray := self.stray():
            yield f"left out: {_some(stray)}"

    def partial_summary(self) -> str:
        """``114 of 116 tensors taken``, of a checkpoint that fits in part."""
        counters = sum(key.rpartition(".")[2] == OPTIONAL for key in self.taken)
        return ", ".join(
            [
                f"{len(self.taken) - counters} of {len(self.needed)} tensors taken",
                *self._remarks(),
            ]
        )

    def kept(self) -> list[str]:
        """What of the network the checkpoint does not have: the paths of blocks of which it has
        nothing, and keys."""
        needed = _grouped(self.needed)
        lacking = {*self.missing, *self.misshapen}
        lacked = _grouped(key for key in self.needed if key in lacking)
        return [
            one
            for block, names in lacked.items()
            for one in ([block] if names == needed[block] else [f"{block}.{n}" for n in names])
        ]

    def stray(self) -> list[str]:
        """What of the checkpoint the network does not take: keys, with the shapes of those that it
        needs in another one."""
        shapes = {key: found for key, (found, _) in self.misshapen.items()}
        return [
            *(f"{key} ({_in_words(shape)})" for key, shape in shapes.items()),
            *self.unexpected,
        ]

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
            more = len(names) - _MAX_UNEXPECTED
            told = [*names[:_MAX_UNEXPECTED], f"and {more} more"] if more > 0 else names
            blocks[block].append(f"unexpected: {', '.join(told)}")
        for key, (found, shape) in self.misshapen.items():
            block, name = _split(key)
            blocks[block].append(f"{name} is {_in_words(found)}, not {_in_words(shape)}")
        return {block: faults for block, faults in blocks.items() if faults}


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    told = [quote_name(name) for name in names[: _MAX_NAMES if more > 0 else None]]
    return listing([*told, f"{more} more"] if more > 0 else told, "and")


def _grouped(keys: Iterable[str]) -> dict[str, list[str]]:
    """The keys of each block, without its path."""
    blocks: dict[str, list[str]] = {}
    for key in keys:
        block, name = _split(key)
        blocks.setdefault(block, []).append(name)
    return blocks


def fit(network: Network, shapes: Mapping[str, Shape], options: MatchOptions | None = None) -> Fit:
    """Match the tensors of a checkpoint, given their shapes, with those of a network.

    Raises `RenameError` where what ``options`` rename is not there.
    """
    options = options or MatchOptions()
    names = find_names(network, shapes, options)
    needed = [key for key in network.state if key.rpartition(".")[2] != OPTIONAL]
    keys = {key: names.keys[key] for key in network.state if key in names.keys}
    misshapen, reshaped = {}, []
    for key, theirs in keys.items():
        if not fits(key, theirs, network.state[key], shapes[theirs], names.scheme):
            misshapen[key] = (shapes[theirs], network.state[key])
        elif shapes[theirs] != network.state[key]:
            reshaped.append(key)
    found = Fit(
        needed=tuple(needed),
        keys=keys,
        missing=tuple(key for key in needed if key not in keys),
        unexpected=tuple(key for key in names.rest if key != _AVERAGED),
        misshapen=misshapen,
        prefixes=names.prefixes,
        scheme=names.scheme.name if names.scheme else None,
        reshaped=tuple(reshaped),
        left_out=names.left_out or {},
        rivals=names.rivals,
        is_average=names.is_average or _AVERAGED in shapes,
    )
    if found.fits or options.match != "order":
        return found
    ordered = by_order(network, shapes)
    if ordered is None:
        return found
    return Fit(tuple(needed), ordered, (), (), {}, (), is_by_order=True)


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
