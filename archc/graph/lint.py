"""The graph's invariants, in one place. Runs after lowering and after every pass."""

from __future__ import annotations

from collections.abc import Mapping

from archc.graph.network import Network, Node
from archc.ops import Arity, Shape, ShapeError


class LintError(AssertionError):
    """A network breaks an invariant: a fault in archc or in a block type, not in a spec."""


def lint(network: Network) -> Network:
    """Return the network if it holds together, or raise `LintError`.

    It holds together when it has one input, which comes first and reads nothing; every other node
    reads a node that stands before it, an op that merges several different ones; shapes are what
    the ops infer; ids are unique and none is the path of a node and of a module around others;
    exactly one node goes unread, the last, besides the results of side heads, which read one value
    each and are read by nothing; and the regions have nodes of the network, each at most once and
    in its order.
    """
    if not network.nodes:
        raise LintError("the network has no nodes")
    _check_nodes(network)
    _check_paths(network)
    _check_sides(network)
    _check_regions(network)
    return network


def _check_nodes(network: Network) -> None:
    shapes: dict[str, Shape] = {}
    read: set[str] = set()
    # Equal blocks share their ops: each is asked once for the same shapes. The network holds all
    # its ops, so that no two of them have the same `id` here.
    inferred: dict[tuple[int, Shape | tuple[Shape, ...]], Shape] = {}
    for key, node in network.nodes.items():
        id_, op, inputs, shape = node
        if key != id_:
            raise LintError(f"node {id_!r} is listed under the id {key!r}")
        # Most nodes read one other, and networks have 100,000: what goes for these is written out.
        if len(inputs) == 1 and op.arity is Arity.ONE and inputs[0] in shapes:
            asked: tuple[int, Shape | tuple[Shape, ...]] = (id(op), shapes[inputs[0]])
            read.add(inputs[0])
        else:
            _check_wiring(node, shapes)
            asked = (id(op), tuple([shapes[source] for source in inputs]))
            read.update(inputs)
        if inputs and inferred.get(asked) != shape:
            inferred[asked] = _inferred(node, *[shapes[source] for source in inputs])
        shapes[key] = shape
    read |= {side.result for side in network.sides}
    unread = [id for id in network.nodes if id not in read]
    if len(unread) != 1:
        raise LintError(f"more than one output: {', '.join(unread)}")


def _check_wiring(node: Node, seen: Mapping[str, Shape]) -> None:
    if node.op.arity is Arity.NONE:
        if node.op.is_tensor and not node.inputs:
            return
        if seen or node.inputs:
            what = "is not the first node" if seen else "has inputs"
            raise LintError(f"the input {node.id!r} {what}")
        return
    count = len(node.inputs)
    if not count:
        raise LintError(f"{node.id!r} reads nothing")
    if node.op.arity is not Arity.ANY and (count > 1) != (node.op.arity is Arity.SEVERAL):
        raise LintError(
            f"{node.id!r} reads {count} nodes: an op that merges reads several, others one"
        )
    if node.op.arity is Arity.SEVERAL and len(set(node.inputs)) != count:
        raise LintError(f"{node.id!r} reads a node twice")
    for source in node.inputs:
        if source not in seen:
            raise LintError(f"{node.id!r} reads {source!r}, which does not come before it")


def _inferred(node: Node, *shapes: Shape) -> Shape:
    """The shape that a node has, which its op infers from those it reads."""
    try:
        shape = node.op.infer(*shapes)
    except ShapeError as error:
        raise LintError(f"{node.id!r}: {error.message}") from error
    if shape != node.output_shape:
        raise LintError(f"{node.id!r} has shape {node.output_shape}, its op infers {shape}")
    return shape


def _check_sides(network: Network) -> None:
    side_of = network.side_of
    read: dict[str, set[str]] = {side.name: set() for side in network.sides}
    for node in network.nodes.values() if network.sides else ():
        own = side_of.get(node.id)
        for source in node.inputs:
            if source in side_of and side_of[source] != own:
                raise LintError(f"{node.id!r} reads {source!r}, which is of a side head")
            if own and source not in side_of:
                read[own].add(source)
    turn = {id: index for index, id in enumerate(network.nodes)}
    begins = []
    for side in network.sides:
        if side_of.get(side.result) != side.name:
            raise LintError(f"the side head {side.name!r} does not put out {side.result!r}")
        if len(read[side.name]) != 1:
            raise LintError(f"the side head {side.name!r} does not read one value")
        begins += [turn[source] for source in read[side.name]]
    if begins != sorted(begins):
        raise LintError("the side heads are not in the order of what they read")


def _check_regions(network: Network) -> None:
    ranks = {id: rank for rank, id in enumerate(network.nodes)}
    last = -1
    for region in network.regions:
        for id in region.nodes:
            rank = ranks.get(id)
            if rank is None:
                raise LintError(f"the {region.name} lists {id!r}, but there is no such node")
            if rank <= last:
                raise LintError(f"{id!r} of the {region.name} is in two regions or out of order")
            last = rank


def _check_paths(network: Network) -> None:
    ids = network.nodes.keys()
    parents = {id.rpartition(".")[0] for id in ids}
    while parents := parents - {""}:
        if clash := parents & ids:
            raise LintError(f"{min(clash)!r} is both a node and a module around others")
        parents = {path.rpartition(".")[0] for path in parents}
