"""Modules compiled for inference, in which convolutions take in what follows them.

On a GPU, torch.compile leaves a convolution to cuDNN and writes a kernel of its own for the
addition and the ReLU behind it, which reads and writes all values once more. cuDNN has kernels that
do all three. In a deploy form, where no norm stands between, they serve throughout.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn


def compiled(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A module in eval mode, compiled for inference: without gradients, with frozen weights.

    It takes images ``(batch, channels, height, width)``, compiles when it is first called, and anew
    for images of another size or type. Weights become constants, which must not change afterwards.
    On CUDA it replays CUDA graphs, and convolutions take in the additions and ReLUs that follow
    them. Raises ValueError for a module in training mode.
    """
    from torch._inductor import config

    if module.training:
        raise ValueError("the module is in training mode: `module.eval()` it first")
    run: Callable[[Tensor], Tensor] = torch.compile(module, backend=backend, dynamic=False)
    seen: set[tuple[object, ...]] = set()

    @torch.no_grad()
    def call(images: Tensor) -> Tensor:
        kind = (images.shape, images.stride(), images.dtype, images.device)
        if kind not in seen:
            # Freezing has to hold while torch traces: as an option of torch.compile it is too late.
            with config.patch(freezing=True):
                run(images)
            seen.add(kind)
        if not images.is_cuda:
            return run(images)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return run(images).clone()  # a graph's own output lasts until the graph runs again

    return call


def backend(traced: fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
    """A backend of torch.compile: inductor's, on CUDA with CUDA graphs and fused convolutions.

    Convolutions are fused where no gradients are taken and autocast does not choose their types.
    """
    from torch._inductor.compile_fx import compile_fx

    on_cuda = any(isinstance(one, Tensor) and one.is_cuda for one in inputs)
    if on_cuda and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cuda"):
        fuse_convolutions(traced.graph)
        traced.recompile()
    patches = {"triton.cudagraphs": on_cuda}
    run: Any = compile_fx(traced, list(inputs), config_patches=patches)
    return run  # type: ignore[no-any-return]


def fuse_convolutions(graph: fx.Graph) -> int:
    """Let convolutions take in the ReLUs behind them, and additions between; returns how many do.

    ``graph`` holds torch's functions, as torch.compile traces them; it is changed in place. Of a
    sum of two convolutions one takes in the other. Results are equal but for rounding.
    """
    fused = 0
    for node in graph.find_nodes(op="call_function", target=torch.conv2d):
        found = _what_follows(node)
        geometry = _geometry(*node.args, **node.kwargs)
        if found is None or isinstance(geometry.padding, str):
            continue
        with graph.inserting_before(found.relu):
            weight = graph.call_method(
                "contiguous", (geometry.weight,), {"memory_format": torch.channels_last}
            )
            whole = graph.call_function(
                _fused(),
                (geometry.input, weight, geometry.bias, found.added, *geometry[3:]),
            )
        whole.meta.update(found.relu.meta)
        found.relu.replace_all_uses_with(whole)
        for done in (found.relu, *found.sum, node):
            graph.erase_node(done)
        fused += 1
    return fused


class _Following(NamedTuple):
    """What follows a convolution: a ReLU, and before it perhaps the sum with another value."""

    relu: fx.Node
    sum: Sequence[fx.Node] = ()
    added: fx.Node | None = None


_RELUS = {F.relu, torch.relu, torch.relu_}
_SUMS = {operator.add, operator.iadd, torch.add}


def _what_follows(convolution: fx.Node) -> _Following | None:
    """What a convolution can take in: what alone uses its output, and the sum of two alike."""
    user = _only_user(convolution)
    found = None if user is None else _relu(user) or _sum(convolution, user)
    if found is None or not _can_wait(convolution, found):
        return None
    return found


def _relu(node: fx.Node) -> _Following | None:
    return _Following(node) if node.target in _RELUS else None


def _sum(convolution: fx.Node, node: fx.Node) -> _Following | None:
    """The ReLU of a convolution's sum with another value, where nobody else sees the sum."""
    if node.target not in _SUMS or node.kwargs or len(node.args) != 2:
        return None
    first, second = node.args
    if node.target is operator.iadd and first is not convolution:
        return None  # the sum is written into the other value
    added = second if first is convolution else first
    relu = _only_user(node)
    if not isinstance(added, fx.Node) or added is convolution or relu is None:
        return None
    if _kind(added) != _kind(convolution) or relu.target not in _RELUS:
        return None
    return _Following(relu, [node], added)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _kind(node: fx.Node) -> tuple[torch.Size, torch.dtype] | None:
    value = node.meta.get("example_value")
    return (value.shape, value.dtype) if isinstance(value, Tensor) else None


_PURE = {torch.conv2d, F.avg_pool2d, F.batch_norm, F.pad, operator.getitem}


def _can_wait(convolution: fx.Node, following: _Following) -> bool:
    """Whether a convolution gives the same at its ReLU: nothing between may write to a value."""
    value = convolution.meta.get("example_value")
    if not isinstance(value, Tensor) or value.ndim != 4:
        return False
    node = convolution.next
    while node is not following.relu:
        pure = node.op == "get_attr" or node.target in _PURE or node.target == "contiguous"
        if not pure and node.target is not _fused() and node not in following.sum:
            return False
        node = node.next
    return True


class _Geometry(NamedTuple):
    """A convolution's arguments."""

    input: Any
    weight: Any
    bias: Any
    stride: list[int]
    padding: list[int] | str
    dilation: list[int]
    groups: int


def _geometry(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> _Geometry:
    """The arguments of `torch.conv2d`, with its defaults, sizes as pairs."""
    return _Geometry(
        input,
        weight,
        bias,
        _pair(stride),
        padding if isinstance(padding, str) else _pair(padding),
        _pair(dilation),
        groups,
    )


def _pair(size: int | Sequence[int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size) * (2 // len(size))


_unfit: set[tuple[object, ...]] = set()  # the convolutions that cuDNN has no such kernel for


def _convolution_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    added: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """The ReLU of a convolution, or of its sum with another value, in channels_last."""
    x = x.contiguous(memory_format=torch.channels_last)
    geometry = (stride, padding, dilation, groups)
    kind = (x.dtype, x.shape, weight.shape, added is None, *map(str, geometry))
    if x.is_cuda and kind not in _unfit:
        try:
            if added is None:
                return torch.cudnn_convolution_relu(x, weight, bias, *geometry)
            added = added.contiguous(memory_format=torch.channels_last)
            return torch.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, *geometry)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            _unfit.add(kind)
    out = F.conv2d(x, weight, bias, *geometry)
    if added is not None:
        out += added
    return F.relu(out, inplace=True).contiguous(memory_format=torch.channels_last)


def _like_convolution_relu(
    x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor | None, *geometry: Any
) -> Tensor:
    out = F.conv2d(x, weight, bias, *geometry)
    return torch.empty_like(out, memory_format=torch.channels_last)


def _fused() -> Any:
    return torch.ops.archc.convolution_relu.default


torch.library.custom_op(
    "archc::convolution_relu",
    _convolution_relu,
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? added, int[] stride, int[] padding, "
    "int[] dilation, int groups) -> Tensor",
).register_fake(_like_convolution_relu)
