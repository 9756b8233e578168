"""What exporters write, against onnxruntime: the emitted module with the file's tensors computes
the same, and is made of the ops that it should be."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnxmaker import Maker

import archc
from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.frontends.program import ForeignError
from archc.graph import Network
from archc.live import build_module
from archc.verification import Options

Style = Callable[[], tuple[bytes, str]]
STYLES: dict[str, Style] = {}


def style(function: Style) -> Style:
    STYLES[function.__name__] = function
    return function


def imported(data: bytes, input: tuple[int, ...] | None = None) -> Imported:
    return Imported(read_onnx(data, "net.onnx", input), "net.onnx")


def kinds(network: Network) -> str:
    """The ops in order, without the input; opaque ones by their names."""
    ops = [node.op for node in network.nodes.values()][1:]
    return " ".join(getattr(op, "name", "?") if op.kind == "opaque" else op.kind for op in ops)


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options)
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


@style
def folded_by_torch() -> tuple[bytes, str]:
    m = Maker()
    y = m.node("Relu", m.conv("x", 3, 4, 3, "/conv1/Conv", pads=[1] * 4), name="/relu/Relu")
    y = m.node("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, name="/m/MaxPool")
    y = m.node("GlobalAveragePool", y, name="/avgpool/GlobalAveragePool")
    y = m.node("Flatten", y, name="/Flatten")
    y = m.node("Gemm", y, m.weight(5, 4, name="fc.weight"), m.weight(5, name="fc.bias"), transB=1)
    return m.data(y), "conv2d relu max_pool2d adaptive_avg_pool2d flatten linear"


@style
def norms_kept_and_biases_computed() -> tuple[bytes, str]:
    m = Maker()
    shape = m.node("Shape", m.weight(4, name="like"))
    zero = m.node("Expand", m.constant([0.0]), shape)
    y = m.node("Conv", "x", m.weight(4, 3, 1, 1), zero)
    norm = [m.weight(4), m.weight(4), m.weight(4), m.tensor([1.0, 2.0, 0.5, 1.5])]
    y = m.node("BatchNormalization", y, *norm, epsilon=1e-3)
    y = m.node("ReduceMean", y, axes=[2, 3], keepdims=0)
    return m.data(y), "conv2d batch_norm2d adaptive_avg_pool2d flatten"


@style
def tensorflow() -> tuple[bytes, str]:
    m = Maker(("n", 9, 9, 3), 11)
    y = m.node("Transpose", "x", perm=[0, 3, 1, 2])
    y = m.conv(y, 3, 4, 3, strides=[2, 2], auto_pad="SAME_UPPER")
    y = m.node("Clip", y, m.constant(0.0), m.constant(6.0))
    y = m.node("Conv", y, m.weight(4, 1, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2], group=4)
    y = m.node("Add", m.weight(1, 4, 1, 1), y)
    y = m.node("Transpose", m.node("Transpose", y, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
    y = m.node("GlobalAveragePool", m.node("Relu", y))
    y = m.node("Squeeze", m.node("Transpose", y, perm=[0, 2, 3, 1]), axes=[1, 2])
    y = m.node("Add", m.node("MatMul", y, m.weight(4, 5)), m.weight(5))
    return (
        m.data(m.node("Softmax", y)),
        "conv2d relu6 pad conv2d relu adaptive_avg_pool2d flatten linear softmax",
    )


@style
def keras_pads() -> tuple[bytes, str]:
    m = Maker((1, 3, 9, 8))
    y = m.node("Pad", "x", m.whole(0, 0, 1, 2, 0, 0, 1, 2), m.tensor(0.0), mode="constant")
    y = m.conv(y, 3, 4, 3)
    y = m.node("Pad", y, m.whole(0, 0, 1, 1, 0, 0, 1, 1))
    y = m.node("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2])
    y = m.node("Pad", y, m.whole(0, 0, 0, 1, 0, 0, 2, 0))
    return m.data(m.conv(y, 4, 2)), "conv2d avg_pool2d pad conv2d"


@style
def pads_computed_by_timm() -> tuple[bytes, str]:
    """As TensorFlow pads, by arithmetic on the size of the map, cut off at zero."""
    m = Maker((1, 3, 9, 8))
    sides = m.node("Slice", m.node("Shape", "x"), m.whole(2), m.whole(4))
    more = m.node("Sub", m.node("Mul", m.node("Cast", sides, to=1), m.tensor(0.5)), m.tensor(3.0))
    more = m.node("Cast", m.node("Clip", more, m.tensor(0.0), ""), to=7)
    pads = m.node("Concat", m.whole(0, 0, 0, 0, 0, 0), more, axis=0)
    y = m.node("Pad", "x", pads, m.tensor(0.0))
    return m.data(m.conv(y, 3, 4, 3, strides=[2, 2])), "pad conv2d"


@style
def poolings() -> tuple[bytes, str]:
    m = Maker((1, 3, 10, 9))
    y = m.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    y = m.node("AveragePool", y, kernel_shape=[3, 2], strides=[1, 1], pads=[1, 0, 1, 0])
    y = m.node(
        "AveragePool", y, kernel_shape=[2, 2], strides=[1, 1], pads=[1] * 4, count_include_pad=1
    )
    y = m.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1])
    y = m.node("AveragePool", y, kernel_shape=[2, 2], pads=[0, 0, 0, 1], count_include_pad=1)
    return m.data(y), "max_pool2d avg_pool2d avg_pool2d max_pool2d pad avg_pool2d"


@style
def activations() -> tuple[bytes, str]:
    m = Maker(opset=20)
    y = m.node("Mul", "x", m.node("Sigmoid", "x"))
    y = m.node("HardSwish", y)
    y = m.node("Mul", m.node("HardSigmoid", y, alpha=1 / 6), y)
    cut = m.node("Clip", m.node("Add", y, m.tensor(3.0)), m.tensor(0.0), m.tensor(6.0))
    y = m.node("Div", m.node("Mul", y, cut), m.tensor(6.0))
    cut = m.node("Clip", m.node("Add", m.tensor([3.0]), y), m.tensor(0.0), m.tensor(6.0))
    y = m.node("Mul", y, m.node("Mul", cut, m.tensor(1 / 6)))
    y = m.node("LeakyRelu", y, alpha=0.2)
    y = m.node("Tanh", m.node("Gelu", y))
    y = m.node("Clip", y, m.tensor(0.0))
    return m.data(y), "silu hardswish hardswish hardswish hardswish leaky_relu gelu tanh relu"


@style
def gelu_by_torch() -> tuple[bytes, str]:
    m = Maker()
    y = m.node("Div", "x", m.constant(math.sqrt(2)))
    y = m.node("Add", m.node("Erf", y), m.constant(1.0))
    y = m.node("Mul", m.node("Mul", "x", y), m.constant(0.5))
    z = m.node("Add", m.tensor(1.0), m.node("Erf", m.node("Mul", y, m.tensor(math.sqrt(0.5)))))
    return m.data(m.node("Mul", m.node("Mul", y, m.tensor(0.5)), z)), "gelu gelu"


@style
def convnext() -> tuple[bytes, str]:
    m = Maker((1, 4, 6, 6), 11)
    y = m.node("Transpose", "x", perm=[0, 2, 3, 1])
    centred = m.node("Sub", y, m.node("ReduceMean", y, axes=[-1]))
    variance = m.node("ReduceMean", m.node("Pow", centred, m.constant(2.0)), axes=[-1])
    deviation = m.node("Sqrt", m.node("Add", variance, m.constant(1e-6)))
    y = m.node("Mul", m.node("Div", centred, deviation), m.weight(4, name="norm.weight"))
    y = m.node("Add", y, m.weight(4, name="norm.bias"))
    y = m.node("Add", m.weight(8, name="pw.bias"), m.node("MatMul", y, m.weight(4, 8)))
    y = m.node("Add", m.node("MatMul", y, m.weight(8, 4)), m.weight(4))
    y = m.node("Mul", m.weight(4, 1, 1), m.node("Transpose", y, perm=[0, 3, 1, 2]))
    return (
        m.data(m.node("Add", y, "x")),
        "layer_norm channel_linear channel_linear layer_scale add",
    )


@style
def group_norm() -> tuple[bytes, str]:
    m = Maker((1, 4, 6, 6))
    y = m.node("Reshape", "x", m.whole(0, 2, -1))
    y = m.node("InstanceNormalization", y, m.tensor([1.0, 1.0]), m.tensor([0.0, 0.0]))
    y = m.node("Reshape", y, m.node("Shape", "x"))
    y = m.node("Mul", y, m.node("Unsqueeze", m.weight(4), m.whole(1, 2)))
    y = m.node("Add", y, m.node("Unsqueeze", m.weight(4), m.whole(1, 2)))
    y = m.node("InstanceNormalization", y, m.weight(4), m.weight(4), epsilon=1e-3)
    return m.data(y), "group_norm group_norm"


@style
def shufflenet() -> tuple[bytes, str]:
    """Halves by arithmetic on shapes, as torch's older exporter writes `chunk`."""
    m = Maker((1, 4, 6, 6))
    side = m.node("Gather", m.node("Shape", "x"), m.constant([1], np.int64), axis=0)
    half = m.node("Add", side, m.constant([1], np.int64))
    half = m.node("Div", half, m.constant([2], np.int64))
    axis, zero = m.constant([1], np.int64), m.constant([0], np.int64)
    a = m.node("Slice", "x", zero, half, axis)
    b = m.node("Slice", "x", half, m.node("Mul", half, m.constant([2], np.int64)), axis)
    b = m.node("Relu", m.conv(b, 2, 2))
    y = m.node("Reshape", m.node("Concat", a, b, axis=1), m.whole(1, 2, 2, 6, 6))
    y = m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3, 4]), m.whole(-1, 4, 6, 6))
    a, b = m.node("Split", y, axis=1, outputs=2)
    return (
        m.data(m.node("Concat", b, a, axis=1)),
        "chunk chunk conv2d relu concat channel_shuffle chunk chunk concat",
    )


