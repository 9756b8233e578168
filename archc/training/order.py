"""What is drawn at random of the images, as functions of the seed and the position in training.

Nothing of it is state: training that goes on at an iteration draws what it would have drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor


def seed_of(*parts: int | str) -> int:
    """A seed of 63 bits for each purpose, epoch or iteration."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def generator_of(*parts: int | str) -> torch.Generator:
    """A generator on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(seed_of(*parts))


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """The order of the images ``(count,)`` in an epoch."""
    return torch.randperm(count, generator=generator_of(seed, "order", epoch))


def spread(count: int, limit: int | None) -> Tensor:
    """The places of ``limit`` of ``count`` images, or of all, evenly over them."""
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.arange(limit) * count // limit


class Epochs:
    """What is drawn for whole epochs, the last two of them kept: a batch may reach over two."""

    def __init__(self, count: int, draw: Callable[[int], tuple[Tensor, ...]]):
        self._count = count
        self._draw = draw
        self._drawn: dict[int, tuple[Tensor, ...]] = {}

    def at(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """The draws for the positions from ``start`` to before ``stop``, counted over epochs."""
        pieces = []
        while start < stop:
            epoch, place = divmod(start, self._count)
            end = min(stop - epoch * self._count, self._count)
            pieces.append(tuple(one[place:end] for one in self._of(epoch)))
            start = epoch * self._count + end
        if len(pieces) == 1:
            return pieces[0]
        return tuple(torch.cat(column) for column in zip(*pieces, strict=True))

    def _of(self, epoch: int) -> tuple[Tensor, ...]:
        if epoch not in self._drawn:
            self._drawn = {key: one for key, one in self._drawn.items() if key == epoch - 1}
            self._drawn[epoch] = self._draw(epoch)
        return self._drawn[epoch]
