"""What `archc list` says of the shipped specs.

An index of it is shipped beside them, so that the list need not compile forty networks. It has the
digest of the specs it was made of, and counts for nothing where they have changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from archc.shipped import SUFFIX, shipped_folder, shipped_names

if TYPE_CHECKING:
    from archc.blocks import Definition

INDEX = "index.json"
"""The file beside the groups that has `summaries` of the specs, and the digest of their texts."""


def summaries() -> list[dict[str, Any]]:
    """Name, title, description, input and counts of every shipped spec, in order.

    They are those of the index, if that is of these very specs; otherwise they are counted.
    """
    try:
        index = json.loads((shipped_folder() / INDEX).read_text(encoding="utf-8"))
        if index["digest"] == _digest():
            rows: list[dict[str, Any]] = index["specs"]
            return rows
    except (OSError, ValueError, LookupError, TypeError):
        pass  # no index, or none that can be read
    return counted_summaries()


def counted_summaries() -> list[dict[str, Any]]:
    """`summaries`, counted anew."""
    from archc.api import load

    networks = {name: load(name) for name in shipped_names()}
    return [
        {
            "spec": name,
            "title": network.title,
            "description": network.description,
            "input": list(network.input_shape),
            "layers": network.layers,
            "params": network.params,
            "multiply_adds": network.multiply_adds,
        }
        for name, network in networks.items()
    ]


def block_summaries(blocks: Mapping[str, Definition] | None = None) -> list[dict[str, Any]]:
    """Name, attributes, description and file of some blocks in order; of the library's, whose file
    is None, unless others are given."""
    from archc.blocks import STANDARD

    return [
        {
            "block": name,
            "attributes": list(one.attributes),
            "description": one.description,
            "file": None if blocks is None else one.place.source.name,
        }
        for name, one in (STANDARD.definitions if blocks is None else blocks).items()
    ]


def index_text() -> str:
    """The index, as it lies beside the specs."""
    return json.dumps({"digest": _digest(), "specs": counted_summaries()}, indent=1) + "\n"


def _digest() -> str:
    """SHA-256 of the names and texts of all shipped specs and their blocks, in hexadecimal."""
    found = sha256()
    folder = shipped_folder()
    names = [f"{name}{SUFFIX}" for name in shipped_names()]
    blocks = folder.glob(f"*/blocks/*{SUFFIX}")
    names += sorted(path.relative_to(folder).as_posix() for path in blocks)
    for name in names:
        content = (folder / name).read_bytes()
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


if __name__ == "__main__":
    print(index_text(), end="")
