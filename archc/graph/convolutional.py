"""The fully convolutional form: linear layers as convolutions, so that any image size will do.

A linear layer over a flattened map is a convolution with a window as large as the map, and one
over a vector is a 1x1 convolution (Simonyan and Zisserman 2014, section 3.2). The network then
gives a map of scores, one vector for each position of its window over a larger image.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.graph.deploy import close_up
from archc.graph.lint import lint
from archc.graph.network import Network, Node, key_of, split_key
from archc.graph.regions import renamed
from archc.ops import AvgPool2d, Conv2d, Op, Shape, ShapeError
from archc.ops.facts import MIXED, Everything, Grid, Point


class NotConvolutionalError(ArchcError, ValueError):
    """A network has no fully convolutional form; the message says why."""


@dataclass(frozen=True, repr=False)
class Convolutional:
    """A network's fully convolutional form, which puts out a map of scores.

    ``linear`` has, by the key of a linear layer's weight, the key of the convolution's weight and
    its shape; ``names`` the id in the form of each node that it has.
    """

    network: Network
    names: dict[str, str]
    linear: dict[str, tuple[str, Shape]]

    def __repr__(self) -> str:
        return f"Convolutional({self.network!r})"

    def key(self, key: str) -> str:
        """The key in the form of a tensor of the network that is not a linear layer's."""
        owner, name = split_key(key, self.names)
        return key_of(self.names[owner], name)

    def has(self, key: str) -> bool:
        """Whether it has a tensor of the network; those of side heads are left out."""
        return key in self.linear or split_key(key, self.names)[0] in self.names

    @property
    def smallest_side(self) -> int:
        """The shorter side of the smallest images that it takes, in pixels."""
        return smallest_side(self.network)


def fully_convolutional(network: Network) -> Convolutional:
    """The form of a network whose head is poolings, linear layers and what acts on each element.

    Side heads are left out, and so is global average pooling: scores are averaged over positions
    instead. Raises `NotConvolutionalError`.
    """
    network = network.inference
    tail = _tail(network)
    gone = {one for one in tail if network.nodes[one].op.channels is MIXED}
    replaced = dict(_linear_as_convolutions(network, tail))
    source = network.nodes[network.nodes[tail[0]].inputs[0]]
    pooling = _pooling(network, source)
    if pooling is None:
        gone.add(source.id)
    elif pooling is not source.op:
        replaced[source.id] = pooling
    if network.output != network.logits:
        gone.add(network.output)
    names = close_up([one for one in network.nodes if one not in gone], gone)
    return Convolutional(
        network=_rebuilt(network, names, replaced),
        names=names,
        linear={
            f"{one}.weight": (f"{names[one]}.weight", op.state["weight"])
            for one, op in replaced.items()
            if _is_linear(network.nodes[one].op)
        },
    )


def smallest_side(network: Network) -> int:
    """The shortest side of images that a fully convolutional form takes, in pixels."""
    channels, *sides = network.input_shape
    low, high = 1, max(sides)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(network, middle, channels) else (middle + 1, high)
    return low


def _fits(network: Network, side: int, channels: int) -> bool:
    shapes: dict[str, Shape] = {}
    try:
        for node in network.nodes.values():
            inputs = [shapes[source] for source in node.inputs]
            shapes[node.id] = node.op.infer(*inputs) if inputs else (channels, side, side)
    except ShapeError:
        return False
    return True


def _tail(network: Network) -> list[str]:
    """The ops up to the logits that act on a vector or on each element, first to last."""
    found: list[str] = []
    at = network.logits
    while _is_of_a_head(network.nodes[at]):
        found.insert(0, at)
        (at,) = network.nodes[at].inputs
    if not any(network.nodes[one].op.channels is MIXED for one in found):
        kind = network.nodes[at].op.kind
        raise NotConvolutionalError(
            f"{network.name} has no head of linear layers: `{at}` ({kind}) comes after its maps"
            if len(network.nodes[network.logits].output_shape) == 1
            else f"{network.name} puts out a map, not a vector for each image"
        )
    return found


def _is_of_a_head(node: Node) -> bool:
    """Whether an op is a flatten, a linear layer, or acts on each element by itself."""
    if len(node.inputs) != 1:
        return False
    alone = isinstance(node.op.reach(), Point) and not node.op.state
    return alone or node.op.channels is MIXED or _is_linear(node.op)


def _is_linear(op: Op) -> bool:
    return op.is_layer and isinstance(op.reach(), Everything)


def _linear_as_convolutions(network: Network, tail: list[str]) -> list[tuple[str, Op]]:
    """The convolutions in the place of linear layers; the first has a window as large as the map.

    Raises `NotConvolutionalError` where no linear layer follows it.
    """
    window, name = (1, 1), ""
    found: list[tuple[str, Op]] = []
    for one in tail:
        node = network.nodes[one]
        if node.op.channels is MIXED:
            before = network.nodes[node.inputs[0]].output_shape
            if len(before) == 3:
                window, name = (before[1], before[2]), one
        elif _is_linear(node.op):
            features, outputs = (
                getattr(node.op, name) for name in (node.op.channels.read, node.op.channels.written)
            )
            bias = "bias" in node.op.state
            found.append((one, Conv2d(features // prod(window), outputs, window, bias=bias)))
            window = (1, 1)
    if window != (1, 1):
        raise NotConvolutionalError(
            f"{network.name} has no linear layer after `{name}`: its scores are positions of a map"
        )
    return found


def _pooling(network: Network, node: Node) -> Op | None:
    """The op below the tail as it is in the form; None where it is left out.

    Adaptive pooling becomes what it does to maps of the network's own size. A global mean, however
    it is written, is taken of the scores instead.
    """
    shapes = [network.nodes[source].output_shape for source in node.inputs]
    op = node.op.canonical(*shapes)
    grid = None if op is None else op.reach()
    if not isinstance(grid, Grid):
        return op
    if grid.size == (1, 1):
        return None
    (_, height, width), (rows, columns) = shapes[0], grid.size
    if height % rows or width % columns:
        raise NotConvolutionalError(
            f"{network.name} pools a map of {height}x{width} to {rows}x{columns} at `{node.id}`: "
            "its windows are not all of one size"
        )
    window = (height // rows, width // columns)
    return AvgPool2d(window, window)


def _rebuilt(network: Network, names: dict[str, str], replaced: dict[str, Op]) -> Network:
    nodes: dict[str, Node] = {}
    stands_for: dict[str, str] = {}
    for node in network.nodes.values():
        if node.id not in names:
            if node.inputs[0] in stands_for:
                stands_for[node.id] = stands_for[node.inputs[0]]
            continue
        inputs = tuple(stands_for[source] for source in node.inputs)
        op = replaced.get(node.id, node.op)
        shapes = [nodes[source].output_shape for source in inputs]
        shape = op.infer(*shapes) if shapes else node.output_shape
        new = node._replace(id=names[node.id], op=op, inputs=inputs, output_shape=shape)
        nodes[new.id] = new
        stands_for[node.id] = new.id
    words = "; ".join(filter(None, [network.description, "fully convolutional form"]))
    regions = renamed(network.regions, names)
    made = replace(network, nodes=nodes, description=words, regions=regions, model=None)
    return lint(made)
