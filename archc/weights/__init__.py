"""Trained weights: read from files, matched with a network, folded into its deploy form."""

from archc.weights.checkpoint import Checkpoint, WeightsError, read_checkpoint
from archc.weights.fit import Fit, fit
from archc.weights.fold import fold_weights

__all__ = ["Checkpoint", "Fit", "WeightsError", "fit", "fold_weights", "read_checkpoint"]