@style
def squeeze_and_excitation() -> tuple[bytes, str]:
    m = Maker((1, 4, 6, 6))
    alias = m.node("Identity", m.weight(4, 4, 1, 1))
    y = m.node("ReduceMean", "x", axes=[2, 3])
    y = m.node("Relu", m.conv(y, 4, 4))
    y = m.node("Sigmoid", m.node("Conv", y, alias, m.weight(4)))
    return (
        m.data(m.node("Mul", y, "x")),
        "adaptive_avg_pool2d conv2d relu conv2d sigmoid multiply",
    )


@style
def option_a_and_dilation() -> tuple[bytes, str]:
    m = Maker((1, 4, 8, 8), 18)
    short = m.node("Slice", "x", m.whole(0, 0), m.whole(99, 99), m.whole(2, 3), m.whole(2, 2))
    short = m.node("Pad", short, m.whole(0, 2), m.tensor(0.0), m.whole(1))
    y = m.conv("x", 4, 6, 3, pads=[2, 2, 2, 2], dilations=[2, 2], strides=[2, 2])
    y = m.node("Dropout", m.node("Sum", y, short, short))
    return m.data(y), "zero_pad_shortcut conv2d add add dropout"


@style
def images_that_are_prepared() -> tuple[bytes, str]:
    """Channel by channel, as torchvision's GoogLeNet does, and by tensors."""
    m = Maker()
    y = m.node("Mul", "x", m.tensor([[[2.0]], [[0.1]], [[-1.5]]]))
    y = m.node("Add", m.tensor([[[0.2]], [[0.0]], [[1.25]]]), y)
    channels = []
    for index, (scale, shift) in enumerate([(0.458, -0.03), (0.448, -0.088), (0.45, -0.188)]):
        one = m.node("Gather", y, m.constant(index, np.int64), axis=1)
        one = m.node("Mul", m.node("Unsqueeze", one, m.whole(1)), m.constant(scale))
        channels.append(m.node("Add", one, m.constant(shift)))
    return m.data(m.node("Relu", m.node("Concat", *channels, axis=1))), "affine affine relu"


