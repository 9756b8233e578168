"""Specs: reading, checking and showing them, and what else is said of one in a call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from archc.design import Design
from archc.errors import SpecWarning
from archc.graph import Network
from archc.shipped import shipped_names
from archc.spec import Diagnostic, Source, SpecError, resolve
from archc.spec.files import open_spec
from archc.spec.overrides import Override, Size

if TYPE_CHECKING:
    from archc.blocks import Definition

SpecLike: TypeAlias = "str | os.PathLike[str] | Network"


def read(
    spec: str | os.PathLike[str] | Source,
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | str | None = None,
) -> Design:
    """Read a spec: the `Network` it describes, made when it is asked for, and its resolved text.

    ``with_`` sets stage attributes, one value for all stages or a list with one per stage (None
    leaves a stage alone), or ``NAME=VALUE`` texts; ``input`` is ``(channels, height, width)``, or
    ``"C,H,W"``.
    """
    source = spec if isinstance(spec, Source) else open_spec(name_of(spec))
    return Design(resolve(source, overrides_of(with_), size_of(input)))


def load(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> Network:
    """Read a spec and compile it into a `Network`; ``with_`` and ``input`` are as for `read`.

    Warns with `SpecWarning` of what is valid, but probably not meant.

    >>> import archc
    >>> archc.load("imagenet/resnet50", with_={"depth": [3, 4, 11, 3]}).layers
    65
    """
    design = read(spec, with_=with_, input=input)
    for note in design.notes:
        warnings.warn(f"{note.place}: {note.message}", SpecWarning, stacklevel=2)
    return design.network


def specs(group: str | None = None) -> list[str]:
    """The names of the shipped specs, in order, or of one of their groups.

    >>> import archc
    >>> archc.specs("imagenet")[:2]
    ['imagenet/plain18', 'imagenet/plain34']
    """
    names = shipped_names()
    return names if group is None else [name for name in names if name.split("/")[0] == group]


def read_blocks(
    file: str | os.PathLike[str] | Source,
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | str | None = None,
) -> dict[str, Definition] | None:
    """The blocks of a file of blocks by name, with those of the files that it uses; None for any
    other file.

    Raises `SpecError` with every mistake of the file, and where ``with_`` or ``input``, which are
    for specs, are given for it.
    """
    from archc.blocks import STANDARD
    from archc.source.diagnostics import Findings
    from archc.source.reader import read as read_yaml
    from archc.spec.blocks import is_block_file, read_block_file
    from archc.spec.overrides import refuse_overrides

    source = file if isinstance(file, Source) else open_spec(name_of(file))
    try:
        root = read_yaml(source, Findings())
    except SpecError:
        return None  # what is wrong with it, reading it as a spec says
    if not isinstance(root.data, dict) or not is_block_file(root.data):
        return None
    found = read_block_file(source, STANDARD)
    refuse_overrides(root.place, "a file of blocks", with_, input)
    return found


def check(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> tuple[Diagnostic, ...]:
    """Every mistake of a spec, or of a file of blocks, in order; empty for a valid one.

    Nothing is raised for them.

    >>> import archc
    >>> archc.check("imagenet/resnet50")
    ()
    """
    try:
        source = open_spec(name_of(spec))
        if read_blocks(source, with_=with_, input=input) is None:
            read(source, with_=with_, input=input).network  # noqa: B018  # compiled, to see faults
    except SpecError as error:
        return error.diagnostics
    return ()


def show(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> str:
    """The resolved spec as YAML, with the origin of each value as a comment; of a file of blocks
    its blocks, with those of the files that it uses.

    >>> import archc
    >>> archc.show("imagenet/resnet152").split()[:2]
    ['name:', 'resnet152']
    """
    from archc.spec.show import show_blocks

    source = open_spec(name_of(spec))
    blocks = read_blocks(source, with_=with_, input=input)
    if blocks is not None:
        return show_blocks(blocks)
    return read(source, with_=with_, input=input).text


def network_of(spec: SpecLike) -> Network:
    """The network of what a caller gave as a spec."""
    return spec if isinstance(spec, Network) else load(spec)


def name_of(spec: str | os.PathLike[str]) -> str:
    """A path or a shipped name as text; TypeError for anything else."""
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(f"`spec` must be a path or a name, not a {type(spec).__name__}")
    return os.fsdecode(spec)


def overrides_of(with_: Mapping[str, object] | Sequence[str]) -> list[Override]:
    """``with_`` as the reader of specs takes it; TypeError for anything else."""
    names = with_ if isinstance(with_, (Mapping, list, tuple)) else [None]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("`with_` must be a mapping or a list of NAME=VALUE")
    return list(with_.items()) if isinstance(with_, Mapping) else list(with_)


def size_of(input: Sequence[int] | str | None) -> Size | None:
    """``input`` as the reader of specs takes it; TypeError for anything else."""
    if input is None or isinstance(input, (str, Sequence)):
        return input
    raise TypeError("`input` must be (channels, height, width)")
