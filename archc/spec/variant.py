"""A three-line variant of a spec, to start from."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from archc.blocks import STANDARD
from archc.blocks.reading import is_name_of_block
from archc.shipped import shipped_folder, shipped_names
from archc.source.diagnostics import Findings, Place, Source, fail
from archc.source.reader import Entry, Value, is_plain, quoted
from archc.source.validate import validate
from archc.spec.blocks import read_block_file
from archc.spec.models import Header
from archc.spec.resolve import load_spec
from archc.text import quote_name

SCHEMA = "archc.schema.json"
"""What the docs call the schema of specs, as a file of one's own."""


def name_and_path(name: str) -> tuple[str, Path]:
    """The name of a spec, and where it goes, by what a user calls it.

    >>> name_and_path("net"), name_and_path("nets/net.yaml")
    (('net', PosixPath('net.yaml')), ('net', PosixPath('nets/net.yaml')))
    """
    folder, own = os.path.split(name)
    stem, extension = os.path.splitext(own)
    if extension.lower() in (".yaml", ".yml"):
        return stem, Path(name)
    return own, Path(folder, f"{own}.yaml")


def variant(name: str, parent: str, path: Path) -> str:
    """The text of a spec called ``name`` that extends ``parent`` and will lie at ``path``.

    Its first line says to editors which schema it has.

    The parent is a path or a shipped name, not standard input, which no file can extend. Raises
    `SpecError` if the name is none that a spec may have, or the parent is not valid.
    """
    check_name(name)
    spec = load_spec(parent)
    depths = [stage.model.depth for stage in spec.stages]
    lines = [f"extends: {reference(parent, path)}", f"name: {_word(name)}"]
    if depths:
        lines.append(f"with: {{depth: {json.dumps(depths)}}}")
    notes = [
        "# the spec to start from: a path relative to this file, or a shipped name (archc list)",
        "# ASCII letters, digits, _ . - ; figures show the title, if you give one",
        "# stage attributes, one value for all stages or one per stage; null leaves a stage "
        "unchanged",
    ]
    width = max(map(len, lines))
    rows = [f"{line:<{width}}  {note}" for line, note in zip(lines, notes, strict=False)]
    return "\n".join([f"# yaml-language-server: $schema={schema_for(path)}", *rows]) + "\n"


def block_file(name: str) -> str:
    """The text of a file with a block of this name to start from, and how to use it.

    Raises `SpecError` if the name is none that a block may have.
    """
    text = _BLOCK.replace("NAME", name)
    source = Source("NAME", name)
    findings = Findings()
    is_name_of_block(name, source.start(), findings)
    findings.check()
    read_block_file(Source(f"{name}.yaml", text), STANDARD)
    return text


_BLOCK = """\
# A block type. A spec beside this file makes stages of it:
#   use: [NAME.yaml]
#   stages: [{block: NAME, depth: 2, width: 64}]
description: One sentence about the file
blocks:
  NAME:
    description: A residual block of two convolutions with squeeze-and-excitation
    attributes:
      width: int                # must be given: `name: type`
      reduction: 16             # has a default: `name: value`
    let:
      keeps: stride == 1 and in == width   # `in` is the number of channels that come in
    layers:                     # each reads the one before
      - conv: {width: width, kernel: 3, stride: stride}
      - conv: {width: width, kernel: 3, activation: none}
      - {squeeze_excitation: {reduction: reduction}, name: se}   # a block of the library
      - add:                    # what came before, and the block's input through these layers
          input:
            - name: downsample
              if: not keeps
              layers: [conv: {width: width, kernel: 1, stride: stride, activation: none}]
      - activation              # the network's
"""


def schema_for(path: Path) -> str:
    """How a spec at a path refers to its schema: the nearest archc.schema.json in its folder or
    above it, by a relative path, which travels with them; or else the installed one."""
    folder, installed = Path(os.path.abspath(path)).parent, shipped_folder() / "schema.json"
    for above, place in enumerate((folder, *folder.parents)):
        if (place / SCHEMA).is_file():
            return "../" * above + SCHEMA
        if place == installed.parent:
            return "../" * above + installed.name
    plain = installed.as_posix()
    # Language servers read up to the first space, and `#` begins a fragment.
    return plain if re.fullmatch(r"[^\s#%]+", plain) else installed.as_uri()


def check_name(name: str) -> None:
    """Raise `SpecError` for a name that no spec may have."""
    source = Source("NAME", name)
    findings = Findings()
    entry = Entry(source.start(), Value(name, source.start(), name))
    validate(Header, {"name": entry}, Place(source, 1, 1), "the spec", findings)
    findings.check()


def reference(parent: str, path: Path) -> str:
    """How a file at ``path`` calls its parent, as YAML.

    Raises `SpecError` for a file whose name no YAML can hold.
    """
    if not os.path.lexists(parent) and parent.removesuffix(".yaml") in shipped_names():
        return parent
    relative = os.path.relpath(parent, path.parent)
    try:
        relative.encode()
    except UnicodeEncodeError:
        source = Source(quote_name(parent), path=parent)
        fail(
            source.start(),
            "a spec cannot extend this file: its name is not UTF-8",
            "rename it",
            code="invalid-name",
        )
    return _word(relative) if relative.replace("/", "").isalnum() else quoted(relative)


def _word(text: str) -> str:
    """A word without quotes where it can do without: ``null`` and ``123`` would be no text."""
    return text if is_plain(text) else quoted(text)
