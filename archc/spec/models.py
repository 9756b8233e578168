"""What stands at the top of a spec, and the resolved spec as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from archc.blocks import Around, Definition, Library, Norm, Stage
from archc.blocks.around import ActivationName, NormName
from archc.blocks.expressions import Value as Known
from archc.blocks.expressions import shown
from archc.blocks.scope import value_of
from archc.blocks.tree import (
    BlockItem,
    GroupItem,
    Item,
    LayerItem,
    MergeItem,
    Row,
    SideItem,
    Template,
    walk,
)
from archc.dataclassing import dataclass
from archc.graph.initial import USUAL, Initial
from archc.ops import MAX_CHANNELS, MAX_PIXELS
from archc.source.diagnostics import Note, Place
from archc.source.reader import Entry, Value
from archc.source.record import Field, Record

if TYPE_CHECKING:
    from archc.spec.expect import Expectation
    from archc.spec.stages import Written

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
        words=NAME,
    ),
]
Text = Annotated[str, Field(pattern=_PRINTABLE, words=_TEXT)]


class Header(Record):
    """The keys that describe a network as a whole."""

    name: Name = Field(
        description="The network's name: ASCII letters, digits, _ . -, beginning with a letter."
    )
    title: Text = Field(
        default="", description="The network's title in figures; by default its name."
    )
    description: Text = Field(default="", description="One sentence about the network.")
    input: tuple[_Channels, _Height, _Width] = Field(
        default=(3, 224, 224),
        description="Channels, height and width of the image.",
        words=_INPUT,
    )
    classes: int = Field(default=1000, ge=1, description="Output features of a bare `linear`.")
    norm: Literal[NormName, "none"] = Field(
        default="batch_norm", description="The norm after each convolution."
    )
    activation: Literal[ActivationName, "none"] = Field(
        default="relu", description="The activation after each norm."
    )
    pre_activation: bool = Field(
        default=False,
        description=(
            "Whether norm and activation come before the convolutions of a block (He et al. "
            "2016); for blocks that have such a form."
        ),
    )


KEYS = (
    *("extends", *Header.model_fields, "init", "names", "variables", "use", "blocks"),
    *("stem", "defaults", "stages", "head", "with", "expect"),
)
"""What may stand at the top of a spec."""

SETTABLE = (*(key for key in Header.model_fields if key != "description"), "init", "names")
"""The keys of the network that `--set` takes."""


@dataclass(frozen=True)
class Overlay:
    """What a `with` says of stages and variables, or an option: ``via`` is ``set`` for `--set`,
    whose ``others`` are keys that it takes of other files."""

    entries: Mapping[str, Entry]
    via: Literal["with", "set"] = "with"
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attribute:
    """A stage's attribute: where its key stands, its value, and how it came to the stage.

    ``set`` is a `--set` for all stages that have the attribute; one that names the stage counts
    as a ``with``.
    """

    key: Place
    value: Value
    via: Literal["stage", "defaults", "with", "set"]


@dataclass(frozen=True)
class PlacedStage:
    """A valid stage, where it is written, and where each of its attributes is."""

    model: Stage
    place: Place
    attributes: Mapping[str, Attribute]
    name: Template | None = None


@dataclass(frozen=True)
class PlacedItem:
    """A valid item of stem or head, and how it is written."""

    item: Item
    written: Value

    @property
    def word(self) -> str:
        """The word that it is written with."""
        return word_of(self.item)

    @property
    def place(self) -> Place:
        """Where its key stands."""
        return self.item.place


def word_of(item: Item) -> str:
    """The word that an item of a row is written with."""
    if isinstance(item, (LayerItem, MergeItem)):
        return item.word
    if isinstance(item, BlockItem):
        return item.block.name
    if isinstance(item, SideItem):
        return "side"
    return "layers" if isinstance(item, GroupItem) else "label"


@dataclass(frozen=True)
class Spec:
    """A resolved, valid spec: what an author wrote, with everything that it extends laid in.

    ``entries`` holds the places of the header's keys; ``label`` says in a few words which spec
    it is, for the head of generated files; ``group`` is GROUP if it lies in ``specs/GROUP/``,
    and empty elsewhere. ``norm`` is the network's, ``names`` the template of its blocks' names,
    None for the usual one; ``variables`` are the author's, ``origins`` where each has its value.
    ``library`` has the block types that its stages may be made of, ``default_block`` is the one
    that `defaults` name; ``notes`` are what its author should know of a valid spec. ``expected`` is
    what the file itself says of its network, which ``is_as_written`` unless the caller has set
    something; the digest knows nothing of it. ``written`` is what the files and the options say of
    its stages.
    """

    header: Header
    norm: Norm | None
    stem: tuple[PlacedItem, ...]
    stages: tuple[PlacedStage, ...]
    head: tuple[PlacedItem, ...]
    entries: Mapping[str, Entry]
    place: Place
    label: str
    group: str
    library: Library
    names: Template | None = None
    initial: Initial = USUAL
    variables: Mapping[str, Known] = field(default_factory=dict)
    origins: Mapping[str, Place] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    default_block: str | None = None
    expected: tuple[Expectation, ...] = ()
    is_as_written: bool = True
    written: Written | None = field(default=None, repr=False)

    @cached_property
    def around(self) -> Around:
        """What blocks and layers need to know of the network around them."""
        return around(
            self.header,
            self.norm,
            self.variables,
            total=sum(stage.model.depth for stage in self.stages),
            stages=len(self.stages),
        )

    @property
    def definitions(self) -> dict[str, Definition]:
        """The blocks that it uses, directly or through others, each after those that it uses
        itself."""
        used = [stage.model.definition for stage in self.stages]
        items = walk(self.row("stem") + self.row("head"))
        used += [item.block for item in items if isinstance(item, BlockItem)]
        found: dict[str, Definition] = {}
        for one in dict.fromkeys(used):
            found |= {k: v for k, v in one.with_all_it_uses.items() if k not in found}
        return found

    def row(self, part: Literal["stem", "head"]) -> Row:
        """The items of stem or head."""
        return tuple([one.item for one in (self.stem if part == "stem" else self.head)])

    def as_dict(self) -> dict[str, object]:
        """The resolved spec as plain data, defaults included."""

        def layers(row: tuple[PlacedItem, ...]) -> list[object]:
            return [_as_plain(one) for one in row]

        more: dict[str, object] = {
            "names": self.names and self.names.text,
            "init": None if self.initial == USUAL else dataclasses.asdict(self.initial),
            "variables": {name: shown(value) for name, value in self.variables.items()},
        }
        return {
            **self.header.model_dump(),
            **({} if self.norm is None else {"norm": dataclasses.asdict(self.norm)}),
            **{key: value for key, value in more.items() if value},
            "blocks": {name: one.source for name, one in self.definitions.items()},
            "stem": layers(self.stem),
            "stages": [
                stage.model.model_dump() | ({} if stage.name is None else {"name": stage.name.text})
                for stage in self.stages
            ],
            "head": layers(self.head),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved spec, in hexadecimal."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def around(
    header: Header,
    norm: Norm | None,
    variables: Mapping[str, Known],
    *,
    total: int = 0,
    stages: int = 0,
) -> Around:
    """What a header and variables are to the blocks of a network."""
    own = {
        "classes": value_of(header.classes),
        "norm": value_of("none" if norm is None else norm.kind),
        "pre_activation": value_of(header.pre_activation),
    }
    activation = None if header.activation == "none" else header.activation
    return Around(
        norm=norm,
        activation=activation,
        pre_activation=header.pre_activation,
        classes=header.classes,
        names={**own, **variables},
        total=total,
        stages=stages,
    )


def _as_plain(placed: PlacedItem) -> object:
    """An item as plain data; a layer whose fields are all known, with its defaults."""
    item = placed.item
    if not isinstance(item, LayerItem) or item.ready is None:
        return placed.written.plain
    beside = placed.written.plain if isinstance(placed.written.data, dict) else {}
    assert isinstance(beside, dict)
    more = {key: one for key, one in beside.items() if key in ("name", "if", "repeat")}
    return {item.word: item.ready.model_dump(), **more}
