"""What training and testing take images from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

import archc
from archc.dataclassing import dataclass
from archc.errors import DataError
from archc.recipes import Recipe

TEST_BATCH = 500
"""How many views of images are tested at a time."""


@dataclass(frozen=True)
class Share:
    """Which part of each batch is this process's."""

    rank: int = 0
    world: int = 1

    def of(self, iteration: int, batch: int) -> tuple[int, int]:
        """The positions from a first to before a last one, for an iteration from 0."""
        part = batch // self.world
        start = iteration * batch + self.rank * part
        return start, start + part


@dataclass(frozen=True)
class ImageSource:
    """Where images come from, and how they become a network's input.

    ``size`` is the input's height and width, ``workers`` how many processes decode files; if it
    does not ``train``, the training images may be missing. ``go_on`` is called now and then while
    the mean is taken, and may raise.
    """

    directory: Path
    recipe: Recipe
    size: tuple[int, int]
    classes: int
    device: torch.device
    seed: int = 0
    share: Share = Share()
    workers: int = 0
    trains: bool = True
    go_on: Callable[[], None] = lambda: None


class Data(Protocol):
    """Images for training and testing, on the device, in channels_last."""

    @property
    def mean(self) -> Tensor:
        """What is subtracted of pixels: ``(height, width, 3)``, or ``(3,)``."""

    @property
    def training_images(self) -> int:
        """How many images an epoch has."""

    def batches(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels of this process, from an iteration to before another one."""

    def test_batches(self, crops: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Views ``(images, crops, 3, height, width)`` of this process's test images, and labels."""

    def test_scales(self, scales: Sequence[int]) -> Iterator[tuple[list[list[Tensor]], Tensor]]:
        """Uncropped test images ``(3, height, width)``, a list for each length of the shorter
        side, and labels. Raises `DataError` where images are of one size only."""


def size_and_classes(network: archc.Network) -> tuple[tuple[int, int], int]:
    """A network's input size and how many classes it tells apart.

    Raises `DataError` for a network that takes no RGB images or puts out no vector, and for a side
    head with other outputs.
    """
    channels, height, width = network.input_shape
    if channels != 3:
        of = "1 channel" if channels == 1 else f"{channels:,} channels"
        raise DataError(f"{network.name} takes images of {of}; these have 3")
    shape = network.nodes[network.logits].output_shape
    if len(shape) != 1:
        put_out = "x".join(map(str, shape))
        raise DataError(
            f"{network.name} has {put_out} outputs per image instead of one per class",
            "end its head with `global_avg_pool` and `linear`",
        )
    for side in network.sides:
        if network.nodes[side.result].output_shape != shape:
            put_out = "x".join(map(str, network.nodes[side.result].output_shape))
            raise DataError(
                f"the side head `{side.name}` of {network.name} has {put_out} outputs per image, "
                f"and the network {shape[0]}",
                "end it with `linear`",
            )
    return (height, width), shape[0]


def finished_mean(total: Tensor, images: int, of: str) -> Tensor:
    """From a sum of images ``(height, width, 3)`` of bytes, what is subtracted of pixels.

    That is a mean ``per_pixel`` or ``per_channel``, of pixels from 0 to 1.
    """
    mean = total / (255 * images)
    return (mean if of == "per_pixel" else mean.mean((0, 1))).float()


def corners(free: tuple[int, int], crops: int) -> list[tuple[int, int, bool]]:
    """Top, left and whether to mirror of each crop, where a crop may be moved by ``free`` pixels.

    One crop is the centre; ten are the corners and the centre, mirrored too.
    """
    down, right = free
    centre = (down // 2, right // 2)
    if crops == 1:
        return [(*centre, False)]
    places = [(0, 0), (0, right), (down, 0), (down, right), centre]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]
