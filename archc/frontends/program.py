"""Programs of tensor operations: what every reader of a foreign model makes of it.

A program says only what the model says; which ops of archc its calls are is for
`archc.frontends.building` to find out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias

from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.text import quote, visible

MAX_CALLS = 20_000
"""Calls of one program, which are read in some seconds."""

MAX_ELEMENTS = 2**62
"""Elements of a tensor: one of more could not be addressed."""


class ForeignError(ArchcError):
    """A model cannot be read: ``message`` says of which file, and why.

    ``call`` names the call at fault, where one is.
    """

    def __init__(self, message: str, hint: str | None = None, *, call: str = ""):
        super().__init__(message, hint)
        self.call = call


@dataclass(frozen=True, slots=True)
class Ref:
    """An argument that is a tensor: a value or a weight, by its name in the program."""

    name: str


Scalar: TypeAlias = int | float | bool | str | None
Argument: TypeAlias = "Scalar | Ref | tuple[Argument, ...]"


@dataclass(frozen=True, slots=True)
class Scope:
    """A module around a call: its path, and the full name of its class."""

    path: str
    label: str

    @property
    def is_torchs(self) -> bool:
        """Whether its class is one of torch's own."""
        return self.label.startswith("torch.nn.")


@dataclass(frozen=True, slots=True)
class Call:
    """One operation: what it is called (``aten.conv2d``), on what, and what it puts out.

    ``scopes`` are the modules around it, outermost first. Arguments that have their defaults may be
    left out.
    """

    name: str
    target: str
    arguments: Mapping[str, Argument]
    outputs: tuple[str, ...]
    scopes: tuple[Scope, ...] = ()
    reads: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The names of the tensors among its arguments, in order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads", tuple(_refs(self.arguments.values())))

    @property
    def function(self) -> str:
        """What it is called, by itself: ``relu`` of ``aten.relu_``."""
        name = self.target.partition(".")[2]
        return name.removesuffix("_") if self.is_in_place else name

    @property
    def is_in_place(self) -> bool:
        """Whether it writes over what it reads first, as torch's names say."""
        return self.target.endswith("_") and not self.target.endswith("__")

    @property
    def path(self) -> str:
        """The path of the innermost module around it."""
        return self.scopes[-1].path if self.scopes else ""

    @property
    def shown(self) -> str:
        """The call in messages: what it is, and where it stands."""
        where = f" in {quote(self.path)}" if self.path else ""
        return f"{quote(visible(self.target))}{where}"


def _refs(arguments: Iterable[Argument]) -> Iterable[str]:
    for argument in arguments:
        if isinstance(argument, Ref):
            yield argument.name
        elif isinstance(argument, tuple):
            yield from _refs(argument)


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that a program holds: its key in the state dict, its shape, and whether it is
    learned. ``values`` are those of a small constant of numbers, where they are known."""

    key: str
    shape: tuple[int, ...]
    is_learned: bool = True
    values: tuple[float, ...] | None = None


class Values(Protocol):
    """Where the tensors of a program lie."""

    def read(self, keys: Collection[str]) -> Mapping[str, Any]:
        """Those of these keys, read now: numpy's arrays or torch's tensors. Raises `ForeignError`
        where they are not as the program says."""


@dataclass(frozen=True)
class Program:
    """A model as calls in the order in which they run.

    ``inputs`` has the shapes of the images and whatever else it takes, batch included; ``shapes``
    those of values, as far as the model says them. ``dialect`` is whose names the calls bear.
    With ``channels_last`` the images have their channels last; ``tensors`` are where the weights
    lie, by key.
    """

    name: str
    dialect: Literal["aten", "onnx"]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    calls: tuple[Call, ...]
    weights: Mapping[str, Weight]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source: str = ""
    channels_last: bool = False
    tensors: Values | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    """What torch calls the types of values, by name, where that is no float32; of what is computed
    it is known in torch's programs alone."""

    def type_of(self, name: str) -> str:
        """What torch calls the type of a value; nothing where it is not known."""
        if self.dialect == "onnx" and name not in self.inputs and name not in self.weights:
            return ""
        found = self.types.get(name, "float32")
        return "" if found == "?" else found

    def keeps_type(self, call: Call) -> bool:
        """Whether a call is known to put out a value of the type of the one that it reads first."""
        own = self.type_of(call.outputs[0]) if call.outputs else ""
        return bool(own and call.reads) and self.type_of(call.reads[0]) == own
