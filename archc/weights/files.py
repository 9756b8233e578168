"""Weights as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def needs_safetensors() -> ModuleNotFoundError:
    """The error of a machine without safetensors."""
    words = "a safetensors file needs safetensors: pip install 'archc[torch]'"
    return ModuleNotFoundError(words, name="safetensors")


def to_safetensors(weights: Mapping[str, Tensor]) -> bytes:
    """The content of a safetensors file; torch's own tools read it.

    Raises ModuleNotFoundError, with what to do about it, where safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError:
        raise needs_safetensors() from None

    apart = {key: tensor.contiguous().clone() for key, tensor in weights.items()}
    content: bytes = save(apart, {"format": "pt"})
    return content
