"""What of a network is outside of the language, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archc.frontends.program import ForeignError
from archc.graph import Network, Node
from archc.lifting.layers import OutsideError, is_merge, layer_of
from archc.text import listing, quote, visible

NAMED = 3
"""How many ops a hint names."""


def check_language(network: Network, paths: Mapping[str, str]) -> None:
    """Raise `ForeignError` for ops that the language does not have: for the first, in words, with
    the names of others.

    ``paths`` are the modules of ops, by their ids, where they say more than these.
    """
    _check_ends(network)
    faults = list(_faults(network, paths))
    if not faults:
        return
    node, why = faults[0]
    others = [_named(one, paths) for one, _ in faults[1:]]
    hint = None
    if others:
        more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
        names = ", ".join(others[:NAMED]) if more else listing(others, "and")
        hint = f"nor can {names}{more}"
    raise ForeignError(f"{_named(node, paths)} cannot be written in a spec: {why}", hint)


def _check_ends(network: Network) -> None:
    """Raise `ForeignError` for a network of several inputs or outputs."""
    outputs = network.nodes[network.output]
    extra = [node.op for node in network.nodes.values() if node.op.kind == "extra_input"]
    inputs = [str(getattr(op, "name", op.kind)) for op in extra]
    if inputs:
        names = _listed([next(iter(network.nodes)), *inputs])
        raise ForeignError(
            f"the model has {len(inputs) + 1} inputs, {names}, and a spec has one",
            "lift a module that takes images alone",
        )
    if outputs.op.kind == "outputs":
        raise ForeignError(
            f"the model has {len(outputs.inputs)} outputs, {_listed(outputs.inputs)}, and a spec "
            "has one",
            "lift a module that puts out one of them",
        )


def _listed(ids: Sequence[str]) -> str:
    named = [quote(visible(one)) for one in ids]
    if len(named) > 2 * NAMED:
        return f"{', '.join(named[:NAMED])} and {len(named) - NAMED:,} more"
    return listing(named, "and")


def _named(node: Node, paths: Mapping[str, str]) -> str:
    """An op by its id, and by its module where the id does not say that."""
    path = paths.get(node.id, "")
    name = quote(visible(node.id))
    if not path or f"{node.id}.".startswith(f"{path}."):
        return name
    return f"{name} in {quote(visible(path))}"


def _faults(network: Network, paths: Mapping[str, str]) -> Iterator[tuple[Node, str]]:
    for node in network.nodes.values():
        if not node.inputs or is_merge(node):
            continue
        if node.op.shares:
            yield node, _shared(node, paths)
            continue
        if node.op.kind == "again":
            yield node, _otherwise(node)
            continue
        try:
            layer_of(node, 1)
        except OutsideError as error:
            yield node, error.why


def _otherwise(node: Node) -> str:
    """Why what is known but for its tensors is no layer of a spec."""
    if getattr(node.op, "shared", ()):
        return "its tensors are not learned, and those of a layer of a spec are"
    return "its tensors are computed from others, and a layer of a spec has its own"


def _shared(node: Node, paths: Mapping[str, str]) -> str:
    first = quote(visible(str(node.op.shares)))
    if paths.get(node.id) == node.op.shares:
        return f"{first} runs twice, and a layer of a spec runs once"
    return f"it has tensors of {first}, and layers of a spec share none"
