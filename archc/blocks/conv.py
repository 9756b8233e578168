"""`conv`: one convolution, norm and relu, as in VGG (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archc.blocks.base import Stage
from archc.blocks.lowering import Convolution, Style, activate, convolve, normalise
from archc.graph import Fragment, FragmentBuilder, Shape, ShapeError
from archc.ops import MAX_PIXELS, MaxPool2d


class ConvStage(Stage):
    """Single convolutions in a row, with a max pooling behind the last where one is wanted."""

    kernel: int = Field(default=3, ge=1, le=MAX_PIXELS, description="Size of the square kernel.")
    bias: bool | None = Field(
        default=None,
        description="Whether convolutions have a bias; by default only without a norm.",
    )
    pool: Annotated[int, Field(ge=1, le=MAX_PIXELS)] | Literal["none"] = Field(
        default="none",
        description="Max pooling of this size and stride, without padding, at the end of the "
        "stage.",
    )

    counted = True
    activates_first = False

    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """Convolution, norm, relu; the padding keeps the size of the map at stride 1."""
        block = FragmentBuilder(x)
        how = Convolution(self.width, self.kernel, stride, bias=self.bias)
        convolve(block, "conv", how, style.norm)
        if style.norm:
            normalise(block, "bn")
        activate(block, "relu")
        return block.build("ConvBlock")

    def finish(self, x: Shape) -> Fragment | None:
        """The pooling, if any."""
        if self.pool == "none":
            return None
        end = FragmentBuilder(x)
        try:
            end.add("pool", MaxPool2d(self.pool, self.pool))
        except ShapeError as error:
            raise ShapeError(error.message, attribute="pool", hint=error.hint) from None
        return end.build()
