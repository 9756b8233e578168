"""`basic`: two 3x3 convolutions, as in ResNet-18 and ResNet-34 (He et al. 2015, Figure 5 left)."""

from __future__ import annotations

from archc.blocks.lowering import Convolution
from archc.blocks.residual import ResidualStage


class BasicStage(ResidualStage):
    """Blocks of two 3x3 convolutions; the first one carries the stride."""

    noun = "Block"
    residual = "Basic"

    def main_path(self, stride: int) -> list[Convolution]:
        """3x3, 3x3."""
        return [Convolution(self.width, 3, stride), Convolution(self.width, 3)]
