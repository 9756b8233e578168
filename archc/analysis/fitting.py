"""The largest batch whose tensors fit into a memory, at inference and in training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Literal

from archc.analysis.moments import Moments, inference_moments, training_moments
from archc.analysis.plain import as_plain
from archc.choices import BYTES, OPTIMIZERS, check_choice
from archc.dataclassing import dataclass
from archc.graph import Network, Shape
from archc.shown import Result

Use = Literal["inference", "training"]


@dataclass(frozen=True, slots=True)
class FitRow:
    """The largest batch of one use: ``inference``, or ``training`` with an ``optimizer``.

    ``bytes`` are those of that batch, None where not a single image fits, ``bytes_of_one`` those
    of one image. Most is alive in ``phase``: while ``op`` runs in the forward, while its gradient
    is computed in the backward, or in the step of the optimizer, where ``op`` is None.
    """

    dtype: str
    use: Use
    optimizer: str | None
    batch: int
    bytes: int | None
    bytes_of_one: int
    phase: Literal["forward", "backward", "optimizer"]
    op: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Fit(Result):
    """The largest batches of images of shape ``input`` that fit into ``memory`` bytes.

    ``no_rule`` says of how many ops of which names nothing is known: they are taken to keep what
    they read.
    """

    name: str
    input: tuple[int, ...]
    memory: int
    no_rule: dict[str, int]
    rows: tuple[FitRow, ...]
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The batches as plain data; integers are exact bytes."""
        return as_plain(self)


def fit(
    network: Network,
    memory: int,
    dtypes: Iterable[str] = ("float32", "bfloat16"),
    optimizers: Iterable[str] = tuple(OPTIMIZERS),
) -> Fit:
    """The largest batches whose tensors fit into so many bytes, for each dtype at inference and in
    training with each optimizer.

    Parameters and images are of the dtype, too. Counted are the tensors that torch holds: at
    inference parameters, buffers, images and values; in training also what autograd saves, the
    gradients of values and parameters as they come and go, labels, logits, the cross-entropy, and
    the optimizer's state. What kernels and the allocator take besides is not. A network
    with nothing to learn has no rows of training. Raises ValueError for a memory below 1 and an
    unknown dtype or optimizer.
    """
    if memory < 1:
        raise ValueError(f"`memory` must be at least 1 byte, not {memory}")
    rows = [
        row
        for dtype in _known(dtypes, BYTES, "dtype")
        for row in _rows(network, memory, dtype, _known(optimizers, OPTIMIZERS, "optimizer"))
    ]
    return Fit(
        network.name,
        network.input_shape,
        memory,
        dict(network.no_rule),
        tuple(rows),
        network.several_inputs,
    )


def _known(names: Iterable[str], known: Collection[str], what: str) -> list[str]:
    """Names, each once, of those that there are."""
    found = list(dict.fromkeys(names))
    for name in found:
        check_choice(what, name, known)
    return found


def _rows(network: Network, memory: int, dtype: str, optimizers: list[str]) -> Iterator[FitRow]:
    yield _row(inference_moments(network, dtype), memory, dtype, "inference", None)
    if not network.params:
        return  # there is nothing to train
    found = training_moments(network, dtype, optimizers)
    for optimizer, moments in zip(optimizers, found, strict=True):
        yield _row(moments, memory, dtype, "training", optimizer)


def _row(moments: Moments, memory: int, dtype: str, use: Use, optimizer: str | None) -> FitRow:
    batch = moments.largest_batch(memory)
    most, moment = moments.peak(batch or 1)
    return FitRow(
        dtype=dtype,
        use=use,
        optimizer=optimizer,
        batch=batch,
        bytes=most if batch else None,
        bytes_of_one=moments.peak(1)[0],
        phase=moment.phase,
        op=moment.op or None,
    )
