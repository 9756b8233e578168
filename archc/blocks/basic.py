"""`basic`: two 3x3 convolutions, as in ResNet-18 and ResNet-34 (He et al. 2015, Figure 5 left)."""

from __future__ import annotations

from archc.blocks.base import register
from archc.blocks.residual import ResidualStage
from archc.graph.ops import Conv2d


@register("basic")
class BasicStage(ResidualStage):
    """Blocks of two 3x3 convolutions; the first one carries the stride."""

    noun = "Block"
    residual = "Basic"

    def main_path(self, in_channels: int, stride: int, bias: bool) -> list[Conv2d]:
        """3x3, 3x3."""
        return [
            Conv2d(in_channels, self.width, 3, stride, padding=1, bias=bias),
            Conv2d(self.width, self.width, 3, padding=1, bias=bias),
        ]
