"""The graph of a network: its nodes, and the pieces it is put together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.graph.regions import NOWHERE, Region, Standing, standings
from archc.ops import MAX_PARAMS, Input, Op, Shape, ShapeError, Softmax
from archc.shown import Shown

if TYPE_CHECKING:
    import networkx


class Node(NamedTuple):
    """One op in its place; a tuple, because networks have 100,000 of them.

    ``id`` is the path of the op's module, or a unique place for an op that is no module.
    ``inputs`` are the ids it reads, in order. ``output_shape`` has no batch.
    """

    id: str
    op: Op
    inputs: tuple[str, ...]
    output_shape: Shape

    @property
    def params(self) -> int:
        """The number of learned parameters."""
        return self.op.params

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return self.op.multiply_adds(self.output_shape)

    @property
    def is_layer(self) -> bool:
        """Whether the paper counts the op as a layer: a convolution or a linear layer."""
        return self.op.is_layer


@dataclass(frozen=True, repr=False)
class Network(Shown):
    """A network as a graph: what every count, figure and module of archc is made from.

    ``nodes`` maps each id to its node in topological order, the input first and the output last.
    ``regions`` are its parts, as far as they are known: stem, stages with their blocks, head.
    ``source`` and ``digest`` say which spec it was compiled from; ``title`` and ``description``
    are the author's words.
    """

    name: str
    nodes: Mapping[str, Node]
    title: str = ""
    description: str = ""
    source: str = ""
    digest: str = ""
    regions: tuple[Region, ...] = ()

    @property
    def input_shape(self) -> Shape:
        """``(channels, height, width)`` of the image."""
        return next(iter(self.nodes.values())).output_shape

    @cached_property
    def output(self) -> str:
        """The id of the output."""
        return list(self.nodes)[-1]

    @cached_property
    def logits(self) -> str:
        """The id of what a module returns: the output, or what a final softmax takes."""
        last = self.nodes[self.output]
        return last.inputs[0] if isinstance(last.op, Softmax) else last.id

    @cached_property
    def params(self) -> int:
        """The number of learned parameters."""
        return sum(count * op.params for op, _, count in self._alike)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and linear layers for one image: the paper's FLOPs."""
        return sum(count * op.multiply_adds(shape) for op, shape, count in self._alike)

    @cached_property
    def _alike(self) -> list[tuple[Op, Shape, int]]:
        """The ops with their output shapes, and how often each is there: equal blocks share ops."""
        found: dict[tuple[int, Shape], list[Node]] = {}
        for node in self.nodes.values():
            found.setdefault((id(node.op), node.output_shape), []).append(node)
        return [(alike[0].op, alike[0].output_shape, len(alike)) for alike in found.values()]

    @cached_property
    def state(self) -> Mapping[str, Shape]:
        """The tensors of a module's state dict by key (``layer1.0.conv1.weight``): their shapes."""
        return MappingProxyType(
            {
                f"{node.id}.{name}": shape
                for node in self.nodes.values()
                for name, shape in node.op.state.items()
            }
        )

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """For each id, the most convolutions and linear layers on a way to it, itself included."""
        depths: dict[str, int] = {}
        for node in self.nodes.values():
            if len(node.inputs) == 1:  # as most have, and the rest costs ten times as much
                below = depths[node.inputs[0]]
            else:
                below = max((depths[source] for source in node.inputs), default=0)
            depths[node.id] = below + node.is_layer
        return MappingProxyType(depths)

    @property
    def layers(self) -> int:
        """The paper's depth: convolutions and linear layers on the main path, the longest one."""
        return self.depths[self.output]

    @cached_property
    def main_path(self) -> tuple[str, ...]:
        """The ids from input to output on the way with the most layers."""
        path = [self.output]
        while inputs := self.nodes[path[-1]].inputs:
            path.append(inputs[0] if len(inputs) == 1 else self.main_input(self.nodes[path[-1]]))
        return tuple(reversed(path))

    def main_input(self, node: Node) -> str:
        """Of a node's inputs the one with the most layers above it, the first of equals."""
        return max(node.inputs, key=self.depths.__getitem__)

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each node stands among the regions, by id."""
        return MappingProxyType(dict.fromkeys(self.nodes, NOWHERE) | standings(self.regions))

    def attributes(self, node: Node) -> dict[str, Any]:
        """Everything about a node but its id, under the names that archc's JSON uses."""
        standing = self.standings[node.id]
        return {
            "op": node.op.kind,
            "inputs": list(node.inputs),
            "stage": standing.stage,
            "block": standing.block,
            "output_shape": list(node.output_shape),
            "params": node.params,
            "multiply_adds": node.multiply_adds,
            **node.op.numbers,
            "stage_width": standing.width,
            "block_label": standing.label,
            "origin": None if standing.origin is None else str(standing.origin),
        }

    @cached_property
    def graph(self) -> networkx.DiGraph[str]:
        """The network as a networkx graph.

        Nodes bear `Network.attributes`; an edge's ``position`` is its place among the target's
        inputs, and the graph's own attributes are name, title, description and input. It is made
        once, for all that read it: change a copy.
        """
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph(
            name=self.name,
            title=self.title,
            description=self.description,
            input=list(self.input_shape),
        )
        for node in self.nodes.values():
            graph.add_node(node.id, **self.attributes(node))
            for position, source in enumerate(node.inputs):
                graph.add_edge(source, node.id, position=position)
        return graph


