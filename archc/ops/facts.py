"""What is known of an op besides its shape and its costs, as records that all readers share.

Counts, memory, receptive fields, figures, emitted source and ONNX files are made of these facts;
none of their makers knows ops by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from archc.dataclassing import dataclass

Shape: TypeAlias = tuple[int, ...]
"""Without a batch: ``(channels, height, width)`` or ``(features,)``."""

Size: TypeAlias = int | tuple[int, int]
"""A number for both directions, or one for height and one for width."""


def pair(size: Size) -> tuple[int, int]:
    """A size as (height, width).

    >>> pair(3), pair((1, 7))
    ((3, 3), (1, 7))
    """
    return size if isinstance(size, tuple) else (size, size)


def stored(size: Size) -> Size:
    """A size in the one form that ops keep: a number where both directions are equal.

    >>> stored((3, 3)), stored((1, 7))
    (3, (1, 7))
    """
    height, width = pair(size)
    return height if height == width else (height, width)


class Arity(Enum):
    """How many values an op reads."""

    NONE = "none"
    ONE = "one"
    SEVERAL = "several"
    ANY = "any"


# Channels


@dataclass(frozen=True, slots=True)
class Channels:
    """How channels pass through an op.

    ``TIED``: what it puts out has the channels of what it reads, all of which have the same, but
    for a single channel that is spread over those of the others.
    ``CHANGED``: the fields ``read`` and ``written`` hold the channels it reads and puts out.
    ``SUMMED``: those that it reads, added up. ``SPLIT``: a share of those that it reads. ``MIXED``:
    places become channels, as in a flatten.
    ``counted`` is the field in which an op with tied channels holds their number.
    """

    how: Literal["tied", "changed", "summed", "split", "mixed"]
    read: str = ""
    written: str = ""
    counted: str = ""


TIED = Channels("tied")
SUMMED = Channels("summed")
SPLIT = Channels("split")
MIXED = Channels("mixed")


def changed(read: str, written: str) -> Channels:
    """The channels of an op that has fields for those that it reads and those it puts out."""
    return Channels("changed", read, written)


# Reach


@dataclass(frozen=True, slots=True)
class Window:
    """Each output reads a window of ``kernel`` at every ``stride``, on a map padded with zeros.

    All are (height, width), ``padding`` at the low ends.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """As many windows as ``size``, (height, width), share a map among them, as torch has them."""

    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Everything:
    """Each output reads the map from edge to edge."""


@dataclass(frozen=True, slots=True)
class Point:
    """Each output reads what lies at its own place."""


Reach: TypeAlias = Window | Grid | Everything | Point
EVERYTHING, POINT = Everything(), Point()


# Memory


@dataclass(frozen=True, slots=True)
class Saved:
    """What autograd keeps for the gradient of an op.

    ``inputs`` and ``output`` are values of the graph; besides them ``per_channel`` floats for each
    channel, ``per_place`` for each place of each map and ``per_image`` for each image, an ``index``
    for each output, a factor for each output (``mask``). With ``draws``, its value in training is
    one of its own even where in eval mode it is shared.
    """

    inputs: bool = False
    output: bool = False
    per_channel: int = 0
    per_place: int = 0
    per_image: int = 0
    index: bool = False
    mask: bool = False
    draws: bool = False


@dataclass(frozen=True, slots=True)
class Gradient:
    """How torch computes the gradients of what an op reads from that of what it puts out.

    With ``is_view`` they lie in the memory of that one; otherwise each gets memory of its own.
    ``spare`` numbers for each image are alive beside them meanwhile.
    """

    is_view: bool = False
    spare: int = 0


VIEW = Gradient(is_view=True)
APART = Gradient()

NOTHING = Saved()
INPUTS = Saved(inputs=True)
OUTPUT = Saved(output=True)


class Storage(Enum):
    """Where an op's value lies in memory.

    ``OWN``: in a tensor of its own, which no gradient of the op needs, so that a reader may write
    over it. ``KEPT``: in one that has to stay. ``LIKE_INPUT``: in one of its own that may be
    written over where the value that it reads may. ``SHARED``: where the value lies that it reads.
    """

    OWN = "own"
    KEPT = "kept"
    LIKE_INPUT = "like input"
    SHARED = "shared"


