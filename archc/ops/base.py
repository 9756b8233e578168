"""What every op is: one frozen record, and everything that anyone needs to know of it.

Shapes carry no batch: a feature map is ``(channels, height, width)``, a vector is ``(features,)``.
Numbers bear the names that torch's modules give them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from archc.dataclassing import dataclass
from archc.ops.facts import (
    APART,
    Arity,
    Channels,
    Gradient,
    Look,
    OnnxStep,
    Reach,
    Role,
    Saved,
    Shape,
    Size,
    Storage,
    Torch,
    pair,
    stored,
)

if TYPE_CHECKING:
    from archc.ops.given import Given

Number: TypeAlias = int | float | bool | tuple[int, int] | tuple[float, ...]
"""What an op's fields hold."""

MAX_CHANNELS = 65_536
MAX_PIXELS = 32_768
MAX_PARAMS = 10**18 - 1
"""Parameters of one op: a tensor of more could not be addressed."""


class ShapeError(ValueError):
    """An op cannot take the shape it is given.

    ``attribute`` names what the author wrote that is at fault (``"kernel"``, ``"groups"``), where
    one thing is; ``hint`` says what to do about it. ``otherwise`` is the shape that would be put
    out if this fault were ignored, where that is known: what comes next can be checked with it.
    ``whose`` names the stage, or the layer of stem or head, at fault, for messages of one line.
    ``code`` is the kind of the diagnostic that it becomes.
    """

    def __init__(
        self,
        message: str,
        *,
        attribute: str | None = None,
        hint: str | None = None,
        otherwise: Shape | None = None,
        code: str = "shape-mismatch",
    ):
        super().__init__(message)
        self.message = message
        self.attribute = attribute
        self.hint = hint
        self.otherwise = otherwise
        self.whose = ""
        self.code = code


