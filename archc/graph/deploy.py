"""The deploy form: batch norms folded into the convolutions before them.

Once training is over a norm is a fixed scale and shift per channel, which the weights and the bias
of a convolution can take in (Jacob et al. 2018, section 3.2): nothing is left of it to compute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from archc.dataclassing import dataclass
from archc.graph.lint import lint
from archc.graph.network import Network, Node
from archc.graph.regions import renamed
from archc.ops import BatchNorm2d, Conv2d


@dataclass(frozen=True, slots=True)
class Foldings:
    """Which norms of a network a convolution can take in.

    ``norms`` has the norms behind each convolution that has some, in order; ``kept`` the norms
    that stand elsewhere; ``names`` the id in the deploy form of each node that it has.
    """

    norms: Mapping[str, tuple[str, ...]]
    kept: tuple[str, ...]
    names: Mapping[str, str]

    @property
    def count(self) -> int:
        """How many norms are folded."""
        return sum(map(len, self.norms.values()))


def foldings(network: Network) -> Foldings:
    """The norms that directly follow a convolution whose output nothing else reads; side heads,
    which a deploy form is without, apart."""
    network = network.inference
    reads = Counter(source for node in network.nodes.values() for source in node.inputs)
    convolution: dict[str, str] = {}  # at the beginning of the run of norms that ends here
    norms: dict[str, tuple[str, ...]] = {}
    lent = {node.op.shares for node in network.nodes.values()}
    for node in network.nodes.values():
        if isinstance(node.op, Conv2d):
            convolution[node.id] = node.id
        elif isinstance(node.op, BatchNorm2d):
            (source,) = node.inputs
            if source in convolution and reads[source] == 1 and source not in lent:
                start = convolution[node.id] = convolution[source]
                norms[start] = (*norms.get(start, ()), node.id)
    gone = {norm for run in norms.values() for norm in run}
    return Foldings(
        norms=norms,
        kept=tuple(
            node.id
            for node in network.nodes.values()
            if isinstance(node.op, BatchNorm2d) and node.id not in gone
        ),
        names=close_up([node_id for node_id in network.nodes if node_id not in gone], gone),
    )


def deploy_form(network: Network) -> Network:
    """The network without the norms that its convolutions can take in; they get biases instead.

    Side heads are left out, which run in training alone. Modules that are counted (``features.3``)
    move up where one before them is gone. A network that has neither is returned as it is.
    """
    network = network.inference
    found = foldings(network)
    if not found.norms:
        return network
    stands_for = {norm: conv for conv, run in found.norms.items() for norm in run}
    nodes: dict[str, Node] = {}
    for node in network.nodes.values():
        if node.id in stands_for:
            continue
        op = node.op
        if node.id in found.norms:
            assert isinstance(op, Conv2d)
            op = replace(op, bias=True)
        inputs = [found.names[stands_for.get(source, source)] for source in node.inputs]
        new = node._replace(id=found.names[node.id], op=op, inputs=tuple(inputs))
        nodes[new.id] = new
    form = f"deploy form, {found.count} batch norms folded into convolutions"
    description = "; ".join(filter(None, [network.description, form]))
    regions = renamed(network.regions, found.names)
    own = {found.names[id]: rule for id, rule in network.initial.own.items()}
    made = replace(
        network,
        nodes=nodes,
        description=description,
        regions=regions,
        initial=replace(network.initial, own=own),
        written={found.names[id]: network.written.get(id, ()) for id in found.names},
        model=None,  # its weights are not folded
    )
    return lint(made)


def close_up(kept: Iterable[str], gone: Iterable[str]) -> dict[str, str]:
    """New ids: where one of the counted modules of a parent is gone, the rest count anew."""
    shrunk = {
        parent for parent, _, name in (path.rpartition(".") for path in gone) if name.isdigit()
    }
    counted: dict[str, dict[str, str]] = {parent: {} for parent in shrunk}
    names: dict[str, str] = {}
    for path in kept:
        new: list[str] = []
        parent = ""
        for name in path.split("."):
            numbers = counted.get(parent)
            if numbers is None or not name.isdigit():
                new.append(name)
            else:
                new.append(numbers.setdefault(name, str(len(numbers))))
            parent = f"{parent}.{name}" if parent else name
        names[path] = ".".join(new)
    return names
