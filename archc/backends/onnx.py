"""A network as an ONNX model: a node or two per op, named as in the graph, and nothing else.

Initializers bear the keys of the state dict. Ops that do nothing at inference (dropout, an
adaptive pooling to the size there is) leave no node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archc.graph import Network, Node, Shape
from archc.graph.ops import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Op,
    ReLU,
    Softmax,
    ZeroPadShortcut,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

    Array = npt.NDArray[np.float32]

INPUT, OUTPUT, BATCH = "input", "logits", "batch"
OPSET, IR_VERSION = 18, 8
"""ONNX 1.13, of December 2022: what these ops need, and what every runtime since then reads."""

MAX_BYTES = 2**31 - 2**22
"""What protobuf allows a message, less ample room for all but the weights."""


class OnnxError(Exception):
    """A network does not fit into an ONNX file."""


def to_onnx(network: Network, weights: Mapping[str, Array], batch: int | None = None) -> bytes:
    """An ONNX model that takes ``input`` (batch, channels, height, width) and gives ``logits``.

    ``weights`` has the arrays of `Network.state`, float32; counters of batches may be missing.
    ``batch`` fixes the batch size, which otherwise is free. The model passes onnx's checker.
    Raises `OnnxError` where it would be larger than 2 GB.
    """
    import onnx

    size = sum(weights[key].nbytes for key in network.state if key in weights)
    if size > MAX_BYTES:
        raise OnnxError(
            f"an ONNX file holds at most {MAX_BYTES / 1e9:.2f} GB, and the weights of "
            f"{network.name} take {size / 1e9:.2f} GB"
        )
    model = _Writer(network, weights, BATCH if batch is None else batch).model()
    serialized: bytes = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(serialized, full_check=True)
    return serialized


@dataclass
class _Writer:
    """Collects the nodes and constants of a model; ``values`` has each id's tensor by name."""

    network: Network
    weights: Mapping[str, Array]
    batch: str | int
    values: dict[str, str] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """The model of the network, up to its logits."""
        from onnx import TensorProto, helper

        def info(name: str, shape: Shape) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [self.batch, *shape])

        network = self.network
        for node in network.nodes.values():
            if not node.inputs:
                self.values[node.id] = INPUT
                continue
            inputs = [self.values[source] for source in node.inputs]
            self.values[node.id] = self._write(node, inputs)
            if node.id == network.logits:
                break
        logits = network.nodes[network.logits].output_shape
        self._name_output(self.values[network.logits])
        graph = helper.make_graph(
            self.nodes,
            network.name,
            [info(INPUT, network.input_shape)],
            [info(OUTPUT, logits)],
            [],
            doc_string=network.description,
            value_info=[info(name, shape) for name, shape in self.shapes.items()],
        )
        from archc import __version__

        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="archc",
            producer_version=__version__,
        )
        for name, array in self.constants.items():
            # Filled in where they will stand: a helper's tensors would be copied twice.
            tensor = model.graph.initializer.add(name=name, dims=array.shape)
            tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return model

    def _write(self, node: Node, inputs: list[str]) -> str:
        """Write an op's nodes; return the name of what it puts out."""
        rule = _RULES[type(node.op)]
        before = self.network.nodes[node.inputs[0]].output_shape
        for step in rule(node.op, node, before):
            if isinstance(step, _Initializer):
                inputs.insert(0 if step.first else len(inputs), self._initializer(node, step))
            else:
                inputs = [self._node(node, step, inputs)]
        return inputs[0]

    def _node(self, node: Node, step: _Step, inputs: list[str]) -> str:
        from onnx import helper

        name = f"{node.id}{step.suffix}"
        self.nodes.append(helper.make_node(step.kind, inputs, [name], name, **step.attributes))
        self.shapes[name] = step.shape
        return name

    def _initializer(self, node: Node, step: _Initializer) -> str:
        name = f"{node.id}.{step.name}"
        self.constants[name] = self.weights[name] if step.array is None else step.array
        return name

    def _name_output(self, last: str) -> None:
        """Call the model's last value ``logits``."""
        from onnx import helper

        self.shapes.pop(last, None)
        for node in self.nodes:
            if node.output[0] == last:
                node.output[0] = OUTPUT
                return
        self.nodes.append(helper.make_node("Identity", [last], [OUTPUT], OUTPUT))