@style
def constant_branch() -> tuple[bytes, str]:
    """An If whose condition does not depend on the image, as `squeeze` is exported."""
    from onnx import TensorProto, helper

    m = Maker()
    y = m.node("GlobalAveragePool", "x")
    side = m.node("Gather", m.node("Shape", y), m.constant(2, np.int64))
    out = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
    yes = helper.make_graph([helper.make_node("Flatten", [y], ["inner"])], "yes", [], out)
    out = [helper.make_tensor_value_info("other", TensorProto.FLOAT, None)]
    no = helper.make_graph([helper.make_node("Identity", [y], ["other"])], "no", [], out)
    is_one = m.node("Equal", side, m.constant(1, np.int64))
    y = m.node("If", is_one, then_branch=yes, else_branch=no)
    return m.data(m.node("Relu", y)), "adaptive_avg_pool2d flatten relu"


@style
def fused_by_onnxruntime() -> tuple[bytes, str]:
    m = Maker()
    more: Any = {"domain": "com.microsoft", "activation": "Relu", "pads": [1] * 4}
    y = m.node("FusedConv", "x", m.weight(3, 3, 3, 3), m.weight(3), **more)
    y = m.node("FusedConv", y, m.weight(3, 3, 3, 3), m.weight(3), "x", **more)
    y = m.node("Gelu", y, domain="com.microsoft")
    return m.data(y), "conv2d relu conv2d add relu gelu"


