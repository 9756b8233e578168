"""Modules compiled for inference, in which convolutions take in what follows them.

On a GPU, torch.compile leaves a convolution to cuDNN and writes a kernel of its own for the
addition and the ReLU behind it, which reads and writes all values once more. cuDNN has kernels that
do all three. In a deploy form, where no norm stands between, they serve throughout.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch import library as operators
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd


def compiled(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A module in eval mode, compiled for inference: without gradients, with frozen weights.

    It takes images ``(batch, channels, height, width)``. Its first call compiles it, and so
    does an image of another size or type, or a change of torch's settings. Weights become
    constants, which must not change afterwards; in float64 on a CPU they do not. On CUDA it replays
    CUDA graphs, and convolutions take in the additions and ReLUs that follow them. Raises TypeError
    for what is no module, ValueError for one in training mode, also where it is called.
    """
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise TypeError(f"expected a torch module, such as archc.module returns, not {kind}")
    _check_mode(module)
    modal = [module, *filter(_has_modes, module.modules())]
    run: Callable[[Tensor], Tensor] = torch.compile(module, backend=backend, dynamic=False)
    seen: set[tuple[object, ...]] = set()

    @torch.no_grad()
    def call(images: Tensor) -> Tensor:
        if not isinstance(images, Tensor):
            raise TypeError(f"the images must be a tensor, not {type(images).__name__}")
        if images.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        kind = (*_circumstances(images), *(one.training for one in modal))
        # On a GPU a forward may take no longer than to make sure again.
        if images.is_cuda and kind in seen:
            output = run(images)
        else:
            _check_mode(module)
            with _compiling(freezing=images.is_cuda or images.dtype != torch.float64):
                output = run(images)
            seen.add(kind)
        return output.clone() if images.is_cuda else output  # a graph writes over its own output

    return call


def _check_mode(module: nn.Module) -> None:
    """Raise ValueError for a module that trains, or a part of which does.

    Of a module of traced ops, such as an exported program's, norms and dropouts alone can.
    """
    traced = isinstance(module, fx.GraphModule)
    for name, part in module.named_modules():
        if part.training and (not traced or _has_modes(part)):
            which = f"its submodule `{name}`" if name else "the module"
            raise ValueError(f"{which} is in training mode: call `module.eval()` first")


def _has_modes(part: nn.Module) -> bool:
    """Whether a module of torch's computes something else while it trains."""
    return isinstance(part, _NormBase | _DropoutNd)


def _circumstances(images: Tensor) -> tuple[object, ...]:
    """What torch compiles anew for, of what usually changes between calls."""
    device = images.device.type
    return (
        images.shape,
        images.stride(),
        images.dtype,
        images.device,
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
    )


@contextmanager
def _compiling(freezing: bool) -> Iterator[None]:
    """What has to hold while torch traces: as options of torch.compile it is too late.

    Without the limits, torch would compile a module's code for eight sizes, and run it as it is at
    all others.
    """
    from torch._dynamo import config as tracing
    from torch._inductor import config

    unlimited = {"recompile_limit": sys.maxsize, "accumulated_recompile_limit": sys.maxsize}
    with tracing.patch(unlimited), config.patch(freezing=freezing):
        yield


