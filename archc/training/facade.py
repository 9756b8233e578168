"""Training and testing as Python programs call them: `archc.train`, `archc.evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archc
from archc.api.modules import own_weights, weights_of
from archc.api.reading import Settings, changes_of, network_of, read_changed
from archc.errors import ArchcError
from archc.extras import require
from archc.recipes import KEYS, Recipe, check_settings, load_recipe, route
from archc.source.caller import said

if TYPE_CHECKING:
    from archc.training.loop import Observer
    from archc.training.testing import Score
    from archc.training.training import Trained, TrainOptions


def train(
    spec: str | os.PathLike[str] | Mapping[str, Any] | archc.Design,
    recipe: str | Recipe,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    settings: Sequence[str] = (),
    weights: archc.WeightsLike | None = None,
    partial: bool = False,
    freeze: Sequence[str] = (),
    options: TrainOptions | None = None,
    observer: Observer | None = None,
) -> Trained:
    """Train a spec's network by a recipe on the images of a folder, into a run's folder.

    ``recipe`` is a path or a shipped name (``cifar10``, ``imagenet``), ``settings`` are
    ``KEY=VALUE`` laid over it, ``with_``, ``input`` and ``set`` as for `archc.load`; a key in
    ``set`` that recipes have is the recipe's (``recipe.KEY``, ``spec.KEY`` say whose). Without
    ``out`` the run's folder is ``runs/SPEC-RECIPE``. ``observer`` receives the progress.

    The run begins with ``weights``, where these are given: a file, a state dict, or what
    `archc.read_weights` returns; with ``partial`` those that fit. ``freeze`` are patterns of paths
    of modules, which are not trained. Raises `TrainingError`, `WeightsError`, `OutputError`,
    `DeviceError`, and ModuleNotFoundError where Lightning Fabric is not installed.
    """
    if isinstance(settings, str):
        raise TypeError("`settings` must be a list of KEY=VALUE")
    changes, more = route(changes_of(with_, input, set, {}))
    settings = [*settings, *more]
    if isinstance(spec, archc.Design) and changes:
        raise TypeError("`with_`, `input` and `set` are for a spec that is yet to be read")
    if isinstance(recipe, Recipe) and settings:
        raise TypeError("`settings` are for a recipe that is yet to be read")
    design = spec if isinstance(spec, archc.Design) else read_changed(spec, changes)
    check_settings(more, design.spec)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    require("torch", "training", "torch")
    from archc.training.loop import Silent
    from archc.training.training import TrainOptions, train

    folder = run_folder(design, chosen) if out is None else Path(os.fsdecode(out))
    images = Path(os.fsdecode(data))
    how = _with_weights(options or TrainOptions(), weights, partial, freeze)
    return train(design, chosen, images, folder, how, observer or Silent())


def _with_weights(
    options: TrainOptions,
    weights: archc.WeightsLike | None,
    partial: bool,
    freeze: Sequence[str],
) -> TrainOptions:
    """The options with the weights to begin with and what is frozen."""
    if isinstance(freeze, str):
        raise TypeError("`freeze` must be a list of patterns")
    found = weights_of(options.weights if weights is None else weights, partial=partial)
    return replace(options, weights=found, freeze=(*options.freeze, *freeze))


def run_folder(design: archc.Design, recipe: Recipe) -> Path:
    """Where a run is kept unless it is said."""
    return Path("runs") / f"{design.spec.header.name}-{recipe.name}"


def evaluate(
    subject: str | os.PathLike[str] | Mapping[str, Any] | archc.Network,
    data: str | os.PathLike[str],
    crops: int | None = None,
    *,
    weights: archc.WeightsLike | None = None,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    fully_convolutional: bool = False,
    scales: Sequence[int] = (),
    device: str = "cpu",
    workers: int = 0,
    as_trained: bool = False,
) -> Score:
    """The test error of a run, or of a spec's network with weights, on the images of a folder.

    ``weights`` are a file, a state dict, or what `archc.read_weights` returns.
    ``crops`` are one or ten of each image, by default the recipe's. ``fully_convolutional``, or
    ``scales``, tests uncropped images in the network's fully convolutional form, their shorter
    side having each of these lengths: scores averaged over positions, probabilities over scales.
    A run has a recipe of its own; of a spec, ``recipe`` says what becomes of pixels, and
    ``settings`` are ``KEY=VALUE`` laid over it. With
    ``as_trained`` it is of the images that training tested on, where the recipe holds some out of
    the training set or limits them. Raises `TrainingError`, `WeightsError`, `DeviceError`.
    """
    require("torch", "testing", "torch")
    from archc.training.evaluation import evaluate, subject_of_run, subject_of_spec

    _check_of_testing(settings, as_trained)
    folder = Path(os.fsdecode(data))
    if isinstance(subject, (str, os.PathLike)) and Path(os.fsdecode(subject)).is_dir():
        tested = subject_of_run(Path(os.fsdecode(subject)), weights)
    else:
        network = network_of(subject)
        own = own_weights(network) if weights is None else weights
        if own is None:
            raise ArchcError("a spec has no weights of its own", "give it `weights=...`")
        tested = subject_of_spec(network, own, folder, recipe, settings)
    if fully_convolutional and not scales:
        scales = (tested.usual_side,)
    return evaluate(
        tested, folder, crops, scales=scales, device=device, workers=workers, as_trained=as_trained
    )


def _check_of_testing(settings: Sequence[str], as_trained: bool) -> None:
    """Refuse settings that change nothing of how images are tested."""
    for setting in settings:
        key = setting.partition("=")[0].strip().removeprefix("recipe.").partition(".")[0]
        if key in ("held_out", "limit") and not as_trained:
            hint = said("add --as-trained", "add as_trained=True")
            raise ArchcError(f"all images are tested, whatever `{key}` is", hint)
        if key in KEYS and key not in ("data", "held_out", "limit", "pixels", "testing"):
            raise ArchcError(f"`{key}` is for training and changes nothing of a test")