def describe(shape: Shape) -> str:
    """A shape in words: ``feature map of 64x56x56`` or ``vector of 512``."""
    if len(shape) == 1:
        return f"vector of {shape[0]:,}"
    return "feature map of " + "x".join(map(str, shape))


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    A concrete op has a ``kind``, and every fact below, of its own or from a trait
    (``archc.ops.traits``); a class that lacks one is refused with a TypeError when it is made.
    Its fields are its numbers.
    """

    kind: ClassVar[str]
    """What it is called in JSON files, and in counts."""
    arity: ClassVar[Arity]
    channels: ClassVar[Channels]
    storage: ClassVar[Storage]
    overwrites: ClassVar[bool]
    """Whether it writes its value over the first that it reads, where that may be written over."""
    is_layer: ClassVar[bool]
    """Whether it counts as a layer in a network's depth: a convolution or a linear layer."""
    runs_on_the_way: ClassVar[bool]
    """Whether whatever computes its input, or reads its output, can do it on the way: well-made
    kernels read and write no memory for it."""
    trains_only: ClassVar[bool]
    """Whether it does nothing in eval mode."""
    commutes: ClassVar[bool]
    """Whether the order of what it reads does not matter."""
    has_gates: ClassVar[bool]
    """Whether some of what it reads may only weigh the rest, as in squeeze-and-excitation."""
    torch: ClassVar[Torch]
    onnx_names: ClassVar[tuple[str, ...]] = ()
    """What ONNX calls it: the operations that are read as it, with their domains where they have
    one. One that it is written as is among them, unless several are written for it."""
    draws_as_torch: ClassVar[bool] = False
    """Whether its weights start as torch's module draws them, whatever a network's rules say."""
    roles: ClassVar[Mapping[str, Role]]
    """What the tensors of its state are, in torch's order; some may be absent."""
    unexported: ClassVar[frozenset[str]] = frozenset()
    """The fields that exported models do not say: they make no difference in eval mode."""
    unsaid: ClassVar[frozenset[str]] = frozenset()
    """The fields that `numbers` leaves out where they have their defaults."""

    def __init_subclass__(cls) -> None:
        # Of a class with slots, `dataclass` makes a second one: this runs for both.
        if "kind" not in vars(cls):
            return  # a trait
        missing = [name for name in FACTS if not hasattr(cls, name)]
        if missing:
            raise TypeError(f"the op {cls.kind!r} does not say its {', '.join(missing)}")

    def __post_init__(self) -> None:
        for name in self.field_names():
            size = getattr(self, name)
            if isinstance(size, tuple):
                object.__setattr__(self, name, stored(size))

    if TYPE_CHECKING:  # declared, not defined, so that a class that lacks one is noticed

        def infer(self, *inputs: Shape) -> Shape:
            """The output shape for these input shapes; raises `ShapeError` if they do not fit."""

        def reach(self) -> Reach:
            """What part of the map each output reads."""

        def saved(self) -> Saved:
            """What autograd keeps for its gradient."""

        def look(self) -> Look:
            """How figures show it."""

        def onnx(self, output: Shape, *inputs: Shape) -> Iterator[OnnxStep]:
            """How it is written in ONNX: constants before the node that reads them, or nothing."""

    def changes(self, *inputs: Shape) -> bool:
        """Whether it does anything to values of these shapes in eval mode."""
        return not self.trains_only

    def canonical(self, *inputs: Shape) -> Op | None:
        """The op in the one form of all that compute the same on these shapes in eval mode; None
        for one that does nothing."""
        return self if self.changes(*inputs) else None

    @property
    def called(self) -> str:
        """What people call it: its kind, or the name of one that is not known by more."""
        return self.kind

    @property
    def plain(self) -> Op:
        """The op that it computes: itself, unless it is another call of one."""
        return self

    @property
    def is_given(self) -> bool:
        """Whether its value is given to the network beside the images, whatever it reads."""
        return False

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor of the model itself, which reads nothing."""
        return False

    @property
    def beside(self) -> tuple[tuple[Op, Shape], ...]:
        """The layers that compute something for it of tensors of the model alone, with the shapes
        that they put out; their multiply-adds are among its own."""
        return ()

    @property
    def shares(self) -> str:
        """The id of the op whose tensors it uses; empty for all but another call of one."""
        return ""

    @property
    def has_rule(self) -> bool:
        """Whether its multiply-adds are known; where they are not, every total says so."""
        return True

    @property
    def is_product(self) -> bool:
        """Whether its multiply-adds are those of values with values, as in attention."""
        return False

    @property
    def puts_features_last(self) -> bool | None:
        """Whether what it puts out has its features, or channels, last; None for as it reads
        them."""
        return False

    @property
    def moves_features(self) -> bool:
        """Whether it may exchange sides of what it reads."""
        return False

    @property
    def params(self) -> int:
        """The number of learned parameters."""
        return 0

    def multiply_adds(self, output: Shape) -> int:
        """Multiply-adds for one image, given the output shape (He et al. 2015, section 3.3)."""
        return 0

    @property
    def state(self) -> dict[str, Shape]:
        """The tensors of its module's state dict with their shapes, in torch's order.

        One that stands there under the op's own path has the name ``""``.
        """
        return {}

    def start(self, name: str) -> float | None:
        """The value that a tensor of its state starts with; None for one that is drawn, and for
        biases, which some ops draw."""
        return self.roles[name].start

    @classmethod
    def of_aten(cls, given: Given) -> Op:
        """The op that a call of torch's is which bears one of the names in ``torch.exported``; its
        fields are the call's arguments of these names. Raises `NotReadError` for a call that is not
        this op."""
        numbers: dict[str, Number] = {}
        for field in fields(cls):
            value = given.arguments.get(field.name)
            if value is not None:
                given.require(isinstance(value, (int, float)), f"its {field.name} is not a number")
                numbers[field.name] = value
            elif field.default is MISSING:
                given.require(False, f"it does not say its {field.name}")
        return cls(**numbers)

    def gradient(self, output: Shape, *inputs: Shape) -> Gradient:
        """How the gradients of what it reads come about in a training step."""
        return APART

    def alike(self) -> Op:
        """The op that represents it where blocks are compared for equality: numbers that vary
        from block to block as the author meant them to make no difference there."""
        return self

    @property
    def buffers(self) -> frozenset[str]:
        """Those tensors of its state that are averaged or counted, not learned."""
        return frozenset([name for name, role in self.roles.items() if not role.is_learned])

    @property
    def numbers(self) -> dict[str, Number]:
        """The op's own numbers, under torch's names and in the order of its fields.

        Those of ``unsaid`` are there only where they are not what they usually are.
        """
        numbers: dict[str, Number] = {name: getattr(self, name) for name in self.field_names()}
        for field in fields(self) if self.unsaid else ():
            if field.name in self.unsaid and numbers[field.name] == field.default:
                del numbers[field.name]
        return numbers

    @classmethod
    @cache  # dataclasses finds them anew whenever it is asked
    def field_names(cls) -> tuple[str, ...]:
        """The names of its own numbers, in the order of its fields."""
        return tuple([field.name for field in fields(cls)])


FACTS = (
    "arity",
    "channels",
    "storage",
    "overwrites",
    "is_layer",
    "runs_on_the_way",
    "trains_only",
    "commutes",
    "has_gates",
    "torch",
    "roles",
    "infer",
    "reach",
    "saved",
    "look",
    "onnx",
)
"""What every op has to say, by attribute."""


def require_map(x: Shape, who: str) -> None:
    """Raise `ShapeError` for what is no feature map."""
    if len(x) != 3:
        raise ShapeError(
            f"{who} needs a feature map, not a {describe(x)}",
            hint="a vector cannot be turned back into a feature map: move this before the flatten",
        )


def slide(
    x: Shape,
    kernel: Size,
    stride: Size,
    padding: Size,
    *,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> tuple[int, int]:
    """Height and width after a sliding window, rounded as torch does: down, or with ``ceil_mode``
    up, where the last window has to start inside the map or its padding at the low end.

    Raises `ShapeError` where it does not fit, or where the map would be too large.
    """
    _, height, width = x
    paddings, kernels = pair(padding), spread(kernel, dilation)
    strides = pair(stride)
    out = (
        _places(height, kernels[0], strides[0], paddings[0], ceil_mode),
        _places(width, kernels[1], strides[1], paddings[1], ceil_mode),
    )
    if min(out) < 1:
        around = "x".join(map(str, paddings)) if paddings[0] != paddings[1] else paddings[0]
        size = f"{height}x{width}" + (f" padded by {around}" if any(paddings) else "")
        raise ShapeError(
            f"a window of {by(kernels)} does not fit into a feature map of {size}",
            attribute="kernel",
            code="window-too-large",
            hint="use a smaller window, fewer strides before it, or a larger input",
        )
    if max(out) > MAX_PIXELS:
        raise ShapeError(
            f"a feature map of {out[0]:,}x{out[1]:,} exceeds the limit of {MAX_PIXELS:,} pixels "
            "per side",
            attribute="padding",
            code="limit-exceeded",
        )
    return out


def spread(kernel: Size, dilation: Size) -> tuple[int, int]:
    """The (height, width) that a window reaches over when its elements stand ``dilation`` apart.

    >>> spread(3, 1), spread(3, 2), spread((1, 7), (1, 2))
    ((3, 3), (5, 5), (1, 13))
    """
    kernels, dilations = pair(kernel), pair(dilation)
    return (kernels[0] - 1) * dilations[0] + 1, (kernels[1] - 1) * dilations[1] + 1


def _places(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """The places of a window along one side; less than one where it does not fit."""
    left = size + 2 * padding - kernel
    if not ceil_mode:
        return left // stride + 1
    places = -(-left // stride) + 1
    # pooling_output_shape in ATen's Pool.h: a window in the padding at the high end is left out.
    return places - ((places - 1) * stride >= size + padding)


def by(size: Size) -> str:
    """A size as people write it.

    >>> by(3), by((1, 7))
    ('3x3', '1x7')
    """
    return "x".join(map(str, pair(size)))


def step(stride: Size) -> str:
    """What a label says of a stride: nothing of 1.

    >>> step(1), step(2), step((2, 1))
    ('', ', /2', ', /2x1')
    """
    if pair(stride) == (1, 1):
        return ""
    return f", /{stride}" if isinstance(stride, int) else f", /{by(stride)}"
