"""Training that begins with weights, and of which a part stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any

from torch import Tensor, nn

import archc
from archc.dataclassing import dataclass
from archc.errors import TrainingError
from archc.source.caller import said
from archc.text import listing, quote


@dataclass(frozen=True)
class Start:
    """The weights that a run begins with, by the network's keys, some of which they may lack.

    ``words`` say how they were matched with the network, ``left_out`` what else the file holds;
    ``digest`` is the SHA-256 of all numbers.
    """

    file: str
    weights: Mapping[str, Tensor]
    digest: str
    words: str
    left_out: str | None = None

    def as_record(self) -> dict[str, Any]:
        """What a run's record has of it."""
        return {"file": self.file, "sha256": self.digest, "tensors": len(self.weights)}


def read_start(network: archc.Network, weights: archc.WeightsLike) -> Start:
    """The weights that a run begins with. Raises `WeightsError`."""
    found = archc.match_weights(network, weights)
    state = archc.state_dict(network, weights)
    own = {key: tensor.contiguous() for key, tensor in state.items()}
    digest = hashlib.sha256(archc.to_safetensors(own)).hexdigest()
    left_out = getattr(weights, "left_out", None)
    return Start(_name(weights), own, digest, found.words(), left_out)


def _name(weights: archc.WeightsLike) -> str:
    if isinstance(weights, Mapping):
        return "a state dict"
    return str(getattr(weights, "file", weights))


def frozen_keys(network: archc.Network, patterns: Iterable[str]) -> frozenset[str]:
    """The keys of a network's tensors that are to stay as they are.

    A pattern is a path of modules, or a key, in which ``*`` stands for anything: ``layer1``,
    ``layer1.*``, ``*.bn2``, ``fc.bias``. Raises `TrainingError` for one that matches nothing.
    """
    paths = {key: _paths(key) for key in network.state}
    found: set[str] = set()
    for pattern in patterns:
        keys = [key for key, own in paths.items() if any(fnmatchcase(p, pattern) for p in own)]
        if not keys:
            parts = dict.fromkeys(key.partition(".")[0] for key in paths)
            inner = dict.fromkeys(own[1] for own in paths.values() if len(own) > 2)
            names = parts if len(parts) > 1 else inner
            told = [quote(name) for name in list(names)[:30]]
            more = [f"{len(names) - 30} more"] if len(names) > 30 else []
            raise TrainingError(
                f"{said('--freeze', '`freeze`')} {quote(pattern, 200)} matches nothing in "
                f"{network.name}",
                f"it has {listing([*told, *more], 'and')}, and what is inside of these",
            )
        found.update(keys)
    return frozenset(found)


def _paths(key: str) -> list[str]:
    """A key, and the paths of the modules that it is in, the outermost first."""
    return list(accumulate(key.split("."), "{}.{}".format))


def freeze(module: nn.Module, keys: frozenset[str]) -> None:
    """Have parameters take no gradients, and norms compute with their running statistics, which
    stay as they are, whatever the mode of the module. Raises `TrainingError` if none is left."""
    if not keys:
        return
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in keys)
    for path, part in module.named_modules():
        if f"{path}.running_mean" in keys:
            part.eval()
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise TrainingError(
            "nothing is left to train: all parameters are frozen",
            f"give fewer patterns to {said('--freeze', '`freeze`')}",
        )
