"""Block types as values, and the library that holds them.

Whoever reads a spec is handed a library and looks its block types up in it; none is known to the
process as a whole. A type's file in this package defines one value, `STANDARD` has them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from archc.blocks.base import Stage
from archc.blocks.basic import BasicStage
from archc.blocks.bottleneck import BottleneckStage
from archc.blocks.conv import ConvStage


@dataclass(frozen=True, slots=True)
class BlockType:
    """A kind of block: its name in specs, and the model of a stage of such blocks.

    The fields of ``stage`` are the attributes that an author may give; its ``lower`` says what a
    block computes.
    """

    name: str
    stage: type[Stage]


class Library(Mapping[str, type[Stage]]):
    """Block types by name, in order. Raises `ValueError` where two of them share a name."""

    def __init__(self, types: Iterable[BlockType]) -> None:
        self._types: dict[str, type[Stage]] = {}
        for one in types:
            known = self._types.setdefault(one.name, one.stage)
            if known is not one.stage:
                raise ValueError(f"there are two block types named {one.name!r}")

    def __getitem__(self, name: str) -> type[Stage]:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def extended(self, *types: BlockType) -> Library:
        """A library that has these types, too."""
        return Library([*(BlockType(*item) for item in self.items()), *types])

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that a stage of some type has."""
        names = [name for stage in self.values() for name in stage.model_fields]
        return tuple(dict.fromkeys(names))


STANDARD = Library(
    [
        BlockType("basic", BasicStage),
        BlockType("bottleneck", BottleneckStage),
        BlockType("conv", ConvStage),
    ]
)
"""The block types that archc ships."""
