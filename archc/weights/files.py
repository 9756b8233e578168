"""Weights as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archc.extras import require

if TYPE_CHECKING:
    from torch import Tensor


def require_safetensors() -> None:
    """Raise ModuleNotFoundError, with what to do about it, where safetensors is not installed."""
    require("safetensors", "a safetensors file", "torch")


def to_safetensors(weights: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> bytes:
    """The content of a safetensors file; torch's own tools read it.

    ``about`` becomes its metadata, as `archc.weights.origin.describe_origin` gives it. Raises
    ModuleNotFoundError, with what to do about it, where safetensors is not installed.
    """
    require_safetensors()
    from safetensors.torch import save

    apart = {key: tensor.contiguous().clone() for key, tensor in weights.items()}
    content: bytes = save(apart, {"format": "pt", **(about or {})})
    return content
