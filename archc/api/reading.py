"""Specs: reading, checking and showing them, and what else is said of one in a call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from archc.api.foreign import (
    from_export,
    from_module,
    is_model,
    is_module,
    is_program,
    not_a_module,
    read_model,
)
from archc.design import Design
from archc.errors import SpecWarning
from archc.graph import Network
from archc.shipped import shipped_names
from archc.source.diagnostics import Diagnostics
from archc.source.files import fill
from archc.source.suggest import closest
from archc.spec import Source, SpecError, resolve
from archc.spec.files import open_spec
from archc.spec.overrides import Change, InputSize, Override, Set
from archc.text import a_type

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from archc.blocks import Definition
    from archc.frontends.torch_export.sizes import InputSizes

Written: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Source"
"""A spec that is yet to be read: a path, a shipped name, a mapping, or a text with its name."""
SpecLike: TypeAlias = (
    "str | os.PathLike[str] | Mapping[str, Any] | Source | Design | Network | torch.nn.Module "
    "| ExportedProgram"
)
"""A spec or a model of another library, or what was made of one."""
Settings: TypeAlias = Mapping[str, object] | Sequence[str]
"""Keys with their values, or texts such as ``"depth=3"``."""


class Keys(TypedDict, total=False):
    """The keys of the network that a call can set by name."""

    name: str
    title: str
    classes: int
    norm: str | Mapping[str, object]
    activation: str
    pre_activation: bool


def read(
    spec: Written,
    *,
    folder: str | os.PathLike[str] | None = None,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> Design:
    """Read a spec: the `Network` it describes, made when it is asked for, and its resolved text.

    ``spec`` is a path, a shipped name, or a mapping as `yaml.safe_load` gives it of a spec, whose
    paths (``extends``, ``use``) are relative to ``folder``, by default the current one.

    ``set`` says what differs, as a mapping or as ``KEY=VALUE`` texts: keys of the network,
    variables and stage attributes, by name (``{"depth": [3, 4, 11, 3], "width": "x0.5"}``; a list
    has one value per stage, None leaves a stage alone) or of one stage (``{"depth[3]": 20}``).
    Keys of the network can be given by themselves, too: ``classes=10``. ``input`` is
    ``(channels, height, width)``, ``"C,H,W"``, ``"HxW"``, or one number for height and width.
    ``with_`` sets attributes, which all stages must have, and variables. They apply in the order
    ``with_``, ``input``, keys of the network, ``set``.
    """
    return read_changed(spec, changes_of(with_, input, set, keys), folder)


def read_changed(
    spec: Written,
    changes: Sequence[Change] = (),
    folder: str | os.PathLike[str] | None = None,
) -> Design:
    """As `read`, with what differs in the order in which it applies."""
    return Design(resolve(source_of(spec, folder), changes))


def load(
    spec: Written,
    *,
    folder: str | os.PathLike[str] | None = None,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> Network:
    """Read a spec and compile it into a `Network`; the arguments are those of `read`.

    Warns with `SpecWarning` of what is valid, but probably not meant. Raises `SpecError` with every
    mistake; of a mapping it says where as a path: ``spec:stages[1].depth``.

    >>> import archc
    >>> archc.load("imagenet/resnet50", classes=10, set={"depth[3]": 20, "width": "x0.5"}).layers
    92
    """
    design = read_changed(spec, changes_of(with_, input, set, keys), folder)
    _warn_of(design)
    return design.network


def loads(
    text: str | bytes,
    *,
    folder: str | os.PathLike[str] | None = None,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> Network:
    """As `load`, of a spec as YAML text; paths in it are relative to ``folder``, by default the
    current one.

    >>> import archc
    >>> archc.loads("{name: net, head: [global_avg_pool, linear: 10]}").params
    40
    """
    design = read_changed(source_of_text(text, folder), changes_of(with_, input, set, keys))
    _warn_of(design)
    return design.network


def _warn_of(design: Design) -> None:
    """Warn of what is valid, but probably not meant, where the function was called that read it."""
    told = [f"{note.place}: {note.message}" for note in design.notes]
    told += [f"{one.place}: {one.message} [{one.code}]" for one in design.warnings]
    for text in told:
        warnings.warn(text, SpecWarning, stacklevel=3)


def specs(pattern: str | None = None) -> list[str]:
    """The names of the shipped specs, in order: all, those of a group, or those like a pattern.

    A pattern has ``*``, ``?`` and ``[...]`` as file names have them; without a slash it may be like
    a spec's own name or like its whole one. Capitals do not count.

    >>> import archc
    >>> archc.specs("imagenet")[:2]
    ['imagenet/plain18', 'imagenet/plain34']
    >>> archc.specs("wide_resnet*")
    ['torchvision/wide_resnet50_2', 'torchvision/wide_resnet101_2']
    """
    names = shipped_names()
    if pattern is None:
        return names
    if not isinstance(pattern, str):
        raise TypeError(f"`pattern` must be a text, not {a_type(pattern)}")
    wanted = pattern.lower().rstrip("/")
    return [
        name
        for name in names
        if name.split("/")[0] == wanted
        or fnmatchcase(name.lower(), wanted)
        or fnmatchcase(name.lower().split("/")[1], wanted)
    ]


def read_blocks(file: Written, changes: Sequence[Change] = ()) -> dict[str, Definition] | None:
    """The blocks of a file of blocks by name, with those of the files that it uses; None for any
    other file.

    Raises `SpecError` with every mistake of the file, and where ``changes``, which are for specs,
    are given for it.
    """
    from archc.blocks import STANDARD
    from archc.source.diagnostics import Findings
    from archc.source.reader import read as read_yaml
    from archc.spec.blocks import is_block_file, read_block_file
    from archc.spec.overrides import refuse_changes

    source = source_of(file)
    try:
        root = read_yaml(source, Findings())
    except SpecError:
        return None  # what is wrong with it, reading it as a spec says
    if not isinstance(root.data, dict) or not is_block_file(root.data):
        return None
    found = read_block_file(source, STANDARD)
    refuse_changes(root.place, "a file of blocks", changes)
    return found


def check(
    spec: Written,
    *,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> Diagnostics:
    """Every mistake of a spec, or of a file of blocks, in order; empty for a valid one.

    Nothing is raised for them. What the spec expects of its network (`expect`) is checked, too,
    unless something is set.

    >>> import archc
    >>> archc.check("imagenet/resnet50")
    ()
    """
    from archc.expectations import check_expectations

    changes = changes_of(with_, input, set, keys)
    try:
        source = source_of(spec)
        if read_blocks(source, changes) is None:
            design = read_changed(source, changes)
            check_expectations(design.spec, design.network)
    except SpecError as error:
        return Diagnostics(error.diagnostics)
    return Diagnostics()


def show(
    spec: Written,
    *,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> str:
    """The resolved spec as YAML, with the origin of each value as a comment; of a file of blocks
    its blocks, with those of the files that it uses.

    >>> import archc
    >>> archc.show("imagenet/resnet152").split()[:2]
    ['name:', 'resnet152']
    """
    from archc.spec.show import show_blocks

    source = source_of(spec)
    changes = changes_of(with_, input, set, keys)
    blocks = read_blocks(source, changes)
    if blocks is not None:
        return show_blocks(blocks)
    return read_changed(source, changes).text


def network_of(spec: SpecLike, input: InputSizes | None = None) -> Network:
    """The network of what a caller gave: a spec, a model of another library, or a network.

    ``input`` is the image's size, as for `load`; a network has its own. Raises TypeError for what
    is none of these.
    """
    if isinstance(spec, (Design, Network)):
        if input is not None:
            raise TypeError("`input` is for what is yet to be read: a network has its own")
        return spec if isinstance(spec, Network) else spec.network
    if isinstance(spec, (str, os.PathLike)):
        name = os.fsdecode(spec)
        if is_model(name):
            return read_model(name, input=input).network
    elif not isinstance(spec, (Mapping, Source)):
        return _of_torch(spec, input)
    return load(spec, input=input)  # type: ignore[arg-type] # `load` says what a spec's size may be


def _of_torch(model: Any, input: InputSizes | None) -> Network:
    """The network of a module or an exported program; TypeError for anything else."""
    if is_module(model):
        return from_module(model) if input is None else from_module(model, input=input)
    if is_program(model):
        return from_export(model)
    if isinstance(model, type):
        raise not_a_module(model)
    source_of(model)  # which says what a spec may be
    raise AssertionError(model)


def called(spec: SpecLike) -> str:
    """What to call a spec in a table: as the caller did, or by its own name."""
    if isinstance(spec, (str, os.PathLike)):
        return os.fsdecode(spec)
    return network_of(spec).name


def source_of(spec: Written, folder: str | os.PathLike[str] | None = None) -> Source:
    """The text of a spec that is yet to be read; TypeError for what is none."""
    if isinstance(spec, Mapping):
        from archc.source.data import source_of_data

        return source_of_data(spec, "spec", folder=os.fsdecode(folder or ""))
    if folder is not None:
        raise TypeError("`folder` is for a mapping or a text: a file lies in its own")
    if isinstance(spec, Source):
        return spec
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(f"`spec` must be a path, a shipped name or a mapping, not {a_type(spec)}")
    return open_spec(os.fsdecode(spec))


def source_of_text(text: str | bytes, folder: str | os.PathLike[str] | None = None) -> Source:
    """YAML text as a source; TypeError for anything else, `SpecError` for what is too long."""
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"`text` must be YAML text, not {a_type(text)}")
    source = Source("<text>", folder=os.fsdecode(folder or ""))
    try:
        fill(source, text.encode() if isinstance(text, str) else text)
    except UnicodeEncodeError:
        source.text = str(text)  # the reader says which character is none
    return source


def changes_of(
    with_: Settings, input: Sequence[int] | str | int | None, set: Settings, keys: Keys
) -> list[Change]:
    """What a caller says of a spec as its reader takes it; TypeError for what it does not take."""
    changes: list[Change] = [*_settings(with_, "with_", "NAME=VALUE")]
    if isinstance(input, Integral) and not isinstance(input, bool):
        changes.append(Set(("input", int(input))))
    elif isinstance(input, str) and "x" in input:
        changes.append(Set(("input", input)))
    elif isinstance(input, (str, Sequence)):
        changes.append(InputSize(input))
    elif input is not None:
        raise TypeError("`input` must be (channels, height, width)")
    for key, value in keys.items():
        if key not in Keys.__annotations__:
            hint = closest(key, Keys.__annotations__) or f"`set={{{key!r}: ...}}` sets other keys"
            raise TypeError(f"there is no argument `{key}`: {hint}")
        changes.append(Set((key, value)))
    return [*changes, *map(Set, _settings(set, "set", "KEY=VALUE"))]


def _settings(given: Settings, name: str, form: str) -> list[Override]:
    keys = given if isinstance(given, (Mapping, list, tuple)) else [None]
    if not all(isinstance(key, str) for key in keys):
        raise TypeError(f"`{name}` must be a mapping or a list of {form}")
    if not isinstance(given, Mapping):
        return list(given)
    return [(key, list(data) if isinstance(data, range) else data) for key, data in given.items()]
