"""The weights that a network has of its own: those of the model that it was made of."""

from __future__ import annotations

from typing import Any

from archc.graph import Network
from archc.weights.checkpoint import Checkpoint


def own_weights(network: Network) -> Checkpoint | None:
    """The weights of a network's own model, on the CPU; None where it has none.

    Raises `ArchcError` where the model's file does not hold what it says.
    """
    model = network.model
    if model is None or not model.has_weights:
        return None
    tensors = {key: _tensor(one) for key, one in model.arrays().items()}
    return Checkpoint(model.source, tensors, is_in_memory=True)


def _tensor(array: Any) -> Any:
    import torch

    return array if isinstance(array, torch.Tensor) else torch.from_numpy(array)
