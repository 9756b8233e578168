"""What a recipe may say, and the resolved recipe as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml

from archc.dataclassing import dataclass
from archc.source.reader import is_plain
from archc.source.record import Field, FieldInfo, Record
from archc.spec.models import Name, Text

MAX_ITERATIONS = 1_000_000_000
MAX_BATCH = 1_000_000
MAX_SIDE = 4096

_COLOURS = "[red, green, blue]"

_Rate = Annotated[
    float,
    Field(gt=0, le=1000, words="a number above 0, at most 1,000"),
]
_Level = Annotated[float, Field(ge=0, le=1, description="level")]
_Spread = Annotated[float, Field(gt=0, le=1, description="deviation")]
_Side = Annotated[int, Field(ge=1, le=MAX_SIDE, description="side")]
_Sides = tuple[_Side, _Side]
_Iteration = Annotated[int, Field(ge=1, le=MAX_ITERATIONS, description="iteration")]

Kind = Literal["cifar10", "image_folder"]
"""The kinds of data."""


@dataclass(frozen=True)
class OnlyFor:
    """Marks a field that only one kind of data has."""

    kind: Kind


def only_for(field: FieldInfo) -> Kind | None:
    """The one kind of data that has a field; None where all have it."""
    return next((mark.kind for mark in field.metadata if isinstance(mark, OnlyFor)), None)


class Header(Record):
    """The keys of a recipe that are plain values."""

    recipe: Name = Field(
        description="The recipe's name: ASCII letters, digits, _ . -, beginning with a letter."
    )
    description: Text = Field(default="", description="One sentence about the recipe.")
    data: Kind = Field(
        description="What the data directory holds: CIFAR-10 in its binary layout, or train/ "
        "and val/ with a folder of images for each class."
    )
    held_out: Annotated[int | None, OnlyFor("cifar10")] = Field(
        default=None,
        ge=0,
        le=49_999,
        description="Number of images at the end of the training set to test on instead of the "
        "test set.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="Use only this many images of the training set and of the test set: for a "
        "trial.",
    )
    iterations: int = Field(ge=1, le=MAX_ITERATIONS, description="Number of optimizer steps.")
    batch: int = Field(ge=1, le=MAX_BATCH, description="Images per iteration, over all devices.")
    label_smoothing: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Share of each label that is spread evenly over all classes (Szegedy et al. "
        "2016); by default none.",
        words="a number from 0 to below 1",
    )
    ema_decay: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Decay per iteration of a moving average of the weights, which is what is "
        "tested and kept; by default the weights themselves are.",
        words="a number from 0 to below 1",
    )
    initialization: Literal["he", "module"] = Field(
        default="he",
        description="he: weights normal with variance 2 / fan-in, biases zero (He et al. 2015); "
        "module: as in the emitted module's constructor.",
    )
    evaluate_every: int = Field(
        default=1000,
        ge=1,
        le=MAX_ITERATIONS,
        description="Iterations between tests.",
    )
    checkpoint_every: int = Field(
        default=1000,
        ge=1,
        le=MAX_ITERATIONS,
        description="Iterations between checkpoints.",
    )


class Optimizer(Record):
    """Stochastic gradient descent."""

    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="Momentum.",
        words="a number from 0 to below 1",
    )
    weight_decay: float = Field(
        default=1e-4, ge=0, le=1, description="Weight decay of all parameters."
    )
    nesterov: bool = Field(default=False, description="Whether to use Nesterov momentum.")


class LearningRate(Record):
    """The learning rate: divided at given iterations, divided when the test error plateaus, or
    falling along a cosine."""

    initial: _Rate = Field(
        description="Initial learning rate; with `warm_up_iterations`, that after them."
    )
    schedule: Literal["cosine"] | None = Field(
        default=None,
        description="cosine: from the initial rate to `final` along half a cosine, over all "
        "iterations after the warm-up (Loshchilov and Hutter 2017).",
    )
    final: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Learning rate at the end of `schedule: cosine`; 0 by default.",
        words="a number from 0 to 1,000",
    )
    warm_up_iterations: int | None = Field(
        default=None,
        ge=1,
        le=MAX_ITERATIONS,
        description="Iterations at the beginning over which the rate rises evenly from zero "
        "(Goyal et al. 2017).",
    )
    divide_by: float = Field(
        default=10,
        gt=1,
        le=1e6,
        description="Factor by which it is divided.",
        words="a number above 1, at most 1,000,000",
    )
    at: tuple[_Iteration, ...] | None = Field(
        default=None,
        description="Iterations after which it is divided.",
        words="a list of iterations, ascending",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Divide it when the test error has not fallen for this many tests.",
    )
    threshold: float = Field(
        default=0.1,
        ge=0,
        le=100,
        description="Smallest decrease of the test error that counts, in percentage points.",
    )


class WarmUp(Record):
    """A smaller learning rate at first, until the training error has fallen; for a rate that rises
    over given iterations there is `learning_rate.warm_up_iterations`."""

    learning_rate: _Rate = Field(description="Learning rate during the warm-up.")
    until_error: float = Field(
        default=80,
        gt=0,
        lt=100,
        description="Training error of 100 iterations, in percent, below which the warm-up ends.",
        words="a number of percent above 0 and below 100",
    )
    from_layers: int = Field(
        default=1,
        ge=1,
        description="Smallest number of layers of a network that is warmed up.",
    )


class Pixels(Record):
    """How pixels, from 0 to 1, become the network's input."""

    mean: Literal["per_pixel", "per_channel"] | tuple[_Level, _Level, _Level] = Field(
        default="per_pixel",
        description="What to subtract: the training images' mean per pixel or per channel, or "
        "given numbers.",
        words=f"per_pixel, per_channel, or {_COLOURS} from 0 to 1",
    )
    std: tuple[_Spread, _Spread, _Spread] | None = Field(
        default=None,
        description="What to divide by afterwards; by default nothing.",
        words=f"{_COLOURS} above 0, at most 1",
    )


