"""What every block type shares: its stage model's common attributes, and the register of types.

A block type is one file in this package. It registers a subclass of `Stage`: the pydantic fields
say what an author may write, `Stage.lower` says what is computed.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from archc.blocks.lowering import Style
from archc.graph import Fragment, Shape, ShapeError
from archc.ops import MAX_CHANNELS, MAX_PIXELS

MAX_BLOCKS = 10_000


class Record(BaseModel):
    """A strict, frozen model: no unknown keys, no "3" for 3, no true for 1."""

    # A validator is built when it is first used: a spec uses a few of them.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Make fields that are choices among numbers as strict as all others."""
        for field in cls.model_fields.values():
            if _IS_NUMBER not in field.metadata and _has_numeric_choices(field.annotation):
                field.metadata.append(_IS_NUMBER)


def _has_numeric_choices(annotation: object) -> bool:
    """Whether a type is, or holds, a ``Literal`` with an integer among its values."""
    if get_origin(annotation) is Literal:
        return any(type(choice) is int for choice in get_args(annotation))
    return any(map(_has_numeric_choices, get_args(annotation)))


def _refuse_lookalikes(value: object) -> object:
    # Pydantic looks choices up in a dictionary, strict or not, where True and 1.0 are found as 1.
    if isinstance(value, (bool, float)):
        raise ValueError(f"{value} is not an integer")
    return value


_IS_NUMBER = BeforeValidator(_refuse_lookalikes)


class StageAttributes(Record):
    """What every stage has, whatever its block type."""

    block: str = Field(description="The block type that the stage repeats.")
    depth: int = Field(ge=1, le=MAX_BLOCKS, description="Number of blocks in the stage.")
    width: int = Field(
        ge=1,
        le=MAX_CHANNELS,
        description="Channels of the stage's convolutions (of a bottleneck: before expansion).",
    )
    stride: int = Field(
        default=1, ge=1, le=MAX_PIXELS, description="Stride of the stage's first block."
    )


class Stage(StageAttributes, ABC):
    """A run of equal blocks; the first may halve the feature map and change its width."""

    counted: ClassVar[bool] = False
    """Whether a network of only such stages numbers its modules as torchvision's VGGs do."""
    activates_first: ClassVar[bool] = True
    """Whether the type has a pre-activation form."""

    def fault(self) -> ShapeError | None:
        """What is wrong with the stage whatever its input; `lower` raises it, too."""
        return None

    @abstractmethod
    def lower(self, x: Shape, stride: int, style: Style) -> Fragment:
        """One block on an input of shape ``x``, with this stride; nothing else may matter to it.

        Raises `ShapeError` where the input does not fit.
        """

    def finish(self, x: Shape) -> Fragment | None:
        """What stands at the end of the stage, behind its blocks."""
        return None


_StageType = TypeVar("_StageType", bound=type[Stage])
_types: dict[str, type[Stage]] = {}


def register(name: str) -> Callable[[_StageType], _StageType]:
    """Class decorator: make a `Stage` known to specs under ``block: name``."""

    def enter(stage: _StageType) -> _StageType:
        if name in _types:
            raise ValueError(f"block type {name!r} is registered already")
        _types[name] = stage
        return stage

    return enter


def unregister(name: str) -> None:
    """Forget a block type."""
    del _types[name]


def block_types() -> Mapping[str, type[Stage]]:
    """Every block type by its name: the files of this package, and what others registered."""
    _import_package()
    return MappingProxyType(_types)


@cache
def _import_package() -> None:
    """Import the files of this package, once: every stage of every spec asks for its block type."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        importlib.import_module(module.name)
