"""The numbers of networks: counts, memory, receptive fields, comparisons, sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from archc import analysis
from archc.api.networks import network_of

if TYPE_CHECKING:
    from archc.analysis import (
        Comparison,
        Count,
        Device,
        Explanation,
        Fields,
        Fit,
        Level,
        Memory,
        Roofline,
    )
    from archc.api.reading import Keys, Settings, SpecLike, Written
    from archc.choices import ConventionName, Dtype, OptimizerName
    from archc.frontends.torch_export.sizes import InputSizes
    from archc.sweeps.swept import Sweep


def count(
    spec: SpecLike,
    by: Level = "stage",
    convention: ConventionName = "multiply-adds",
    *,
    input: InputSizes | None = None,
) -> Count:
    """Parameters and FLOPs for one image, with rows by network, stage, block or layer.

    ``input`` is the image's (channels, height, width), for a module or whatever else is yet to be
    read: ``archc.count(module, input=(3, 32, 32))``; a module that takes several values has a list
    of sizes, or sizes by name. ``convention`` says whose FLOPs:
    multiply-adds, or what torch, fvcore, ptflops, thop, torchinfo, calflops or pycls counts. Raises
    ValueError for an unknown level or convention.

    >>> import archc
    >>> archc.count("imagenet/resnet34").multiply_adds
    3644493824
    """
    return analysis.count(network_of(spec, input), by, convention)


def explain(spec: SpecLike) -> Explanation:
    """The FLOPs of every convention, and what each adds to the multiply-adds, by op kind.

    >>> import archc
    >>> {one.convention: one.flops for one in archc.explain("torchvision/resnet50").conventions}
    ... # doctest: +ELLIPSIS
    {'multiply-adds': 4089184256, 'torch': 8178368512, 'fvcore': 4111512576, ...}
    """
    return analysis.explain(network_of(spec))


def memory(spec: SpecLike, batch: int = 1, dtype: Dtype = "float32") -> Memory:
    """Bytes of parameters, buffers, activations, gradients and optimizer state.

    Raises ValueError for a batch below 1 or an unknown dtype.

    >>> import archc
    >>> archc.memory("imagenet/resnet50", batch=32).training  # kept for the gradients
    2614443520
    """
    return analysis.memory(network_of(spec), batch, dtype)


def fit(
    spec: SpecLike,
    memory: str | int,
    *,
    dtype: Dtype | Sequence[Dtype] = ("float32", "bfloat16"),
    optimizer: OptimizerName | Sequence[OptimizerName] = ("sgd", "momentum", "adam"),
) -> Fit:
    """The largest batches whose tensors fit into a memory, at inference and in training.

    ``memory`` is in bytes, or a text with a unit: ``"24GB"`` (10^9 bytes) or ``"24GiB"`` (2^30).
    There is a row for inference with each ``dtype``, which is that of parameters and images, too,
    and one for training with each ``optimizer`` besides. The workspaces of kernels, and what the
    allocator takes besides, are left out. Raises ValueError for no such memory, dtype or optimizer.

    >>> import archc
    >>> found = archc.fit("imagenet/resnet50", "24GB", dtype="float32", optimizer="momentum")
    >>> [(row.use, row.batch) for row in found.rows]
    [('inference', 2018), ('training', 288)]
    """
    from archc.amounts import parse_memory

    if isinstance(memory, bool) or not isinstance(memory, (str, int)):
        kind = type(memory).__name__
        raise TypeError(f'`memory` must be bytes or a text such as "24GB", not a {kind}')
    return analysis.fit(
        network_of(spec),
        parse_memory(memory) if isinstance(memory, str) else memory,
        (dtype,) if isinstance(dtype, str) else dtype,
        (optimizer,) if isinstance(optimizer, str) else optimizer,
    )


def receptive_fields(spec: SpecLike) -> Fields:
    """The receptive field of every op's outputs: size, stride and centre in pixels.

    >>> import archc
    >>> rows = archc.receptive_fields("torchvision/vgg16").rows
    >>> {row.name: row.size for row in rows}["features.30"]
    (212, 212)
    """
    return analysis.receptive_fields(network_of(spec))


def roofline(
    spec: SpecLike, device: str | Device, batch: int = 1, *, devices: str | None = None
) -> Roofline:
    """The least time of each layer on a device, by its peak rate and its memory's bandwidth.

    ``device`` is one of the shipped table (``h200-bf16``), of the YAML file ``devices``, or a
    `Device`. Raises ValueError for a batch below 1.
    """
    if isinstance(device, str):
        from archc.hardware import find_device

        device = find_device(device, devices)
    return analysis.roofline(network_of(spec), device, batch)


def compare(a: SpecLike, b: SpecLike) -> Comparison:
    """Two networks op by op: added, removed, changed, and the totals of both.

    >>> import archc
    >>> archc.compare("imagenet/plain34", "imagenet/plain34").same
    True
    """
    return analysis.compare_as_exported(network_of(a), network_of(b))


def diff(a: SpecLike, b: SpecLike) -> Comparison:
    """`compare`, by the name of the command."""
    return compare(a, b)


def sweep(
    spec: Written,
    vary: Mapping[str, object] | Sequence[str],
    *,
    with_: Settings = (),
    input: Sequence[int] | str | int | None = None,
    set: Settings = (),
    **keys: Unpack[Keys],
) -> Sweep:
    """Every variant of a spec along some axes with its numbers, or why it cannot be built.

    ``vary`` maps what varies (``"depth[3]"``, ``"width"``) to its values: a range, a list, or a
    text such as ``"2..8:2"``; or it has the axes as the command line writes them. What differs from
    the spec in all variants is as for `read`. Raises `SpecError` where the spec or an axis is at
    fault.

    >>> import archc
    >>> for one in archc.sweep("imagenet/resnet50", {"depth[3]": range(6, 24, 17)}):
    ...     print(one.settings, one.layers, one.params, one.multiply_adds)
    {'depth[3]': 6} 50 25557032 3857973248
    {'depth[3]': 23} 101 44549160 7570194432
    """
    from archc.api.reading import changes_of, source_of
    from archc.sweeps.swept import Sweep

    return Sweep(source_of(spec), vary, changes_of(with_, input, set, keys))