def backend(traced: fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
    """A backend of torch.compile: inductor's, on CUDA with CUDA graphs and fused convolutions.

    Convolutions are fused where no gradients are taken, and where cuDNN is neither turned off nor
    bound to be deterministic.
    """
    from torch._inductor.compile_fx import compile_fx

    on_cuda = any(isinstance(one, Tensor) and one.is_cuda for one in inputs)
    cudnn = torch.backends.cudnn
    free = cudnn.enabled and not cudnn.deterministic
    exact = torch.are_deterministic_algorithms_enabled()
    if on_cuda and free and not exact and not torch.is_grad_enabled():
        fuse_convolutions(traced.graph)
        traced.recompile()
    patches = {"triton.cudagraphs": on_cuda}
    run: Any = compile_fx(traced, list(inputs), config_patches=patches)
    return run  # type: ignore[no-any-return]


def fuse_convolutions(graph: fx.Graph) -> int:
    """Let convolutions take in the ReLUs behind them, and additions between; returns how many do.

    ``graph`` holds torch's functions, as torch.compile traces them; it is changed in place. Of a
    sum of two convolutions one takes in the other. Results are equal but for rounding. As values
    are laid out in channels_last, and convolutions computed later than they were, a graph is left
    as it is if it does what could tell of that: writes to shared values, takes views, asks for
    strides, changes how torch computes.
    """
    if not all(map(_is_plain, graph.nodes)):
        return 0
    fused = 0
    for node in graph.find_nodes(op="call_function", target=torch.conv2d):
        convolution = _convolution(node)
        found = _what_follows(node)
        if convolution is None or found is None:
            continue
        with graph.inserting_before(found.relu):
            weight = _laid_out(graph, convolution.weight, torch.channels_last)
            whole = graph.call_function(
                _fused(),
                (convolution.input, weight, convolution.bias, found.added, *convolution[3:]),
            )
        whole.meta.update(found.relu.meta)
        found.relu.replace_all_uses_with(whole)
        for done in (found.relu, *found.sum, node):
            graph.erase_node(done)
        fused += 1
    if fused:
        _keep_layout(graph)
    return fused


def _keep_layout(graph: fx.Graph) -> None:
    """Let a graph put out its images in the layout that they had before."""
    (output,) = graph.find_nodes(op="output")
    for node in output.all_input_nodes:
        value = node.meta.get("example_value")
        if isinstance(value, Tensor) and value.ndim == 4 and value.is_contiguous():
            with graph.inserting_before(output):
                kept = _laid_out(graph, node, torch.contiguous_format)
            output.replace_input_with(node, kept)


def _laid_out(graph: fx.Graph, node: fx.Node, layout: torch.memory_format) -> fx.Node:
    return graph.call_method("contiguous", (node,), {"memory_format": layout})


class _Following(NamedTuple):
    """What follows a convolution: a ReLU, and before it perhaps the sum with another value."""

    relu: fx.Node
    sum: Sequence[fx.Node] = ()
    added: fx.Node | None = None


_RELUS = {F.relu, torch.relu, torch.relu_}
_SUMS = {operator.add, operator.iadd, torch.add}
_NEW = {  # what puts out new values, and writes to none but by its argument `inplace`
    torch.conv2d,
    F.batch_norm,
    F.relu,
    torch.relu,
    operator.add,
    torch.add,
    operator.mul,
    torch.mul,
    torch.sigmoid,
    F.silu,
    F.gelu,
    F.linear,
    F.softmax,
    torch.softmax,
    torch.cat,
    torch._C._nn.pad,
    F.max_pool2d,
    F.avg_pool2d,
    F.adaptive_avg_pool2d,
    F.adaptive_max_pool2d,
    torch.mean,
    "mean",
    "softmax",
}
_PURE = {  # what puts out a value itself, a view of it, or its size
    F.dropout,
    torch.flatten,
    torch.reshape,
    operator.getitem,
    operator.floordiv,
    "flatten",
    "reshape",
    "size",
}
_IN_PLACE = {operator.iadd, torch.relu_}
_INPLACE_ARGUMENT = [(F.relu, 1), (F.silu, 1), (F.dropout, 3)]


def _is_plain(node: fx.Node) -> bool:
    """Whether a node gives the same however its values are laid out, and whenever it is computed.

    It may write to what nobody else sees alone: to a new value that has no other use.
    """
    if node.op in ("placeholder", "get_attr", "output"):
        return True
    if node.target is F.batch_norm and _argument(node, 5, "training", False) is not False:
        return False  # it would write to its running statistics
    if node.kwargs.get("out") is not None:
        return False
    if node.target in _IN_PLACE or _is_in_place(node):
        written = node.args[0] if node.args else node.kwargs.get("input")
        return isinstance(written, fx.Node) and _is_new(written) and _only_user(written) is node
    return node.target in _NEW | _PURE


def _is_new(node: fx.Node) -> bool:
    return node.target in _NEW | _IN_PLACE


def _is_in_place(node: fx.Node) -> bool:
    for function, place in _INPLACE_ARGUMENT:
        if node.target is function:
            return _argument(node, place, "inplace", False) is not False
    return False


def _argument(node: fx.Node, place: int, name: str, default: object) -> object:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _what_follows(convolution: fx.Node) -> _Following | None:
    """What a convolution can take in: what alone uses its output, and the sum of two alike."""
    user = _only_user(convolution)
    return None if user is None else _relu(user) or _sum(convolution, user)


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


def _kind(node: fx.Node) -> tuple[object, ...] | None:
    value = node.meta.get("example_value")
    return (value.shape, value.dtype, value.device) if isinstance(value, Tensor) else None


class _Convolution(NamedTuple):
    """A convolution's arguments."""

    input: fx.Node
    weight: fx.Node
    bias: fx.Node | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int


def _convolution(node: fx.Node) -> _Convolution | None:
    """The arguments of `torch.conv2d`; None for what cuDNN's kernels do not take.

    They take batches of images, sizes that are numbers, and one type for all: where autocast has
    changed types, the output's is not the input's.
    """
    input, weight, bias, stride, padding, dilation, groups = _arguments(*node.args, **node.kwargs)
    parts = [node, input, weight, *([] if bias is None else [bias])]
    tensors = [one.meta.get("example_value") for one in parts]
    if not all(isinstance(one, Tensor) for one in tensors):
        return None
    if tensors[0].ndim != 4 or len({one.dtype for one in tensors}) > 1:
        return None
    if not all(map(_is_size, (stride, padding, dilation, groups))):
        return None
    return _Convolution(input, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups)


def _arguments(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> tuple[Any, Any, Any, Any, Any, Any, Any]:
    return input, weight, bias, stride, padding, dilation, groups


def _is_size(size: object) -> bool:
    sizes = size if isinstance(size, list | tuple) else [size]
    return all(type(one) is int for one in sizes)


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
    kind = (x.device, x.dtype, x.shape, weight.shape, bias is None, added is None, str(geometry))
    out = None
    if x.is_cuda and kind not in _unfit:
        try:
            out = _by_cudnn(x, weight, bias, added, geometry)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            _unfit.add(kind)
    if out is None:
        out = F.conv2d(x, weight, bias, *geometry)
        out = F.relu(out if added is None else out + added)
    return out.contiguous(memory_format=torch.channels_last)  # of one channel cuDNN gives NCHW


def _by_cudnn(
    x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor | None, geometry: tuple[Any, ...]
) -> Tensor:
    if added is None:
        return torch.cudnn_convolution_relu(x, weight, bias, *geometry)
    added = added.contiguous(memory_format=torch.channels_last)
    return torch.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, *geometry)


def _like_convolution_relu(
    x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor | None, *geometry: Any
) -> Tensor:
    out = F.conv2d(x, weight, bias, *geometry)
    return torch.empty_like(out, memory_format=torch.channels_last)


def _fused() -> Any:
    return torch.ops.archc.convolution_relu.default


operators.custom_op(
    "archc::convolution_relu",
    _convolution_relu,
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? added, int[] stride, int[] padding, "
    "int[] dilation, int groups) -> Tensor",
).register_fake(_like_convolution_relu)
