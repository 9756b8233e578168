"""What torch does for all that use it, while a module is verified."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archc.running import quiet

_CUDNN = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
"""All that `torch.backends.cudnn.flags` sets: what is left out is turned off, cuDNN itself too."""


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """On CUDA, only algorithms that give the same bits every time, as far as there are some."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        with quiet(), torch.backends.cudnn.flags(**_CUDNN):
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
