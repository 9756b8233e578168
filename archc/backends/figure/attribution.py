"""Which box or curve of a figure each op of a network belongs to.

Few ops are drawn: a convolution is, its norm and its activation are not. What is said of all ops,
as in comparisons and in shares of a total, is shown at the thing that each belongs to.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from archc.backends.figure.scene import Curve, Rect, Scene, element_id
from archc.dataclassing import dataclass
from archc.graph import Folded, Network, Node, fold_repeats


@dataclass(frozen=True, slots=True)
class Attribution:
    """For each thing of a column that ops belong to, their ids, by its id in the scene.

    ``own`` has those that it was drawn for, ``ops`` those and all others. In a folded column the
    ops of a block that represents several are those of the first; ``repeats`` has for each op
    the ids of all that it represents.
    """

    own: Mapping[str, tuple[str, ...]]
    ops: Mapping[str, tuple[str, ...]]
    repeats: Mapping[str, tuple[str, ...]]

    def all_ops(self, thing: str) -> list[str]:
        """The ids of all ops of a thing, those that repeat them among them."""
        return [id for op in self.ops[thing] for id in self.repeats.get(op, (op,))]


def attribute(
    scene: Scene, network: Network, prefix: str, *, to_curves: bool = False
) -> Attribution:
    """Attribute every op of a network to a box, a curve or the image of its column in a scene.

    An op that is not drawn belongs to the box above it in its block, or where its block has none
    above it, to the next one below; otherwise to the box above, or to the image. With ``to_curves``
    what follows a sum in its block, as a relu, belongs to the shortcut that arrives there.
    """
    own = _own(scene, network, prefix)
    owners = {op: thing for thing, ops in own.items() for op in ops}
    image = element_id(prefix, "input")
    owners |= {node.id: image for node in network.nodes.values() if not node.inputs}
    boxes = {box.id for box in scene.boxes}
    nearest = {*boxes, *[curve.id for curve in scene.curves]} if to_curves else boxes
    for node in network.nodes.values():
        if node.id not in owners:
            above = _above(network, node, owners, nearest)
            if above is not None and _is_beside(network, node.id, above):
                owners[node.id] = owners[above]
    for node in reversed(list(network.nodes.values())):
        for source in node.inputs:
            if source not in owners and node.id in owners and _is_beside(network, source, node.id):
                owners[source] = owners[node.id]
    for node in network.nodes.values():
        if node.id not in owners:
            above = _above(network, node, owners, boxes)
            owners[node.id] = image if above is None else owners[above]
    ops: dict[str, list[str]] = {}
    for op in network.nodes:
        ops.setdefault(owners[op], []).append(op)
    return Attribution(own, {thing: tuple(of) for thing, of in ops.items()}, {})


def attributions(
    scene: Scene, networks: Sequence[Network], fold: bool, *, to_curves: bool = False
) -> list[Attribution]:
    """Those of all columns of a scene, in which equal blocks are drawn once if it is folded."""
    found: list[Attribution] = []
    for number, network in enumerate(networks, start=1):
        folded = fold_repeats(network) if fold else Folded(network, {})
        shown = attribute(scene, folded.network, f"c{number}", to_curves=to_curves)
        found.append(replace(shown, repeats=repeated(folded, network)))
    return found


def repeated(folded: Folded, network: Network) -> dict[str, tuple[str, ...]]:
    """For each op of a block that represents several, the ids of all that it represents."""
    blocks: dict[tuple[int | None, int | None], list[str]] = {}
    for id, standing in network.standings.items():
        blocks.setdefault((standing.stage, standing.block), []).append(id)
    found: dict[str, tuple[str, ...]] = {}
    for (stage, block), last in folded.runs.items():
        run = [blocks[stage, number] for number in range(block, last + 1)]
        for alike in zip(*run, strict=True):
            found[alike[0]] = alike
    return found


def _own(scene: Scene, network: Network, prefix: str) -> dict[str, tuple[str, ...]]:
    """The ops that things were drawn for."""
    ids = {element_id(prefix, id): id for id in network.nodes}
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for thing in _things(scene, prefix):
        named = [ids[thing.id]] if thing.id in ids else []
        ops = [op for op in dict.fromkeys([*thing.ops, *named]) if op not in taken]
        known = tuple([op for op in ops if op in network.nodes])
        if known:
            found[thing.id] = known
            taken.update(known)
    return found | _sides(scene, network, prefix)


def _things(scene: Scene, prefix: str) -> Iterator[Rect | Curve]:
    for box in scene.boxes:
        if box.id.startswith(f"{prefix}-"):
            yield box
    for curve in scene.curves:
        if curve.id.startswith(f"{prefix}-") and "shortcut" in curve.role:
            yield curve


def _sides(scene: Scene, network: Network, prefix: str) -> dict[str, tuple[str, ...]]:
    """The ops of side heads, which may share a box."""
    boxes = {box.id for box in scene.boxes}
    found: dict[str, tuple[str, ...]] = {}
    box = ""
    for side in network.sides:
        name = element_id(prefix, side.name)
        box = name if name in boxes else box
        if box:
            ops = [id for id, name in network.side_of.items() if name == side.name]
            found[box] = (*found.get(box, ()), *ops)
    return found


def _above(
    network: Network, node: Node, owners: Mapping[str, str], things: Container[str]
) -> str | None:
    """The next op before this one, on the way with the most layers, that belongs to one of these
    things."""
    while node.inputs:
        source = node.inputs[0] if len(node.inputs) == 1 else network.main_input(node)
        if source in owners and owners[source] in things:
            return source
        node = network.nodes[source]
    return None


def _is_beside(network: Network, id: str, other: str) -> bool:
    """Whether two ops are in the same block, or in the same part outside of blocks."""
    here, there = network.standings[id], network.standings[other]
    return (here.stage, here.block) == (there.stage, there.block)
