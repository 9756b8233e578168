"""What models of other libraries compute beyond layers: calls of tensor functions, and tensors of
the model that such calls read.

They are the ops of `Network.explicit`, which is what is written in PyTorch of a model whose own
graph has ops that archc knows by name alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from archc.dataclassing import dataclass
from archc.ops.activation import GELU
from archc.ops.base import Op
from archc.ops.facts import (
    EVERYTHING,
    INPUTS,
    MIXED,
    NOTHING,
    Arity,
    Call,
    Look,
    Module,
    Parameter,
    Reach,
    Role,
    Saved,
    Shape,
    Storage,
    Torch,
    tensors,
)
from archc.ops.spelling import FILLED, LAYERS, SPELLINGS, Images, Side, Source
from archc.ops.traits import Ordinary, Unwritten


@dataclass(frozen=True, slots=True)
class PlainGELU(GELU):
    """GELU as torch computes it of whatever lies as it does."""

    kind = "plain_gelu"

    torch = Torch(
        is_module=False,
        module=Module("nn.GELU"),
        call=Call(lambda x: f"F.gelu({x})"),
        ends_line=True,
    )


@dataclass(frozen=True, slots=True)
class Operand:
    """A value among a call's arguments: which of those that the op reads."""

    index: int


@dataclass(frozen=True, slots=True)
class TensorCall(Unwritten, Ordinary):
    """A call of a tensor function of `SPELLINGS`.

    ``arguments`` are by the names of torch's schema: values by their place among those that are
    read, numbers, flags, and lists of these. A size may be a number of `Images`. ``counted`` is the
    op of archc that it is, whose multiply-adds are its own.
    """

    kind = "call"
    function: str
    arguments: tuple[tuple[str, Any], ...]
    output: Shape
    counted: Op | None = None

    arity = Arity.ANY
    channels = MIXED
    storage: ClassVar[Any] = property(lambda op: _storage_of_call(op))
    torch: ClassVar[Any] = property(lambda op: _torch_of_call(op))

    def __post_init__(self) -> None:
        """Nothing: its arguments are no sizes."""

    @property
    def called(self) -> str:
        """The function."""
        return self.function

    @property
    def has_rule(self) -> bool:
        """Whether it is known to multiply nothing, or as the op that it is."""
        return self.counted is not None or self.function not in LAYERS

    @property
    def is_product(self) -> bool:
        """As the op that it is."""
        return self.counted is not None and self.counted.is_product

    @property
    def numbers(self) -> dict[str, Any]:
        """The function and its arguments, as JSON has them."""
        arguments = {name: _plain(value) for name, value in self.arguments}
        return {"function": self.function, "arguments": arguments}

    def infer(self, *inputs: Shape) -> Shape:
        """What the model says."""
        return self.output

    def multiply_adds(self, output: Shape) -> int:
        """Those of the op that it is."""
        return 0 if self.counted is None else self.counted.multiply_adds(output)

    def reach(self) -> Reach:
        """Everything, for all that is known."""
        return EVERYTHING

    def saved(self) -> Saved:
        """What it reads, for all that is known."""
        return INPUTS

    def look(self) -> Look:
        """Its name."""
        return Look(word=self.function)

    def written(self, *operands: str) -> str:
        """The call in Python, from the source of what it reads."""
        arguments = {name: _filled_in(value, operands) for name, value in self.arguments}
        return SPELLINGS[self.function].write(arguments)


def _torch_of_call(op: TensorCall) -> Torch:
    source = FILLED if op.function == "filled" else ()
    return Torch(is_module=False, call=Call(op.written, source=source))


def _storage_of_call(op: TensorCall) -> Storage:
    return Storage.SHARED if SPELLINGS[op.function].is_view else Storage.KEPT


def _filled_in(value: Any, operands: Sequence[str]) -> Any:
    """An argument with the source of tensors in the place of their numbers."""
    if isinstance(value, Operand):
        return Source(operands[value.index])
    if isinstance(value, tuple):
        return tuple([_filled_in(one, operands) for one in value])
    return value


def _plain(value: Any) -> Any:
    """An argument as JSON has it."""
    if isinstance(value, Operand):
        return {"value": value.index}
    if isinstance(value, Images):
        return {"images": value.times}
    if isinstance(value, Side):
        return {"slice": [value.start, value.end]}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


_LEARNED: Mapping[str, Role] = tensors(**{"": Role.SHIFT})
_OTHERS: Mapping[str, Role] = tensors(**{"": Role.COUNTER})


@dataclass(frozen=True, slots=True)
class Tensor(Unwritten, Ordinary):
    """A tensor of the model that no layer has: a parameter, or with ``is_learned`` false a buffer.

    Its place is its key in the state dict. With ``of`` it is no tensor of its own, but that of this
    name of the layer with this id.
    """

    kind = "tensor"
    shape: Shape
    dtype: str = "float32"
    is_learned: bool = True
    of: str = ""
    name: str = ""

    arity = Arity.NONE
    channels = MIXED
    storage = Storage.KEPT
    torch: ClassVar[Any] = property(lambda op: _torch_of_tensor(op))
    roles: ClassVar[Any] = property(lambda op: _LEARNED if op.is_learned else _OTHERS)

    def __post_init__(self) -> None:
        """Nothing: its shape is no size."""

    @property
    def is_tensor(self) -> bool:
        """It is one."""
        return True

    @property
    def shares(self) -> str:
        """The id of the layer whose tensor it is."""
        return self.of

    @property
    def params(self) -> int:
        """Its elements, where they are learned and its own."""
        return math.prod(self.shape) if self.is_learned and not self.of else 0

    @property
    def state(self) -> dict[str, Shape]:
        """Itself."""
        return {} if self.of else {"": self.shape}

    @property
    def deviation(self) -> float | None:
        """The standard deviation of its first value, drawn around zero; None for zeros."""
        return DEVIATION if self.is_learned and len(self.shape) > 1 else None

    def start(self, name: str) -> float | None:
        """Zero, where it is not drawn."""
        return None if self.deviation else 0.0

    def infer(self, *inputs: Shape) -> Shape:
        """Its own."""
        return self.shape

    def reach(self) -> Reach:
        """Everything."""
        return EVERYTHING

    def saved(self) -> Saved:
        """Nothing."""
        return NOTHING

    def look(self) -> Look:
        """Nothing."""
        return Look(name="tensor")


DEVIATION = 0.02
"""That of ViT's position embeddings, and of most that followed it."""


def _torch_of_tensor(op: Tensor) -> Torch:
    def made(shape: str) -> str:
        sides = shape[1:-1].rstrip(",") if shape.startswith("(") and shape != "()" else shape
        if op.deviation:
            return f"{DEVIATION} * torch.randn({sides})"
        dtype = "" if op.dtype == "float32" else f", dtype=torch.{op.dtype}"
        return f"torch.zeros({sides}{dtype})"

    kind = "nn.Parameter" if op.is_learned else "nn.Buffer"
    return Torch(is_module=True, parameter=Parameter(("shape",), made, lambda own: own, kind))
