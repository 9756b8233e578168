"""Weights as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from archc.extras import require

if TYPE_CHECKING:
    from torch import Tensor


def require_safetensors() -> None:
    """Raise ModuleNotFoundError, with what to do about it, where safetensors is not installed."""
    require("safetensors", "a safetensors file", "torch")


def to_safetensors(weights: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> bytes:
    """The content of a safetensors file, the same bytes every time; torch's own tools read it.

    ``about`` becomes its metadata, as `archc.weights.origin.describe_origin` gives it. Raises
    ModuleNotFoundError, with what to do about it, where safetensors is not installed.
    """
    require_safetensors()
    from safetensors.torch import save

    apart = {key: tensor.contiguous().clone() for key, tensor in weights.items()}
    return _with_sorted_metadata(save(apart, {"format": "pt", **(about or {})}))


def _with_sorted_metadata(content: bytes) -> bytes:
    """The file with its metadata in order: the library writes it in another order each time."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = header.pop("__metadata__")
    ordered = {"__metadata__": dict(sorted(about.items())), **header}
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # as the format has the numbers begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
