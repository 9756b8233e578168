"""Where networks begin and end that take or put out several values."""

from __future__ import annotations

from archc.dataclassing import dataclass
from archc.ops.facts import (
    EVERYTHING,
    MIXED,
    NOTHING,
    Arity,
    Call,
    Look,
    Reach,
    Saved,
    Shape,
    Storage,
    Torch,
)
from archc.ops.traits import Ordinary, Unary, Unwritten


@dataclass(frozen=True, slots=True)
class ExtraInput(Unwritten, Unary):
    """What a network takes beside its images, called ``name``.

    Its node stands behind the images', as if it read them, so that a network begins in one place.
    """

    kind = "extra_input"
    name: str
    shape: Shape
    dtype: str = "float32"
    is_shared: bool = False
    """Whether all images share one value."""

    unsaid = frozenset(["dtype", "is_shared"])
    channels = MIXED

    def __post_init__(self) -> None:
        """Nothing: its shape is no size."""

    @property
    def is_given(self) -> bool:
        """It is."""
        return True

    def infer(self, *inputs: Shape) -> Shape:
        """What the model says."""
        return self.shape

    def reach(self) -> Reach:
        """Nothing of the images; as far as is known, everything."""
        return EVERYTHING

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A box."""
        words = f"input {self.name}"
        return Look(box="other", label=words, mark=words, words=words)


@dataclass(frozen=True, slots=True)
class SeveralOutputs(Unwritten, Ordinary):
    """All that a network puts out, where that is several values; its shape is the first one's."""

    kind = "outputs"
    count: int

    arity = Arity.ANY
    channels = MIXED
    storage = Storage.SHARED
    runs_on_the_way = True
    torch = Torch(is_module=False, call=Call(lambda *xs: ", ".join(xs)))

    @property
    def puts_features_last(self) -> bool | None:
        """As it reads them."""
        return None

    def infer(self, *inputs: Shape) -> Shape:
        """The first one's."""
        return inputs[0]

    def reach(self) -> Reach:
        """Everything."""
        return EVERYTHING

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """A box."""
        words = f"{self.count} outputs"
        return Look(box="other", label=words, mark=words, words=words)