@dataclass(frozen=True, slots=True)
class _Initializer:
    """A constant among a node's inputs: a tensor of the state dict, or an array of its own."""

    name: str
    array: Any = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """An ONNX node that reads what came before it."""

    kind: str
    shape: Shape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""


Steps = Iterator[_Initializer | _Step]


def _conv(op: Conv2d, node: Node, before: Shape) -> Steps:
    yield from map(_Initializer, op.state)
    attributes = {**_window(op), "group": op.groups}
    yield _Step("Conv", node.output_shape, attributes)


def _batch_norm(op: BatchNorm2d, node: Node, before: Shape) -> Steps:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield _Initializer(name)
    yield _Step("BatchNormalization", node.output_shape, {"epsilon": op.EPS})


def _max_pool(op: MaxPool2d, node: Node, before: Shape) -> Steps:
    yield _Step("MaxPool", node.output_shape, _window(op))


def _avg_pool(op: AvgPool2d, node: Node, before: Shape) -> Steps:
    yield _Step("AveragePool", node.output_shape, {**_window(op), "count_include_pad": 1})


def _window(op: Conv2d | MaxPool2d | AvgPool2d) -> dict[str, list[int]]:
    return {
        "kernel_shape": [op.kernel_size] * 2,
        "strides": [op.stride] * 2,
        "pads": [op.padding] * 4,
    }


def _adaptive_avg_pool(op: AdaptiveAvgPool2d, node: Node, before: Shape) -> Steps:
    """Windows of one size where the map divides into them, otherwise products with matrices of
    windows from both sides."""
    _, height, width = before
    size = op.output_size
    if size == 1:
        yield _Step("GlobalAveragePool", node.output_shape)
    elif height == width == size:
        return
    elif height % size == width % size == 0:
        window = [height // size, width // size]
        yield _Step("AveragePool", node.output_shape, {"kernel_shape": window, "strides": window})
    else:
        yield _Initializer("columns", _windows(width, size).T.copy())
        yield _Step("MatMul", (before[0], height, size), suffix=".columns_mean")
        yield _Initializer("rows", _windows(height, size), first=True)
        yield _Step("MatMul", node.output_shape)


def _windows(length: int, size: int) -> Array:
    """A row for each of torch's adaptive windows: means over ``length`` positions."""
    import numpy as np

    rows = np.zeros((size, length), np.float32)
    for index, row in enumerate(rows):
        start, end = index * length // size, math.ceil((index + 1) * length / size)
        row[start:end] = 1 / (end - start)
    return rows


def _zero_pad(op: ZeroPadShortcut, node: Node, before: Shape) -> Steps:
    import numpy as np

    channels = op.out_channels - op.in_channels
    subsampled = (op.in_channels, *node.output_shape[1:])
    if op.stride > 1:
        ends = np.array([np.iinfo(np.int64).max] * 2)
        for name, array in (
            ("starts", np.zeros(2, np.int64)),
            ("ends", ends),
            ("axes", np.array([2, 3])),
            ("steps", np.array([op.stride] * 2)),
        ):
            yield _Initializer(name, array)
        yield _Step("Slice", subsampled, suffix=".subsampled" if channels else "")
    if channels:
        yield _Initializer("pads", np.array([0, 0, 0, 0, 0, channels, 0, 0]))
        yield _Step("Pad", node.output_shape, {"mode": "constant"})


def _linear(op: Linear, node: Node, before: Shape) -> Steps:
    yield from map(_Initializer, op.state)
    yield _Step("Gemm", node.output_shape, {"transB": 1})


def _plain(kind: str, **attributes: int) -> Callable[[Any, Node, Shape], Steps]:
    def steps(op: Op, node: Node, before: Shape) -> Steps:
        yield _Step(kind, node.output_shape, attributes)

    return steps


def _nothing(op: Op, node: Node, before: Shape) -> Steps:
    yield from ()


_RULES: dict[type[Op], Callable[[Any, Node, Shape], Steps]] = {
    Conv2d: _conv,
    BatchNorm2d: _batch_norm,
    ReLU: _plain("Relu"),
    MaxPool2d: _max_pool,
    AvgPool2d: _avg_pool,
    AdaptiveAvgPool2d: _adaptive_avg_pool,
    ZeroPadShortcut: _zero_pad,
    Add: _plain("Add"),
    Flatten: _plain("Flatten", axis=1),
    Linear: _linear,
    Dropout: _nothing,
    Softmax: _plain("Softmax", axis=1),
}
"""How each op is written; constants come before the node that reads them."""
