"""What ``archc count`` shows layer by layer: memory, receptive fields, rooflines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archc import api
from archc.backends.table import Table
from archc.backends.unknown import without_rule
from archc.choices import Dtype, OptimizerName
from archc.cli.views import View
from archc.dataclassing import dataclass
from archc.graph import Network
from archc.hardware import find_device
from archc.tables import views as tables

if TYPE_CHECKING:
    from archc.analysis import Fit, Memory, Roofline


@dataclass
class Memories(View):
    """Memory in bytes."""

    networks: Sequence[Network]
    batch: int
    dtype: Dtype
    by_layer: bool

    def __post_init__(self) -> None:
        self.found = [api.memory(one, self.batch, self.dtype) for one in self.networks]

    def records(self) -> list[dict[str, Any]]:
        """The memory, with every layer's."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One for each network."""
        make = tables.memory_by_layer if self.by_layer else tables.memory_summary
        return [make(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """All in one."""
        return tables.all_memory(names, self.found, self.by_layer)

    def notes(self, names: Sequence[str]) -> list[str]:
        """What nothing is known of."""
        return _unknown(names, self.found, "taken to keep what they read")


@dataclass
class ReceptiveFields(View):
    """Receptive fields, layer by layer."""

    networks: Sequence[Network]

    def __post_init__(self) -> None:
        self.found = [api.receptive_fields(one) for one in self.networks]

    def records(self) -> list[dict[str, Any]]:
        """The fields."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One for each network."""
        return [tables.fields(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """All in one."""
        return tables.all_fields(names, self.found)


@dataclass
class Rooflines(View):
    """The least time on a device, layer by layer."""

    networks: Sequence[Network]
    device: str
    devices: str | None
    batch: int

    def __post_init__(self) -> None:
        device = find_device(self.device, self.devices)
        self.found = [api.roofline(one, device, self.batch) for one in self.networks]

    def records(self) -> list[dict[str, Any]]:
        """The bounds."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One for each network."""
        return [tables.roofline(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """All in one."""
        return tables.all_rooflines(names, self.found)

    def notes(self, names: Sequence[str]) -> list[str]:
        """What nothing is known of."""
        return _unknown(names, self.found, "whose bytes alone are counted")


@dataclass
class Fits(View):
    """The largest batches that fit into a memory."""

    networks: Sequence[Network]
    memory: int
    dtypes: Sequence[Dtype]
    optimizers: Sequence[OptimizerName]

    def __post_init__(self) -> None:
        self.found = [
            api.fit(one, self.memory, dtype=self.dtypes, optimizer=self.optimizers)
            for one in self.networks
        ]

    def records(self) -> list[dict[str, Any]]:
        """The batches."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One for each network."""
        return [tables.fit(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """All in one."""
        return tables.all_fits(names, self.found)

    def notes(self, names: Sequence[str]) -> list[str]:
        """What is left out."""
        return [
            *_unknown(names, self.found, "taken to keep what they read"),
            "Tensors alone: the workspaces of kernels (cuDNN's, for example), the rounding and "
            "caching of the allocator, and the CUDA context come on top.",
        ]


def _unknown(names: Sequence[str], found: Sequence[Memory | Roofline | Fit], so: str) -> list[str]:
    """A line for each network with ops of which nothing is known."""
    return [
        f"{name}: {words}, {so}"
        for name, one in zip(names, found, strict=True)
        if (words := without_rule(one.no_rule))
    ]
