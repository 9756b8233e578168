"""The devices that torch runs on, by the names it gives them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archc.errors import ArchcError
from archc.running import lacks_memory

if TYPE_CHECKING:
    import torch


PRECISIONS = {"float32": "32-true", "tf32": "32-true", "bfloat16": "bf16-mixed"}
"""The precisions of training, and what each is to Lightning Fabric; weights are float32."""


class DeviceError(ArchcError):
    """A device is not there, or a network does not fit into its memory."""


class RunError(ArchcError):
    """A module cannot be run as it was asked for."""


def find_device(name: str) -> torch.device:
    """The device of a name: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``. Raises `DeviceError`.

    ``auto`` is cuda where there is one.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"unknown device `{name}`: use cpu or cuda") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise DeviceError(f"archc supports cpu and cuda, not `{name}`")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        reason = (
            "this build of torch is for CPUs only" if torch.version.cuda is None else "none found"
        )
        raise DeviceError(f"no CUDA device is available: {reason}")
    if (device.index or 0) >= count:
        raise DeviceError(f"there is no device `{name}`: CUDA has {count}, starting with cuda:0")
    return device


@contextmanager
def on_device(name: str) -> Iterator[torch.device]:
    """The device of a name; running out of its memory inside raises `DeviceError`."""

    device = find_device(name)
    try:
        yield device
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise DeviceError(f"not enough memory on `{name}`") from error


def describe_device(device: torch.device) -> str:
    """A device in words: ``AMD EPYC, 2 threads, torch 2.13.0``."""
    import torch

    version = f"torch {torch.__version__.partition('+')[0]}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {version}"
    return f"{processor()}, {torch.get_num_threads()} threads, {version}"


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that were in use so far: by tensors on a GPU, otherwise by this process.

    None on systems that do not say.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; without them it is slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # built without oneDNN
        return True


def processor() -> str:
    """What this machine's processor is called."""
    if sys.platform == "linux":
        with suppress(OSError):
            found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
            if found:
                return found[1]
    return platform.processor() or platform.machine()
