"""What is told where a checkpoint is not one of a network, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.graph import Network, key_of
from archc.source.caller import said, takes
from archc.text import listing, quote, quote_name
from archc.weights.checkpoint import Checkpoint
from archc.weights.errors import WeightsError
from archc.weights.fit import Fit
from archc.weights.order import split

MAX_BLOCKS = 20
"""Of how many blocks a message tells what does not fit."""

MAX_MODULES = 200
"""How many modules of a mapping by order are printed."""


class MisfitError(WeightsError):
    """A checkpoint is not one of the network; ``fit`` has all of what does not match."""

    def __init__(self, checkpoint: Checkpoint, network: Network, found: Fit, hint: str | None):
        self.fit = found
        told = describe(checkpoint, found)
        lines = [f"does not fit {network.source or network.name}: {told}"]
        blocks = found.by_block()
        width = max(map(len, list(blocks)[:MAX_BLOCKS]), default=0)
        for block, faults in list(blocks.items())[:MAX_BLOCKS]:
            rows = _labelled(block, faults)
            lines += [quote_name(f"  {name:{width}}  {fault}") for name, fault in rows]
        if len(blocks) > MAX_BLOCKS:
            left = len(blocks) - MAX_BLOCKS
            lines.append(f"  and in {left} more block{'s' * (left > 1)}")
        super().__init__(checkpoint.file, "\n".join(lines), hint)


class StrangeNamesError(MisfitError):
    """The tensors of a checkpoint have other names than the network's, but the same shapes in the
    same order; ``keys`` has the checkpoint's key for each of the network's."""

    def __init__(
        self, checkpoint: Checkpoint, network: Network, found: Fit, keys: Mapping[str, str]
    ):
        self.fit, self.keys = found, keys
        lines = [
            f"does not fit {network.source or network.name}: its tensors have other names, but the "
            "same shapes in the same order",
            *mapping_lines(keys),
        ]
        take = said("`--match order`", '`match="order"`')
        hint = f"if these are the same layers, take them with {take}"
        WeightsError.__init__(self, checkpoint.file, "\n".join(lines), hint)


def mapping_lines(keys: Mapping[str, str]) -> list[str]:
    """The modules of a checkpoint that were matched by their order, a line each, indented, beside
    those of the network; the tensors if its keys do not name modules."""
    modules = {split(theirs)[0]: split(ours)[0] for ours, theirs in keys.items()}
    what = "modules"
    if len(modules) != len({split(ours)[0] for ours in keys}):
        modules, what = {theirs: ours for ours, theirs in keys.items()}, "tensors"
    pairs = [(quote_name(theirs) or "(no name)", ours) for theirs, ours in modules.items()]
    width = max((len(theirs) for theirs, _ in pairs[:MAX_MODULES]), default=0)
    lines = [f"  {theirs:{width}}  →  {ours}" for theirs, ours in pairs[:MAX_MODULES]]
    if len(pairs) > MAX_MODULES:
        lines.append(f"  and {len(pairs) - MAX_MODULES} more {what}")
    return lines


def describe(checkpoint: Checkpoint, found: Fit) -> str:
    """How a checkpoint fits, and under which key of the file its state dict was; of one that fits
    in part, what the network keeps as initialised, and what is left out."""
    inside = checkpoint.inside
    where = "" if inside is None else f", found under {quote(inside)}"
    if checkpoint.beside:
        where += f" ({listing([quote(key) for key in checkpoint.beside], 'and')} left out)"
    return found.words(where) if checkpoint.options.partial else found.summary() + where


def partial_hint(network: Network, found: Fit) -> str | None:
    """What to do where only the head differs, or only tensors that the network has not are too
    many; None for anything else."""
    partial = said("`--partial`", "`partial=True`")
    has_partial = takes("--partial")
    if not has_partial:
        partial += " of `archc train`, `export` and `evaluate`"
    if found.unexpected and not found.missing and not found.misshapen:
        return f"{partial} leaves out what is unexpected"
    paths = tuple(f"{side.name}." for side in network.sides)
    sides = {key for key in network.state if key.startswith(paths)} if paths else set()
    head = _head(network)
    wrong = {*found.missing, *found.misshapen}
    if not wrong or not found.taken or not head or not wrong <= {*head, *sides}:
        return None
    classes = {found.misshapen[key][0][:1] for key in head if key in found.misshapen}
    path = quote(head[0].rpartition(".")[0])
    if len(classes) == 1 and (number := next(iter(classes))):
        setting = said(f"`--set classes={number[0]}`", f"`classes={number[0]}` in `archc.load`")
        otherwise = f", or {partial} to keep {path} as initialised" if has_partial else ""
        return f"the weights are for {number[0]:,} classes: use {setting}{otherwise}"
    what = path if wrong & set(head) else "the side heads"
    return f"{partial} keeps {what} as initialised"


def _head(network: Network) -> list[str]:
    """The keys of the layer that puts out the classes; none where there is no such layer."""
    node = network.nodes[network.logits]
    while not node.op.state and len(node.inputs) == 1:
        node = network.nodes[node.inputs[0]]
    return [key_of(node.id, name) for name in node.op.state]


def _labelled(block: str, faults: list[str]) -> Iterator[tuple[str, str]]:
    """The faults of a block, its name before the first."""
    for index, fault in enumerate(faults):
        yield "" if index else block, fault
