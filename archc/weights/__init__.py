"""Trained weights: read from files, matched with a network, folded into its deploy form."""

from archc.errors import WeightsWarning
from archc.weights.checkpoint import Checkpoint, checkpoint_of, read_checkpoint
from archc.weights.errors import WeightsError
from archc.weights.fit import Fit, fit
from archc.weights.fold import FoldError, fold_weights
from archc.weights.load import (
    check_range,
    deploy_weights,
    folded_weights,
    is_folded,
    match,
    match_in_words,
    weights_of,
    weights_to_load,
)
from archc.weights.misfits import MisfitError, StrangeNamesError, describe
from archc.weights.options import MATCHES, By, MatchOptions, parse_renames
from archc.weights.own import own_weights

__all__ = [
    "MATCHES",
    "By",
    "Checkpoint",
    "Fit",
    "FoldError",
    "MatchOptions",
    "MisfitError",
    "StrangeNamesError",
    "WeightsError",
    "WeightsWarning",
    "check_range",
    "checkpoint_of",
    "deploy_weights",
    "describe",
    "fit",
    "fold_weights",
    "folded_weights",
    "is_folded",
    "match",
    "match_in_words",
    "own_weights",
    "parse_renames",
    "read_checkpoint",
    "weights_of",
    "weights_to_load",
]
