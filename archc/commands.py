"""What the commands do that write, plot, serve and list, as functions of Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from archc.api.foreign import is_model
from archc.api.reading import (
    Keys,
    Settings,
    Written,
    changes_of,
    read,
    read_blocks,
    source_of,
    specs,
)
from archc.choices import check_choice
from archc.design import Design
from archc.frontends.program import ForeignError
from archc.source.foreign import file_of
from archc.text import quote_name

if TYPE_CHECKING:
    from archc.building import Builds
    from archc.listing import Listing

PlotFormat = Literal["svg", "png", "pdf"]
_PORT = 8321


def build(
    *specs: Written | Design,
    output: str | os.PathLike[str] = "generated",
    figures: bool = True,
    force: bool = False,
) -> Builds:
    """Write ``GROUP/NAME.py``, ``.json`` (counts by block) and ``.svg`` of specs into a folder.

    It keeps a manifest: a file that was changed by hand, or is none of archc's, is not overwritten
    without ``force``. Returns what was made of each spec. Raises `ConflictError` (an `ArchcError`)
    for such a file, `OutputError` where one cannot be written.
    """
    from archc.building import Builds, build

    designs = [one if isinstance(one, Design) else read(one) for one in specs]
    folder = Path(os.fsdecode(output))
    built = build([one.spec for one in designs], folder, figures=figures, force=force)
    return Builds(folder, built)


def listing(pattern: str | None = None) -> Listing:
    """The shipped specs, or those of a group or like a pattern (see `specs`), with title, depth,
    parameters and multiply-adds.

    >>> import archc
    >>> [(row["spec"], row["layers"]) for row in archc.list("imagenet/vgg*")]
    [('imagenet/vgg19', 19)]
    """
    from archc.listing import Listing, summaries

    names = frozenset(specs(pattern))
    return Listing([row for row in summaries() if row["spec"] in names])


def new(
    name: str,
    parent: str | os.PathLike[str] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Path:
    """Write a variant of a spec to start from, or without ``parent`` a file with a block.

    ``name`` may be a path (``nets/resnet65``); the file is ``output``, by default NAME.yaml.
    Returns its path. Raises `SpecError` for a name that no spec may have and a parent that is not
    valid, `ArchcError` for a file that exists unless ``force``, `OutputError` where it cannot be
    written.
    """
    from archc.building import ConflictError
    from archc.files import write
    from archc.inputs import note_output
    from archc.spec.variant import block_file, name_and_path, variant

    own, usual = name_and_path(os.fsdecode(name))
    path = usual if output is None else Path(os.fsdecode(output))
    text = block_file(own) if parent is None else variant(own, os.fsdecode(parent), path)
    if path.exists() and not force:
        raise ConflictError([f"{str(path)!r} already exists"], "`force=True` overwrites it")
    note_output(path)
    write(path, text.encode(errors="surrogateescape"))
    return path


def schema(of: Written = "spec") -> dict[str, Any]:
    """The JSON Schema of specs (``"spec"``), of recipes (``"recipe"``), of what a command prints
    (``"count"``, ``"memory"``, ...), or of specs that may have a spec's own blocks.

    Raises ModuleNotFoundError for verify and bench where torch is not installed.
    """
    from archc.schemas import SCHEMAS, schema, schema_of, schema_of_blocks

    if isinstance(of, str) and of in SCHEMAS:
        return schema(of)
    source = source_of(of)
    blocks = read_blocks(source)
    return schema_of(read(source).spec) if blocks is None else schema_of_blocks(blocks)


def curves(
    *runs: str | os.PathLike[str],
    format: PlotFormat = "svg",
    split: bool = False,
    width: str | float = "column",
) -> bytes:
    """A plot of the training and test errors of runs over each other.

    With ``split`` training is on the left and tests are on the right. ``width`` is ``"column"``,
    ``"page"``, a length such as ``"3.25in"``, or points. Raises `TrainingError` for a folder that
    is not a run's, ValueError for another format or width, ModuleNotFoundError where torch or
    matplotlib is not installed.
    """
    from archc.extras import require
    from archc.plots import SUFFIXES
    from archc.widths import parse_width

    check_choice("format", format, [suffix.removeprefix(".") for suffix in SUFFIXES])
    if not runs:
        raise ValueError("there is no run to plot")
    points = parse_width(width) if isinstance(width, str) else width
    require("torch", "a run", "torch")
    from archc.training import draw_curves, open_run

    found = [open_run(Path(os.fsdecode(run))) for run in runs]
    return draw_curves(found, format, split=split, width=points)


def watch(
    spec: str | os.PathLike[str],
    base: str | os.PathLike[str] | None = None,
    *,
    port: int = _PORT,
    fold: bool | None = None,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> None:
    """Show a spec's figure on a local page, redrawn on every save, until it is interrupted.

    A model's file (``.onnx``, ``.pt2``, ``FILE.py:NAME``) is watched, too. With ``base``, another
    spec, the figure marks what differs from that. Port 0 takes any that is free; the address is
    printed. Raises `SpecError` where there is no such spec, `ArchcError` for a port that is taken,
    ModuleNotFoundError where what it needs is not installed.
    """
    from archc.watching import Preview, serve

    names = [os.fsdecode(one) for one in (spec, base) if one is not None]
    for name in names:
        if not is_model(name):
            source_of(name)
        elif not file_of(name):
            raise ForeignError(
                f"{quote_name(name)} cannot be watched", "give the file it is in, FILE.py:NAME"
            )
    other = names[1] if base is not None else None
    preview = Preview(names[0], changes_of(with_, input, set, keys), fold, other)

    def ready(address: str) -> None:
        print(*preview.state.faults, f"{address} shows {names[0]}; Ctrl-C stops it", sep="\n")

    serve(preview, port, ready, print)


list = listing
"""`listing` by the name of the command; nothing in this file means Python's own."""
