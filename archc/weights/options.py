"""How a checkpoint is to be matched with a network, as a user says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from archc.dataclassing import dataclass
from archc.text import quote

By: TypeAlias = Literal["names", "order"]
MATCHES: tuple[By, ...] = ("names", "order")


@dataclass(frozen=True)
class MatchOptions:
    """``rename`` are pairs of what keys begin with, or are, and what stands there instead; an empty
    one takes it off. ``ema`` takes averaged weights, ``match`` says whether tensors whose names do
    not fit may be matched by their order, ``partial`` whether only some need to fit."""

    rename: tuple[tuple[str, str], ...] = ()
    ema: bool = False
    match: By = "names"
    partial: bool = False

    def __post_init__(self) -> None:
        if self.match not in MATCHES:
            raise ValueError(f"`match` must be one of {', '.join(MATCHES)}, not {self.match!r}")


def parse_renames(given: Mapping[str, str] | Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of ``OLD=NEW`` texts, or of a mapping. Raises ValueError for what is none."""
    if isinstance(given, str):
        raise TypeError("`rename` must be a mapping or a list of OLD=NEW")
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        parts = [(text, text.partition("=")) for text in given]
        wrong = [text for text, (old, sign, _) in parts if not (old and sign)]
        if wrong:
            raise ValueError(f"{quote(wrong[0])} is not OLD=NEW")
        pairs = [(old, new) for _, (old, _, new) in parts]
    for old, _ in pairs:
        if not old.rstrip("."):
            raise ValueError(f"{quote(old)} is not what keys begin with")
    return tuple(pairs)
