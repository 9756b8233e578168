"""Trained weights on test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

import archc
from archc.dataclassing import dataclass
from archc.devices import on_device
from archc.errors import TrainingError
from archc.recipes import Recipe, load_recipe
from archc.source.caller import said
from archc.training.data import ImageSource, size_and_classes
from archc.training.images import open_data
from archc.training.run import Run, open_run
from archc.training.testing import Score, score, score_fully_convolutional


@dataclass(frozen=True)
class Subject:
    """A network with trained weights, and the recipe that says what it makes of pixels."""

    network: archc.Network
    weights: archc.WeightsLike
    recipe: Recipe
    mean: Tensor | None = None

    @property
    def usual_side(self) -> int:
        """The shorter side of the images that its recipe tests on."""
        _, height, width = self.network.input_shape
        return self.recipe.testing.shorter_side((height, width))


def subject_of_run(folder: Path, weights: archc.WeightsLike | None = None) -> Subject:
    """A run's network with the weights at its end, or so far, or of another file."""
    run: Run = open_run(folder)
    chosen = run.trained_weights() if weights is None else weights
    mean = run.read_mean()
    if mean is None:
        raise TrainingError(
            f"{str(run.pixel_mean)!r} is damaged or missing",
            f"{said('`archc train --resume`', 'training with resume=True')} computes it again",
        )
    return Subject(run.network(), chosen, run.recipe(), mean)


def subject_of_spec(
    network: archc.Network,
    weights: archc.WeightsLike,
    data: Path,
    recipe: str | None,
    settings: Sequence[str] = (),
) -> Subject:
    """A spec's network; without a recipe, the paper's for what the data seems to be."""
    is_folder = any((data / part).is_dir() for part in ("train", "val"))
    chosen = recipe or ("imagenet" if is_folder else "cifar10")
    return Subject(network, weights, load_recipe(chosen, settings))


def evaluate(
    subject: Subject,
    data: Path,
    crops: int | None = None,
    *,
    scales: Sequence[int] = (),
    device: str = "cpu",
    workers: int = 0,
    as_trained: bool = False,
) -> Score:
    """Test a network on all test images, looking at one or ten crops of each.

    With ``scales`` it looks at uncropped images instead, whose shorter side has each of these
    lengths, in the network's fully convolutional form (He et al. 2015, section 3.4).

    With ``as_trained`` on those that training tested on, where its recipe holds some out of the
    training set or takes a limited number.

    Raises `DataError` for images that are missing or not what the network takes, `WeightsError`
    for weights that are not whole or not the network's, `TrainingError` where there is no such
    form or an image would be smaller than its windows, `DeviceError`.
    """
    network, recipe = subject.network, subject.recipe
    if not as_trained:
        all_images = {"held_out": None, "limit": None}
        recipe = replace(recipe, header=recipe.header.model_copy(update=all_images))
    size, classes = size_and_classes(network)
    form = _convolutional(network, scales) if scales else None
    module = archc.module(network, weights=subject.weights)
    if form is not None:
        module = convolutional_module(form, module)
    with on_device(device) as place:
        images = open_data(
            ImageSource(data, recipe, size, classes, place, workers=workers, trains=False),
            subject.mean,
        )
        module.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if scales:
            found = score_fully_convolutional(module, images, scales)
            return replace(found, scales=tuple(scales))
        number = crops or recipe.testing.crops
        return replace(score(module, images, number), crops=number)


def _convolutional(network: archc.Network, scales: Sequence[int]) -> archc.Convolutional:
    try:
        form = archc.fully_convolutional(network)
    except archc.NotConvolutionalError as error:
        raise TrainingError(
            f"no fully convolutional form: {error}",
            f"{said('--crops 10', 'crops=10')} tests several views of each image",
        ) from None
    if min(scales) < (least := form.smallest_side):
        raise TrainingError(
            f"images of {min(scales)} pixels are too small for {network.name}: with its windows "
            f"the shorter side is at least {least}"
        )
    return form


def convolutional_module(form: archc.Convolutional, module: nn.Module) -> nn.Module:
    """A module of a network's fully convolutional form with the weights of one of the network."""
    built = archc.module(form.network)
    weights = {}
    for key, tensor in module.state_dict().items():
        if not form.has(key):
            continue  # of a side head
        if key in form.linear:
            new, shape = form.linear[key]
            weights[new] = tensor.view(shape)
        else:
            weights[form.key(key)] = tensor
    built.load_state_dict(weights)
    return built
