"""The ops that readers of foreign models make of several calls which only lay values out anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc.ops.again import Again
from archc.ops.base import Op
from archc.ops.ends import ExtraInput, SeveralOutputs
from archc.ops.facts import Shape
from archc.ops.noise import Dropout
from archc.ops.opaque import Opaque
from archc.ops.pooling import AdaptiveAvgPool2d
from archc.ops.shape import ChannelShuffle, Chunk, Flatten, Input, Tokens, ZeroPadShortcut


def image() -> Op:
    """The image."""
    return Input()


def read_by_a_part(*, features_last: bool) -> Op:
    """What a part of a network reads, which stands there as the image."""
    return Tokens() if features_last else Input()


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


def dropped(probability: float) -> Op:
    """What drops elements while training."""
    return Dropout(probability)


def padded(channels: int, more: int, stride: int) -> Op:
    """Every so many rows and columns of a map, with zero channels behind its own: option A."""
    return ZeroPadShortcut(channels, channels + more, stride)


def given(name: str, shape: Shape, dtype: str = "float32", *, is_shared: bool = False) -> Op:
    """What a network takes beside its images."""
    return ExtraInput(name, shape, dtype, is_shared)


def ends(count: int) -> Op:
    """All that a network puts out."""
    return SeveralOutputs(count)


def again(op: Op, of: str, shared: Iterable[str]) -> Op:
    """An op that uses tensors of another, by their names."""
    return Again(op, of, tuple(shared))


def besides(op: Op, held: Iterable[tuple[str, Shape]], computed: Iterable[tuple[Op, Shape]]) -> Op:
    """An op that also reads tensors of the model, and what these layers compute of such alone."""
    held, computed = tuple(held), tuple(computed)
    if not held and not computed:
        return op
    if isinstance(op, Again):
        return replace(op, held=held, computed=computed)
    return Again(op, held=held, computed=computed)


def unknown(
    name: str, output: Shape, details: str = "", held: tuple[tuple[str, Shape], ...] = ()
) -> Op:
    """An op that archc knows by its name alone."""
    return Opaque(name, output, details, held)
