"""The parts of a foreign model: stem, stages with their blocks, head, as far as it shows them.

By the paths of its modules, where it has any: a block is the outermost module of a class of its
author's that holds several layers and is no row of such modules. Otherwise a network that is one
row of ops is divided at its poolings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import groupby, pairwise

from archc.dataclassing import dataclass
from archc.frontends.found import Found
from archc.frontends.program import Call, Scope
from archc.frontends.repeats import by_repeats
from archc.graph import Node, Region
from archc.graph.extents import extents

LAYERS = 2
"""How many layers make a block: one of fewer is what people call a layer."""


@dataclass(eq=False)
class _Module:
    """A module of an author's class, with the numbers of its nodes."""

    path: str
    label: str
    parent: _Module | None
    nodes: list[int] = field(default_factory=list)
    layers: int = 0
    children: list[_Module] = field(default_factory=list)
    container: str = ""


def regions_of(nodes: Mapping[str, Node], calls: Mapping[str, Call]) -> tuple[Region, ...]:
    """The regions of a network whose nodes come from these calls; none where it shows no parts."""
    rows = list(nodes.values())
    found = by_path(rows, calls)
    if not found:
        row = _row(rows)
        if row:
            return row
        found = by_repeats(rows)
    if not found:
        return ()
    modules = _Around(calls)
    return tuple([_with_parts(region, modules) for region in _staged(rows, found, modules)])


def labels_of(calls: Mapping[str, Call]) -> dict[str, str]:
    """What the classes of authors' modules around calls are called, by the modules' paths."""
    scopes = (scope for call in calls.values() for scope in call.scopes)
    return {one.path: _short(one.label) for one in scopes if one.path and _is_authors(one)}


@dataclass
class _Around:
    """The modules of authors' classes around ops, and the number of ops in each, by path."""

    calls: Mapping[str, Call]
    count: Counter[str] = field(default_factory=Counter)
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for call in self.calls.values():
            for scope in call.scopes:
                if _is_authors(scope):
                    self.count[scope.path] += 1
                    self.labels[scope.path] = _short(scope.label)

    def below(self, id: str, around: str) -> Scope | None:
        """The outermost one around an op that is below a path."""
        scopes = self.calls[id].scopes if id in self.calls else ()
        inside = (one for one in scopes if _is_authors(one) and _is_below(one.path, around))
        return next((one for one in inside if _is_below(id, one.path)), None)


def _with_parts(region: Region, modules: _Around) -> Region:
    """A region with the modules of authors' classes in it as its parts."""
    members: list[Region | str] = []
    for is_region, run in groupby(region.members, lambda one: isinstance(one, Region)):
        if is_region:
            members += [_with_parts(one, modules) for one in run if isinstance(one, Region)]
        else:
            ids = [one for one in run if isinstance(one, str)]
            members += _parts(ids, region.path or "", modules)
    return replace(region, members=tuple(members))


def _parts(ids: Sequence[str], around: str, modules: _Around) -> list[Region | str]:
    """Ids with those of each module below a path in a region of its own, and so on inside; of a
    module whose ops do not all stand together, as they are."""
    members: list[Region | str] = []
    for scope, group in groupby(ids, lambda id: modules.below(id, around)):
        run = list(group)
        if scope is None:
            members += run
        elif len(run) < modules.count[scope.path] or len(run) == 1:
            members += _parts(run, scope.path, modules)
        else:
            parts = tuple(_parts(run, scope.path, modules))
            members.append(Region("group", parts, label=_short(scope.label), path=scope.path))
    return members


def _is_below(path: str, around: str) -> bool:
    return path.startswith(f"{around}.") if around else bool(path)


