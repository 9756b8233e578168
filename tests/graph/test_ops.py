"""Each op's rules against torch's own modules, on random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archc.graph import Op, Shape, ShapeError
from archc.ops import (
    MAX_CHANNELS,
    MAX_PIXELS,
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    ReLU,
    Size,
    Softmax,
    ZeroPadShortcut,
    describe,
)
from archc.ops.foreign import EVERY_OP

PLAIN = settings(max_examples=150, deadline=None)
small = st.integers(1, 8)
sides = st.integers(1, 20)
shapes = st.tuples(small, sides, sides)

Forward = Callable[[Tensor], Tensor]


def assert_same(op: Op, make: Callable[[], Forward], x: Shape) -> None:
    """An op and torch's function agree in shapes, tensors and multiply-adds, or both refuse."""
    with torch.device("meta"):
        try:
            function = make()
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                expected = tuple(function(torch.empty(2, *x)).shape[1:])
        except (RuntimeError, ValueError):
            with pytest.raises(ShapeError):
                op.infer(x)
            return
    assert op.infer(x) == expected
    module = function if isinstance(function, nn.Module) else nn.Identity()
    assert op.params == sum(parameter.numel() for parameter in module.parameters())
    state = [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
    assert list(op.state.items()) == state
    assert op.buffers == {name for name, _ in module.named_buffers()}
    learned = [shape for name, shape in op.state.items() if name not in op.buffers]
    assert op.params == sum(map(math.prod, learned))
    assert 2 * 2 * op.multiply_adds(expected) == counter.get_total_flops()


@PLAIN
@given(
    x=shapes,
    out=small,
    kernel=st.integers(1, 9),
    stride=st.integers(1, 5),
    padding=st.integers(0, 5),
    groups=st.sampled_from((1, 1, 1, 2, 3, 4)),
    bias=st.booleans(),
    dilation=st.sampled_from((1, 1, 2, 3, (1, 2), (3, 1))),
    wrong=st.integers(0, 9),
)
def test_conv2d(
    x: Shape,
    out: int,
    kernel: int,
    stride: int,
    padding: int,
    groups: int,
    bias: bool,
    dilation: Size,
    wrong: int,
) -> None:
    channels = x[0] + (wrong == 9)
    numbers: Any = {
        "dilation": dilation,
        "in_channels": channels,
        "out_channels": out,
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "groups": groups,
        "bias": bias,
    }
    assert_same(Conv2d(**numbers), lambda: nn.Conv2d(**numbers), x)


@PLAIN
@given(
    x=shapes,
    kernel=st.integers(1, 6),
    stride=st.integers(1, 5),
    padding=st.integers(0, 4),
    kind=st.sampled_from(("max", "avg")),
    ceil=st.booleans(),
)
def test_pools(x: Shape, kernel: int, stride: int, padding: int, kind: str, ceil: bool) -> None:
    sizes = (kernel, stride, padding)
    if kind == "max":
        op: Op = MaxPool2d(*sizes, ceil_mode=ceil)
        assert_same(op, lambda: nn.MaxPool2d(*sizes, ceil_mode=ceil), x)
    else:
        op = AvgPool2d(*sizes, ceil_mode=ceil)
        assert_same(op, lambda: nn.AvgPool2d(*sizes, ceil_mode=ceil), x)


def test_pools_round_up_as_torch_does() -> None:
    """Of every size: a window that would start in the padding at the end is left out."""
    for size, kernel, stride in product(range(1, 14), range(1, 7), range(1, 7)):
        for padding in range(kernel // 2 + 1):
            sizes = (kernel, stride, padding)
            make = partial(nn.MaxPool2d, *sizes, ceil_mode=True)
            assert_same(MaxPool2d(*sizes, ceil_mode=True), make, (1, size, size))


@PLAIN
@given(x=shapes, size=st.integers(1, 9))
def test_adaptive_avg_pool2d(x: Shape, size: int) -> None:
    assert_same(AdaptiveAvgPool2d(size), lambda: nn.AdaptiveAvgPool2d(size), x)


@PLAIN
@given(x=shapes, features=small)
def test_batch_norm2d(x: Shape, features: int) -> None:
    assert_same(BatchNorm2d(features), lambda: nn.BatchNorm2d(features).eval(), x)


@PLAIN
@given(x=shapes, out=small, bias=st.booleans(), more=st.sampled_from((0, 0, 0, 1)))
def test_linear_behind_flatten(x: Shape, out: int, bias: bool, more: int) -> None:
    assert_same(Flatten(), lambda: nn.Flatten(), x)
    vector = Flatten().infer(x)
    features = vector[0] + more
    assert_same(Linear(features, out, bias), lambda: nn.Linear(features, out, bias), vector)


@pytest.mark.parametrize(
    ("op", "module"),
    [(ReLU(), nn.ReLU()), (Dropout(0.3), nn.Dropout(0.3)), (Input(), nn.Identity())],
)
def test_ops_that_keep_the_shape(op: Op, module: nn.Module) -> None:
    for shape in ((3, 5, 7), (11,)):
        assert_same(op, lambda: module, shape)


def test_softmax() -> None:
    assert_same(Softmax(), lambda: nn.Softmax(dim=1), (7,))
    with pytest.raises(ShapeError, match="a vector is needed, not a feature map of 3x2x2"):
        Softmax().infer((3, 2, 2))


@PLAIN
@given(x=shapes, out=st.integers(1, 12), stride=st.integers(1, 5))
def test_zero_pad_shortcut(x: Shape, out: int, stride: int) -> None:
    op = ZeroPadShortcut(x[0], out, stride)

    def option_a(images: Tensor) -> Tensor:
        if out < x[0]:
            raise ValueError("option A cannot shrink")
        kept = images[:, :, ::stride, ::stride]
        n, channels, height, width = kept.shape
        return torch.cat([kept, kept.new_zeros(n, out - channels, height, width)], dim=1)

    assert_same(op, lambda: option_a, x)


@PLAIN
@given(st.lists(st.sampled_from(((2, 3, 3), (2, 3, 3), (2, 3, 3), (2, 3, 4))), min_size=2))
def test_add(inputs: list[Shape]) -> None:
    if len(set(inputs)) == 1:
        assert Add().infer(*inputs) == inputs[0]
    else:
        with pytest.raises(ShapeError, match="cannot be added"):
            Add().infer(*inputs)
    assert Add().params == Add().multiply_adds(inputs[0]) == 0


MAPS_ONLY: tuple[Op, ...] = (
    Conv2d(3, 3, 1),
    BatchNorm2d(3),
    MaxPool2d(1, 1),
    AvgPool2d(1, 1),
    AdaptiveAvgPool2d(1),
    ZeroPadShortcut(3, 3),
)


@pytest.mark.parametrize("op", MAPS_ONLY, ids=lambda op: op.kind)
def test_ops_on_feature_maps_refuse_a_vector(op: Op) -> None:
    with pytest.raises(ShapeError, match="needs a feature map, not a vector of 3"):
        op.infer((3,))


def test_a_linear_layer_refuses_a_feature_map() -> None:
    with pytest.raises(ShapeError, match="needs a vector, not a feature map of 3x1x1"):
        Linear(3, 4).infer((3, 1, 1))


@pytest.mark.parametrize(
    ("op", "attribute"),
    [
        (Conv2d(4, 6, 1, groups=4), "groups"),
        (Conv2d(4, 6, 1, groups=3), "groups"),
        (Conv2d(4, MAX_CHANNELS + 1, 1), "width"),
        (Conv2d(4, 4, 9), "kernel"),
        (Conv2d(4, 4, 1, padding=MAX_PIXELS), "padding"),
        (MaxPool2d(2, 1, 2), "padding"),
        (AvgPool2d(9, 1), "kernel"),
        (ZeroPadShortcut(4, 3), "shortcut"),
    ],
)
def test_a_refusal_names_the_attribute_at_fault(op: Op, attribute: str) -> None:
    with pytest.raises(ShapeError) as caught:
        op.infer((4, 8, 8))
    assert caught.value.attribute == attribute


def test_rules_count_without_overflow() -> None:
    """Beyond 64 bits, where torch would have to give up."""
    op = Conv2d(MAX_CHANNELS, MAX_CHANNELS, MAX_PIXELS, padding=MAX_PIXELS // 2, bias=False)
    output = op.infer((MAX_CHANNELS, MAX_PIXELS - 1, MAX_PIXELS - 1))
    assert output == (MAX_CHANNELS, MAX_PIXELS, MAX_PIXELS)
    assert op.params == MAX_CHANNELS**2 * MAX_PIXELS**2
    assert op.multiply_adds(output) == op.params * MAX_PIXELS**2


def test_numbers_bear_torchs_names() -> None:
    """Whatever an op holds is an attribute of torch's module, or an argument of it."""
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, bias=False)
    numbers = Conv2d(2, 4, 3, 2, 1, 2, False).numbers
    assert list(numbers) == [
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "groups", "bias")
    ]
    assert all(hasattr(conv, name) for name in numbers)
    assert Linear(2, 3).numbers == {"in_features": 2, "out_features": 3, "bias": True}
    assert MaxPool2d(3, 2, 1).numbers == {"kernel_size": 3, "stride": 2, "padding": 1}
    assert AdaptiveAvgPool2d(7).numbers == {"output_size": 7}
    assert BatchNorm2d(9).numbers == {"num_features": 9}
    assert BatchNorm2d(9, 1e-3).numbers == {"num_features": 9, "eps": 1e-3}
    assert Dropout(0.1).numbers == {"p": 0.1}
    assert ReLU().numbers == Add().numbers == Flatten().numbers == Softmax().numbers == {}


def test_the_table_of_ops_has_each_by_its_kind() -> None:
    assert all(op.kind == kind for kind, op in EVERY_OP.items())
    assert set(EVERY_OP) == {
        *("input", "conv2d", "batch_norm2d", "relu", "max_pool2d", "avg_pool2d"),
        *("adaptive_avg_pool2d", "zero_pad_shortcut", "add", "flatten", "linear", "dropout"),
        *("softmax", "relu6", "leaky_relu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh"),
        *("gelu", "multiply", "concat", "chunk", "channel_shuffle", "identity", "group_norm"),
        *("layer_norm", "layer_scale", "affine", "channel_linear", "stochastic_depth"),
        *("opaque", "token_linear", "token_norm", "matmul", "einsum", "attention", "pad"),
        *("again", "extra_input", "outputs", "conv_transpose2d", "prelu"),
    }


def test_shapes_in_words() -> None:
    assert describe((64, 56, 40)) == "feature map of 64x56x40"
    assert describe((25088,)) == "vector of 25,088"
