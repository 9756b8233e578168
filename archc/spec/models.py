"""What stands at the top of a spec, and the resolved spec as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, Strict

from archc.blocks.base import Stage
from archc.blocks.layers import Layer, Surroundings
from archc.blocks.library import Library
from archc.blocks.lowering import Style
from archc.ops import MAX_CHANNELS, MAX_PIXELS
from archc.source.diagnostics import Note, Place
from archc.source.reader import Entry, Value
from archc.source.record import Record

NAME = "1 to 64 ASCII letters, digits, `_`, `.` and `-`, beginning with a letter"
_INPUT = (
    f"[channels, height, width]: channels from 1 to {MAX_CHANNELS:,}, "
    f"height and width from 1 to {MAX_PIXELS:,}"
)
_PRINTABLE = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]*$"
_TEXT = "text without control characters"

_Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS, description="number of channels")]
_Height = Annotated[int, Field(ge=1, le=MAX_PIXELS, description="height")]
_Width = Annotated[int, Field(ge=1, le=MAX_PIXELS, description="width")]


Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$",
        json_schema_extra={"errorMessage": NAME},
    ),
]
Text = Annotated[str, Field(pattern=_PRINTABLE, json_schema_extra={"errorMessage": _TEXT})]


class Header(Record):
    """The keys that describe a network as a whole."""

    name: Name = Field(
        description="The network's name: ASCII letters, digits, _ . -, beginning with a letter."
    )
    title: Text = Field(
        default="", description="The network's title in figures; by default its name."
    )
    description: Text = Field(default="", description="One sentence about the network.")
    input: Annotated[tuple[_Channels, _Height, _Width], Strict(False)] = Field(
        default=(3, 224, 224),
        description="Channels, height and width of the image.",
        json_schema_extra={"errorMessage": _INPUT},
    )
    classes: int = Field(default=1000, ge=1, description="Output features of a bare `linear`.")
    norm: Literal["batch_norm", "none"] = Field(
        default="batch_norm", description="The norm after each convolution."
    )
    pre_activation: bool = Field(
        default=False,
        description=(
            "Whether norm and ReLU come before the convolutions of a block (He et al. 2016); "
            "for networks without conv stages."
        ),
    )


KEYS = ("extends", *Header.model_fields, "stem", "defaults", "stages", "head", "with")
"""What may stand at the top of a spec."""


@dataclass(frozen=True)
class Attribute:
    """A stage's attribute: where its key stands, its value, and how it came to the stage."""

    key: Place
    value: Value
    via: Literal["stage", "defaults", "with"]


@dataclass(frozen=True)
class PlacedStage:
    """A valid stage, where it is written, and where each of its attributes is."""

    model: Stage
    place: Place
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class PlacedLayer:
    """A valid layer of stem or head, the word it is written with, and where it is written."""

    word: str
    model: Layer
    place: Place
    places: Mapping[str, Place]


@dataclass(frozen=True)
class Spec:
    """A resolved, valid spec: what an author wrote, with everything that it extends laid in.

    ``entries`` holds the places of the header's keys; ``label`` says in a few words which spec
    it is, for the head of generated files; ``group`` is GROUP if it lies in ``specs/GROUP/``,
    and empty elsewhere. ``library`` has the block types that its stages may be made of, ``notes``
    are what its author should know of a valid spec.
    """

    header: Header
    stem: tuple[PlacedLayer, ...]
    stages: tuple[PlacedStage, ...]
    head: tuple[PlacedLayer, ...]
    entries: Mapping[str, Entry]
    place: Place
    label: str
    group: str
    library: Library
    notes: tuple[Note, ...] = ()

    @property
    def style(self) -> Style:
        """What blocks need to know of the network around them."""
        return Style(self.header.norm != "none", self.header.pre_activation)

    @property
    def surroundings(self) -> Surroundings:
        """What layers need to know of the network around them."""
        return Surroundings(self.style, self.header.classes)

    def as_dict(self) -> dict[str, object]:
        """The resolved spec as plain data, defaults included."""

        def layers(row: tuple[PlacedLayer, ...]) -> list[object]:
            return [{layer.word: layer.model.as_dict()} for layer in row]

        return {
            **self.header.model_dump(mode="json"),
            "stem": layers(self.stem),
            "stages": [stage.model.model_dump(mode="json") for stage in self.stages],
            "head": layers(self.head),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved spec, in hexadecimal."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