@style
def simplified_by_onnxsim() -> tuple[bytes, str]:
    """A linear layer on a map as a product of matrices, whose bias alone says where it stands."""
    m = Maker((1, 4, 6, 6))
    y = m.node("Reshape", m.node("Transpose", "x", perm=[0, 2, 3, 1]), m.whole(36, 4))
    y = m.node("Gemm", y, m.weight(4, 8), m.weight(8, name="pw.bias"))
    y = m.node("Transpose", m.node("Reshape", y, m.whole(1, 6, 6, 8)), perm=[0, 3, 1, 2])
    return m.data(m.node("Relu", y)), "channel_linear relu"


@style
def lists_by_torch() -> tuple[bytes, str]:
    """As torch's newer exporter writes `chunk` where it does not optimize."""
    m = Maker((1, 4, 6, 6))
    parts = m.node("SplitToSequence", "x", m.constant(2, np.int64), axis=1)
    a, b = (m.node("SequenceAt", parts, m.constant(number, np.int64)) for number in (0, -1))
    return m.data(m.node("Concat", b, a, axis=1)), "chunk chunk concat"


@style
def linear_fused_by_onnxruntime() -> tuple[bytes, str]:
    m = Maker((1, 4, 2, 2))
    y = m.node("Flatten", m.node("QuickGelu", "x", domain="com.microsoft", alpha=1.0))
    more: Any = {"domain": "com.microsoft", "activation": "LeakyRelu", "activation_alpha": 0.3}
    y = m.node("FusedGemm", y, m.weight(5, 16), m.weight(5), transB=1, **more)
    return m.data(y), "silu flatten linear leaky_relu"


