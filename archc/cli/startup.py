"""What makes a command start quickly, besides that nothing is imported before it is needed."""

from __future__ import annotations

import gc

GC_THRESHOLDS = (50_000, 100, 100)
"""Python searches for garbage after so many new objects, and among older ones only every hundredth
time; by default after 700, and every tenth time."""


def start_quickly() -> None:
    """Spare what costs time at every start."""
    # Importing makes objects by the hundred thousand, and none of them is garbage.
    gc.set_threshold(*GC_THRESHOLDS)
