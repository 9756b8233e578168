"""What `basic` and `bottleneck` share: a main path, a shortcut around it, and where they meet."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field

from archc.blocks.base import Stage
from archc.blocks.lowering import Convolution, Style, activate, convolve, normalise
from archc.graph import Fragment, FragmentBuilder, Shape
from archc.ops import Add, ZeroPadShortcut


class ResidualStage(Stage):
    """A stage whose blocks add a shortcut to a main path of convolutions."""

    shortcut: Literal["A", "B", "C", "none"] = Field(
        description=(
            "The shortcut around the convolutions (He et al. 2015, section 3.3). "
            "A: identity, with zero channels appended if the shape changes; "
            "B: identity, or a 1x1 projection if the shape changes; "
            "C: projections everywhere; none: a plain network."
        )
    )

    noun: ClassVar[str]
    """What blocks of this type are called: the end of their labels."""
    residual: ClassVar[str] = ""
    """What stands before the noun in a residual block that activates last."""

    @abstractmethod
    def main_path(self, stride: int) -> list[Convolution]:
        """The convolutions of one block, in order; a `fault` leaves them countable."""

    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """One block: He et al. 2015, Figure 5, or with pre-activation He et al. 2016, Figure 1b."""
        block = FragmentBuilder(x)
        if (fault := self.fault()) is not None:
            block.refuse(fault)
        convolutions = self.main_path(stride)
        out_channels = convolutions[-1].width
        changes = stride != 1 or x[0] != out_channels
        projected = self.shortcut == "C" or (self.shortcut == "B" and changes)
        shortcut = Fragment.INPUT
        if self.shortcut == "A" and changes:
            # Ahead of the main path, so that its gradient comes behind the main path's. The first
            # gradient decides on the layout of the sum, and that of a slice is always NCHW.
            shortcut = block.add("shortcut", ZeroPadShortcut(x[0], out_channels, stride))
        main = self._add_main_path(block, convolutions, style)
        if projected:
            shortcut = self._project(block, out_channels, stride, style)
        if self.shortcut != "none":
            block.add("add", Add(), main, shortcut)
        if not style.pre_activation:
            activate(block, f"relu{len(convolutions)}")
        return block.build(self._label(style, projected))

    def _add_main_path(
        self, block: FragmentBuilder, convolutions: list[Convolution], style: Style
    ) -> str:
        block.last = Fragment.INPUT
        for number, how in enumerate(convolutions, 1):
            if style.pre_activation:
                self._normalise(block, number, style)
                activate(block, f"relu{number}")
            convolve(block, f"conv{number}", how, style.norm)
            if not style.pre_activation:
                self._normalise(block, number, style)
                if number < len(convolutions):
                    activate(block, f"relu{number}")
        return block.last

    def _normalise(self, block: FragmentBuilder, number: int, style: Style) -> None:
        if style.norm:
            normalise(block, f"bn{number}")

    def _project(self, block: FragmentBuilder, out_channels: int, stride: int, style: Style) -> str:
        # With pre-activation the projection takes the activated tensor and needs no norm of its
        # own: the next block begins with one (He et al. 2016, section 4.1).
        source = "relu1" if style.pre_activation else Fragment.INPUT
        how = Convolution(out_channels, 1, stride)
        name = convolve(block, "downsample.0", how, style.norm, source)
        if style.norm and not style.pre_activation:
            name = normalise(block, "downsample.1", name)
        return name

    def _label(self, style: Style, projected: bool) -> str:
        plain = self.shortcut == "none"
        if not style.pre_activation:
            return f"{'Plain' if plain else self.residual}{self.noun}"
        # A projection is wired otherwise than an identity here, so its block is a class apart.
        return f"PreAct{'Plain' if plain else 'Projection' if projected else ''}{self.noun}"