@pytest.mark.parametrize("name", STYLES)
def test_what_exporters_write_computes_the_same(name: str) -> None:
    data, expected = STYLES[name]()
    model = imported(data)
    network = model.network
    assert kinds(network) == expected
    module = build_module(network).eval()
    arrays = {key: torch.tensor(np.array(one)) for key, one in model.arrays().items()}
    missing = {one for one in module.state_dict() if not one.endswith("num_batches_tracked")}
    assert missing == arrays.keys()
    module.load_state_dict(arrays, strict=False)
    x = np.random.default_rng(1).normal(size=(1, *network.input_shape)).astype(np.float32)
    expected_y = run(data, x.transpose(0, 2, 3, 1) if model.program.channels_last else x)
    with torch.no_grad():
        y = module(torch.tensor(x))
        y = y.softmax(1) if network.logits != network.output else y
    np.testing.assert_allclose(y.numpy(), expected_y, atol=2e-6, rtol=1e-4)


def test_operations_that_no_record_knows_have_their_shapes() -> None:
    m = Maker((1, 4, 8, 8), 18)
    y = m.tensor([1, 1, 2, 2])
    y = m.node("Resize", "x", "", y, mode="linear", coordinate_transformation_mode="asymmetric")
    y = m.node("ConvTranspose", y, m.weight(4, 3, 2, 2), strides=[2, 2])
    y = m.node("DepthToSpace", m.node("Concat", y, y, y, y, axis=1), blocksize=2)
    y = m.node("Transpose", m.node("Reshape", y, m.whole(0, 3, -1)), perm=[0, 2, 1])
    y = m.node("Softmax", m.node("MatMul", y, m.node("Transpose", y, perm=[0, 2, 1])), axis=-1)
    network = imported(m.data(y)).network
    assert kinds(network) == (
        "resize conv_transpose2d identity identity identity concat pixel_shuffle view permute "
        "permute matmul softmax"
    )
    nodes = [node for node in network.nodes.values() if node.op.kind != "identity"]
    shapes = [node.output_shape for node in nodes]
    assert shapes[1:4] == [(4, 16, 16), (3, 32, 32), (12, 32, 32)]
    assert shapes[4:] == [(3, 64, 64), (3, 4096), (4096, 3), (3, 4096), (4096, 4096), (4096, 4096)]
    assert network.params == 4 * 3 * 2 * 2
    assert network.multiply_adds == 4096 * 4096 * 3 + 4 * 3 * 2 * 2 * 16 * 16


def test_attention_as_onnxruntime_puts_it_together() -> None:
    m = Maker((1, 4, 8, 8))
    tokens = m.node("Transpose", m.node("Reshape", "x", m.whole(1, 4, 64)), perm=[0, 2, 1])
    more: Any = {"domain": "com.microsoft"}
    weights = m.node("FusedMatMul", tokens, tokens, transB=1, alpha=0.5, **more)
    by_heads = m.node("Reshape", tokens, m.whole(64, 1, 4))
    y = m.node("FusedMatMul", m.node("Softmax", weights), by_heads, transBatchB=1, **more)
    y, _, _, total = m.node(
        "SkipLayerNormalization", y, tokens, *[m.weight(4)] * 2, outputs=4, **more
    )
    y = m.node("BiasGelu", m.node("MatMul", y, m.weight(4, 6)), m.weight(6), **more)
    y = m.node("FastGelu", m.node("MatMul", y, m.weight(6, 4)), m.weight(4), **more)
    network = imported(m.data(m.node("Add", y, total))).network
    ops = "view permute permute matmul mul view softmax permute matmul add token_norm"
    assert kinds(network) == f"{ops} token_linear gelu token_linear gelu add"
    assert network.products == 2 * 64 * 64 * 4
    assert network.multiply_adds == network.products + 2 * 64 * 4 * 6


def test_what_onnxruntime_writes_for_one_processor_is_refused() -> None:
    m = Maker((1, 8, 8, 8))
    y = m.node("ReorderInput", "x", domain="com.microsoft.nchwc")
    with pytest.raises(ForeignError) as caught:
        imported(m.data(m.node("Relu", y)))
    assert caught.value.message.endswith(
        "is an operation that onnxruntime writes for one kind of processor"
    )
    assert "ORT_ENABLE_EXTENDED" in str(caught.value.hint)


