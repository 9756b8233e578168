"""What an overview shows of a network: its stages, each as one thing, with what it costs."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import groupby
from typing import NamedTuple

from archc.analysis.parts import has_stages, runs
from archc.backends.figure.text import one_line
from archc.backends.numbers import exactly, percent
from archc.backends.numbers import places as _places
from archc.backends.numbers import shape as _shape
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Region, Shape, walk
from archc.graph.extents import Extent

MAX_STAGES = 8
"""Of more stages than these, neighbours with maps of one size are shown together."""
_MAX_LAYERS = 3
"""How many layers of a stem or a head are named; of more, the one that costs most."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a network as one box: ``name`` is ``stem``, ``stage 2`` or ``head``.

    ``label`` says what it is made of, ``output`` is the shape that it puts out, ``extent`` the
    places of that, ``width`` the number of channels that its colour represents, None in a head that
    ends in a vector. ``column`` numbers stages from 1, so that those of several networks can be
    aligned; a stem has 0, a head None.
    """

    name: str
    label: str
    output: Shape
    extent: Extent
    width: int | None
    params: int
    multiply_adds: int
    column: int | None

    @property
    def is_end(self) -> bool:
        """Whether it is the stem or the head."""
        return not self.column

    @property
    def rows(self) -> int:
        """The height of the map that it puts out, in pixels, or of one of as many pixels as it has
        tokens; a vector has 1."""
        places = self.extent.places
        return places[0] if len(places) == 2 else math.isqrt(places[0])

    @property
    def size(self) -> str:
        """``56x56``."""
        places = self.extent.places
        return _shape(places) if len(places) == 2 else _places(places)

    def facts(self, network: Network) -> Iterator[str]:
        """Lines about it: what it is, what it puts out, costs and holds."""
        yield f"{self.name}: {self.label}" if self.label else self.name
        yield f"output {_shape(self.output)}"
        for number, total, what in (
            (self.multiply_adds, network.multiply_adds, "multiply-adds"),
            (self.params, network.params, "parameters"),
        ):
            yield f"{exactly(number)} {what}" + (f", {share(number, total)}" if total else "")


def share(number: int, total: int) -> str:
    """What part a number is of a total.

    >>> share(186, 1000), share(0, 1000), share(1, 10_000)
    ('18.6 %', '0 %', '< 0.1 %')
    """
    if not number:
        return "0 %"
    return percent(number / total) if number / total >= 0.0005 else "< 0.1 %"


@dataclass(slots=True)
class _Group:
    """Nodes that become one stage; ``blocks`` has how many blocks of each label are in it,
    ``costs`` their multiply-adds, and ``widths`` their widths, those of a stage under ""."""

    network: Network
    name: str
    nodes: list[Node] = field(default_factory=list)
    widths: dict[str, list[int]] = field(default_factory=dict)
    blocks: Counter[str] = field(default_factory=Counter)
    costs: Counter[str] = field(default_factory=Counter)

    @property
    def number(self) -> int:
        """The stage's number; 0 for a stem or a head."""
        return int(self.name.partition(" ")[2]) if self.name.startswith("stage") else 0

    def add_block(self, label: str, nodes: Sequence[Node]) -> None:
        """Count a block."""
        self.blocks[label] += 1
        self.costs[label] += sum([node.multiply_adds for node in nodes])

    def add(self, unit: _Unit) -> None:
        """Take in a unit; what a side head is made of is counted but not named."""
        self.nodes += unit.nodes
        if unit.label and not self.network.side_of.get(unit.nodes[0].id):
            self.add_block(unit.label, unit.nodes)
            self.add_width(unit.label, self.network.extents[unit.nodes[-1].id].features)

    def add_width(self, label: str, width: int) -> None:
        """Note a width."""
        self.widths.setdefault(label, []).append(width)


def stages(network: Network) -> list[Stage]:
    """The stages of a network from the image on, its stem and its head among them.

    A network without stages is divided where the size of its maps changes.
    """
    groups = _by_stage(network) if has_stages(network) else _by_size(network)
    found: list[Stage] = []
    for group in groups:
        if not _is_empty(group):
            column = sum(not stage.is_end for stage in found) + 1
            found.append(_stage(network, group, column))
    return found


def _is_empty(group: _Group) -> bool:
    """Whether there is nothing to see in it: the image and ops without a box."""
    return not group.blocks and not any(node.op.look().box for node in group.nodes)


def _stage(network: Network, group: _Group, column: int) -> Stage:
    trunk = [node for node in group.nodes if node.id not in network.side_of] or group.nodes
    output = trunk[-1].output_shape
    given = group.widths.get("")
    extent = network.extents[trunk[-1].id]
    width = given[-1] if given else extent.features if len(output) > 1 else None
    is_head = group.name == "head"
    return Stage(
        name=group.name,
        label="; ".join([_label(group, trunk, extent.features), *_sides(group)]).removeprefix("; "),
        output=output,
        extent=extent,
        width=None if is_head else width,
        params=sum([node.params for node in group.nodes]),
        multiply_adds=sum([node.multiply_adds for node in trunk]),
        column=0 if group.name == "stem" else None if is_head else column,
    )


# Networks with stages


