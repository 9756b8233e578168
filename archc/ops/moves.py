"""The ops that readers of foreign models make of several calls which only lay values out anew."""

from __future__ import annotations

from archc.ops.base import Op
from archc.ops.facts import Shape
from archc.ops.opaque import Opaque
from archc.ops.pooling import AdaptiveAvgPool2d
from archc.ops.shape import ChannelShuffle, Chunk, Flatten, Input, ZeroPadShortcut


def image() -> Op:
    """The image."""
    return Input()


def shuffled(groups: int) -> Op:
    """Channels viewed as groups, these and the channels of each exchanged, and viewed as a row."""
    return ChannelShuffle(groups)


def part(number: int, of: int) -> Op:
    """One of equal parts of the channels, from 1."""
    return Chunk(of, number)


def flat() -> Op:
    """A map laid out in a row."""
    return Flatten()


def averaged() -> Op:
    """The mean over a map."""
    return AdaptiveAvgPool2d(1)


def padded(channels: int, more: int, stride: int) -> Op:
    """Every so many rows and columns of a map, with zero channels behind its own: option A."""
    return ZeroPadShortcut(channels, channels + more, stride)


def unknown(
    name: str, output: Shape, details: str = "", held: tuple[tuple[str, Shape], ...] = ()
) -> Op:
    """An op that archc knows by its name alone."""
    return Opaque(name, output, details, held)