def test_an_unknown_operation_has_the_shape_that_the_file_says() -> None:
    m = Maker(("batch", 3, 8, 8))
    y = m.node("Mystery", "x", domain="my.ops", gain=2.0)
    model = m.model(m.conv(y, 3, 4))
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info(y, TensorProto.FLOAT, ["batch", 3, 4, 4])
    model.graph.value_info.append(info)
    network = imported(model.SerializeToString()).network
    assert [(id, node.output_shape) for id, node in network.nodes.items()][1:] == [
        ("my_ops_Mystery1", (3, 4, 4)),
        ("conv1", (4, 4, 4)),
    ]


def test_other_sizes_can_be_asked_for() -> None:
    m = Maker(("n", 3, "h", "w"))
    data = m.data(m.conv("x", 3, 4, 3))
    assert imported(data, (3, 10, 12)).network.nodes["conv1"].output_shape == (4, 8, 10)
    fixed, _ = STYLES["folded_by_torch"]()
    assert imported(fixed, (3, 32, 16)).network.nodes["conv1"].output_shape == (4, 32, 16)


def test_models_exported_without_their_weights_are_read() -> None:
    m = Maker()
    model = m.model(m.conv("x", 3, 4, 3))
    from onnx import TensorProto, helper

    for tensor in model.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims))
        model.graph.input.append(info)
    network = imported(model.SerializeToString()).network  # as with keep_initializers_as_inputs
    assert network.params == 4 * 3 * 9 + 4
    del model.graph.initializer[:]
    assert imported(model.SerializeToString()).network.params == network.params


def test_tensors_left_out_that_are_not_read_as_weights() -> None:
    """As torch's older exporter leaves them with export_params=False: all are inputs."""
    from onnx import TensorProto, helper

    m = Maker()
    y = m.node("Transpose", m.conv("x", 3, 4, 3), perm=[0, 2, 3, 1])
    weight = m.node("Transpose", m.weight(6, 4, name="pw.weight"), perm=[1, 0])
    y = m.node("Add", m.weight(6, name="pw.bias"), m.node("MatMul", y, weight))
    y = m.node("Mul", m.weight(6, 1, 1), m.node("Transpose", y, perm=[0, 3, 1, 2]))
    model = m.model(y)
    for tensor in model.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims))
        model.graph.input.append(info)
    expected = imported(model.SerializeToString()).network
    del model.graph.initializer[:]
    found = imported(model.SerializeToString()).network
    assert kinds(found) == kinds(expected) == "conv2d channel_linear layer_scale"
    assert found.state == expected.state


def test_a_model_of_several_inputs_is_read_and_verified(tmp_path: Path) -> None:
    """The first input that can be images is; others have as many rows as there are images."""
    m = Maker(("n", 3, 8, 8))
    more: tuple[tuple[str, list[str | int | None]], ...]
    more = (("scale", [1, 4]), ("y", ["n", 3, 8, 8]))
    for name, shape in more:
        m.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    m.inputs.insert(0, m.inputs.pop(1))
    shared = m.weight(4, 3, 3, 3), m.weight(4)
    maps = [m.node("Conv", one, *shared) for one in ("x", "y")]
    a, b = (m.node("Flatten", m.node("GlobalAveragePool", one)) for one in maps)
    data = m.data(m.node("Mul", "scale", m.node("Sub", a, b)))
    (tmp_path / "net.onnx").write_bytes(data)
    network = archc.from_onnx(tmp_path / "net.onnx")
    assert network.input_shape == (3, 8, 8)
    given = [str(node.op.numbers["name"]) for node in network.nodes.values() if node.op.is_given]
    assert given == ["scale1", "y1"]  # without modules, all is counted
    assert network.params == 4 * 27 + 4
    report = archc.verify(network, options=Options(quick=True))
    assert report.passed, report
