"""Small ONNX models as other exporters write them, made node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from archc.backends.onnx import to_onnx
from archc.graph import Network

Array = npt.NDArray[Any]


class Maker:
    """Adds nodes to a model; names are given to what has none."""

    def __init__(self, shape: Sequence[int | str] = (1, 3, 8, 8), opset: int = 17):
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        self.random = np.random.default_rng(0)
        self.count = 0
        self.domains: dict[str, int] = {}

    def tensor(self, values: object, name: str = "", dtype: type = np.float32) -> str:
        """An initializer."""
        array: Array = np.array(values, dtype)
        name = name or self._name("t")
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int, name: str = "") -> str:
        """An initializer of random numbers."""
        return self.tensor(self.random.normal(size=shape) * 0.3 + 0.1, name)

    def whole(self, *values: int) -> str:
        """An initializer of whole numbers."""
        return self.tensor(values, dtype=np.int64)

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """A Constant node."""
        return str(self.node("Constant", value=numpy_helper.from_array(np.array(value, dtype))))

    def node(
        self, op: str, *inputs: str, name: str = "", outputs: int = 1, domain: str = "", **more: Any
    ) -> Any:
        """A node; the name of what it puts out, or the names."""
        names = [self._name("v") for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name, domain=domain, **more))
        if domain:
            self.domains[domain] = 1
        return names[0] if outputs == 1 else names

    def conv(
        self, x: str, into: int, out: int, kernel: int = 1, name: str = "", **more: Any
    ) -> str:
        """A convolution with a bias."""
        weights = self.weight(out, into, kernel, kernel), self.weight(out)
        return str(self.node("Conv", x, *weights, name=name, **more))

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The model."""
        results = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, results, self.tensors)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, 1) for domain in self.domains]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="test")

    def data(self, *outputs: str) -> bytes:
        """The model's file."""
        return bytes(self.model(*outputs).SerializeToString())

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


def written(network: Network, *, random: bool = False) -> bytes:
    """A network as archc writes it, with weights of zeros or by chance."""
    state = {key: np.zeros(shape, np.float32) for key, shape in network.state.items()}
    if random:
        rng = np.random.default_rng(0)
        for one in state.values():
            one += rng.normal(size=one.shape) * 0.1
    return to_onnx(network, state)


def nameless(data: bytes) -> bytes:
    """A model without any name of its author's."""
    model = onnx.load_from_string(data)
    new: dict[str, str] = {}
    for index, tensor in enumerate(model.graph.initializer):
        new[tensor.name] = tensor.name = f"w{index}"
    for index, node in enumerate(model.graph.node):
        node.name = ""
        node.input[:] = [new.get(name, name) for name in node.input]
        if node.output[0] != model.graph.output[0].name:
            new[node.output[0]] = node.output[0] = f"v{index}"
    del model.graph.value_info[:]
    model.producer_name = ""
    return bytes(model.SerializeToString())
