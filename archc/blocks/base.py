"""What every block type shares: the attributes of its stages, and how a block is lowered.

A block type is one file in this package, a subclass of `Stage`: the pydantic fields say what an
author may write, `Stage.lower` says what is computed. The library lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import Field

from archc.blocks.lowering import Style
from archc.graph import Fragment, Shape, ShapeError
from archc.ops import MAX_CHANNELS, MAX_PIXELS
from archc.source.record import Record

MAX_BLOCKS = 10_000


class StageAttributes(Record):
    """What every stage has, whatever its block type."""

    list_hint = "only `with` takes a list of one value per stage"

    block: str = Field(description="The block type that the stage repeats.")
    depth: int = Field(ge=1, le=MAX_BLOCKS, description="Number of blocks in the stage.")
    width: int = Field(
        ge=1,
        le=MAX_CHANNELS,
        description="Channels of the stage's convolutions (of a bottleneck: before expansion).",
    )
    stride: int = Field(
        default=1, ge=1, le=MAX_PIXELS, description="Stride of the stage's first block."
    )


class Stage(StageAttributes, ABC):
    """A run of equal blocks; the first may halve the feature map and change its width."""

    counted: ClassVar[bool] = False
    """Whether a network of only such stages numbers its modules as torchvision's VGGs do."""
    activates_first: ClassVar[bool] = True
    """Whether the type has a pre-activation form."""

    def fault(self) -> ShapeError | None:
        """What is wrong with the stage whatever its input; `lower` raises it, too."""
        return None

    @abstractmethod
    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """One block on an input of shape ``x``, with this stride; nothing else may matter to it.

        Raises `ShapeError` where the input does not fit.
        """

    def finish(self, x: Shape) -> Fragment | None:
        """What stands at the end of the stage, behind its blocks."""
        return None
