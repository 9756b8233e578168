"""A network as a chain: blocks, and what stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.naming import family
from archc.graph import Network, Region
from archc.graph.regions import enclosing, renamed, walk
from archc.lifting.rows import Rows


@dataclass(frozen=True, slots=True)
class Unit:
    """What makes the value ``end`` of the value ``start``: a block, where it has a ``path``.

    ``label`` is its class, ``stage`` the number of the stage that it was found in.
    """

    start: str
    end: str
    ids: tuple[str, ...]
    path: str | None = None
    label: str | None = None
    stage: int | None = None


Chain: TypeAlias = "list[Unit]"


def prepared(network: Network) -> Network:
    """A network as lifting takes it: in inference, without what exporters leave out, and without
    identities, but for those that let an op read one value twice."""
    network = network.inference
    stands_for = _left_out(network)
    nodes = {
        node.id: node._replace(inputs=tuple([stands_for.get(one, one) for one in node.inputs]))
        for node in network.nodes.values()
        if node.id not in stands_for
    }
    regions = renamed(network.regions, {id: id for id in nodes})
    return replace(network, nodes=nodes, regions=regions, is_foreign=True)


def _left_out(network: Network) -> dict[str, str]:
    """The ops that are left out, with what stands for each."""
    kinds = ("stochastic_depth", "identity")
    found = {
        node.id: node.inputs[0]
        for node in network.nodes.values()
        if node.op.kind in kinds and node.id != network.output
    }
    for node in network.nodes.values():
        read: set[str] = set()
        for one in () if node.id in found else node.inputs:
            if (source := _source(one, found)) in read:
                found.pop(one, None)
            read.add(source)
    return {id: _source(id, found) for id in found}


def _source(id: str, found: Mapping[str, str]) -> str:
    while id in found:
        id = found[id]
    return id


def chain(network: Network, rows: Rows) -> Chain:
    """The units of a network in order; what is no block has no path."""
    blocks = list(_blocks(network, keeps_names=rows.keeps_names))
    block_of: dict[str, int] = {}
    for number, (region, _) in enumerate(blocks):
        block_of.update(dict.fromkeys(region.nodes, number))
    segments = list(rows.segments(next(iter(network.nodes)), network.output))
    found = [_blocks_in(segment, block_of, network) for segment in segments]
    spans: dict[int, tuple[int, int]] = {}
    broken: set[int] = set()
    for index, inside in enumerate(found):
        if len(inside) > 1:
            broken |= inside
        for one in inside:
            spans[one] = (spans.get(one, (index, index))[0], index)
    units: Chain = []
    start = next(iter(network.nodes))
    index = 0
    while index < len(segments):
        one = next(iter(found[index])) if len(found[index]) == 1 else -1
        if one < 0 or one in broken or not _is_alone(found, spans[one], one):
            ids, last = segments[index], index
            units.append(Unit(start, ids[-1], tuple(ids)))
        else:
            region, stage = blocks[one]
            last = spans[one][1]
            ids = [id for segment in segments[index : last + 1] for id in segment]
            units.append(Unit(start, ids[-1], tuple(ids), region.path, region.label, stage))
        start, index = ids[-1], last + 1
    return _joined(units)


def _blocks(network: Network, *, keeps_names: bool) -> Sequence[tuple[Region, int | None]]:
    """The blocks of a network that are modules, with the numbers of their stages; where names do
    not matter, those without a module as well."""
    found: list[tuple[Region, int | None]] = []
    for region in network.regions:
        for one in walk([region]):
            if one.kind != "block":
                continue
            if one.path is None:  # found by what repeats, and called by nobody
                path = _module_of(one.nodes, network) if keeps_names else f"block.{len(found)}"
                one = replace(one, path=path, label=_unit_label(one.label))
            if one.path:
                found.append((one, region.number))
    if not found:
        for region in network.regions:
            found += [(one, None) for one in _outermost(region, network)]
    return found


def _unit_label(label: str | None) -> str:
    """A label that tells blocks of one form from others: Unit, UnitB, UnitC."""
    number = int((label or "").removeprefix("Block") or 1)
    return "Unit" if number == 1 else f"Unit{chr(64 + number) if number <= 26 else f'X{number}'}"


def _outermost(region: Region, network: Network) -> Iterator[Region]:
    """The modules of a stem that have a class and hold several layers."""
    for one in region.members:
        if not isinstance(one, Region):
            continue
        if one.path and one.label and sum(network.nodes[id].is_layer for id in one.nodes) > 1:
            yield one
        else:
            yield from _outermost(one, network)


def _blocks_in(segment: Sequence[str], block_of: dict[str, int], network: Network) -> set[int]:
    """The blocks that a segment is of: by what has tensors, where anything has."""
    kept = {block_of.get(id, -1) for id in segment if network.nodes[id].op.state}
    if kept:
        return kept - {-1} if len(kept) == 1 else kept
    return {block_of[id] for id in segment if id in block_of}


def _is_alone(found: Sequence[set[int]], span: tuple[int, int], one: int) -> bool:
    return all(inside <= {one} for inside in found[span[0] : span[1] + 1])


def _joined(units: Chain) -> Chain:
    """Units with those in a row that are no blocks made one."""
    out: Chain = []
    for unit in units:
        if out and unit.path is None and out[-1].path is None:
            before = out.pop()
            unit = Unit(before.start, unit.end, (*before.ids, *unit.ids))
        out.append(unit)
    return out


def as_block(unit: Unit, network: Network, number: int, *, keeps_names: bool) -> Unit | None:
    """What stands between blocks as a block of its own; None where names matter and it is no
    module."""
    nodes = network.nodes
    if not any(nodes[id].op.state for id in unit.ids):
        kinds = [family(nodes[id].op) for id in unit.ids]
        return replace(unit, path=f"{kinds[0]}_{number}", label=None)
    if not keeps_names:
        return replace(unit, path=f"transition.{number}", label=None)
    path = _module_of(unit.ids, network)
    if path is None:
        return None
    label = next((one.label for one in walk(network.regions) if one.path == path), None)
    return replace(unit, path=path, label=label)


def _module_of(ids: Sequence[str], network: Network) -> str | None:
    """The path of the module that has the tensors of some ops, and no others."""
    nodes = network.nodes
    kept = {id for id in ids if nodes[id].op.state}
    path = enclosing(kept) if kept else ""
    below = {id for id in nodes if id.startswith(f"{path}.") and nodes[id].op.state}
    return path if path and below == kept else None
