"""A network as an ONNX model: a node or two per op, named as in the graph, and nothing else.

Initializers bear the keys of the state dict. Ops that do nothing at inference (dropout, an
adaptive pooling to the size there is) leave no node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.graph import Network, Node, Shape, key_of
from archc.ops.facts import Initializer, OnnxNode

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


class OnnxError(ArchcError):
    """A network does not fit into an ONNX file."""


def to_onnx(network: Network, weights: Mapping[str, Array], batch: int | None = None) -> bytes:
    """An ONNX model that takes ``input`` (batch, channels, height, width) and gives ``logits``.

    It is without side heads. ``weights`` has the arrays of `Network.state`, float32; counters of
    batches may be missing. ``batch`` fixes the batch size, which otherwise is free. The model
    passes onnx's checker. Raises `OnnxError` where it would be larger than 2 GB.
    """
    import onnx

    network = network.inference
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
        shapes = [self.network.nodes[source].output_shape for source in node.inputs]
        own = inputs[:1]
        for step in node.op.onnx(node.output_shape, *shapes):
            if isinstance(step, Initializer):
                inputs.insert(0 if step.first else len(inputs), self._initializer(node, step))
            else:
                reads = own + inputs if step.with_input else inputs[: step.takes]
                left = [] if step.takes is None else inputs[step.takes :]
                inputs = [self._node(node, step, reads), *left]
        return inputs[0]

    def _node(self, node: Node, step: OnnxNode, inputs: list[str]) -> str:
        from onnx import helper

        name = f"{node.id}{step.suffix}"
        self.nodes.append(helper.make_node(step.kind, inputs, [name], name, **step.attributes))
        self.shapes[name] = step.shape
        return name

    def _initializer(self, node: Node, step: Initializer) -> str:
        name = key_of(node.id, step.name)
        array = self.weights[name] if step.array is None else step.array
        self.constants[name] = array.reshape(step.shape) if step.shape else array
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
