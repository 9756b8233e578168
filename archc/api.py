"""What Python programs use: the commands' work as functions.

A spec is the path of a YAML file, the name of a shipped spec (``imagenet/resnet34``), or a
`Network` that has been loaded. Every function raises `SpecError` where a spec is at fault.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from archc import analysis
from archc.choices import diff_conflict
from archc.design import Design
from archc.errors import SpecWarning
from archc.graph import Network, deploy_form
from archc.shipped import shipped_names
from archc.spec import Diagnostic, Source, SpecError, resolve
from archc.spec.files import open_spec
from archc.spec.overrides import Override, Size
from archc.widths import parse_width

if TYPE_CHECKING:
    import torch

    from archc.analysis import (
        Comparison,
        Count,
        Device,
        Explanation,
        Fields,
        Level,
        Memory,
        Roofline,
    )
    from archc.backends.figure import Drawing
    from archc.blocks import Definition
    from archc.exporting import ExportFormat
    from archc.graph import Convolutional
    from archc.sweeps import Unbuildable, Variant
    from archc.timing import BenchOptions, BenchResult
    from archc.verification import Options, Report, Row
    from archc.weights import Checkpoint


SpecLike: TypeAlias = "str | os.PathLike[str] | Network"
WeightsLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, torch.Tensor] | Checkpoint"


def read(
    spec: str | os.PathLike[str] | Source,
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | str | None = None,
) -> Design:
    """Read a spec: the `Network` it describes, made when it is asked for, and its resolved text.

    ``with_`` sets stage attributes, one value for all stages or a list with one per stage (None
    leaves a stage alone), or ``NAME=VALUE`` texts; ``input`` is ``(channels, height, width)``, or
    ``"C,H,W"``.
    """
    source = spec if isinstance(spec, Source) else open_spec(_name(spec))
    return Design(resolve(source, _overrides(with_), _size(input)))


def load(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> Network:
    """Read a spec and compile it into a `Network`; ``with_`` and ``input`` are as for `read`.

    Warns with `SpecWarning` of what is valid, but probably not meant.

    >>> import archc
    >>> archc.load("imagenet/resnet50", with_={"depth": [3, 4, 11, 3]}).layers
    65
    """
    design = read(spec, with_=with_, input=input)
    for note in design.notes:
        warnings.warn(f"{note.place}: {note.message}", SpecWarning, stacklevel=2)
    return design.network


def specs(group: str | None = None) -> list[str]:
    """The names of the shipped specs, in order, or of one of their groups.

    >>> import archc
    >>> archc.specs("imagenet")[:2]
    ['imagenet/plain18', 'imagenet/plain34']
    """
    names = shipped_names()
    return names if group is None else [name for name in names if name.split("/")[0] == group]


def read_blocks(
    file: str | os.PathLike[str] | Source,
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | str | None = None,
) -> dict[str, Definition] | None:
    """The blocks of a file of blocks by name, with those of the files that it uses; None for any
    other file.

    Raises `SpecError` with every mistake of the file, and where ``with_`` or ``input``, which are
    for specs, are given for it.
    """
    from archc.blocks import STANDARD
    from archc.source.diagnostics import Findings
    from archc.source.reader import read as read_yaml
    from archc.spec.blocks import is_block_file, read_block_file
    from archc.spec.overrides import refuse_overrides

    source = file if isinstance(file, Source) else open_spec(_name(file))
    try:
        root = read_yaml(source, Findings())
    except SpecError:
        return None  # what is wrong with it, reading it as a spec says
    if not isinstance(root.data, dict) or not is_block_file(root.data):
        return None
    found = read_block_file(source, STANDARD)
    refuse_overrides(root.place, "a file of blocks", with_, input)
    return found


def check(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> tuple[Diagnostic, ...]:
    """Every mistake of a spec, or of a file of blocks, in order; empty for a valid one.

    Nothing is raised for them.

    >>> import archc
    >>> archc.check("imagenet/resnet50")
    ()
    """
    try:
        source = open_spec(_name(spec))
        if read_blocks(source, with_=with_, input=input) is None:
            read(source, with_=with_, input=input).network  # noqa: B018  # compiled, to see faults
    except SpecError as error:
        return error.diagnostics
    return ()


def show(
    spec: str | os.PathLike[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> str:
    """The resolved spec as YAML, with the origin of each value as a comment; of a file of blocks
    its blocks, with those of the files that it uses.

    >>> import archc
    >>> archc.show("imagenet/resnet152").split()[:2]
    ['name:', 'resnet152']
    """
    from archc.spec.show import show_blocks

    source = open_spec(_name(spec))
    blocks = read_blocks(source, with_=with_, input=input)
    if blocks is not None:
        return show_blocks(blocks)
    return read(source, with_=with_, input=input).text


def count(spec: SpecLike, by: Level = "stage", convention: str = "multiply-adds") -> Count:
    """Parameters and FLOPs for one image, with rows by network, stage, block or layer.

    ``convention`` says whose FLOPs: multiply-adds, or what torch, fvcore, ptflops, thop, torchinfo,
    calflops or pycls counts. Raises ValueError for an unknown level or convention.

    >>> import archc
    >>> archc.count("imagenet/resnet34").multiply_adds
    3644493824
    """
    return analysis.count(_network(spec), by, convention)


def explain(spec: SpecLike) -> Explanation:
    """The FLOPs of every convention, and what each adds to the multiply-adds, by op kind.

    >>> import archc
    >>> {one.convention: one.flops for one in archc.explain("torchvision/resnet50").conventions}
    ... # doctest: +ELLIPSIS
    {'multiply-adds': 4089184256, 'torch': 8178368512, 'fvcore': 4111512576, ...}
    """
    return analysis.explain(_network(spec))


def memory(spec: SpecLike, batch: int = 1, dtype: str = "float32") -> Memory:
    """Bytes of parameters, buffers, activations, gradients and optimizer state.

    Raises ValueError for a batch below 1 or an unknown dtype.

    >>> import archc
    >>> archc.memory("imagenet/resnet50", batch=32).training  # kept for the gradients
    2614443520
    """
    return analysis.memory(_network(spec), batch, dtype)


def receptive_fields(spec: SpecLike) -> Fields:
    """The receptive field of every op's outputs: size, stride and centre in pixels.

    >>> import archc
    >>> rows = archc.receptive_fields("torchvision/vgg16").rows
    >>> {row.name: row.size for row in rows}["features.30"]
    (212, 212)
    """
    return analysis.receptive_fields(_network(spec))


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
    return analysis.roofline(_network(spec), device, batch)


def compare(a: SpecLike, b: SpecLike) -> Comparison:
    """Two networks op by op: added, removed, changed, and the totals of both.

    >>> import archc
    >>> archc.compare("imagenet/plain34", "imagenet/plain34").same
    True
    """
    return analysis.compare(_network(a), _network(b))


def diff(a: SpecLike, b: SpecLike) -> Comparison:
    """`compare`, by the name of the command."""
    return compare(a, b)


def sweep(
    spec: str | os.PathLike[str],
    vary: Sequence[str],
    *,
    with_: Mapping[str, object] | Sequence[str] = (),
    input: Sequence[int] | None = None,
) -> Iterator[Variant | Unbuildable]:
    """Every variant of a spec along some axes with its numbers, or why it cannot be built.

    ``vary`` has the axes as the command line writes them.

    >>> import archc
    >>> for one in archc.sweep("imagenet/resnet50", ["depth[3]=6,23"]):
    ...     print(one.settings, one.numbers)  # layers, parameters, multiply-adds
    (6,) (50, 25557032, 3857973248)
    (23,) (101, 44549160, 7570194432)
    """
    from archc.sweeps import Plan, parse_axes

    if isinstance(vary, str):
        raise TypeError("`vary` must be a list of NAME=VALUES")
    overrides, size = _overrides(with_), _size(input)
    source = open_spec(_name(spec))
    axes = parse_axes(vary, Plan(source, (), overrides, size).spec)
    return Plan(source, axes, overrides, size).variants()


def emit(spec: SpecLike, *, deploy: bool = False) -> str:
    """The source of a Python module with the network's class; it needs torch alone.

    With ``deploy`` the network is `deploy_form`'s, without the norms that convolutions take in.
    """
    from archc.backends.pytorch import emit

    network = _network(spec)
    return emit(deploy_form(network) if deploy else network)


def draw(
    *specs: SpecLike,
    format: str = "svg",
    fold: bool = False,
    blocks: bool = False,
    theme: str = "light",
    dpi: int = 144,
    transparent: bool = False,
    overview: bool = False,
    diff: bool = False,
    heat: str | None = None,
    block: str | Sequence[str] = (),
    detail: str | None = None,
    width: str | float | None = None,
    font_size: float | None = None,
) -> bytes:
    """A figure of the networks side by side; ``format`` is svg, png, pdf, tex (TikZ) or dot.

    With ``fold`` equal blocks in a row are drawn once, with ``blocks`` the distinct blocks large.
    ``theme`` is light, dark or grey, ``dpi`` the pixels per inch of a PNG; with ``transparent`` no
    ground is painted. ``overview`` draws a box for each stage, ``diff`` marks what differs between
    two networks, and ``heat`` shades boxes by their share of the params, the multiply_adds or the
    memory. ``block`` draws the blocks of these types or classes large, or those at
    ``"stage:block"``; ``detail="norms"`` names norms and activations beside arrows. ``width`` on
    paper is ``"column"``, ``"page"``, a length such as ``"3.25in"``, or points; ``font_size`` is
    that of labels in points. Raises `FigureError` where a format cannot carry the figure, and for
    options that cannot be used together.
    """
    drawn = figure(
        *specs,
        format=format,
        fold=fold,
        blocks=blocks,
        theme=theme,
        dpi=dpi,
        transparent=transparent,
        overview=overview,
        diff=diff,
        heat=heat,
        block=block,
        detail=detail,
        width=width,
        font_size=font_size,
    )
    return drawn.content


def figure(
    *specs: SpecLike,
    format: str = "svg",
    block: str | Sequence[str] = (),
    width: str | float | None = None,
    **options: Any,
) -> Drawing:
    """As `draw`, with the size of type that the figure's labels have on paper."""
    from archc.backends.figure import DrawOptions, FigureError, drawing

    try:
        points = parse_width(width) if isinstance(width, str) else width
    except ValueError as error:
        raise FigureError(str(error)) from None
    blocks = (block,) if isinstance(block, str) else tuple(block)
    chosen = DrawOptions(block=blocks, width=points, **options)
    return drawing([_network(spec) for spec in specs], format, chosen)


