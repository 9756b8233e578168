"""A foreign model that was read: its network, and where its tensors lie."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archc.dataclassing import dataclass
from archc.errors import UnwrittenError
from archc.frontends.building import Built, build
from archc.frontends.program import ForeignError, Program
from archc.frontends.repeats import module_names
from archc.frontends.structure import labels_of, regions_of
from archc.graph import Network, Region, Shape, key_of, lint, renamed
from archc.graph.deploy import close_up
from archc.graph.lint import LintError
from archc.graph.network import Runner
from archc.ops import ShapeError
from archc.text import quote, quote_name, visible

if TYPE_CHECKING:
    from archc.frontends.explicit import Explicit

MAX_NAME = 64
"""Characters of a network's name, as in specs."""


@dataclass(frozen=True, repr=False)
class Imported:
    """A program as a network.

    ``source`` is what the user called it: a file, or a callable. ``runner`` gives the model itself
    to run, or raises `ForeignError`.
    """

    program: Program
    source: str
    runner: Callable[[], Runner] | None = None

    def __repr__(self) -> str:
        return f"Imported({self.source!r})"

    @cached_property
    def _built(self) -> Built:
        try:
            return build(self.program)
        except (ShapeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            # What a model says of itself can be wrong in more ways than anybody checks.
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ForeignError:
        why = f": {visible(str(error))}" if isinstance(error, (ShapeError, LintError)) else ""
        name = quote_name(self.source)
        return ForeignError(f"{name} is damaged, or not as its exporter writes it{why}")

    @cached_property
    def network(self) -> Network:
        """The network. Raises `ForeignError` where no network of archc can do what it does."""
        built = self._built
        name = name_of(self.program.name)
        names = self._names
        nodes = [
            node._replace(id=names[node.id], inputs=tuple([names[one] for one in node.inputs]))
            for node in built.nodes.values()
        ]
        network = Network(
            name=name,
            nodes={node.id: node for node in nodes},
            title=name,
            source=self.source,
            regions=renamed(self._regions, names),
            is_foreign=True,
            model=self,
        )
        try:
            return lint(network)
        except LintError as error:
            raise self._damaged(error) from error

    @property
    def paths(self) -> Mapping[str, str]:
        """The path of the innermost module around each op, by the ids of the network."""
        names = self._names
        return {names[id]: path for id, path in self._built.paths.items() if id in names}

    @property
    def has_paths(self) -> bool:
        """Whether the model says in which modules its ops stand."""
        return self._built.has_paths

    @cached_property
    def explicit(self) -> Network:
        """The network call by call, as it is written in PyTorch: tensors of the model, and what is
        computed of these alone, are nodes too. Raises `UnwrittenError` where it cannot be."""
        from archc.frontends.explicit import told

        made = self._explicit
        if made.refused:
            raise UnwrittenError(told(self.network.name, made.refused, made.nodes))
        name = self.network.name
        network = Network(
            name=name,
            nodes=made.nodes,
            title=name,
            source=self.source,
            regions=regions_of(made.nodes, made.calls),
            is_foreign=True,
            is_explicit=True,
            labels=labels_of(made.calls),
            model=_AsWritten(self),
        )
        try:
            return lint(network)
        except LintError as error:
            raise self._damaged(error) from error

    @cached_property
    def _explicit(self) -> Explicit:
        from archc.frontends.explicit import explicit

        taken = {
            theirs: self._names[one.node]
            for theirs, one in self._built.given.items()
            if one.node in self._built.nodes
        }
        return explicit(self.program, taken)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """The ids of nodes by those that building gave them: where a folded norm is gone, the
        counted modules behind it move up, as in `deploy_form`; of a model without modules, blocks
        become some."""
        built = self._built
        if built.has_paths:
            return close_up(built.nodes, built.folded)
        return module_names(self._regions, built.nodes)

    @cached_property
    def _regions(self) -> tuple[Region, ...]:
        return regions_of(self._built.nodes, self._built.calls)

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """What the model calls each tensor of `Network.state`; those that it has no use for are
        left out (the counters of norms)."""
        built, names = self._built, self._names
        return {
            key_of(names[id], name): built.keys[key]
            for id, node in built.nodes.items()
            for name in node.op.state
            if (key := key_of(id, name)) in built.keys
        }

    @property
    def has_weights(self) -> bool:
        """Whether the model has values for its tensors: one that torch made on its meta device has
        none."""
        return self.program.tensors is not None

    @property
    def may_be_folded(self) -> bool:
        """Whether its exporter may have folded batch norms into the convolutions before them, as
        those of ONNX files do."""
        return self.program.dialect == "onnx"

    def original(self) -> Runner:
        """The model itself, to be run. Raises `ForeignError` where archc does not run it."""
        if self.runner is None:
            raise ForeignError("archc runs nothing that a .pt2 file holds")
        return self.runner()

    def arrays(self) -> dict[str, Any]:
        """The tensors of `Network.state` by its keys, as far as the model has them, read now.

        Raises `ForeignError` where the model's file does not hold what it says, or is not at hand,
        ModuleNotFoundError without numpy.
        """
        return self.tensors(self.keys, self.network.state)

    def tensors(self, keys: Mapping[str, str], state: Mapping[str, Shape]) -> dict[str, Any]:
        """Tensors of the model in these shapes, by keys that have the model's own. Raises as
        `arrays`."""
        tensors = self.program.tensors
        if tensors is None:
            raise ForeignError(f"{quote_name(self.source)} has no tensors that archc reads")
        found = tensors.read(set(keys.values()))
        return {key: self._laid_out(found[one], state[key], one) for key, one in keys.items()}

    def _laid_out(self, tensor: Any, shape: Shape, key: str) -> Any:
        if math.prod(tensor.shape) != math.prod(shape):
            raise ForeignError(
                f"{quote_name(self.source)}: the tensor {quote(visible(key))} has the wrong amount "
                "of data for its shape"
            )
        return tensor.reshape(shape)


@dataclass(frozen=True)
class _AsWritten:
    """A foreign model, as that of the network call by call."""

    of: Imported

    @property
    def source(self) -> str:
        """What the user called it."""
        return self.of.source

    @property
    def has_weights(self) -> bool:
        """As of the model."""
        return self.of.has_weights

    @property
    def may_be_folded(self) -> bool:
        """As of the model."""
        return self.of.may_be_folded

    @property
    def explicit(self) -> Network:
        """The network itself."""
        return self.of.explicit

    def arrays(self) -> dict[str, Any]:
        """The tensors of the network. Raises as `Imported.arrays`."""
        return self.of.tensors(self.of._explicit.keys, self.of.explicit.state)

    def original(self) -> Runner:
        """The model, to be run. Raises as `Imported.original`."""
        return self.of.original()


def name_of(text: str) -> str:
    """The name of a network, by what its file or its class is called.

    >>> name_of("models/ResNet-50 (v2).onnx"), name_of("50x1")
    ('ResNet-50_v2', 'net_50x1')
    """
    stem = re.split(r"[\\\\/]", text)[-1]
    stem = re.sub(r"\.(onnx|pt2)$", "", stem, flags=re.IGNORECASE)
    word = re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("_.-")[:MAX_NAME]
    if not word:
        return "net"
    return word if word[0].isalpha() else f"net_{word}"[:MAX_NAME]
