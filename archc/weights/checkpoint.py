"""Checkpoints as tensors by key. Nothing in a file is executed: tensors are all that is read."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.files import reason
from archc.spec.diagnostics import listing

if TYPE_CHECKING:
    from torch import Tensor


class WeightsError(Exception):
    """A checkpoint cannot be used; ``hint`` says what to do about it."""

    def __init__(self, file: str, message: str, hint: str | None = None):
        super().__init__(f"{file}: error: {message}")
        self.hint = hint


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a state dict, on the CPU.

    ``inside`` is the key under which the file held it, where it held more than the state dict.
    """

    file: str
    tensors: Mapping[str, Tensor]
    inside: str | None = None


SAVE_HINT = "save the state dict alone: torch.save(model.state_dict(), FILE), or as safetensors"

# Under which keys training scripts put the model's state dict, those that mean it most first.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a ``.safetensors`` file or one that ``torch.save`` wrote (``.pth``, ``.pt``).

    A state dict inside a training checkpoint is found under its usual keys. Raises
    `WeightsError` for a file that is missing, damaged, holds no state dict, or holds objects
    other than tensors, which are not loaded.
    """
    file = os.fsdecode(path)
    try:
        with open(file, "rb") as stream:
            head = stream.read(128)
    except IsADirectoryError:
        raise WeightsError(file, "it is a folder, not a checkpoint") from None
    except (OSError, ValueError) as error:
        raise WeightsError(file, f"cannot be read: {reason(error)}") from None
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(file, "is a pointer to a checkpoint, not one", "run `git lfs pull`")
    if Path(file).suffix.lower() == ".safetensors" or head[8:9] == b"{":
        return Checkpoint(file, _read_safetensors(file))
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        what = "is empty" if not head else "is neither a PyTorch checkpoint nor a safetensors file"
        raise WeightsError(file, what)
    tensors, inside = _state_dict(file, _read_pickled(file))
    return Checkpoint(file, tensors, inside)


def _read_safetensors(file: str) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a safetensors file needs safetensors: pip install 'archc[torch]'", name="safetensors"
        ) from None
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError):
        raise WeightsError(file, "is no whole safetensors file: truncated or damaged") from None


def _read_pickled(file: str) -> object:
    import torch

    if _holds_code(file):
        raise WeightsError(file, "is a TorchScript or exported program, not weights", SAVE_HINT)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise WeightsError(file, "is damaged") from None
        message = (
            f"holds more than tensors: loading it would call `{refused[1]}`; nothing was executed"
        )
        raise WeightsError(file, message, SAVE_HINT) from None
    except Exception:
        # Whatever torch stumbles over in a damaged file: its zip reader, its unpickler and its
        # storages raise a dozen types.
        raise WeightsError(file, "is no whole PyTorch checkpoint: truncated or damaged") from None


def _holds_code(file: str) -> bool:
    """Whether a file is an archive of a program; false for what is no archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return "constants.pkl" in names or any(name.startswith("models/") for name in names)


def _state_dict(file: str, loaded: object) -> tuple[dict[str, Tensor], str | None]:
    """The state dict of what was loaded, and the key that it stood under."""
    if not isinstance(loaded, Mapping):
        kind = "a tensor" if type(loaded).__name__ == "Tensor" else f"a {type(loaded).__name__}"
        raise WeightsError(file, f"holds {kind}, not a state dict", SAVE_HINT)
    if _is_state_dict(loaded):
        return _tensors(file, loaded), None
    found = [str(key) for key, value in loaded.items() if _is_state_dict(value) and value]
    named = [key for key in _WRAPPERS if key in found]
    if not found:
        raise WeightsError(file, "holds no state dict", SAVE_HINT)
    if not named and len(found) > 1:
        names = listing([f"`{key}`" for key in found], "and")
        raise WeightsError(file, f"holds several state dicts, {names}", SAVE_HINT)
    inside = (named or found)[0]
    return _tensors(file, loaded[inside]), inside


def _is_state_dict(value: object) -> bool:
    from torch import Tensor

    if not isinstance(value, Mapping):
        return False
    return all(isinstance(key, str) and isinstance(one, Tensor) for key, one in value.items())


def _tensors(file: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    import torch

    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise WeightsError(file, f"`{key}` is no dense tensor of plain numbers")
    return {key: tensor.detach() for key, tensor in state.items()}
