"""What Python programs use: the commands' work as functions.

A spec is the path of a YAML file, the name of a shipped spec (``imagenet/resnet34``), or a
`Network` that has been loaded. Every function raises `SpecError` where a spec is at fault.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from archc.analysis.count import Count, Level
from archc.analysis.count import count as _count
from archc.compile import compile_spec
from archc.graph import Network
from archc.spec import load_spec

if TYPE_CHECKING:
    import torch

SpecLike: TypeAlias = "str | os.PathLike[str] | Network"


def load(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> Network:
    """Read a spec and compile it into a `Network`.

    ``with_`` sets stage attributes, one value for all stages or a list with one per stage (None
    leaves a stage alone); ``input`` is ``(channels, height, width)``.

    >>> import archc
    >>> archc.load("imagenet/resnet50", with_={"depth": [3, 4, 11, 3]}).layers
    65
    """
    if isinstance(with_, str):
        raise TypeError("`with_` is a mapping, or a list of NAME=VALUE")
    overrides = list(with_.items()) if isinstance(with_, Mapping) else list(with_)
    size = None if input is None else ",".join(map(str, input))
    return compile_spec(load_spec(os.fsdecode(spec), overrides, size))


def count(spec: SpecLike, by: Level = "stage", convention: str = "multiply-adds") -> Count:
    """Parameters and multiply-adds for one image, with rows by network, stage, block or layer.

    >>> import archc
    >>> archc.count("imagenet/resnet34").multiply_adds
    3644493824
    """
    return _count(_network(spec), by, convention)


def emit(spec: SpecLike) -> str:
    """The source of a Python module with the network's class; it needs torch alone."""
    from archc.backends.pytorch import emit

    return emit(_network(spec))


def draw(*specs: SpecLike, format: str = "svg") -> bytes:
    """A figure of the networks side by side; ``format`` is svg, png, pdf or dot."""
    from archc.backends.figure import draw

    return draw([_network(spec) for spec in specs], format)


def module(spec: SpecLike) -> torch.nn.Module:
    """A freshly initialised torch module; takes images ``(batch, channels, height, width)``.

    Raises ModuleNotFoundError where torch is not installed.
    """
    from archc.live import build_module

    return build_module(_network(spec))


def _network(spec: SpecLike) -> Network:
    return spec if isinstance(spec, Network) else load(spec)
