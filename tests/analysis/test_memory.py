"""Memory, against what torch allocates and what autograd saves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from measuring import Allocations
from strategies import compile_data, specs
from structures import STRUCTURES, network_of
from torch import Tensor, nn

import archc
from archc.analysis import memory
from archc.graph import Network
from archc.live import build_module
from archc.ops import BatchNorm2d, Dropout
from archc.spec import SpecError

BATCH = 3


def saved_by_autograd(network: Network, batch: int) -> int:
    """The bytes of all storages that autograd saves, parameters and buffers left out."""
    module = build_module(network).train()
    own = {
        tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())
    }
    saved = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage  # kept, so that its address stays its own
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(torch.randn(batch, *network.input_shape))
    return sum(storage.nbytes() for storage in saved.values())


def most_alive(network: Network, batch: int) -> int:
    """The most bytes of images and values alive at once in a forward of the emitted module."""
    with torch.device("meta"):
        module = build_module(network).eval()
        images = torch.empty(batch, *network.input_shape)
    with (
        torch.no_grad(),
        Allocations([images], [*module.parameters(), *module.buffers()]) as allocations,
    ):
        module(images)
    return int(allocations.most)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_training_keeps_just_what_autograd_saves(structure: str) -> None:
    network = network_of(structure)
    assert memory(network, BATCH).training == saved_by_autograd(network, BATCH)


@given(specs())
@settings(max_examples=30)
def test_training_keeps_just_what_autograd_saves_of_any_network(data: dict[str, Any]) -> None:
    network = _trainable(data)
    assert memory(network, 2).training == saved_by_autograd(network, 2)


def _trainable(data: dict[str, Any]) -> Network:
    try:
        network = compile_data(data)
    except SpecError:
        assume(False)
    assume(network.params and network.params < 10**6 and network.multiply_adds < 10**8)
    for node in network.nodes.values():
        # Over a single value torch cannot normalise.
        assume(not isinstance(node.op, BatchNorm2d) or node.output_shape[1:] != (1, 1))
        # Zeroing everything, torch keeps a single number instead of a mask.
        assume(not isinstance(node.op, Dropout) or node.op.p < 1)
    return network


@pytest.mark.parametrize("structure", STRUCTURES)
def test_inference_has_as_much_alive_as_the_module_allocates(structure: str) -> None:
    """Within the few numbers per channel that a norm allocates besides."""
    network = network_of(structure)
    most = most_alive(network, BATCH)
    assert memory(network, BATCH).inference == pytest.approx(most, rel=0.02)


@given(specs())
@settings(max_examples=60)
def test_inference_of_any_network_has_as_much_alive_as_the_module_allocates(
    data: dict[str, Any],
) -> None:
    network = _trainable(data)
    numbers = max(
        [n.params for n in network.nodes.values() if isinstance(n.op, BatchNorm2d)], default=0
    )
    assert abs(memory(network, 2).inference - most_alive(network, 2)) <= 4 * numbers


@pytest.mark.parametrize(
    "name", ["imagenet/resnet34", "torchvision/resnet50", "torchvision/vgg11", "cifar10/resnet110"]
)
def test_inference_of_shipped_networks_has_as_much_alive_as_allocated(name: str) -> None:
    network = archc.load(name)
    assert memory(network, 2).inference == pytest.approx(most_alive(network, 2), rel=0.001)


@pytest.mark.parametrize("name", ["imagenet/resnet18", "torchvision/vgg11_bn"])
def test_parameters_buffers_and_optimizer_state_are_torch_s(name: str) -> None:
    network = archc.load(name)
    with torch.device("meta"):
        module = build_module(network)
    found = memory(network)
    assert sum(found.params.values()) == sum(p.nbytes for p in module.parameters())
    by_dtype: dict[str, int] = {}
    for buffer in module.buffers():
        dtype = str(buffer.dtype).removeprefix("torch.")
        by_dtype[dtype] = by_dtype.get(dtype, 0) + buffer.nbytes
    assert found.buffers == by_dtype
    assert found.optimizer == {
        "sgd": _state(module, torch.optim.SGD(module.parameters(), lr=0.1)),
        "momentum": _state(module, torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)),
        "adam": _state(module, torch.optim.Adam(module.parameters())),
    }


def _state(module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    state = [value for one in optimizer.state.values() for value in one.values()]
    return sum(value.nbytes for value in state if isinstance(value, Tensor))


def test_half_precision_halves_all_but_the_counters_and_the_statistics_of_a_step() -> None:
    network = archc.load("cifar10/resnet20")
    whole, half = memory(network, 8), memory(network, 8, "bfloat16")
    assert half.params == {"bfloat16": whole.params["float32"] // 2}
    assert half.buffers == {
        "bfloat16": whole.buffers["float32"] // 2,
        "int64": whole.buffers["int64"],
    }
    assert half.inference == whole.inference // 2
    channels = sum(
        n.op.num_features for n in network.nodes.values() if isinstance(n.op, BatchNorm2d)
    )
    assert whole.training - half.training == (whole.training - 8 * channels) // 2


def test_rows_add_up_to_the_whole() -> None:
    found = memory(archc.load("imagenet/resnet50"), 4)
    assert sum(row.kept for row in found.rows) == found.training
    assert max(row.alive for row in found.rows) == found.inference
    assert {row.name: row.alive for row in found.rows}[found.inference_at] == found.inference


def test_a_batch_or_dtype_that_there_is_not_is_refused() -> None:
    network = archc.load("cifar10/resnet20")
    with pytest.raises(ValueError, match="`batch` must be at least 1, not 0"):
        memory(network, 0)
    with pytest.raises(ValueError, match="`dtype` must be one of float32, bfloat16, float16, "):
        memory(network, dtype="int8")


@torch.no_grad()
def largest_workspace(module: nn.Module, images: Tensor) -> int:
    """The most bytes that cuDNN takes for a convolution besides its output."""
    before = most = 0

    def begins(*_: object) -> None:
        nonlocal before
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()

    def ends(_: nn.Module, __: object, output: Tensor) -> None:
        nonlocal most
        most = max(most, torch.cuda.max_memory_allocated() - before - output.nbytes)

    convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d)]
    hooks = [one.register_forward_pre_hook(begins) for one in convolutions]
    hooks += [one.register_forward_hook(ends) for one in convolutions]
    module(images)
    for hook in hooks:
        hook.remove()
    return most


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["imagenet/resnet18", "torchvision/resnet50", "torchvision/vgg11"])
def test_a_gpu_allocates_as_much_within_a_tenth(name: str) -> None:
    """But for the memory that cuDNN works in, which it chooses by the GPU."""
    network, batch = archc.load(name), 32
    module = build_module(network).cuda().eval()
    images = torch.randn(batch, *network.input_shape, device="cuda")
    found = memory(network, batch)
    held = sum(found.params.values()) + sum(found.buffers.values())
    module(images)
    workspace = largest_workspace(module, images)
    torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        module(images)
    expected = held + found.inference
    assert expected * 0.9 < torch.cuda.max_memory_allocated() < expected * 1.1 + workspace
    torch.cuda.reset_peak_memory_stats()
    module.train()(images).sum().backward()
    expected = held + found.training
    most = 1.1 * (expected + found.gradients) + workspace
    assert expected * 0.9 < torch.cuda.max_memory_allocated() < most