@dataclass(frozen=True, slots=True)
class Step:
    """A node of a `Fragment`: its name and its inputs are relative to wherever it is put."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    output_shape: Shape


@dataclass(frozen=True, slots=True)
class Fragment:
    """A relocatable piece of graph with one input and one output, its last step's."""

    input_shape: Shape
    steps: tuple[Step, ...]
    label: str | None = None

    INPUT = ""

    @property
    def output_shape(self) -> Shape:
        """The shape that the fragment puts out."""
        return self.steps[-1].output_shape if self.steps else self.input_shape


class FragmentBuilder:
    """Puts a `Fragment` together op by op, inferring shapes on the way.

    >>> from archc.ops import Conv2d, ReLU
    >>> piece = FragmentBuilder((3, 32, 32))
    >>> piece.add("conv", Conv2d(3, 16, kernel_size=3, padding=1))
    'conv'
    >>> piece.add("relu", ReLU())
    'relu'
    >>> piece.build().output_shape
    (16, 32, 32)
    """

    def __init__(self, input_shape: Shape):
        self.input_shape = input_shape
        self.last = Fragment.INPUT
        self._shapes: dict[str, Shape] = {Fragment.INPUT: input_shape}
        self._steps: list[Step] = []
        self._fault: ShapeError | None = None

    def shape(self, name: str | None = None) -> Shape:
        """The output shape of a step, or of the last one."""
        return self._shapes[self.last if name is None else name]

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Append an op on the named inputs (default: the last step) and return its name.

        Raises `ShapeError` where the shapes do not fit, ValueError for a name that is taken. A
        fault that leaves the op's output known is raised by `build` only.
        """
        if name in self._shapes:
            raise ValueError(f"there is already a step {name!r}")
        inputs = inputs or (self.last,)
        try:
            shape = op.infer(*(self._shapes[source] for source in inputs))
        except ShapeError as error:
            if error.otherwise is None:
                raise (self._failure(None) if self._fault else error) from None
            self.refuse(error)
            shape = error.otherwise
        if op.params > MAX_PARAMS:
            what = f"{op.params:,} parameters in one layer exceed the limit of {MAX_PARAMS:,}"
            self.refuse(ShapeError(what))
        self._steps.append(Step(name, op, inputs, shape))
        self._shapes[name] = shape
        self.last = name
        return name

    def refuse(self, fault: ShapeError) -> None:
        """Have `build` raise this fault, if it is the first; until then all goes on without it."""
        self._fault = self._fault or fault

    def build(self, label: str | None = None) -> Fragment:
        """The finished piece; its output is the last step's.

        Raises the piece's first `ShapeError`, ``otherwise`` being the shape of the piece.
        """
        fragment = Fragment(self.input_shape, tuple(self._steps), label)
        if self._fault is not None:
            raise self._failure(fragment.output_shape)
        return fragment

    def _failure(self, otherwise: Shape | None) -> ShapeError:
        """The first fault, as one of the piece."""
        assert self._fault is not None
        self._fault.otherwise = otherwise
        return self._fault


@dataclass
class NetworkBuilder:
    """Strings fragments together into the nodes of a `Network`, one after another."""

    input_shape: Shape
    nodes: dict[str, Node] = field(init=False)
    last: str = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {"input": Node("input", Input(), (), self.input_shape)}
        self.last = "input"

    @property
    def shape(self) -> Shape:
        """The shape put out so far."""
        return self.nodes[self.last].output_shape

    def append(self, fragment: Fragment, place: Callable[[Step], str]) -> tuple[str, ...]:
        """Put a fragment behind what there is; ``place`` gives each step its id.

        Returns the ids. Raises ValueError for one that is taken.
        """
        nodes, node_id = self.nodes, self.last
        ids = {Fragment.INPUT: node_id}
        for step in fragment.steps:
            node_id = ids[step.name] = place(step)
            if node_id in nodes:
                raise ValueError(f"there is already a node {node_id!r}")
            if len(step.inputs) == 1:  # as nearly always
                inputs: tuple[str, ...] = (ids[step.inputs[0]],)
            else:
                inputs = tuple([ids[source] for source in step.inputs])
            nodes[node_id] = Node(node_id, step.op, inputs, step.output_shape)
        self.last = node_id
        return tuple(ids.values())[1:]