class Role(Enum):
    """What a tensor of an op's state is, which says how it starts and whether it is learned."""

    KERNEL = "kernel"
    BIAS = "bias"
    SCALE = "scale"
    SHIFT = "shift"
    MEAN = "mean"
    VARIANCE = "variance"
    COUNTER = "counter"

    @property
    def is_learned(self) -> bool:
        """Whether a training step moves it; others are averaged or counted."""
        return self in (Role.KERNEL, Role.BIAS, Role.SCALE, Role.SHIFT)

    @property
    def start(self) -> float | None:
        """The value it starts with; None for one that is drawn, and for biases, which some ops
        draw."""
        return {"scale": 1.0, "variance": 1.0, "shift": 0.0, "mean": 0.0, "counter": 0.0}.get(
            self.value
        )


def tensors(**roles: Role) -> Mapping[str, Role]:
    """The roles of an op's tensors by name, in torch's order."""
    return MappingProxyType(roles)


# PyTorch


@dataclass(frozen=True, slots=True)
class Module:
    """How an op is made as a module.

    ``positional`` are the fields that stand by position, ``keywords`` those that stand by name,
    with the number that need not be written or the field whose number is its default;
    ``fixed`` is the source of further arguments. ``source`` is that of a class of archc's own.
    """

    function: str
    positional: tuple[str, ...] = ()
    keywords: tuple[tuple[str, int | float | bool | str | None], ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """How an op is written in ``forward``.

    ``write`` gives the source from that of its operands, followed by the numbers that the op's
    ``fields`` hold. An op between operands (``a + b``) has the ``augmented`` assignment that writes
    over its first operand (``+=``). ``source`` is that of a function of archc's own.
    """

    write: Callable[..., str]
    augmented: str = ""
    fields: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


def factor(text: str) -> str:
    """An expression as it stands beside ``*``: in parentheses where it is not a name or a call.

    >>> factor("self.conv(x + y)"), factor("x + y")
    ('self.conv(x + y)', '(x + y)')
    """
    depth = 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if char == " " and not depth:
            return f"({text})"
    return text


@dataclass(frozen=True, slots=True)
class Parameter:
    """How an op is made that is a learned tensor of its module's own, and no module.

    ``tensor`` gives the source of its first value from that of these ``fields``; ``use`` is how
    ``forward`` writes the op, from the source of the tensor and of what it reads. ``made`` is the
    class that makes an attribute of it.
    """

    fields: tuple[str, ...]
    tensor: Callable[..., str]
    use: Callable[..., str]
    made: str = "nn.Parameter"


@dataclass(frozen=True, slots=True)
class Torch:
    """How an op is written in PyTorch, as a module, as a call, or either.

    ``is_module`` says which it is where both are possible; one whose place is counted
    (``features.3``) is always a module. ``ends_line`` is whether people end a line of ``forward``
    with it. ``in_place`` is whether both forms can write over what they read, when told
    ``inplace=True``. With ``parameter`` it is neither, but an attribute as modules are.
    """

    is_module: bool
    module: Module | None = None
    call: Call | None = None
    parameter: Parameter | None = None
    ends_line: bool = False
    in_place: bool = False
    exported: tuple[str, ...] = ()
    """What torch.export's graphs call it: ``aten`` names, without the ``_`` of those in place."""


# ONNX


@dataclass(frozen=True, slots=True)
class Initializer:
    """A constant among an ONNX node's inputs: a tensor of the state dict, or an array of its own.

    It stands behind what the node reads, or with ``first`` in front. A tensor of the state dict may
    be laid out in another ``shape``.
    """

    name: str
    array: Any = None
    first: bool = False
    shape: Shape = ()


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """An ONNX node that reads what came before it, and the shape that it puts out.

    With ``with_input`` it reads, in front of that, what the op itself reads first. With ``takes``
    it reads only so many values, and leaves the others to the next node.
    """

    kind: str
    shape: Shape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""
    with_input: bool = False
    takes: int | None = None


OnnxStep: TypeAlias = Initializer | OnnxNode


# Figures


@dataclass(frozen=True, slots=True)
class Look:
    """How figures show an op.

    As a ``box`` of a kind with a ``label``; as a ``glyph`` in a circle where ways meet; as a
    ``word`` beside an arrow of a block that is drawn large; or, with none of them, not at all.
    ``mark`` says what it is on a shortcut, in short, and ``words`` at greater length where a block
    is drawn large; both are empty for what is left out there, and ``words`` also for what is named
    in pictures alone. ``name`` is for tooltips, and for a shortcut that has nothing else to show.
    """

    box: Literal["conv", "pool", "fc", "other", ""] = ""
    label: str = ""
    glyph: str = ""
    name: str = ""
    word: str = ""
    mark: str = ""
    words: str = ""


NO_LOOK = Look()
