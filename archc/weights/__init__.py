"""Trained weights: read from files, matched with a network, folded into its deploy form."""

from archc.errors import WeightsWarning
from archc.weights.checkpoint import Checkpoint, checkpoint_of, read_checkpoint
from archc.weights.errors import WeightsError
from archc.weights.fit import Fit, fit
from archc.weights.fold import FoldError, fold_weights
from archc.weights.load import (
    MisfitError,
    deploy_weights,
    describe,
    is_folded,
    match,
    weights_of,
    weights_to_load,
)

__all__ = [
    "Checkpoint",
    "Fit",
    "FoldError",
    "MisfitError",
    "WeightsError",
    "WeightsWarning",
    "checkpoint_of",
    "deploy_weights",
    "describe",
    "fit",
    "fold_weights",
    "is_folded",
    "match",
    "read_checkpoint",
    "weights_of",
    "weights_to_load",
]
