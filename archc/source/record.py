"""Records that what is written is checked against: strict pydantic models."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Record(BaseModel):
    """A strict, frozen model: no unknown keys, no "3" for 3, no true for 1."""

    list_hint: ClassVar[str | None] = None
    """What to say where a list stands for a single value."""

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
