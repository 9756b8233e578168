"""What torch does for all that use it, while a module is verified and afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from archc.running import quiet

AUTOCAST = ("cpu", "cuda")


def _precisions() -> tuple[str | None, ...]:
    """How exact products of matrices are: by torch's older setting, which cannot be read where a
    caller has set newer ones, and by these."""
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:
        older = None
    return (older, *(getattr(one, "fp32_precision", None) for one in _products()))


def _set_precisions(precisions: tuple[str | None, ...]) -> None:
    older, *newer = precisions
    if older is not None:
        torch.set_float32_matmul_precision(older)
    for one, precision in zip(_products(), newer, strict=True):
        if precision is not None:
            one.fp32_precision = precision


def _products() -> list[Any]:
    mkldnn: Any = torch.backends.mkldnn  # which has it from torch 2.9 on
    return [torch.backends.cuda.matmul, getattr(mkldnn, "matmul", None)]


def _set_autocast(enabled: tuple[bool, ...]) -> None:
    for device, one in zip(AUTOCAST, enabled, strict=True):
        torch.set_autocast_enabled(device, one)


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "matmul precision": (_precisions, _set_precisions),
    "autocast": (lambda: tuple(map(torch.is_autocast_enabled, AUTOCAST)), _set_autocast),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "determinism": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "use of oneDNN": (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    "use of cuDNN": (torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled),
    "cuDNN benchmark mode": (torch._C._get_cudnn_benchmark, torch._C._set_cudnn_benchmark),
}
"""How each is read, and how set."""


@contextmanager
def kept_settings() -> Iterator[Callable[[], list[str]]]:
    """Restore what a source sets for everybody; until then, a function that names it."""
    before = {name: read() for name, (read, _) in _SETTINGS.items()}

    def changed() -> list[str]:
        return [name for name, (read, _) in _SETTINGS.items() if read() != before[name]]

    try:
        yield changed
    finally:
        for name in changed():
            _SETTINGS[name][1](before[name])


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
