"""Weights as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def to_safetensors(weights: Mapping[str, Tensor]) -> bytes:
    """The content of a safetensors file; torch's own tools read it."""
    from safetensors.torch import save

    apart = {key: tensor.contiguous().clone() for key, tensor in weights.items()}
    content: bytes = save(apart, {"format": "pt"})
    return content
