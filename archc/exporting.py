"""A network with its weights as a file that runs elsewhere: ONNX, or torch's exported program."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from archc.backends.pytorch import writable
from archc.beside import others
from archc.choices import EXPORT_FORMATS as EXPORT_FORMATS
from archc.choices import ExportFormat as ExportFormat
from archc.choices import check_choice
from archc.devices import on_device
from archc.extras import require
from archc.graph import Network, Node, deploy_form
from archc.live import build_module, require_torch
from archc.running import quiet

if TYPE_CHECKING:
    import torch

    from archc.weights import Checkpoint


def export(
    network: Network,
    format: ExportFormat,
    checkpoint: Checkpoint | None = None,
    *,
    deploy: bool = False,
    batch: int | None = None,
) -> bytes:
    """The content of an ``.onnx`` or a ``.pt2`` file, in float32.

    Without a checkpoint the weights are freshly initialised. The batch size is free unless
    ``batch`` fixes it. Raises `WeightsError` where the checkpoint does not fit, `OnnxError` where
    the network is too large for ONNX, `DeviceError` where it is for this machine's memory,
    ModuleNotFoundError where torch or onnx is missing, ValueError for another format, or a batch
    below 1.
    """
    check_choice("format", format, EXPORT_FORMATS)
    if batch is not None and (type(batch) is not int or batch < 1):
        raise ValueError(f"`batch` must be an integer of at least 1, not {batch!r}")
    require_torch("exporting")
    network = writable(network)
    if format == "onnx":
        require("onnx", "an ONNX file", "onnx")
    with on_device("cpu") as device:
        with device:  # whatever torch's default device and type are
            module = build_module(network, checkpoint, deploy=deploy).float().eval()
            network = deploy_form(network) if deploy else network
            if network.sides:
                module = _without_sides(module, network).float().eval()
        network = network.inference
        if format == "onnx":
            from archc.backends.onnx import to_onnx

            weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
            return to_onnx(network, weights, batch)
        return _to_pt2(module, network, batch)


def _without_sides(module: torch.nn.Module, network: Network) -> torch.nn.Module:
    """A module of a network as it runs in inference, with the weights of one with side heads."""
    import torch

    with torch.device("meta"):
        built = build_module(network.inference)
    state = module.state_dict()
    built.load_state_dict({key: state[key] for key in network.inference.state}, assign=True)
    return built


def _to_pt2(module: torch.nn.Module, network: Network, batch: int | None) -> bytes:
    import torch

    program = exported(module, network, batch)
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file)
    return file.getvalue()


_CUDNN_BATCH = 65_535
"""How many images cuDNN normalises at once in eval mode: on CUDA, torch makes a limit of it."""


def exported(
    module: torch.nn.Module, network: Network, batch: int | None = None
) -> torch.export.ExportedProgram:
    """`torch.export` of a network's module, on the device and in the type that its weights have.

    The batch size is free unless ``batch`` fixes it; on CUDA up to what cuDNN takes at once.
    """
    import torch

    like = next(module.parameters(), torch.empty(0, device="cpu"))
    # Two: of a single image torch would take the batch for fixed.
    images = like.new_zeros(batch or 2, *network.input_shape)
    most = _CUDNN_BATCH if images.is_cuda else None
    given = (images, *others(network, images))
    free = {0: torch.export.Dim("batch", min=1, max=most)}
    shared = [bool(node.op.numbers.get("is_shared")) for node in _given(network)]
    sizes = None if batch else (free, *[{} if one else free for one in shared])
    with quiet():
        return torch.export.export(module, given, dynamic_shapes=sizes)


def _given(network: Network) -> list[Node]:
    """The nodes of what a network takes beside images."""
    return [node for node in network.nodes.values() if node.op.is_given]
