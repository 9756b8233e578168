"""`bottleneck`: 1x1, 3x3, 1x1 convolutions (He et al. 2015, Figure 5 right; Xie et al. 2017)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archc.blocks.lowering import Convolution
from archc.blocks.residual import ResidualStage
from archc.graph import ShapeError
from archc.ops import MAX_CHANNELS


class BottleneckStage(ResidualStage):
    """Blocks that narrow, convolve and widen again.

    The 3x3 has ``width * base_width // 64 * groups`` channels (Xie et al. 2017, in torchvision's
    terms); the block puts out ``width * expansion``.
    """

    stride_at: Literal["1x1", "3x3"] = Field(
        default="1x1",
        description=(
            "The convolution that carries the stride: the first 1x1 (the paper and its authors' "
            'models) or the 3x3 (torchvision, "v1.5").'
        ),
    )
    expansion: int = Field(
        default=4,
        ge=1,
        le=MAX_CHANNELS,
        description="The block has width * expansion output channels.",
    )
    groups: int = Field(
        default=1, ge=1, le=MAX_CHANNELS, description="Groups of the 3x3 convolution (ResNeXt)."
    )
    base_width: int = Field(
        default=64,
        ge=1,
        le=MAX_CHANNELS,
        description="The 3x3 has width * base_width // 64 * groups channels.",
    )

    noun = "Bottleneck"

    def fault(self) -> ShapeError | None:
        """No channels for the 3x3 convolution, or more than a network may have."""
        inner, outer = self._inner, self.width * self.expansion
        if not inner:
            return ShapeError(
                f"width {self.width} with base_width {self.base_width} leaves no channels for the "
                "3x3 convolution",
                attribute="base_width",
                hint="width * base_width must be at least 64",
            )
        if inner > MAX_CHANNELS:
            return self._too_many(inner, "the 3x3 convolution", ("base_width", "groups"))
        if outer > MAX_CHANNELS:
            return self._too_many(outer, "the block's output", ("expansion",))
        return None

    def main_path(self, stride: int) -> list[Convolution]:
        """1x1, 3x3, 1x1."""
        inner = self._inner or self.groups
        first, middle = (stride, 1) if self.stride_at == "1x1" else (1, stride)
        return [
            Convolution(inner, 1, first),
            Convolution(inner, 3, middle, groups=self.groups),
            Convolution(self.width * self.expansion, 1),
        ]

    @property
    def _inner(self) -> int:
        """The channels of the 3x3 convolution."""
        return self.width * self.base_width // 64 * self.groups

    def _too_many(self, channels: int, what: str, attributes: tuple[str, ...]) -> ShapeError:
        """More channels than a network may have; the first attribute that is given is blamed."""
        given = [name for name in attributes if name in self.model_fields_set]
        return ShapeError(
            f"{what} would have {channels:,} channels; at most {MAX_CHANNELS:,} are allowed",
            attribute=given[0] if given else "width",
        )
