"""The test error of a module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from archc.dataclassing import dataclass
from archc.training.data import Data


@dataclass(frozen=True)
class Score:
    """How a module does on test images: their number, the mean loss, errors in percent.

    ``top5_error`` is of the five most likely classes. It looked at so many ``crops`` of each image,
    or at all of it, its shorter side having each of the lengths in ``scales``.
    """

    images: int
    loss: float
    error: float
    top5_error: float
    crops: int = 1
    scales: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The score as plain data."""
        looked = {"scales": list(self.scales)} if self.scales else {"crops": self.crops}
        numbers = ("images", "loss", "error", "top5_error")
        return {**looked, **{name: getattr(self, name) for name in numbers}}


@torch.no_grad()
def score(
    module: nn.Module,
    data: Data,
    crops: int = 1,
    *,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
    go_on: Callable[[], None] = lambda: None,
) -> Score:
    """Run a module in evaluation mode over the test images; it is in training mode again after.

    Of several crops the probabilities are averaged. ``total`` adds up the sums of all processes,
    ``go_on`` is called before each batch and may raise.
    """
    was_training = module.training
    module.eval()
    sums: Tensor | None = None
    try:
        for views, labels in data.test_batches(crops):
            go_on()
            with autocast():
                logits = module(views.flatten(0, 1))
            batch = _sums(logits.float().unflatten(0, views.shape[:2]), labels)
            sums = batch if sums is None else sums + batch
    finally:
        module.train(was_training)
    assert sums is not None
    images, loss, wrong, beyond = total(sums).tolist()
    return Score(int(images), loss / images, 100 * wrong / images, 100 * beyond / images)


@torch.no_grad()
def score_fully_convolutional(
    module: nn.Module,
    data: Data,
    scales: Sequence[int],
    *,
    go_on: Callable[[], None] = lambda: None,
) -> Score:
    """Run a fully convolutional module in evaluation mode over uncropped images at some scales.

    Scores are averaged over the positions of an image, and the probabilities that they give over
    its scales (Simonyan and Zisserman 2014, sections 3.2 and 4.2).
    """
    module.eval()
    sums: Tensor | None = None
    for at_scales, labels in data.test_scales(scales):
        go_on()
        logits = torch.stack([_scores(module, images) for images in at_scales], 1)
        batch = _sums(logits.float(), labels)
        sums = batch if sums is None else sums + batch
    assert sums is not None
    images, loss, wrong, beyond = sums.tolist()
    return Score(int(images), loss / images, 100 * wrong / images, 100 * beyond / images)


def _scores(module: nn.Module, images: Sequence[Tensor]) -> Tensor:
    """The mean scores ``(images, classes)`` of images of several sizes, those of one together."""
    alike: dict[torch.Size, list[int]] = {}
    for index, image in enumerate(images):
        alike.setdefault(image.shape, []).append(index)
    found: dict[int, Tensor] = {}
    for indices in alike.values():
        scores = module(torch.stack([images[index] for index in indices]))
        found.update(zip(indices, scores.mean((2, 3)), strict=True))
    return torch.stack([found[index] for index in range(len(images))])


def _sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Images, their summed losses, how many are wrong, and how many not among the first five.

    ``logits`` are ``(images, crops, classes)``.
    """
    chances = logits.log_softmax(-1).logsumexp(1) - log(logits.shape[1])
    own = chances.gather(1, labels[:, None])
    # Of equal chances the first class counts, as for argmax; what is not a number is wrong.
    first = chances.argsort(dim=-1, descending=True, stable=True)[:, :5]
    hits = (first == labels[:, None]) & own.isfinite()
    loss = 0.0 - own.double().sum()  # not -0
    wrong, beyond = (~hits[:, 0]).sum(), (~hits.any(1)).sum()
    return torch.stack([torch.full_like(loss, len(labels)), loss, wrong, beyond])
