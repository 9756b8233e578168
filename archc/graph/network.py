"""The graph of a network: its nodes, and the pieces it is put together from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from archc.dataclassing import dataclass
from archc.graph.authored import Authored
from archc.graph.initial import USUAL, Initial, Rule
from archc.graph.regions import NOWHERE, Region, Standing, renamed, standings
from archc.graph.trunk import trunk
from archc.ops import MAX_PARAMS, Input, Op, Shape, ShapeError, Softmax
from archc.shown import Shown

if TYPE_CHECKING:
    import networkx

    from archc.graph.extents import Extent


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


class Written(NamedTuple):
    """What a module was written as in the definition of a block.

    ``key`` identifies the place in the definition; it is None for a stage's block, which is no part
    of a definition. ``word`` is the layer or the block; ``names`` maps those of its fields that are
    given by a name alone to that name, and ``computed`` has all fields that are expressions.
    ``authored`` is the definition of a module around others.
    """

    key: Hashable
    word: str
    names: Mapping[str, str] = MappingProxyType({})
    computed: Collection[str] = ()
    authored: Authored | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """A side head: a classifier beside the main path, which is computed in training alone.

    ``name`` is the path of its module and its field in what a ``forward`` returns in training;
    ``result`` is the id of what it puts out, ``weight`` the factor of its loss.
    """

    name: str
    result: str
    weight: float


class Model(Protocol):
    """The model of another library that a network was made of, as far as it is at hand."""

    @property
    def source(self) -> str:
        """What its user calls it: a file, or a callable."""

    @property
    def has_weights(self) -> bool:
        """Whether it has values for its tensors."""

    @property
    def may_be_folded(self) -> bool:
        """Whether its exporter may have folded batch norms into the convolutions before them."""

    @property
    def explicit(self) -> Network:
        """The network of all that it computes, call by call, as it can be written in PyTorch.

        Raises `UnwrittenError`, which says why, where it cannot.
        """

    def arrays(self) -> Mapping[str, Any]:
        """Its tensors by the keys of `Network.state`: numpy's arrays or torch's tensors.

        Raises `ArchcError` where they cannot be read.
        """

    def original(self) -> Runner:
        """Itself, to be run. Raises `ArchcError`, which says why, where archc does not run it."""


class Runner(Protocol):
    """What runs a model on images."""

    @property
    def batch(self) -> int | None:
        """How many images it takes at once, where it takes no other number."""

    @property
    def is_torch(self) -> bool:
        """Whether torch computes what it puts out, so that equal means equal bits."""

    def __call__(self, images: Any, *others: Any) -> tuple[Any, ...]:
        """What it puts out, for a torch tensor of images in float32, and what else it takes."""


@dataclass(frozen=True, repr=False)
class Network(Shown):
    """A network as a graph: what every count, figure and module of archc is made from.

    ``nodes`` maps each id to its node in topological order, which is that in which modules are
    registered: the input first and the output last, among them the nodes of side heads.
    ``sides`` are the side heads in the order in which they run, each as soon as the value that it
    reads is there. What counts, times or draws inference reads `Network.inference`, without them.
    ``regions`` are its parts, as far as they are known: stem, stages with their blocks, head.
    ``source`` and ``digest`` say which spec it was compiled from; ``title`` and ``description``
    are the author's words, ``initial`` says what weights are drawn from. ``written`` has, for ids
    that come from a definition, what the last parts of their paths were written as: it is for
    names and conditions of emitted source, and makes no difference to the network.
    """

    name: str
    nodes: Mapping[str, Node]
    title: str = ""
    description: str = ""
    source: str = ""
    digest: str = ""
    regions: tuple[Region, ...] = ()
    initial: Initial = USUAL
    written: Mapping[str, tuple[Written | None, ...]] = field(default_factory=dict, compare=False)
    sides: tuple[Side, ...] = ()
    is_foreign: bool = False
    """Whether it comes from a model of another library, in which ops without tensors are called
    anything."""
    is_explicit: bool = False
    """Whether it has all that such a model computes as nodes (`Model.explicit`)."""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What a model of another library calls its modules, by their paths; for names of classes."""
    model: Model | None = field(default=None, compare=False)
    """That model, where it is at hand: its weights are the network's."""

    @property
    def input_shape(self) -> Shape:
        """``(channels, height, width)`` of the image."""
        return next(iter(self.nodes.values())).output_shape

    @cached_property
    def output(self) -> str:
        """The id of the output."""
        return next(id for id in reversed(list(self.nodes)) if id not in self.side_of)

    @cached_property
    def inputs(self) -> Mapping[str, Shape]:
        """The shapes of all that it takes, by name, the images first."""
        found = {id: node.output_shape for id, node in self.nodes.items() if node.op.is_given}
        return MappingProxyType({next(iter(self.nodes)): self.input_shape, **found})

    @property
    def several_inputs(self) -> dict[str, Shape]:
        """`inputs` where there are several, otherwise nothing."""
        return dict(self.inputs) if len(self.inputs) > 1 else {}

    @cached_property
    def outputs(self) -> Mapping[str, Shape]:
        """The shapes of all that it puts out, by the ids of what they are."""
        last = self.nodes[self.output]
        ids = last.inputs if last.op.kind == "outputs" else (last.id,)
        return MappingProxyType({id: self.nodes[id].output_shape for id in ids})

    @cached_property
    def inference(self) -> Network:
        """The network as it runs in eval mode: without the nodes of its side heads."""
        if not self.sides:
            return self
        nodes = {id: node for id, node in self.nodes.items() if id not in self.side_of}
        return replace(
            self,
            nodes=nodes,
            sides=(),
            regions=renamed(self.regions, {id: id for id in nodes}),
            written={id: parts for id, parts in self.written.items() if id in nodes},
            initial=replace(
                self.initial,
                own={id: rule for id, rule in self.initial.own.items() if id in nodes},
            ),
        )

    @cached_property
    def side_of(self) -> Mapping[str, str]:
        """The name of the side head that a node is of, by id: what its path begins with."""
        if not self.sides:
            return {}
        names = {side.name for side in self.sides}
        first = {id: id.partition(".")[0] for id in self.nodes}
        return MappingProxyType({id: name for id, name in first.items() if name in names})

    def side_source(self, side: Side) -> str:
        """The id of the value that a side head reads."""
        return next(
            source
            for id, name in self.side_of.items()
            if name == side.name
            for source in self.nodes[id].inputs
            if source not in self.side_of
        )

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
        """Multiply-adds of convolutions and linear layers for one image: the paper's FLOPs.

        They are those of inference, in which side heads are not computed.
        """
        alike = self.inference._alike
        return sum(count * op.multiply_adds(shape) for op, shape, count in alike)

    @cached_property
    def products(self) -> int:
        """Those of the multiply-adds that multiply values with values, as attention does."""
        alike = self.inference._alike
        return sum(
            count * op.plain.multiply_adds(shape) for op, shape, count in alike if op.is_product
        )

    @cached_property
    def no_rule(self) -> Mapping[str, int]:
        """How many ops of which names have multiply-adds that nothing is known of."""
        found: dict[str, int] = {}
        for op, _, count in self.inference._alike:
            if not op.has_rule:
                found[op.called] = found.get(op.called, 0) + count
        return MappingProxyType(found)

    @cached_property
    def _alike(self) -> list[tuple[Op, Shape, int]]:
        """The ops with their output shapes, and how often each is there: equal blocks share ops."""
        found: dict[tuple[int, Shape], list[Node]] = {}
        for node in self.nodes.values():
            found.setdefault((id(node.op), node.output_shape), []).append(node)
        return [(alike[0].op, alike[0].output_shape, len(alike)) for alike in found.values()]

    @cached_property
    def state(self) -> Mapping[str, Shape]:
        """The tensors of a module's state dict by key (``layer1.0.conv1.weight``): their shapes.

        They are in torch's order: a module's own tensors before those of the modules in it.
        """
        state: dict[str, Shape] = {}
        _in_order_of_modules(self.nodes.values(), state)
        return MappingProxyType(state)

    @cached_property
    def buffer_types(self) -> Mapping[str, str]:
        """What torch calls the types of tensors that no layer has and that are not learned, by key:
        they may be anything."""
        return MappingProxyType(
            {
                node.id: getattr(node.op, "dtype", "float32")
                for node in self.nodes.values()
                if node.op.is_tensor and node.op.buffers and node.op.state
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
                below = max((depths[source] for source in self.trunk(node)), default=0)
            depths[node.id] = below + node.is_layer
        return MappingProxyType(depths)

    @property
    def layers(self) -> int:
        """The paper's depth: convolutions and linear layers on the main path, the longest one."""
        return self.depths[self.output]

    @cached_property
    def extents(self) -> Mapping[str, Extent]:
        """The places of each node's value and its features, by id."""
        from archc.graph.extents import extents

        return MappingProxyType(extents(self.nodes.values()))

    @cached_property
    def main_path(self) -> tuple[str, ...]:
        """The ids from input to output on the way with the most layers."""
        path = [self.output]
        while inputs := self.nodes[path[-1]].inputs:
            path.append(inputs[0] if len(inputs) == 1 else self.main_input(self.nodes[path[-1]]))
        return tuple(reversed(path))

    def main_input(self, node: Node) -> str:
        """Of a node's inputs the one with the most layers above it, the first of equals; gates,
        which only weigh the others, apart."""
        return max(self.trunk(node), key=self.depths.__getitem__)

    def trunk(self, node: Node) -> Sequence[str]:
        """The inputs of a node through which the main path may go."""
        nodes = self.nodes
        return trunk(
            node.op,
            node.inputs,
            lambda id: nodes[id].output_shape,
            lambda id: nodes[id].inputs,
        )

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each node stands among the regions, by id."""
        return MappingProxyType(dict.fromkeys(self.nodes, NOWHERE) | standings(self.regions))

    def attributes(self, node: Node) -> dict[str, Any]:
        """Everything about a node but its id, under the names that archc's JSON uses.

        In a network with side heads that includes the one which the node is of; such a node has
        no multiply-adds, being left out of inference.
        """
        standing = self.standings[node.id]
        side = self.side_of.get(node.id)
        return {
            "op": node.op.kind,
            "inputs": [] if node.op.is_given else list(node.inputs),
            "stage": standing.stage,
            "block": standing.block,
            "output_shape": list(node.output_shape),
            "params": node.params,
            "multiply_adds": 0 if side else node.multiply_adds,
            **node.op.numbers,
            "stage_width": standing.width,
            "block_label": standing.label,
            "origin": None if standing.origin is None else str(standing.origin),
            **({"side": side} if self.sides else {}),
        }

    @property
    def about(self) -> dict[str, Any]:
        """What archc's JSON says of the network as such: its names, its input's shape and, where
        there are any, its side heads in order, with their weights."""
        about: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "input": list(self.input_shape),
        }
        if len(self.inputs) > 1:
            about["input"] = None
            about["inputs"] = _named(self.inputs)
        if len(self.outputs) > 1:
            about["outputs"] = _named(self.outputs)
        if self.sides:
            about["sides"] = [side.name for side in self.sides]
            about["side_weights"] = [side.weight for side in self.sides]
        return about

    @cached_property
    def graph(self) -> networkx.DiGraph[str]:
        """The network as a networkx graph.

        Nodes bear `Network.attributes`; an edge's ``position`` is its place among the target's
        inputs, and the graph's own attributes are those of `Network.about`. It is made once, for
        all that read it: change a copy.
        """
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph(**self.about)
        for node in self.nodes.values():
            graph.add_node(node.id, **self.attributes(node))
            for position, source in enumerate(() if node.op.is_given else node.inputs):
                graph.add_edge(source, node.id, position=position)
        return graph


def _named(shapes: Mapping[str, Shape]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": list(shape)} for name, shape in shapes.items()]


def key_of(node_id: str, name: str) -> str:
    """The key in a state dict of a tensor of an op.

    >>> key_of("conv1", "weight"), key_of("layer1.0.layer_scale", "")
    ('conv1.weight', 'layer1.0.layer_scale')
    """
    return f"{node_id}.{name}" if name else node_id


def split_key(key: str, ids: Container[str]) -> tuple[str, str]:
    """The id of the op and the name of the tensor that a key stands for, given all ids.

    >>> split_key("conv1.weight", {"conv1"}), split_key("layer_scale", {"layer_scale"})
    (('conv1', 'weight'), ('layer_scale', ''))
    """
    if key in ids:
        return key, ""
    node_id, _, name = key.rpartition(".")
    return node_id, name


_Tree: TypeAlias = dict[str, "Node | _Tree"]


def _in_order_of_modules(nodes: Iterable[Node], state: dict[str, Shape]) -> None:
    """Fill in the tensors of nodes as torch's state dict has them: modules in the order in which
    their first ops stand, of each module first the tensors that are its own."""
    root: _Tree = {}
    levels: dict[str, _Tree] = {"": root}
    for node in nodes:
        parent, _, name = node.id.rpartition(".")
        level = levels.get(parent)
        if level is None:
            level = root
            for part in parent.split("."):
                inner = level.setdefault(part, {})
                assert isinstance(inner, dict)  # or lint would have refused the ids
                level = inner
            levels[parent] = level
        level[name] = node
    stack: list[_Tree | Node] = [root]
    while stack:
        at = stack.pop()
        if isinstance(at, Node):
            for name, shape in at.op.state.items():
                state[key_of(at.id, name)] = shape
            continue
        children = list(at.values())
        own = [one for one in children if isinstance(one, Node) and "" in one.op.state]
        for node in own:
            state[node.id] = node.op.state[""]
        stack += reversed([one for one in children if one not in own] if own else children)


@dataclass(frozen=True, slots=True)
class Step:
    """A node of a `Fragment`: its name and its inputs are relative to wherever it is put.

    ``family`` is what nodes of its kind are called where nobody has named it (``conv``, ``fc``),
    ``rule`` how its weight is drawn where its author says so; ``written`` is what the parts of its
    name come from.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    output_shape: Shape
    family: str | None = None
    rule: Rule | None = None
    written: tuple[Written | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Fragment:
    """A relocatable piece of graph with one input and one output, by default its last step's.

    ``parts`` are the labels of the modules inside, by their paths; ``sides`` are its side heads,
    whose results are steps. ``end`` is the step that puts out the output where that is not the
    last one: the last one may be of a side head.
    """

    input_shape: Shape
    steps: tuple[Step, ...]
    label: str | None = None
    parts: tuple[tuple[str, str], ...] = ()
    sides: tuple[Side, ...] = ()
    end: str | None = None

    INPUT = ""

    @property
    def output(self) -> str:
        """The step that puts out the output; `INPUT` where none does."""
        if self.end is not None:
            return self.end
        return self.steps[-1].name if self.steps else self.INPUT

    @property
    def output_shape(self) -> Shape:
        """The shape that the fragment puts out."""
        if self.end is None:
            return self.steps[-1].output_shape if self.steps else self.input_shape
        shapes = {step.name: step.output_shape for step in self.steps}
        return shapes.get(self.end, self.input_shape)


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
        self.steps: list[Step] = []
        self._fault: ShapeError | None = None
        self.parts: dict[str, str] = {}
        self.sides: list[Side] = []
        self.blame: Callable[[ShapeError], ShapeError] | None = None
        """What makes more of the faults that are found, if anything does."""

    def shape(self, name: str | None = None) -> Shape:
        """The output shape of a step, or of the last one."""
        return self._shapes[self.last if name is None else name]

    def add(
        self,
        name: str,
        op: Op,
        *inputs: str,
        family: str | None = None,
        ahead: bool = False,
        rule: Rule | None = None,
        written: tuple[Written | None, ...] = (),
    ) -> str:
        """Append an op on the named inputs (default: the last step) and return its name.

        One that runs ``ahead``, and reads the piece's input, becomes its first step. Raises
        `ShapeError` where the shapes do not fit, ValueError for a name that is taken. A fault that
        leaves the op's output known is raised by `build` only.
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
            self.refuse(ShapeError(what, code="limit-exceeded"))
        at = 0 if ahead and inputs == (Fragment.INPUT,) else len(self.steps)
        self.steps.insert(at, Step(name, op, inputs, shape, family, rule, written))
        self._shapes[name] = shape
        self.last = name
        return name

    def refuse(self, fault: ShapeError) -> None:
        """Have `build` raise this fault, if it is the first; until then all goes on without it."""
        if self._fault is None:
            self._fault = fault if self.blame is None else self.blame(fault)

    def first_fault(self, error: ShapeError) -> ShapeError:
        """The piece's first fault, which is this one if there is none yet."""
        return self._failure(None) if self._fault else error

    def build(self, label: str | None = None) -> Fragment:
        """The finished piece; its output is the last step's that is of no side head.

        Raises the piece's first `ShapeError`, ``otherwise`` being the shape of the piece.
        """
        parts, sides = tuple(self.parts.items()), tuple(self.sides)
        end = self.last if sides else None
        fragment = Fragment(self.input_shape, tuple(self.steps), label, parts, sides, end)
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
    sides: list[Side] = field(default_factory=list)

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
        nodes = self.nodes
        ids = {Fragment.INPUT: self.last}
        for step in fragment.steps:
            node_id = ids[step.name] = place(step)
            if node_id in nodes:
                raise ValueError(f"there is already a node {node_id!r}")
            if len(step.inputs) == 1:  # as nearly always
                inputs: tuple[str, ...] = (ids[step.inputs[0]],)
            else:
                inputs = tuple([ids[source] for source in step.inputs])
            nodes[node_id] = Node(node_id, step.op, inputs, step.output_shape)
        self.last = ids[fragment.output]
        for side in fragment.sides:
            self.sides.append(replace(side, result=ids[side.result]))
        return tuple(ids.values())[1:]
