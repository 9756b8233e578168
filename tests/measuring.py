"""What torch holds: the storages that ops allocate, seen by a dispatch mode, and how many bytes of
them are alive at most in a forward or in a training step."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archc.graph import Network
from archc.live import build_module


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that ops allocate; ``most`` bytes of them, and of those known before,
    were alive at once."""

    def __init__(self, known: Iterable[Tensor], uncounted: Iterable[Tensor] = ()):
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = {tensor.untyped_storage()._cdata: 0 for tensor in uncounted}
        self.now = 0
        for tensor in known:
            self._note(tensor.untyped_storage())
        self.most = self.now

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an op and note what it allocates."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        self.most = max(self.most, self.now)
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.alive:
            return
        self.alive[key] = size
        self.now += size
        weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.now -= self.alive.pop(key, 0)


def inference_peak(
    network: Network, batch: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> int:
    """The most bytes alive in a forward of the emitted module, its tensors and the images among
    them; on the device ``meta`` nothing is computed."""
    module = build_module(network).to(dtype).to(device).eval()
    images = torch.empty(batch, *network.input_shape, dtype=dtype, device=device)
    with torch.no_grad(), Allocations([*module.parameters(), *module.buffers(), images]) as seen:
        module(images)
    return int(seen.most)


def optimizer_of(name: str, module: nn.Module) -> torch.optim.Optimizer:
    """An optimizer by the name that archc has for it."""
    if name == "adam":
        return torch.optim.Adam(module.parameters(), lr=1e-3)
    return torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9 * (name == "momentum"))


def training_peak(
    network: Network,
    batch: int,
    optimizer: str = "momentum",
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> int:
    """The most bytes alive in a training step of the emitted module, the second one, for which the
    optimizer has its state."""
    module = build_module(network).to(dtype).to(device).train()
    stepper = optimizer_of(optimizer, module)
    places = network.nodes[network.logits].output_shape[1:]
    for _ in range(2):
        images = torch.empty(batch, *network.input_shape, dtype=dtype, device=device)
        labels = torch.zeros((batch, *places), dtype=torch.int64, device=device)
        state = [one for held in stepper.state.values() for one in held.values()]
        tensors = [one for one in state if isinstance(one, Tensor)]
        known = [*module.parameters(), *module.buffers(), *tensors, images, labels]
        with Allocations(known) as seen:
            out = module(images)
            logits, *others = out if network.sides else (out,)
            loss = F.cross_entropy(logits, labels)
            for side, other in zip(network.sides, others, strict=True):
                loss = loss + side.weight * F.cross_entropy(other, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            stepper.step()
            stepper.zero_grad()
        del out, logits, others, loss
    return int(seen.most)
