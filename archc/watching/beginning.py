"""The network of a broken spec up to its first fault, which is a box at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from archc.compile import compile_beginning
from archc.dataclassing import dataclass
from archc.graph import Network, Node, Region
from archc.ops.facts import NOTHING, Look, OnnxStep, Saved, Shape, Torch
from archc.ops.traits import ElementWise
from archc.spec import Spec, SpecError
from archc.spec.beginnings import load_beginning
from archc.spec.overrides import Change

FAULT = "fault!"
"""The id of the box of the fault, which no layer of a spec can have."""


@dataclass(frozen=True, slots=True)
class Fault(ElementWise):
    """What cannot be compiled, as an op that figures show as a box; nothing else sees it."""

    kind = "fault"
    label: str

    torch = Torch(is_module=False)

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A box with its name."""
        return Look(box="other", label=self.label)

    def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
        """Nothing."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Beginning:
    """A network up to its first fault, whose box is its last node, and what is wrong there.

    ``title`` is what the spec calls it.
    """

    network: Network
    title: str
    message: str


def beginning(spec: str, changes: Sequence[Change], valid: Spec | None) -> Beginning | None:
    """The network of a spec that has mistakes, up to the first one.

    ``valid`` is the spec where its mistakes are such that only compiling finds them. None where
    there is no layer before the first mistake, and where that cannot be known.
    """
    where = message = ""
    try:
        if valid is None:
            found = load_beginning(spec, changes)
            if found is None:
                return None
            valid, where, message = found.spec, found.where, found.message
        made = compile_beginning(valid)
    except (SpecError, OSError):
        return None
    where, message = (made.where, made.message) if made.where else (where, message)
    if not where or len(made.network.nodes) == 1:
        return None
    told = message if where in message else f"{where}: {message}"
    return Beginning(_ended(made.network, where.strip("`")), made.network.title, told)


def _ended(network: Network, where: str) -> Network:
    """A network with the box of a fault behind its last node."""
    last = network.output
    shape = network.nodes[last].output_shape
    node = Node(FAULT, Fault(where), (last,), shape)
    return replace(
        network,
        title=f"{network.title}, up to the fault",
        nodes={**network.nodes, FAULT: node},
        regions=(*network.regions, Region("head", (FAULT,))),
    )