def by_path(rows: Sequence[Node], calls: Mapping[str, Call]) -> list[Found]:
    """The blocks of a network by the paths and classes of its modules, in order."""
    modules = _modules(rows, calls)
    if not modules:
        return []
    by_class: Counter[str] = Counter()
    for module in modules:
        by_class[module.label] = max(by_class[module.label], module.layers)
    rows_of = {module.label for module in modules if _is_row(module, by_class)}
    rows_of -= {module.label for module in modules if _has_shortcut(rows, module, by_class)}
    total = sum(node.is_layer for node in rows)
    readers = _readers(rows)
    blocks = []
    for module in modules:
        if by_class[module.label] < LAYERS or module.label in rows_of or not module.layers:
            continue
        inside = [one for one in _below(module) if by_class[one.label] >= LAYERS]
        if module.layers > total / 2 and len(inside) > 1:
            continue  # a wrapper of the network, or its backbone
        if _has_one_result(rows, readers, module):
            blocks.append(module)
    kept = set(map(id, blocks))
    outermost = [one for one in blocks if not any(id(up) in kept for up in _above(one))]
    outermost.sort(key=lambda module: module.nodes[0])
    return [
        Found(one.nodes[0], one.nodes[-1], one.path, _short(one.label), one.container)
        for one in _apart(outermost)
    ]


def _modules(rows: Sequence[Node], calls: Mapping[str, Call]) -> list[_Module]:
    """The modules of authors' classes, outer ones first."""
    modules: dict[str, _Module] = {}
    for index, node in enumerate(rows):
        call = calls.get(node.id)
        parent: _Module | None = None
        container = ""
        for scope in call.scopes if call is not None else ():
            if not scope.path or not _is_authors(scope):
                container = scope.path
                continue
            module = modules.get(scope.path)
            if module is None:
                module = _Module(scope.path, scope.label, parent, container=container)
                modules[scope.path] = module
                if parent is not None:
                    parent.children.append(module)
            module.nodes.append(index)
            module.layers += node.is_layer
            parent, container = module, scope.path
    return list(modules.values())


def _is_authors(scope: Scope) -> bool:
    return bool(scope.label) and not scope.is_torchs


def _is_row(module: _Module, by_class: Mapping[str, int]) -> bool:
    """Whether a module is nothing but several of one class, each with several layers."""
    made = [one for one in module.children if by_class[one.label] >= LAYERS]
    if len(made) < 2 or len({one.label for one in made}) != 1:
        return False
    return sum(one.layers for one in made) == module.layers


def _has_shortcut(rows: Sequence[Node], module: _Module, by_class: Mapping[str, int]) -> bool:
    """Whether something meets what the modules in a module make."""
    made = [one for one in module.children if by_class[one.label] >= LAYERS]
    inside = {index for one in made for index in one.nodes}
    return any(rows[at].op.kind in _SHORTCUTS for at in module.nodes if at not in inside)


_SHORTCUTS = ("add", "multiply")
"""How a module's input meets what it makes of it; dense blocks join their layers at the end."""


def _below(module: _Module) -> Iterator[_Module]:
    for child in module.children:
        yield child
        yield from _below(child)


def _above(module: _Module) -> Iterator[_Module]:
    while module.parent is not None:
        module = module.parent
        yield module


def _has_one_result(
    rows: Sequence[Node], readers: Mapping[str, Sequence[str]], module: _Module
) -> bool:
    """Whether one value alone leaves a module; ``readers`` are the ids of each value's."""
    inside = {rows[index].id for index in module.nodes}
    leaving = [one for one in inside if not inside.issuperset(readers.get(one, ()))]
    return len(leaving) <= 1