def module(
    spec: SpecLike, *, weights: WeightsLike | None = None, deploy: bool = False
) -> torch.nn.Module:
    """A torch module that takes images ``(batch, channels, height, width)``.

    It is freshly initialised, or has the ``weights`` of a file (``.safetensors``, ``.pth``) or a
    state dict. With ``deploy`` its convolutions have taken in the norms behind them; weights are
    folded for it. Raises ModuleNotFoundError where torch is not installed, `WeightsError` where
    the weights cannot be read or do not fit.
    """
    from archc.live import build_module

    return build_module(_network(spec), _checkpoint(weights), deploy=deploy)


def fold(spec: SpecLike, weights: WeightsLike) -> dict[str, torch.Tensor]:
    """Trained weights as those of the network's deploy form, in their own dtype.

    Raises `WeightsError` where they cannot be read, do not fit, or cannot be folded.
    """
    from archc.weights import deploy_weights

    require_torch("folding weights")
    checkpoint = _checkpoint(weights)
    if checkpoint is None:
        raise TypeError("`weights` must be a file or a state dict, not None")
    folded = deploy_weights(_network(spec), checkpoint)
    return {key: tensor.clone() for key, tensor in folded.items()}  # of its own, whatever was read


def compiled(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """A module in eval mode, compiled for inference: without gradients, with frozen weights.

    It takes images ``(batch, channels, height, width)``, compiles when it is first called, and anew
    for images of another size or type, and where torch is told to compute otherwise. Weights become
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
) -> bytes:
    """The network as an ONNX model (``"onnx"``) or a torch exported program (``"pt2"``).

    It takes float32 images ``(batch, channels, height, width)`` and returns the logits. The batch
    size is free unless ``batch`` fixes it. Raises `WeightsError`, `OnnxError`, `DeviceError` for a
    lack of memory, ValueError for another format or a batch below 1, and ModuleNotFoundError where
    torch or onnx is not installed.
    """
    from archc.exporting import export

    return export(_network(spec), format, _checkpoint(weights), deploy=deploy, batch=batch)


def report(
    *specs: SpecLike,
    fold: bool | None = None,
    names: Sequence[str] | None = None,
    diff: bool = False,
) -> str:
    """Figure, tables and source of networks as one HTML document that needs nothing else.

    Several are drawn side by side and compared with the first. With ``fold`` the figure first shows
    equal blocks in a row once; by default where a network has more than 60 layers. ``names`` are
    what the specs are called. With ``diff`` the figure marks what differs between two. Raises
    ValueError for no spec, and with ``diff`` for any number but two.
    """
    from archc.pages import report

    networks = [_network(spec) for spec in specs]
    if names is None:
        names = [one.name if isinstance(one, Network) else os.fsdecode(one) for one in specs]
    elif len(names) != len(specs):
        raise ValueError(f"there are {len(names)} `names` for {len(specs)} networks")
    if diff and (trouble := diff_conflict(len(networks), "`diff`")):
        raise ValueError(trouble)
    return report(networks, names, fold=fold, diff=diff)


def verify(
    spec: SpecLike,
    *,
    weights: WeightsLike | None = None,
    deploy: bool = False,
    source: str | None = None,
    file: str | None = None,
    options: Options | None = None,
    done: Callable[[Row], None] | None = None,
) -> Report:
    """Prove the emitted module equal to the network's graph, check by check.

    A row of the report says for each check whether it passed, its number, and which layers fail.
    ``source`` is a source text to check instead of what archc emits, ``file`` its path; it is
    executed. ``done`` receives each row as soon as its check is done. Raises `WeightsError`,
    `DeviceError`, and ModuleNotFoundError where torch is not installed.
    """
    require_torch("verification")
    from archc.verification import verify

    checkpoint = _checkpoint(weights)
    return verify(
        _network(spec), checkpoint, options, source=source, file=file, deploy=deploy, done=done
    )


def bench(
    *specs: SpecLike,
    options: BenchOptions | None = None,
    done: Callable[[BenchResult], None] | None = None,
) -> list[BenchResult]:
    """Time networks' modules, each with every batch size, beside the hardware's limit.

    ``done`` receives each result as soon as it is there, beside the best rates until then.
    Times are in seconds, memory in bytes. Raises `DeviceError` for a device that is not there or
    lacks the memory, `RunError` for a network that cannot be trained or compiled, ValueError for
    options that exclude each other, and ModuleNotFoundError where torch is not installed.
    """
    require_torch("timing a module")
    from archc.timing import BenchOptions, at_best, bench

    results = []
    for result in bench([_network(spec) for spec in specs], options or BenchOptions()):
        results.append(result)
        if done is not None:
            done(result)
    return at_best(results)


def fully_convolutional(spec: SpecLike) -> Convolutional:
    """The form of a network that takes images of any size and puts out a map of scores.

    Raises `NotConvolutionalError` where there is none.
    """
    from archc.graph import fully_convolutional

    return fully_convolutional(_network(spec))


def read_weights(file: str | os.PathLike[str]) -> Checkpoint:
    """The tensors of a checkpoint, ``.safetensors`` or ``.pth``, with nothing executed.

    Raises `WeightsError` where it cannot be read, ModuleNotFoundError where torch is missing.
    """
    require_torch("reading weights")
    from archc.weights import read_checkpoint

    return read_checkpoint(file)


def to_safetensors(
    weights: Mapping[str, torch.Tensor], about: Mapping[str, str] | None = None
) -> bytes:
    """Weights as a safetensors file; ``about`` is its metadata, such as the `origin` of them."""
    from archc.weights.files import to_safetensors

    return to_safetensors(weights, about)


def origin(design: Design) -> dict[str, str]:
    """Whose weights they are, for the file that holds them: several networks may have the same
    tensors and compute something else from them."""
    from archc.weights.origin import describe_origin

    return describe_origin(design.spec)


def to_json(spec: SpecLike) -> str:
    """The graph as networkx's node-link JSON."""
    from archc.backends.graphs import to_json

    return to_json(_network(spec))


def to_graphml(spec: SpecLike) -> bytes:
    """The graph as GraphML."""
    from archc.backends.graphs import to_graphml

    return to_graphml(_network(spec))


def require_torch(what: str) -> None:
    """Raise ModuleNotFoundError, saying how to get it, where torch is missing."""
    from archc.extras import require

    require("torch", what, "torch")


def _checkpoint(weights: WeightsLike | None) -> Checkpoint | None:
    if weights is None:
        return None
    require_torch("reading weights")
    from archc.weights import Checkpoint, checkpoint_of

    if isinstance(weights, Checkpoint):
        return weights
    return checkpoint_of(weights) if isinstance(weights, Mapping) else read_weights(weights)


def _network(spec: SpecLike) -> Network:
    return spec if isinstance(spec, Network) else load(spec)


def _name(spec: str | os.PathLike[str]) -> str:
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(f"`spec` must be a path or a name, not a {type(spec).__name__}")
    return os.fsdecode(spec)


def _overrides(with_: Mapping[str, object] | Sequence[str]) -> list[Override]:
    names = with_ if isinstance(with_, (Mapping, list, tuple)) else [None]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("`with_` must be a mapping or a list of NAME=VALUE")
    return list(with_.items()) if isinstance(with_, Mapping) else list(with_)


def _size(input: Sequence[int] | str | None) -> Size | None:
    if input is None or isinstance(input, (str, Sequence)):
        return input
    raise TypeError("`input` must be (channels, height, width)")