class Augmentation(Record):
    """What is drawn at random of a training image; the crop is of the network's input size."""

    pad: Annotated[int | None, OnlyFor("cifar10")] = Field(
        default=None,
        ge=0,
        le=32,
        description="Pixels of zero padding around the image before cropping.",
    )
    resize: Annotated[_Sides | None, OnlyFor("image_folder")] = Field(
        default=None,
        description="Range of the random shorter side before cropping.",
        words=f"[shortest, longest]: two sizes from 1 to {MAX_SIDE:,}, ascending",
    )
    flip: bool = Field(default=True, description="Whether to mirror images at random.")
    colour: Annotated[Literal["pca", "none"] | None, OnlyFor("image_folder")] = Field(
        default=None,
        description="pca: shift colours along the principal components of ImageNet's colours "
        "(Krizhevsky et al. 2012).",
    )


class Testing(Record):
    """How images are tested."""

    resize: Annotated[int | None, OnlyFor("image_folder")] = Field(
        default=None,
        ge=1,
        le=MAX_SIDE,
        description="Length of the shorter side before cropping.",
    )
    crops: Literal[1, 10] = Field(
        default=1,
        description="Crops for `archc evaluate`: 1 for the centre; 10 for corners and centre, each "
        "also mirrored.",
    )

    def shorter_side(self, size: tuple[int, int]) -> int:
        """What images are resized to for a network that takes ``size``: 256 for 224, by default."""
        return self.resize or round(max(size) / 0.875)


class _Dumper(yaml.SafeDumper):
    """Quotes what would not be read as the text that it is: PyYAML's own rules are YAML 1.1's."""


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if is_plain(text) else '"')


_Dumper.add_representer(str, _text_node)


@dataclass(frozen=True)
class Recipe:
    """A resolved, valid recipe."""

    header: Header
    learning_rate: LearningRate
    optimizer: Optimizer
    warm_up: WarmUp | None
    pixels: Pixels
    augmentation: Augmentation
    testing: Testing

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.header.recipe

    def as_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain data, defaults included."""
        told = self.header.model_dump(exclude_none=True)
        for name in SECTIONS:
            section: Record | None = getattr(self, name)
            if section is not None:
                told[name] = section.model_dump(exclude_none=True)
        return told

    def as_yaml(self) -> str:
        """The resolved recipe as a recipe that extends none."""
        return yaml.dump(
            self.as_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=95
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved recipe but for its description, in hexadecimal."""
        told = {key: value for key, value in self.as_dict().items() if key != "description"}
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


SECTIONS: Mapping[str, type[Record]] = {
    "learning_rate": LearningRate,
    "optimizer": Optimizer,
    "warm_up": WarmUp,
    "pixels": Pixels,
    "augmentation": Augmentation,
    "testing": Testing,
}
"""The keys of a recipe that are mappings, by their models."""

EXAMPLES = {
    "learning_rate": "{initial: 0.1, divide_by: 10, at: [32000, 48000]}",
    "optimizer": "{momentum: 0.9, weight_decay: 0.0001}",
    "warm_up": "{learning_rate: 0.01, until_error: 80}",
    "pixels": "{mean: per_pixel}",
    "augmentation": "{pad: 4, flip: true}",
    "testing": "{crops: 10}",
}

KEYS = ("extends", *Header.model_fields, *SECTIONS)
"""What may stand at the top of a recipe."""