def _readers(rows: Sequence[Node]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {}
    for node in rows:
        for source in node.inputs:
            readers.setdefault(source, []).append(node.id)
    return readers


def _apart(modules: Sequence[_Module]) -> list[_Module]:
    """Those that stand one behind the other."""
    kept: list[_Module] = []
    for module in modules:
        if not kept or module.nodes[0] > kept[-1].nodes[-1]:
            kept.append(module)
    return kept


def _short(label: str) -> str:
    return label.rpartition(".")[2]


# Stages


def _staged(rows: Sequence[Node], found: Sequence[Found], modules: _Around) -> tuple[Region, ...]:
    """Blocks as stages, and what stands around them."""
    stages = list(_stages(rows, found))
    features = extents(rows)
    regions: list[Region] = []
    if stem := _ids(rows, 0, found[0].first):
        regions.append(Region("stem", tuple(stem)))
    last = found[-1].last + 1
    while last < len(rows) and len(rows[last].inputs) > 1:
        last += 1  # what joins the values of the last stage
    begins = [found[0].first, *_begins(rows, stages), last]
    for number, stage in enumerate(stages, 1):
        begin, end = begins[number - 1 : number + 1]
        members: list[Region | str] = [*_ids(rows, begin, stage[0].first)]
        for index, block in enumerate(stage):
            ids = tuple(_ids(rows, block.first, block.last + 1))
            members.append(Region("block", ids, index, block.label, path=block.path))
            after = stage[index + 1].first if index + 1 < len(stage) else end
            members += _ids(rows, block.last + 1, after)
        path = stage[0].parent
        if modules.count[path] != end - begin:
            path = ""
        regions.append(
            Region(
                "stage",
                tuple(members),
                number,
                label=modules.labels.get(path),
                attributes={"width": features[rows[stage[-1].last].id].features},
                path=path,
            )
        )
    if head := _ids(rows, last, len(rows)):
        regions.append(Region("head", tuple(head)))
    return tuple(regions)


def _begins(rows: Sequence[Node], stages: Sequence[Sequence[Found]]) -> Iterator[int]:
    """Where stages begin behind others: with what changes the size of the map between the blocks of
    both, and what goes with that, or else with their first blocks."""
    for before, stage in pairwise(stages):
        first, between = stage[0].first, range(before[-1].last + 1, stage[0].first)
        size = rows[before[-1].last].output_shape[1:]
        if any(rows[at].output_shape[1:] != size for at in between):
            first = next((i for i in between if not _goes_with_what_it_reads(rows[i])), first)
        yield first


def _goes_with_what_it_reads(node: Node) -> bool:
    """Whether an op ends a part: it joins values, or is an activation behind them."""
    return len(node.inputs) > 1 or (node.op.runs_on_the_way and not node.op.state)


def _ids(rows: Sequence[Node], first: int, last: int) -> list[str]:
    return [node.id for node in rows[first:last]]


def _stages(rows: Sequence[Node], found: Sequence[Found]) -> Iterator[list[Found]]:
    """Blocks of one parent that has not all of them, or else runs of one width and size."""
    one_for_all = len({block.parent for block in found}) == 1
    sized = _sizes(rows, found)
    keys: list[object] = []
    for index, block in enumerate(found):
        if one_for_all or not block.parent:
            # Without classes, the first block of a stage may be of another form than the others.
            label = block.label if block.path is not None else None
            keys.append((block.parent, label, sized[index]))
        else:
            keys.append(block.parent)
    for _, run in groupby(range(len(found)), key=lambda index: keys[index]):
        yield [found[index] for index in run]


def _sizes(rows: Sequence[Node], found: Sequence[Found]) -> list[object]:
    """What blocks of one stage have in common: width and size, of joined branches the size."""
    sizes: list[object] = []
    for block in found:
        last = rows[block.last]
        channels, *sides = last.output_shape
        joins = any(node.op.kind == "concat" for node in rows[block.last - 1 : block.last + 1])
        sizes.append(tuple(sides) if joins else (channels, *sides))
    return sizes


# Rows


def _row(rows: Sequence[Node]) -> tuple[Region, ...]:
    """A network that is one row of ops, divided behind its poolings; each layer is a block."""
    if any(len(node.inputs) > 1 for node in rows):
        return ()
    end = next((i for i, node in enumerate(rows) if len(node.output_shape) == 1), len(rows))
    while end and not rows[end - 1].is_layer and rows[end - 1].op.kind not in _WINDOWS:
        end -= 1
    pools = [i for i in range(end) if rows[i].op.kind in _WINDOWS]
    if not pools:
        return ()
    regions: list[Region] = [Region("stem", (rows[0].id,))]
    start = 1
    for number, pool in enumerate(pools, 1):
        members = (*_blocks(rows, start, pool), rows[pool].id)
        regions.append(Region("stage", members, number))
        start = pool + 1
    if start < len(rows):
        regions.append(Region("head", tuple(_ids(rows, start, len(rows)))))
    return tuple(regions)


_WINDOWS = ("max_pool2d", "avg_pool2d")


def _blocks(rows: Sequence[Node], start: int, end: int) -> Iterator[Region | str]:
    """Each layer with what follows it up to the next."""
    starts = [index for index in range(start, end) if rows[index].is_layer]
    yield from _ids(rows, start, starts[0] if starts else end)
    for number, (first, last) in enumerate(zip(starts, [*starts[1:], end], strict=False)):
        yield Region("block", tuple(_ids(rows, first, last)), number, path="")
