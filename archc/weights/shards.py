"""Weights in several files with an index beside them, as Hugging Face's libraries save large ones:
``model.safetensors.index.json`` says in which file each tensor is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archc.errors import reason
from archc.text import quote
from archc.weights.errors import WeightsError
from archc.weights.tensors import check_keys

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 2**24
"""The longest index. That of 20,000 tensors has 2 MB."""

MAX_SHARDS = 1000


def read_index(file: str, read: Callable[[str], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all files that an index lists; ``read`` reads those of one.

    Raises `WeightsError` for an index that is none, that names a file which is not beside it, or
    that does not agree with its files.
    """
    places = _places(file)
    folder = os.path.dirname(file)
    tensors: dict[str, Tensor] = {}
    shards = list(dict.fromkeys(places.values()))
    for shard in shards:
        path = os.path.join(folder, shard)
        if shard.lower().endswith(".json"):
            raise WeightsError(file, f"lists {_shown(shard)}, which is an index itself")
        if not os.path.exists(path):
            what = f"lists {_shown(shard)}, which is not in its folder"
            raise WeightsError(file, what, "put all files of the index into one folder")
        found = read(path)
        missing = [key for key, place in places.items() if place == shard and key not in found]
        if missing:
            what = f"lists {_shown(missing[0])} in {_shown(shard)}, which does not have it"
            raise WeightsError(file, what)
        for key in found:
            place = places.get(key)
            if place is None:
                what = f"does not list {_shown(key)}, which is in {_shown(shard)}"
                raise WeightsError(file, what)
            if place != shard:
                what = f"lists {_shown(key)} in {_shown(place)}, but {_shown(shard)} has it, too"
                raise WeightsError(file, what)
        tensors |= found
    return {key: tensors[key] for key in places}


def _shown(text: str) -> str:
    return quote(text, limit=200)


def _places(file: str) -> dict[str, str]:
    """The file of each key."""
    index = _index(file)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict):
        what = "is a JSON file without `weight_map`, not the index of a checkpoint"
        raise WeightsError(file, what)
    check_keys(file, places)
    for key, shard in places.items():
        if not isinstance(shard, str) or not _is_plain(shard):
            what = f"lists a file for {_shown(key)} that is not the plain name of one beside it"
            raise WeightsError(file, what)
    if len(set(places.values())) > MAX_SHARDS:
        raise WeightsError(file, f"lists more than {MAX_SHARDS:,} files")
    return places


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder, on any system."""
    is_path = any(mark in name for mark in "/\\:\0")
    return bool(name) and name not in (".", "..") and not is_path and name.isprintable()


def _index(file: str) -> Any:
    try:
        with open(file, "rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise WeightsError(file, f"cannot be read: {reason(error)}") from None
    if len(text) > MAX_BYTES:
        raise WeightsError(file, f"is an index of more than {MAX_BYTES:,} bytes")
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _mapping(file, pairs))
    except (ValueError, RecursionError) as error:
        raise WeightsError(file, "is a damaged index: it is not valid JSON") from error


def _mapping(file: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise WeightsError(file, f"lists {_shown(twice)} twice")
    return found