def _by_stage(network: Network) -> Sequence[_Group]:
    groups: dict[str, _Group] = {}
    for part, standing, nodes in runs(network):
        group = groups.setdefault(part, _Group(network, part))
        group.nodes += nodes
        if standing.stage is not None and standing.width:
            group.add_width("", standing.width)
    for stage in walk(network.regions):
        if stage.kind == "stage" and stage.name in groups:
            for block in stage.members:
                if isinstance(block, Region) and block.kind == "block":
                    nodes = [network.nodes[id] for id in block.nodes]
                    groups[stage.name].add_block(_plain(block.label or "block"), nodes)
    found = list(groups.values())
    if sum(group.number > 0 for group in found) > MAX_STAGES:
        return list(_merged(network, found))
    return found


def _merged(network: Network, groups: Iterable[_Group]) -> Iterator[_Group]:
    """Neighbouring stages whose maps are of one size, together."""

    def size(group: _Group) -> object:
        last = group.nodes[-1]
        return (group.name if group.number == 0 else "stage"), network.extents[last.id].places

    for _, members in groupby(groups, size):
        first, *others = members
        for other in others:
            first.nodes += other.nodes
            for width in other.widths.get("", ()):
                first.add_width("", width)
            first.blocks += other.blocks
            first.costs += other.costs
        if others:
            first.name = f"stages {first.number} to {others[-1].number}"
        yield first


# Networks without stages


def _by_size(network: Network) -> Sequence[_Group]:
    """Runs of one size of the maps on the main path; what is beside it goes with what follows."""
    main = frozenset(network.main_path)
    groups: list[_Group] = []
    waiting: list[_Unit] = []
    size: tuple[int, ...] = ()
    for unit in _units(network):
        if groups and all(node.id in network.side_of for node in unit.nodes):
            groups[-1].add(unit)  # a side head goes with what it reads
            continue
        waiting.append(unit)
        last = next((node for node in reversed(unit.nodes) if node.id in main), None)
        if last is None or not last.inputs:
            continue
        places = network.extents[last.id].places
        if not groups or size != places:
            size = places
            groups.append(_Group(network, "part"))
        for held in waiting:
            groups[-1].add(held)
        waiting = []
    for held in waiting if groups else ():
        groups[-1].add(held)
    found = [group for group in groups if not _is_empty(group)]
    for number, group in enumerate(found, start=1):
        is_last = group is found[-1] and len(found) > 1
        group.name = "head" if is_last and size == (1, 1) else f"part {number}"
    return found


class _Unit(NamedTuple):
    """The nodes of a block or a group with its name, or a single node without one."""

    label: str
    nodes: list[Node]


def _units(network: Network) -> Iterator[_Unit]:
    """The nodes in order, those of an outermost group of several layers together."""
    around: dict[str, tuple[int, str]] = {}
    for place, region in enumerate(walk(network.regions)):
        if region.kind in ("block", "group") and region.label:
            ids = region.nodes
            if sum([bool(network.nodes[id].op.look().box) for id in ids]) > 1:
                for id in ids:
                    around.setdefault(id, (place, _plain(region.label)))
    alone = itertools.count(-1, -1)
    nodes = network.nodes.values()
    for (_, label), members in groupby(
        nodes, lambda node: around.get(node.id) or (next(alone), "")
    ):
        yield _Unit(label, list(members))


# Words


def _label(group: _Group, trunk: Sequence[Node], features: int) -> str:
    """``bottleneck, 64, × 3``; of a part without blocks, its layers."""
    if not group.blocks:
        return _layers(group.network, trunk)
    main = max(group.blocks, key=lambda label: (group.costs[label], group.blocks[label]))
    widths = group.widths.get("") or group.widths.get(main) or [features]
    ends = " to ".join([str(end) for end in sorted({min(widths), max(widths)})])
    words = [f"{main}, {ends}{_times(group.blocks[main])}"]
    if others := len(group.blocks) - 1:
        words.append(f"and {others} other{'s' * (others > 1)}")
    return ", ".join(words)


def _sides(group: _Group) -> Iterator[str]:
    """The side heads whose parameters are counted with it."""
    of = group.network.side_of
    names = dict.fromkeys([of[node.id] for node in group.nodes if node.id in of])
    if names:
        yield one_line(f"{', '.join(names)} (training)")


def _layers(network: Network, nodes: Sequence[Node]) -> str:
    """The layers by their labels, equal ones once; of many, the one that costs most."""
    shown = [node for node in nodes if node.op.look().box and _does_something(network, node)]
    labels = Counter([one_line(node.op.look().label) for node in shown])
    if len(labels) <= _MAX_LAYERS:
        return "; ".join([name + _times(count) for name, count in labels.items()])
    main = max(shown, key=lambda node: (node.multiply_adds, node.params))
    return f"{one_line(main.op.look().label)} and {len(shown) - 1} more"


def _times(count: int) -> str:
    return f", \N{MULTIPLICATION SIGN} {count}" if count > 1 else ""


def _does_something(network: Network, node: Node) -> bool:
    """Whether an op changes anything: VGG's adaptive pooling of 7x7 maps to 7x7 does not."""
    shapes = [network.nodes[source].output_shape for source in node.inputs]
    return network.extents[node.id].places == (1, 1) or node.op.changes(*shapes)


_CAMEL = re.compile(r"(?:[A-Z][a-z]+)+")


def _plain(label: str) -> str:
    """A block's name in words: ``inverted residual``; a name with initials is left alone.

    >>> [_plain(name) for name in ("Bottleneck", "BasicBlock", "MBConv", "InvertedResidual")]
    ['bottleneck', 'basic', 'MBConv', 'inverted residual']
    """
    label = one_line(label)
    if not _CAMEL.fullmatch(label):
        return label
    words = [word.lower() for word in re.findall("[A-Z][a-z]+", label)]
    return " ".join(words[:-1] if words[1:] and words[-1] == "block" else words)
