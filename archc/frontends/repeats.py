"""Blocks by what repeats in a network, for models that do not name their modules.

The order of ops is cut wherever one value alone is needed further on. Most pieces are single ops;
the others begin where ways part and end where they meet: residual, dense and branched blocks. What
lies between them in the same form, as blocks without a shortcut do, is one as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace

from archc.dataclassing import dataclass
from archc.frontends.found import MOST, Found
from archc.frontends.naming import family, numbered
from archc.graph import Node, Region
from archc.ops.traits import ElementWise

Labels = tuple[str, ...]

MAX_FORMS = 100
"""Forms of blocks that are looked for between others; networks have a few."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The ops from ``first`` to ``last``; a single op, or a gate with what it weighs, has a
    ``label``."""

    first: int
    last: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Core:
    """Pieces that are one block, and its kind; ``kernels`` are those of its main way."""

    first: int
    last: int
    kind: Hashable
    labels: Labels = ()
    kernels: tuple[object, ...] = ()


def by_repeats(rows: Sequence[Node]) -> list[Found]:
    """The blocks of a network by its form alone, in order; none where they explain too little."""
    pieces = _pieces(rows)
    cores = [_core(rows, piece) for piece in pieces if not piece.label]
    cores = [core for core in cores if _layers(rows, core.first, core.last)]
    if not cores:
        return []
    singles = {piece.first: piece for piece in pieces if piece.label}
    cores = _extended(rows, cores, singles)
    cores = sorted(_parsed(rows, cores, singles), key=lambda core: core.first)
    names: dict[Hashable, str] = {}
    for core in cores:
        names.setdefault(core.kind, f"Block{len(names) + 1 if names else ''}")
    often = Counter(core.kind for core in cores)
    held = sum(_layers(rows, one.first, one.last) for one in cores if often[one.kind] > 1)
    convs = sum(node.is_layer and len(node.output_shape) == 3 for node in rows)
    if held < MOST * convs:
        return []
    return [Found(one.first, one.last, None, names[one.kind]) for one in cores]


def _layers(rows: Sequence[Node], first: int, last: int) -> int:
    return sum(node.is_layer for node in rows[first : last + 1])


def _pieces(rows: Sequence[Node]) -> list[_Piece]:
    """The ops between the places where one value alone is needed further on."""
    last_read = {source: index for index, node in enumerate(rows) for source in node.inputs}
    pieces: list[_Piece] = []
    first, alive = 1, {rows[0].id}
    for index, node in enumerate(rows[1:], 1):
        alive -= {source for source in node.inputs if last_read[source] == index}
        if last_read.get(node.id, 0) > index:
            alive.add(node.id)
        if alive <= {node.id}:
            piece = _Piece(first, index)
            pieces.append(replace(piece, label=_label_of(rows, piece)))
            first = index + 1
    return pieces


def _label_of(rows: Sequence[Node], piece: _Piece) -> str:
    """What a piece is called that is as good as one op; nothing for one that is not."""
    last = rows[piece.last]
    if piece.first == piece.last:
        return label(last)
    if last.op.has_gates and rows[piece.first].op.kind == "adaptive_avg_pool2d":
        entry = rows[piece.first].inputs[0]
        chain = all(len(node.inputs) == 1 for node in rows[piece.first : piece.last])
        if entry in last.inputs and chain:
            return "gate"
    return ""


def label(node: Node) -> str:
    """What an op is called where only its kind counts: a depthwise convolution is one of its own.

    A product with a gate is ``gate``.
    """
    op = node.op
    if op.kind == "conv2d" and getattr(op, "groups", 1) == node.output_shape[0] > 1:
        return "depthwise"
    return "gate" if op.has_gates else op.kind


def _core(rows: Sequence[Node], piece: _Piece) -> _Core:
    """A block: of a sum, what is on its main way; otherwise how all of its ops are wired."""
    last = rows[piece.last]
    inside = {rows[index].id: index for index in range(piece.first, piece.last + 1)}
    if last.op.kind == "add":
        ways = [_way(rows, source, inside) for source in last.inputs]
        main = max(ways, key=lambda way: (sum(node.is_layer for node in way), len(way)))
        labels = tuple([label(node) for node in main])
        kernels = tuple([getattr(node.op, "kernel_size", None) for node in main])
        return _Core(piece.first, piece.last, ("sum", *labels), labels, kernels)
    wiring = tuple(
        [
            (label(rows[index]), tuple([inside.get(one, -1) for one in rows[index].inputs]))
            for index in inside.values()
        ]
    )
    first = piece.first
    form = tuple(
        [
            (name, tuple([one - first if one >= 0 else -1 for one in sources]))
            for name, sources in wiring
        ]
    )
    return _Core(piece.first, piece.last, form)


def _way(rows: Sequence[Node], source: str, inside: Mapping[str, int]) -> list[Node]:
    """The ops on the way to one that meets others, in order, gates left aside."""
    way: list[Node] = []
    while source in inside:
        node = rows[inside[source]]
        way.append(node)
        source = next(
            (one for one in node.inputs if one not in inside or _size(rows, inside, one) > 1),
            node.inputs[0],
        )
    return way[::-1]


def _size(rows: Sequence[Node], inside: Mapping[str, int], id: str) -> int:
    shape = rows[inside[id]].output_shape
    return shape[-1] * shape[-2] if len(shape) == 3 else shape[-1]


def _extended(
    rows: Sequence[Node], cores: Sequence[_Core], singles: Mapping[int, _Piece]
) -> list[_Core]:
    """Blocks with what stands behind all of their kind, and in front of all that are branched."""
    ends = {piece.last: piece for piece in singles.values()}
    families: dict[Hashable, list[int]] = {}
    made = list(cores)
    for index, core in enumerate(cores):
        families.setdefault(core.kind, []).append(index)
    taken = {index for core in cores for index in range(core.first, core.last + 1)}
    for kind, members in families.items():
        if len(members) < 2:
            continue
        while _grows(rows, [singles.get(made[one].last + 1) for one in members], taken, False):
            for one in members:
                last = singles[made[one].last + 1].last
                taken.update(range(made[one].last + 1, last + 1))
                made[one] = replace(made[one], last=last)
        is_sum = isinstance(kind, tuple) and kind[:1] == ("sum",)
        while not is_sum and _grows(
            rows, [ends.get(made[one].first - 1) for one in members], taken, True
        ):
            for one in members:
                first = ends[made[one].first - 1].first
                taken.update(range(first, made[one].first))
                made[one] = replace(made[one], first=first)
    return made


def _grows(
    rows: Sequence[Node], pieces: Sequence[_Piece | None], taken: set[int], with_layers: bool
) -> bool:
    """Whether the same single op stands beside all blocks of a kind, free to be theirs."""
    found = [piece for piece in pieces if piece is not None and piece.first not in taken]
    if len(found) != len(pieces) or len({piece.label for piece in found}) != 1:
        return False
    op = rows[found[0].first].op
    if with_layers:
        return op.is_layer or isinstance(op, ElementWise)
    return not op.is_layer and (isinstance(op, ElementWise) or op.kind == "channel_shuffle")


def _parsed(
    rows: Sequence[Node], cores: Sequence[_Core], singles: Mapping[int, _Piece]
) -> list[_Core]:
    """The blocks and those between them that are on the main way of some, but for a shortcut."""
    taken = {index for core in cores for index in range(core.first, core.last + 1)}
    forms = _forms(cores)[:MAX_FORMS]
    found = list(cores)
    at = 2  # what reads the image is no block
    while at < len(rows):
        match = None
        for labels, kernels, kind in forms:
            last = _matches(rows, at, labels, kernels, singles, taken)
            if last is not None:
                match = _Core(at, last, kind)
                break
        if match is None:
            at += 1
            continue
        found.append(match)
        at = match.last + 1
    return found


def _forms(
    cores: Sequence[_Core],
) -> list[tuple[Labels, tuple[object, ...], Hashable]]:
    """The main ways of sums with the kernels that all of a kind agree on, None where they do
    not; then those without the layer that they begin with. Longer ones come first."""
    families: dict[Hashable, list[_Core]] = {}
    for core in cores:
        if core.labels:
            families.setdefault(core.kind, []).append(core)
    forms: list[tuple[Labels, tuple[object, ...], Hashable]] = []
    for kind, members in families.items():
        columns = zip(*[one.kernels for one in members], strict=True)
        kernels = tuple([column[0] if len(set(column)) == 1 else None for column in columns])
        labels = members[0].labels
        forms.append((labels, kernels, kind))
        starts = [index for index, word in enumerate(labels) if word in ("conv2d", "depthwise")]
        if len(starts) > 2 and starts[0] == 0:
            forms.append((labels[starts[1] :], kernels[starts[1] :], kind))
    layers = ("conv2d", "depthwise")
    forms = [one for one in forms if sum(word in layers for word in one[0]) > 1]
    return sorted(forms, key=lambda form: -len(form[0]))


def _matches(
    rows: Sequence[Node],
    at: int,
    labels: Labels,
    kernels: tuple[object, ...],
    singles: Mapping[int, _Piece],
    taken: set[int],
) -> int | None:
    """Where the run of single ops from ``at`` on ends that is of a form; None if there is none."""
    last = at - 1
    for word, kernel in zip(labels, kernels, strict=True):
        piece = singles.get(last + 1)
        if piece is None or piece.label != word or piece.first in taken:
            return None
        if kernel is not None and getattr(rows[piece.last].op, "kernel_size", None) != kernel:
            return None
        last = piece.last
    return last


def module_names(regions: Sequence[Region], nodes: Mapping[str, Node]) -> dict[str, str]:
    """Ids for the ops of a network that has no modules, as those of modules: ``layer1.0.conv1`` in
    the first block of the first stage. What is in no block is counted by itself."""
    names: dict[str, str] = {}
    forms: dict[str | None, set[Labels]] = {}
    for region in regions:
        for block in _blocks(region):
            forms.setdefault(block.label, set()).add(_form(block, nodes))
    count = 0
    for region in regions:
        blocks = _blocks(region)
        if region.kind != "stage" or not blocks:
            continue
        first = next(i for i, one in enumerate(region.members) if isinstance(one, Region))
        in_a_row = list(region.members[first : first + len(blocks)]) == blocks
        for index, block in enumerate(blocks):
            path = f"layer{region.number}.{index}" if in_a_row else f"block{count}"
            count += 1
            used = _lacking(_form(block, nodes), forms[block.label])
            for id in block.nodes:
                word = family(nodes[id].op)
                used[word] += 1
                names[id] = f"{path}.{numbered(word, used[word])}"
    outside: Counter[str] = Counter()
    for id, node in nodes.items():
        if id not in names:
            word = family(node.op)
            outside[word] += 1
            names[id] = numbered(word, outside[word]) if node.inputs else id
    return names


def _blocks(region: Region) -> list[Region]:
    return [one for one in region.members if isinstance(one, Region) and one.kind == "block"]


def _form(block: Region, nodes: Mapping[str, Node]) -> Labels:
    """What a block does, its shortcut apart."""
    return tuple([label(nodes[id]) for id in block.nodes if nodes[id].op.kind != "add"])


def _lacking(form: Labels, forms: Collection[Labels]) -> Counter[str]:
    """How many ops of each name the fullest form has in front of this one, so that what they have
    in common is called the same."""
    full = max((one for one in forms if one[len(one) - len(form) :] == form), key=len)
    kinds = {"depthwise": "conv2d", "gate": "multiply"}
    lead = (kinds.get(word, word) for word in full[: len(full) - len(form)])
    return Counter(word.removesuffix("2d") for word in lead)
