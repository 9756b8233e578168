"""`conv`: one convolution, norm and relu, as in VGG (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archc.blocks.base import Stage, Style, register
from archc.graph import Fragment, FragmentBuilder, Shape, ShapeError
from archc.graph.ops import MAX_PIXELS, BatchNorm2d, Conv2d, MaxPool2d, ReLU


@register("conv")
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
        bias = not style.norm if self.bias is None else self.bias
        padding = (self.kernel - 1) // 2
        block.add("conv", Conv2d(x[0], self.width, self.kernel, stride, padding, bias=bias))
        if style.norm:
            block.add("bn", BatchNorm2d(self.width))
        block.add("relu", ReLU())
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
