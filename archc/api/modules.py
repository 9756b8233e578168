"""Networks as source and as torch modules; their weights, and what is measured of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from archc.api.networks import network_of
from archc.design import Design
from archc.errors import ArchcError
from archc.graph import Network, deploy_form
from archc.text import quote_name

if TYPE_CHECKING:
    import torch

    from archc.api.reading import SpecLike
    from archc.choices import ExportFormat
    from archc.graph import Convolutional
    from archc.timing import BenchOptions, BenchResult, Timings
    from archc.verification import Options, Report, Row
    from archc.weights import By, Checkpoint, Fit, MatchOptions

WeightsLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, torch.Tensor] | Checkpoint"
Renames: TypeAlias = "Mapping[str, str] | Sequence[str]"


def emit(spec: SpecLike, *, deploy: bool = False) -> str:
    """The source of a Python module with the network's class; it needs torch alone.

    With ``deploy`` the network is `deploy_form`'s, without the norms that convolutions take in.
    """
    from archc.backends.pytorch import emit

    network = network_of(spec)
    return emit(deploy_form(network) if deploy else network)


def module(
    spec: SpecLike,
    *,
    weights: WeightsLike | None = None,
    deploy: bool = False,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> torch.nn.Module:
    """A torch module that takes images ``(batch, channels, height, width)``.

    It is freshly initialised, or has the ``weights`` of a file (``.safetensors``, ``.pth``) or a
    state dict; a model of another library keeps its own, unless others are given. With
    ``deploy`` its convolutions have taken in the norms behind them; weights are folded for it.
    ``partial``, ``rename``, ``ema`` and ``match`` say how the weights are matched with the network,
    as for `read_weights`. Raises ModuleNotFoundError where torch is not installed, `WeightsError`
    where the weights cannot be read or do not fit.
    """
    from archc.live import build_module

    checkpoint = weights_of(weights, partial=partial, rename=rename, ema=ema, match=match)
    return build_module(network_of(spec), checkpoint, deploy=deploy)


def match_weights(
    spec: SpecLike,
    weights: WeightsLike,
    *,
    deploy: bool = False,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> Fit:
    """How weights match a network: which of their tensors is which of the network's, what is
    missing, and what was done to their names.

    Options are as for `module`. Raises as that.

    >>> import archc
    >>> state = archc.module("cifar10/resnet20").state_dict()
    >>> wrapped = {f"backbone.{key}": tensor for key, tensor in state.items() if key[:2] != "fc"}
    >>> archc.match_weights("cifar10/resnet20", wrapped, partial=True).missing
    ('fc.weight', 'fc.bias')
    """
    from archc.weights import match as match_checkpoint

    require_torch("reading weights")
    checkpoint = weights_of(weights, partial=partial, rename=rename, ema=ema, match=match)
    network = _as_emitted(network_of(spec))
    return match_checkpoint(network, _given(checkpoint), deploy=deploy)


def state_dict(
    spec: SpecLike,
    weights: WeightsLike | None = None,
    *,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> dict[str, torch.Tensor]:
    """Weights of whatever names as a state dict of the network's module: copies on the CPU under
    its keys, in its shapes and their own dtype, with ``partial`` those that fit.

    Without ``weights`` they are those of a model of another library. Options are as for `module`.
    Raises as that.
    """
    from archc.weights import weights_to_load

    require_torch("reading weights")
    checkpoint = weights_of(weights, partial=partial, rename=rename, ema=ema, match=match)
    network = _as_emitted(network_of(spec))
    found = weights_to_load(network, _given(checkpoint, network))
    return {key: tensor.clone() for key, tensor in found.items()}


def fold(
    spec: SpecLike,
    weights: WeightsLike | None = None,
    *,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> dict[str, torch.Tensor]:
    """Trained weights as those of the network's deploy form, in their own dtype.

    Without ``weights`` they are those of a model of another library. ``rename``, ``ema`` and
    ``match`` are as for `read_weights`. Raises `WeightsError` where they cannot be read, do not
    fit, or cannot be folded.
    """
    from archc.weights import deploy_weights

    require_torch("folding weights")
    network = _as_emitted(network_of(spec))
    checkpoint = _given(weights_of(weights, rename=rename, ema=ema, match=match), network)
    folded = deploy_weights(network, checkpoint)
    return {key: tensor.clone() for key, tensor in folded.items()}  # of its own, whatever was read


def compiled(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """A module in eval mode, compiled for inference: without gradients, with frozen weights.

    It takes images ``(batch, channels, height, width)``. Its first call compiles it, and so
    does an image of another size or type, or a change of torch's settings. Weights become
    constants, which must not change afterwards; in float64 on a CPU they do not. On CUDA it replays
    CUDA graphs, and convolutions take in the additions and ReLUs that follow them. Raises
    ModuleNotFoundError where torch is not installed, TypeError for what is no module, ValueError
    for one in training mode, also where it is called.
    """
    require_torch("compiling")
    from archc.inference import compiled

    return compiled(module)


def export(
    spec: SpecLike,
    format: ExportFormat = "onnx",
    *,
    weights: WeightsLike | None = None,
    deploy: bool = False,
    batch: int | None = None,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> bytes:
    """The network as an ONNX model (``"onnx"``) or a torch exported program (``"pt2"``).

    It takes float32 images ``(batch, channels, height, width)`` and returns the logits. The batch
    size is free unless ``batch`` fixes it. ``partial``, ``rename``, ``ema`` and ``match`` are as
    for `read_weights`. Raises `WeightsError`, `OnnxError`, `DeviceError` for a lack of memory,
    ValueError for another format or a batch below 1, and ModuleNotFoundError where torch or onnx is
    not installed.
    """
    from archc.exporting import export

    checkpoint = weights_of(weights, partial=partial, rename=rename, ema=ema, match=match)
    return export(network_of(spec), format, checkpoint, deploy=deploy, batch=batch)


def verify(
    spec: SpecLike,
    *,
    weights: WeightsLike | None = None,
    deploy: bool = False,
    source: str | None = None,
    file: str | None = None,
    options: Options | None = None,
    done: Callable[[Row], None] | None = None,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> Report:
    """Prove the emitted module equal to the network's graph, check by check.

    A row of the report says for each check whether it passed, its number, and which layers fail.
    ``source`` is a source text to check instead of what archc emits, ``file`` its path; it is
    executed. ``done`` receives each row as soon as its check is done. ``rename``, ``ema`` and
    ``match`` are as for `read_weights`. Raises `WeightsError`, `DeviceError`, and
    ModuleNotFoundError where torch is not installed.
    """
    require_torch("verification")
    from archc.verification import verify

    checkpoint = weights_of(weights, rename=rename, ema=ema, match=match)
    return verify(
        network_of(spec), checkpoint, options, source=source, file=file, deploy=deploy, done=done
    )


def bench(
    *specs: SpecLike,
    options: BenchOptions | None = None,
    done: Callable[[BenchResult], None] | None = None,
) -> Timings:
    """Time networks' modules, each with every batch size, beside the hardware's limit.

    ``done`` receives each result as soon as it is there, beside the best rates until then.
    Times are in seconds, memory in bytes. Raises `DeviceError` for a device that is not there or
    lacks the memory, `RunError` for a network that cannot be trained or compiled, ValueError for
    options that exclude each other, and ModuleNotFoundError where torch is not installed.
    """
    require_torch("timing a module")
    from archc.timing import BenchOptions, Timings, at_best, bench

    results = []
    for result in bench([network_of(spec) for spec in specs], options or BenchOptions()):
        results.append(result)
        if done is not None:
            done(result)
    return Timings(at_best(results))


def fully_convolutional(spec: SpecLike) -> Convolutional:
    """The form of a network that takes images of any size and puts out a map of scores.

    Raises `NotConvolutionalError` where there is none.
    """
    from archc.graph import fully_convolutional

    return fully_convolutional(network_of(spec))


def read_weights(
    file: str | os.PathLike[str],
    key: str | None = None,
    *,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> Checkpoint:
    """The tensors of a checkpoint, ``.safetensors``, ``.npz`` or ``.pth``, with nothing executed.

    ``key`` chooses one of several state dicts in it, as ``FILE#KEY`` does. The tensors are views of
    the file, which must not be overwritten in place while they are used.

    The rest says how they are to be matched with a network. ``partial`` takes those that fit and
    leaves the network's others as initialised. ``rename`` are ``"OLD=NEW"`` texts, or a mapping:
    OLD, a key or what keys begin with up to a dot, becomes NEW, or with an empty NEW is taken off.
    ``ema`` takes averaged weights, and ``match="order"`` matches tensors of strange names by their
    order. Raises `WeightsError` where the file cannot be read, ValueError for a rename or a match
    that is none, ModuleNotFoundError where torch is missing.
    """
    require_torch("reading weights")
    from archc.weights import read_checkpoint

    options = _options(partial, rename, ema, match)
    return replace(read_checkpoint(file, key), options=options)


def to_safetensors(
    weights: Mapping[str, torch.Tensor], about: Mapping[str, str] | None = None
) -> bytes:
    """Weights as a safetensors file; ``about`` is its metadata, such as the `origin` of them."""
    from archc.weights.files import to_safetensors

    return to_safetensors(weights, about)


def origin(spec: Design | Network) -> dict[str, str]:
    """Whose weights they are, for the file that holds them: several networks may have the same
    tensors and compute something else from them. Of a network that is no spec's nothing is said.
    """
    from archc.weights.origin import describe_origin

    return describe_origin(spec.spec) if isinstance(spec, Design) else {}


def require_torch(what: str) -> None:
    """Raise ModuleNotFoundError, saying how to get it, where torch is missing."""
    from archc.extras import require

    require("torch", what, "torch")


def weights_of(
    weights: WeightsLike | None,
    *,
    partial: bool = False,
    rename: Renames = (),
    ema: bool = False,
    match: By = "names",
) -> Checkpoint | None:
    """The tensors of what a caller gave as weights, to be matched as the options say. Raises as
    `read_weights`, and TypeError for options of weights that were not given."""
    is_changed = partial or bool(rename) or ema or match != "names"
    if weights is None:
        if is_changed:
            raise TypeError("`partial`, `rename`, `ema` and `match` need `weights`")
        return None
    require_torch("reading weights")
    from archc.weights import Checkpoint, checkpoint_of

    if isinstance(weights, Checkpoint):
        checkpoint = weights
    else:
        checkpoint = (
            checkpoint_of(weights) if isinstance(weights, Mapping) else read_weights(weights)
        )
    if not is_changed:
        return checkpoint
    return replace(checkpoint, options=_options(partial, rename, ema, match))


def _as_emitted(network: Network) -> Network:
    """A network whose state dict is that of the module that is emitted of it, if one can be."""
    from archc.backends.pytorch import EmitError, writable

    try:
        return writable(network)
    except EmitError:
        return network


def _options(partial: bool, rename: Renames, ema: bool, match: By) -> MatchOptions:
    from archc.weights import MatchOptions, parse_renames

    return MatchOptions(parse_renames(rename), ema, match, partial)


def _given(checkpoint: Checkpoint | None, network: Network | None = None) -> Checkpoint:
    """The weights that were given, or else a network's own."""
    if checkpoint is None and network is not None and network.model is not None:
        checkpoint = own_weights(network)
        if checkpoint is None:
            raise ArchcError(f"{quote_name(network.model.source)} has no weights", "give it some")
    if checkpoint is None:
        raise TypeError("`weights` must be a file or a state dict, not None")
    return checkpoint


def own_weights(spec: SpecLike) -> Checkpoint | None:
    """The weights of a model of another library, as those of the network that was made of it; None
    for a spec, and for a model without values.

    Raises `ForeignError` where they cannot be read.
    """
    network = _as_emitted(network_of(spec))
    if network.model is None or not network.model.has_weights:
        return None
    require_torch("reading weights")
    from archc.weights import own_weights

    return own_weights(network)
