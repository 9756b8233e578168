"""What `archc list` says of the shipped specs.

An index of it is shipped beside them, so that the list need not compile forty networks. It has the
digest of the specs it was made of, and counts for nothing where they have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from archc.shipped import SUFFIX, shipped_folder, shipped_names
from archc.shown import Shown

if TYPE_CHECKING:
    from archc.blocks import Definition
    from archc.graph import Network

INDEX = "index.json"
"""The file beside the groups that has `summaries` of the specs, how many weights they have, and the
digest of their texts."""


def summaries() -> list[dict[str, Any]]:
    """Name, title, description, input and counts of every shipped spec, in order.

    They are those of the index, if that is of these very specs; otherwise they are counted.
    """
    index = _index()
    return counted_summaries() if index is None else index["specs"]


class Listing(Shown):
    """The shipped specs with what there is to say of each: ``rows`` has it as plain data."""

    def __init__(self, rows: Sequence[dict[str, Any]]):
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)


def weight_counts() -> dict[str, int]:
    """How many weights of convolutions and linear layers each shipped spec has, by name: neither
    the size of the image nor the deploy form changes that."""
    index = _index()
    return _counted_weights() if index is None else index["weights"]


def weights_in(network: Network) -> int:
    """How many weights of convolutions and linear layers a network has."""
    return sum(len(shape) > 1 for shape in network.state.values())


def _index() -> dict[str, Any] | None:
    """The index, if there is one of these very specs."""
    try:
        index: dict[str, Any] = json.loads((shipped_folder() / INDEX).read_text(encoding="utf-8"))
        if index["digest"] == _digest() and index["specs"] and index["weights"]:
            return index
    except (OSError, ValueError, LookupError, TypeError):
        pass  # none, or none that can be read
    return None


def _counted_weights(networks: Mapping[str, Network] | None = None) -> dict[str, int]:
    return {name: weights_in(one) for name, one in (networks or _networks()).items()}


def _networks() -> dict[str, Network]:
    """All shipped networks."""
    return {name: _load(name) for name in shipped_names()}


def _load(name: str) -> Network:
    from archc.compile import compile_spec
    from archc.spec import load_spec

    return compile_spec(load_spec(name))


def counted_summaries(networks: Mapping[str, Network] | None = None) -> list[dict[str, Any]]:
    """`summaries`, counted anew; ``networks`` are all the shipped ones, where they are at hand."""
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
        for name, network in (networks or _networks()).items()
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
    networks = _networks()
    index = {
        "digest": _digest(),
        "specs": counted_summaries(networks),
        "weights": _counted_weights(networks),
    }
    return json.dumps(index, indent=1) + "\n"


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
