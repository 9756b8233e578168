"""A graph as rows of layers: what stands behind each other, and what is merged of branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from archc.dataclassing import dataclass
from archc.graph import Node
from archc.lifting.layers import ACTIVATION_OF, NORMS, is_merge, layer_of, refuse
from archc.lifting.style import Style, norm_of
from archc.lifting.tree import Item, Label, Layer, Merge, Part, Recall, Row

DEEPEST = 6
"""How deep branches stand in each other before values get names instead."""


@dataclass
class Rows:
    """Makes rows of the nodes of a network."""

    nodes: Mapping[str, Node]
    style: Style
    keeps_names: bool = True
    """Whether the ids of ops with tensors have to come out again."""
    labels: int = 0
    order: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = {id: index for index, id in enumerate(self.nodes)}

    def between(self, start: str, end: str, depth: int = 0) -> Row:
        """The row that makes the value ``end`` of the value ``start``.

        Raises `ForeignError` where an op is outside of the language.
        """
        row: list[Item] = []
        for segment in self.segments(start, end):
            row += self.segment(start, segment, depth)
            start = segment[-1]
        return fused(row, self.style)

    def segments(self, start: str, end: str) -> Iterator[list[str]]:
        """What stands between two values, divided wherever one value alone is needed later."""
        ids = self._inside(start, end)
        last_read: dict[str, int] = {}
        for index, id in enumerate(ids):
            for source in self.nodes[id].inputs:
                last_read[source] = index
        segment: list[str] = []
        latest = last_read.get(start, 0)
        for index, id in enumerate(ids):
            segment.append(id)
            if latest <= index:
                yield segment
                segment = []
            latest = max(latest, last_read.get(id, 0))
        assert not segment, "the end is read by nothing between"

    def _inside(self, start: str, end: str) -> list[str]:
        """The ids of what makes one value of another, in order."""
        found: set[str] = set()
        stack = [end]
        while stack:
            id = stack.pop()
            if id == start or id in found:
                continue
            found.add(id)
            inputs = self.nodes[id].inputs
            if not inputs:
                raise refuse(self.nodes[end], "it reads more than the value before it")
            stack += inputs
        return sorted(found, key=self.order.__getitem__)

    def segment(self, start: str, ids: Sequence[str], depth: int) -> Iterator[Item]:
        """The items of a segment."""
        last = self.nodes[ids[-1]]
        if not is_merge(last):
            if len(ids) == 1:
                yield self._layer(last)
            else:
                yield from self._named(start, ids)
            return
        if len(set(last.inputs)) != len(last.inputs):
            raise refuse(last, "it reads one value twice")
        cones = [self._cone(start, one, ids) for one in last.inputs]
        total = sum(map(len, cones))
        if depth >= DEEPEST or total != len(ids) - 1 or len(set().union(*cones)) != total:
            yield from self._named(start, ids)
            return
        branches = [
            [] if one == start else self.between(start, one, depth + 1) for one in last.inputs
        ]
        yield Merge(last.op.kind, branches, last.id)

    def _cone(self, start: str, end: str, ids: Sequence[str]) -> set[str]:
        """What a value is made of within a segment."""
        return set() if end == start else set(self._inside(start, end))

    def _layer(self, node: Node) -> Layer:
        shape = self.nodes[node.inputs[0]].output_shape
        layer = layer_of(node, shape[0])
        layer.reads_map = len(shape) == 3
        if not self.keeps_names:
            layer.parts = tuple([Part(one.family, "", False) for one in layer.parts])
        return layer

    def _named(self, start: str, ids: Sequence[str]) -> Iterator[Item]:
        """The items of a segment in the order in which they run, with names for values that are
        read later."""
        current, needed = start, set[str]()
        for id in ids:
            inputs = self.nodes[id].inputs
            needed |= {one for one in inputs if one != current}
            if not is_merge(self.nodes[id]) and inputs[0] != current:
                needed.add(inputs[0])
            current = id
        names: dict[str, str] = {}
        if start in needed:
            names[start] = self._label()
            yield Label(names[start])
        current = start
        for id in ids:
            node = self.nodes[id]
            if is_merge(node):
                if len(set(node.inputs)) != len(node.inputs):
                    raise refuse(node, "it reads one value twice")
                branches: list[list[Item]] = [
                    [] if one == current else [Recall(names[one])] for one in node.inputs
                ]
                yield Merge(node.op.kind, branches, id)
            else:
                if node.inputs[0] != current:
                    yield Recall(names[node.inputs[0]])
                yield self._layer(node)
            current = id
            if id in needed:
                names[id] = self._label()
                yield Label(names[id])

    def _label(self) -> str:
        self.labels += 1
        return f"value{self.labels}"


def fused(row: Row, style: Style) -> Row:
    """A row in which norms and activations belong to the convolutions before them."""
    out: list[Item] = []
    for item in row:
        before = out[-1] if out else None
        if (
            isinstance(item, Layer)
            and isinstance(before, Layer)
            and before.word == "conv"
            and _beside(before.parts[0], item.parts[0])
            and (joined := _joined(before, item, style)) is not None
        ):
            out[-1] = joined
        else:
            out.append(item)
    return out


def _beside(one: Part, other: Part) -> bool:
    """Whether two ops stand in one module, or in any."""
    if not one.is_kept:
        return True
    return one.id.rpartition(".")[0] == other.id.rpartition(".")[0]


def _joined(conv: Layer, item: Layer, style: Style) -> Layer | None:
    """A convolution with its norm or activation; None where they do not go together."""
    if conv.fields["activation"] != "none":
        return None
    fields = dict(conv.fields)
    if item.word in NORMS.values():
        word = style.word_for(norm_of(item))
        if conv.fields["norm"] != "none" or word is None:
            return None
        fields["norm"] = word
    elif item.word in (word for word, _ in ACTIVATION_OF.values()):
        fields["activation"] = item.word
    else:
        return None
    return Layer("conv", fields, (*conv.parts, *item.parts), conv.channels, conv.width)
