"""Trained weights on test images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from archc.devices import on_device
from archc.errors import TrainingError
from archc.graph import Network
from archc.live import build_module
from archc.recipes import Recipe, load_recipe
from archc.training.data import ImageSource, open_data, size_and_classes
from archc.training.run import Run, open_run
from archc.training.testing import Score, score
from archc.weights import read_checkpoint


@dataclass(frozen=True)
class Subject:
    """A network with trained weights, and the recipe that says what it makes of pixels."""

    network: Network
    weights: Path
    recipe: Recipe
    mean: Tensor | None = None


def subject_of_run(folder: Path, weights: Path | None = None) -> Subject:
    """A run's network with the weights at its end, or so far, or of another file."""
    run: Run = open_run(folder)
    chosen, mean = weights or run.trained_weights(), run.read_mean()
    if mean is None:
        raise TrainingError(
            f"{str(run.pixel_mean)!r} is damaged or missing",
            "`archc train --resume` computes it again",
        )
    return Subject(run.network(), chosen, run.recipe(), mean)


def subject_of_spec(network: Network, weights: Path, data: Path, recipe: str | None) -> Subject:
    """A spec's network; without a recipe, the paper's for what the data seems to be."""
    is_folder = any((data / part).is_dir() for part in ("train", "val"))
    chosen = recipe or ("imagenet" if is_folder else "cifar10")
    return Subject(network, weights, load_recipe(chosen))


def evaluate(
    subject: Subject,
    data: Path,
    crops: int | None = None,
    *,
    device: str = "cpu",
    workers: int = 0,
    as_trained: bool = False,
) -> Score:
    """Test a network on all test images, looking at one or ten crops of each.

    With ``as_trained`` on those that training tested on, where its recipe holds some out of the
    training set or takes a limited number.

    Raises `DataError` for images that are missing or not what the network takes, `WeightsError`
    for weights that are not whole or not the network's, `DeviceError`.
    """
    network, recipe = subject.network, subject.recipe
    if not as_trained:
        all_images = {"held_out": None, "limit": None}
        recipe = replace(recipe, header=recipe.header.model_copy(update=all_images))
    size, classes = size_and_classes(network)
    module = build_module(network, read_checkpoint(subject.weights))
    with on_device(device) as place:
        images = open_data(
            ImageSource(data, recipe, size, classes, place, workers=workers, trains=False),
            subject.mean,
        )
        module.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return score(module, images, crops or recipe.testing.crops)
