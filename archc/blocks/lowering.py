"""Convolution, norm, activation: what stem, head and blocks of every type are lowered to."""

from __future__ import annotations

from dataclasses import dataclass

from archc.graph import Fragment, FragmentBuilder, Shape
from archc.ops import BatchNorm2d, Conv2d, ReLU


@dataclass(frozen=True, slots=True)
class Style:
    """What holds for a whole network: whether it has norms, and whether they come first."""

    norm: bool = True
    pre_activation: bool = False


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution as authors think of it: its input channels are whatever reaches it.

    ``padding`` is by default that which keeps the size of the map at stride 1, for odd kernels;
    ``bias`` is by default there exactly where no norm is.
    """

    width: int
    kernel: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    bias: bool | None = None


def convolve(piece: FragmentBuilder, name: str, how: Convolution, norm: bool, *source: str) -> str:
    """Add a convolution, of a network or a layer with norms or without; return its name."""
    op = Conv2d(
        in_channels=piece.shape(*source)[0],
        out_channels=how.width,
        kernel_size=how.kernel,
        stride=how.stride,
        padding=(how.kernel - 1) // 2 if how.padding is None else how.padding,
        groups=how.groups,
        bias=not norm if how.bias is None else how.bias,
    )
    return piece.add(name, op, *source)


def normalise(piece: FragmentBuilder, name: str, *source: str) -> str:
    """Add a norm of as many channels as it meets; return its name."""
    return piece.add(name, BatchNorm2d(piece.shape(*source)[0]), *source)


def activate(piece: FragmentBuilder, name: str) -> str:
    """Add an activation; return its name."""
    return piece.add(name, ReLU())


def final_activation(x: Shape, style: Style) -> Fragment:
    """What ends a pre-activation network's stages (He et al. 2016, appendix)."""
    piece = FragmentBuilder(x)
    if style.norm:
        normalise(piece, "bn")
    activate(piece, "relu")
    return piece.build()
