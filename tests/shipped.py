"""The shipped networks and their emitted sources, each made once in a process."""

from __future__ import annotations

from functools import cache

import archc
from archc.backends.pytorch import emit
from archc.graph import Network


@cache
def network_of(name: str) -> Network:
    """A shipped network as its spec is; all of them together take some 50 MB."""
    return archc.load(name)


@cache
def source_of(name: str) -> str:
    """What is emitted of it."""
    return emit(network_of(name))
