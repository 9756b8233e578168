"""Whether a module computes its network for other images, too: how many, of which type, in which
layout, and with gradients in eval mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

from archc.beside import joined, others
from archc.graph import Network
from archc.running import fault_of
from archc.verification import interpreter
from archc.verification.report import Fault, Row
from archc.verification.structure import named, returned
from archc.verification.trail import Trail
from archc.verification.values import check_predict, distance, follow, gradients_differ

Agrees: TypeAlias = Callable[[float, Callable[[], Tensor]], bool]
"""Whether logits are near enough, by how far they are off, and what they are in float64."""

LARGE = 2**20
"""How many times as large images are, in float64, so that values show that are cut off high up."""


def check_inputs(
    network: Network,
    module: nn.Module,
    images: Tensor,
    logits: Tensor,
    agrees: Agrees,
    gradients_tolerance: float,
) -> Row:
    """Run a module in eval mode on other images than ``images``, of which it makes ``logits``.

    Values must be the interpreter's bit for bit. In channels_last, where other kernels compute
    them, ``agrees`` judges how far logits differ, over the largest.
    """
    alone = images[:1]
    more = torch.cat([images, alone.flip(-1)])
    ways = {
        "one image, with gradients": _with_gradients(network, module, alone, gradients_tolerance),
        f"{len(more)} images": _values(network, module, more),
        "large values in float64": _in_float64(network, module, LARGE * alone.double()),
        "bfloat16": _in_bfloat16(network, module, alone),
        "channels_last": _in_channels_last(network, module, images, logits, agrees),
    }
    faults = [
        Fault(fault.layer, f"{way}: {fault.message}")
        for way, found in ways.items()
        for fault in found
    ]
    words = f"1 and {len(more)} images, float64, bfloat16, channels_last"
    return Row.of("other inputs", words, faults)


@torch.no_grad()
def _values(network: Network, module: nn.Module, images: Tensor) -> Iterator[Fault]:
    state = {**module.state_dict(), **dict(module.named_parameters())}
    expected = interpreter.run(network.graph, state, images)
    faults = follow(network, module, images, expected)[1]
    yield from faults or check_predict(network, module, images, expected)


def _with_gradients(
    network: Network, module: nn.Module, images: Tensor, tolerance: float
) -> Iterator[Fault]:
    images = images.clone().requires_grad_()
    state = {key: one.detach().clone() for key, one in module.state_dict().items()}
    expected = interpreter.run(network.graph, state, images)
    outputs, faults = follow(network, module, images, expected)
    yield from faults or check_predict(network, module, images, expected)
    if outputs is None or faults:
        return
    ids = [id for id in returned(network) if expected[id].requires_grad]
    if not ids:
        return
    probes = [torch.ones_like(outputs[id]) for id in ids]
    of_graph, of_module = [expected[id] for id in ids], [outputs[id] for id in ids]
    (theirs,) = torch.autograd.grad(of_graph, images, probes, allow_unused=True)
    try:
        (ours,) = torch.autograd.grad(of_module, images, probes, allow_unused=True)
    except RuntimeError as error:
        yield Fault("", fault_of(error))
        return
    if words := gradients_differ(ours, theirs, tolerance):
        yield Fault("", f"the images' gradient {words}")
    for key, parameter in module.named_parameters():
        if not parameter.requires_grad:
            layer, name = named(network, key)
            yield Fault(layer, f"`{name}` has no gradient in eval mode")


def _in_float64(network: Network, module: nn.Module, images: Tensor) -> Iterator[Fault]:
    yield from _values(network, copy.deepcopy(module).double(), images)


@torch.no_grad()
def _in_bfloat16(network: Network, module: nn.Module, images: Tensor) -> Iterator[Fault]:
    """Whether its values keep the type. What it computes is not compared: on the meta device, it
    takes no time."""
    module = copy.deepcopy(module).bfloat16().to("meta")
    with Trail(module) as trail:
        try:
            small = images.bfloat16()
            given = [one.to("meta") for one in (small, *others(network, small))]
            output = module(*given)
        except Exception as error:
            yield Fault(trail.end, fault_of(error))
            return
    for one in output if isinstance(output, tuple) else (output,):
        if isinstance(one, Tensor) and one.is_floating_point() and one.dtype != torch.bfloat16:
            yield Fault("", f"returns {one.dtype}".replace("torch.", ""))


@torch.no_grad()
def _in_channels_last(
    network: Network, module: nn.Module, images: Tensor, logits: Tensor, agrees: Agrees
) -> Iterator[Fault]:
    layout = torch.channels_last
    module = copy.deepcopy(module).to(memory_format=layout)  # type: ignore[call-overload]
    images = images.to(memory_format=layout)
    with Trail(module) as trail:
        try:
            output = joined(module(images, *others(network, images)))
        except Exception as error:
            yield Fault(trail.end, fault_of(error))
            return
    far = distance(output, logits)
    double = images.double()
    if not agrees(far, lambda: joined(module.double()(double, *others(network, double)))):
        yield Fault("", f"off by {far:.1e} of the largest logit")
