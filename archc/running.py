"""Running modules: what goes wrong in words, torch's warnings kept away, all left as it was."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archc.text import in_words

if TYPE_CHECKING:
    import torch

NO_COMPILER = "inductor needs a C++ compiler, and none was found"

_NO_MEMORY = (
    "allocate memory",
    "unable to mmap",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What systems and torch say where they have no exception for a lack of memory."""


def lacks_memory(error: BaseException) -> bool:
    """Whether a machine or a device has run out of memory, whatever was made of that since."""
    import torch

    chain: dict[int, BaseException] = {}
    one: BaseException | None = error
    while one is not None and id(one) not in chain:
        if isinstance(one, (torch.OutOfMemoryError, MemoryError)):
            return True
        if any(words in str(one) for words in _NO_MEMORY):
            return True
        chain[id(one)] = one
        one = one.__cause__ or one.__context__
    return False


def fault_of(error: BaseException) -> str:
    """What a module raised, in words.

    Where memory does not suffice, that is no module's fault: the error is raised again.
    """
    if lacks_memory(error):
        raise error
    return in_words(error)


def why_not(error: Exception) -> str:
    """Why torch could not export or compile a module, in a sentence; as `fault_of`."""
    words = fault_of(error)
    if "InvalidCxxCompiler" in f"{type(error).__name__} {error}":
        return NO_COMPILER
    if "Constraints violated (batch)" in str(error):
        return "its result depends on the batch size"
    return words


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's warnings about itself away from the user."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def as_it_was(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers, gradients and autocast as they are; inside, gradients are
    taken and nothing is cast."""
    import torch

    # A seed is set on all devices.
    on_cuda = device.type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count() if on_cuda else 0)
    with (
        torch.random.fork_rng(devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield
