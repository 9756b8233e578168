"""ONNX files that are no model of images, or none at all: a message, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxmaker import Maker

from archc.frontends.imported import Imported
from archc.frontends.onnx import wire
from archc.frontends.onnx.reader import read_onnx
from archc.frontends.program import ForeignError


def refusal(data: bytes | Path, input: tuple[int, ...] | None = None) -> ForeignError:
    with pytest.raises(ForeignError) as caught:
        Imported(read_onnx(data, "net.onnx", input), "net.onnx").network  # noqa: B018
    return caught.value


def small() -> Maker:
    m = Maker()
    m.y = m.conv("x", 3, 4, 3)  # type: ignore[attr-defined]
    return m


def made(change: Callable[[onnx.ModelProto], object]) -> bytes:
    m = Maker()
    y = m.conv("x", 3, 4, 3, "conv")
    model = m.model(m.node("Relu", y, name="relu"))
    change(model)
    return bytes(model.SerializeToString())


def inputs(*shapes: Sequence[int | str]) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        del model.graph.input[:]
        for number, shape in enumerate(shapes):
            name = "x" + "y" * number
            model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    return change


def dims(*sides: int) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        del tensor.dims[:]
        tensor.dims.extend(sides)
        tensor.ClearField("raw_data")

    return change


REFUSED: dict[str, tuple[Callable[[onnx.ModelProto], object], str, str | None]] = {
    "nothing": (
        lambda m: m.graph.ClearField("node"),
        "net.onnx holds no operations",
        None,
    ),
    "no output": (
        lambda m: m.graph.ClearField("output"),
        "net.onnx does not name an output",
        None,
    ),
    "tokens": (
        inputs([1, 128]),
        "net.onnx takes an input of rank 2; archc reads models of images (batch, channels, "
        "height, width)",
        None,
    ),
    "another input that is not fixed": (
        inputs([1, 3, 8, 8], [1, "n"]),
        "net.onnx does not fix the shape of its input `xy`",
        "onnxruntime.tools.make_dynamic_shape_fixed does",
    ),
    "inputs that are no images": (
        inputs([1, 128], [1, 12]),
        "net.onnx takes an input of rank 2; archc reads models of images (batch, channels, "
        "height, width)",
        None,
    ),
    "a size that is not fixed": (
        inputs(["n", 3, "h", "w"]),
        "net.onnx does not fix the size of its input",
        "give the size: input=(3, 224, 224)",
    ),
    "a size of zero": (
        inputs([0, 3, 0, 0]),
        "net.onnx does not fix the size of its input",
        "give the size: input=(3, 224, 224)",
    ),
    "an image too large": (
        inputs([1, 3, 100_000, 8]),
        "net.onnx takes images of 3x100000x8, which exceeds archc's limits",
        None,
    ),
    "a negative side": (
        dims(4, -3, 3, 3),
        "net.onnx is not an ONNX model that archc can read: a tensor has a negative "
        "dimension: 4x-3x3x3",
        None,
    ),
    "a huge tensor": (
        dims(2**31, 2**31, 3, 3),
        "net.onnx is not an ONNX model that archc can read: a tensor of "
        "2147483648x2147483648x3x3 is too large",
        None,
    ),
    "too little data": (
        lambda m: m.graph.initializer[0].__setattr__("raw_data", b"\0" * 8),
        "net.onnx is not an ONNX model that archc can read: a tensor has the wrong amount "
        "of data for its shape",
        None,
    ),
    "a cycle": (
        lambda m: m.graph.node[0].input.__setitem__(0, m.graph.node[1].output[0]),
        "net.onnx: the node `conv` (`Conv`) reads `v4`, which no earlier node computes",
        None,
    ),
    "a value twice": (
        lambda m: m.graph.node[1].output.__setitem__(0, m.graph.node[0].output[0]),
        "net.onnx: the node `relu` (`Relu`) writes `v3`, which an earlier node already wrote",
        None,
    ),
    "an unknown operation": (
        lambda m: m.graph.node[1].__setattr__("op_type", "Mystery"),
        "net.onnx: the node `relu` (`Mystery`) is an operation that archc does not know, "
        "and the file does not give the shape of its output",
        "onnx.shape_inference.infer_shapes adds shapes to a model",
    ),
    "channels that do not fit": (
        inputs([1, 5, 8, 8]),
        "net.onnx: the node `conv` (`Conv`) expects 3 channels but gets 5",
        None,
    ),
    "a window that does not fit": (
        inputs([1, 3, 2, 8]),
        "net.onnx: the node `conv` (`Conv`) has a window of 3, but its padded input has 2 "
        "positions",
        None,
    ),
    "an attribute of another type": (
        lambda m: m.graph.node[0].attribute.append(helper.make_attribute("group", "one")),
        "net.onnx: the node `conv` (`Conv`) has an attribute `group` that is not an integer",
        None,
    ),
    "an operation that is no name": (
        lambda m: m.graph.node[0].__setattr__("op_type", "</script>"),
        "net.onnx is not an ONNX model that archc can read: a node has no operator, or one "
        "that is not a "
        "name",
        None,
    ),
    "an old opset": (
        lambda m: m.opset_import[0].__setattr__("version", 6),
        "net.onnx uses ONNX opset 6; archc reads opset 7 and newer",
        "convert it with onnx.version_converter.convert_version",
    ),
    "sparse tensors": (
        lambda m: m.graph.sparse_initializer.add(),
        "net.onnx has sparse initializers, which archc does not read",
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_of_images_is_refused_with_words(case: str) -> None:
    change, message, hint = REFUSED[case]
    error = refusal(made(change))
    assert (error.message, error.hint) == (message, hint)


def test_the_size_asked_for_has_the_channels_of_the_model() -> None:
    error = refusal(made(lambda m: None), (1, 8, 8))
    assert error.message == "net.onnx takes images with 3 channels, not 1"


@pytest.mark.parametrize(
    "data", [b"\0", b"\x08", b"PK\x03\x04" * 9, b"name: resnet\n", b"\xff" * 99]
)
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    assert refusal(data).message.startswith("net.onnx is ")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    assert refusal(tmp_path / "net.onnx").message == "net.onnx is empty"


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def test_a_million_nodes_are_refused_before_they_are_read() -> None:
    node = _field(1, _field(1, b"x") + _field(2, b"y") + _field(4, b"Relu"))
    data = _field(7, node * 1_000_000)
    assert refusal(data).message == (
        "net.onnx is not an ONNX model that archc can read: it has more than 20,000 nodes "
        "or tensors"
    )


_MANY: dict[str, tuple[bytes, str]] = {
    "in the file": (b"\x08\x01" * 60_000, "more than 50,000 entries beside its graph"),
    "opsets": (_field(8, b"\x10\x11") * 60_000, "more than 50,000 entries beside its graph"),
    "in an opset": (
        _field(8, b"\x10\x11" * 3_000_001),
        "more than 3,000,000 names, attributes and dimensions",
    ),
    "in a graph": (_field(7, b"\x50\x01" * 300_001), "more than 200,000 nodes, tensors and shapes"),
    "in graphs": (
        _field(7, _field(1, _field(5, _field(6, b"\x50\x01" * 30_000)) * 11)),
        "more than 200,000 nodes, tensors and shapes",
    ),
    "dimensions": (_field(7, _field(5, _field(1, b"\x01" * 17))), "more than 16 dimensions"),
    "lists of dimensions": (
        _field(7, _field(5, _field(1, b"\x01" * 160) * 1000)),
        "more than 16 dimensions",
    ),
    "one long list of dimensions": (
        _field(7, _field(5, _field(1, b"\x81" * 1_000_000))),  # a number that does not end
        "more than 16 dimensions",
    ),
}


@pytest.mark.parametrize("case", _MANY)
def test_fields_are_bounded_at_every_level(case: str) -> None:
    data, words = _MANY[case]
    assert refusal(data).message.endswith(words)


def test_graphs_within_graphs_are_refused() -> None:
    graph = b""
    for _ in range(40):
        graph = _field(
            1, _field(4, b"If") + _field(5, _field(1, b"then_branch") + _field(6, graph))
        )
    assert "nested deeper than 16 levels" in refusal(_field(7, graph)).message


def test_large_constants_are_not_computed() -> None:
    """What would take 8 TB is only known to be that large."""
    m = Maker()
    big = m.node("ConstantOfShape", m.whole(2**20, 2**20))
    y = m.node("Reshape", "x", m.node("Shape", m.node("Add", big, m.tensor(1.0))))
    error = refusal(m.data(y))
    assert error.message.endswith("reshapes a tensor of 1x3x8x8 to 1048576x1048576")


def test_numbers_end() -> None:
    with pytest.raises(wire.WireError):
        list(wire.fields(b"\x08" + b"\xff" * 11, 0, 12))


# Tensors in other files


def beside(folder: Path, location: str, **more: str) -> Path:
    """A model whose first tensor lies in another file."""

    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            tensor.external_data.add(key=key, value=value)

    (folder / "net.onnx").write_bytes(made(change))
    return folder / "net.onnx"


@pytest.mark.parametrize(
    "location",
    ["../w.bin", "/etc/passwd", "sub/../../w.bin", "", "C:\\w.bin", "..\\w.bin", "a\0b", "out"],
)
def test_tensors_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 432)
    os.symlink(tmp_path / "w.bin", folder / "out")
    message = refusal(beside(folder, location)).message
    assert message.startswith("net.onnx stores tensors in `")
    assert message.endswith("outside its own folder")


def test_tensors_in_the_folder_are_read_when_they_are_needed(tmp_path: Path) -> None:
    path = beside(tmp_path, "sub/w.bin", offset="16", length="432")
    model = Imported(read_onnx(path, "net.onnx"), "net.onnx")
    assert model.network.params == 4 * 27 + 4
    with pytest.raises(ForeignError, match=r"is stored in `sub/w.bin`, which does not exist"):
        model.arrays()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"\0" * 100)
    with pytest.raises(ForeignError, match="the wrong amount of data for its shape"):
        model.arrays()
    values = np.arange(112, dtype="<f4")
    (tmp_path / "sub" / "w.bin").write_bytes(values.tobytes())
    np.testing.assert_array_equal(model.arrays()["conv1.weight"].ravel(), values[4:])
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ForeignError, match=r"net\.onnx has changed since it was read"):
        model.arrays()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.FLOAT, [0.5, -1.25, 3.0, 2.0]),
        (TensorProto.FLOAT16, [0.5, -1.25, 3.0, 2.0]),
        (TensorProto.DOUBLE, [0.5, -1.25, 3.0, 2.0]),
        (TensorProto.BFLOAT16, [0.5, -1.25, 3.0, 2.0]),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_tensors_of_any_type_are_read(kind: int, values: list[float], raw: bool) -> None:
    from onnx import numpy_helper

    m = Maker()
    model = m.model(m.node("Conv", "x", m.weight(4, 3, 1, 1), "bias", name="conv"))
    tensor = helper.make_tensor("bias", kind, [4], values)
    if raw:
        data = numpy_helper.to_array(tensor).tobytes()
        tensor = helper.make_tensor("bias", kind, [4], data, raw=True)
    model.graph.initializer.append(tensor)
    imported = Imported(read_onnx(model.SerializeToString(), "net.onnx"), "net.onnx")
    assert imported.arrays()["conv1.bias"].tolist() == values
