"""Tensors that several nodes of an ONNX file read: tied ones count once, equal constants do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnxmaker import Maker

import archc
from archc.frontends.imported import Imported
from archc.frontends.onnx.reader import read_onnx
from archc.verification import Options

ONES, ZEROS = np.ones(4, np.float32), np.zeros(4, np.float32)


def read(model: onnx.ModelProto) -> Imported:
    return Imported(read_onnx(model.SerializeToString(), "net.onnx"), "net.onnx")


def twice(*bias: float) -> onnx.ModelProto:
    """A module that is called twice, and another, with one bias."""
    m = Maker((1, 4, 8, 8))
    shared, b = m.weight(4, 4, 3, 3, name="body.0.weight"), m.tensor(bias, "body.0.bias")
    y = m.node("Conv", "x", shared, b, name="/body/body.0/Conv", pads=[1] * 4)
    y = m.node("Relu", y, name="/body/body.1/Relu")
    y = m.node("Conv", y, shared, b, name="/body/body.0_1/Conv", pads=[1] * 4)
    y = m.node("Relu", y, name="/body/body.1_1/Relu")
    y = m.node("Conv", y, m.weight(4, 4, 1, 1, name="last.weight"), b, name="/last/Conv")
    return m.model(y)


def fresh(*, with_identities: bool = True, numbers: tuple[float, float] = (1, 0)) -> Maker:
    """Two convolutions with batch norms that were never trained, as torch's older exporter has
    them: every tensor of the norms is one of two."""
    m = Maker((1, 3, 8, 8))
    one, zero = (np.full(4, number, np.float32) for number in numbers)
    m.tensor(one, "0.1.weight")
    m.tensor(zero, "0.1.bias")
    y = "x"
    for at, channels in ((0, 3), (1, 4)):
        y = m.node(
            "Conv", y, m.weight(4, channels, 3, 3, name=f"{at}.0.weight"), name=f"/{at}/{at}.0/Conv"
        )
        names = ["0.1.weight", "0.1.bias", "0.1.bias", "0.1.weight"]
        if at and with_identities:
            words = ("weight", "bias", "running_mean", "running_var")
            names = [m.node("Identity", one) for one in names]
            for node, word in zip(m.nodes[-4:], words, strict=True):
                node.output[0] = f"1.1.{word}"
            names = [node.output[0] for node in m.nodes[-4:]]
        y = m.node("BatchNormalization", y, *names, name=f"/{at}/{at}.1/BatchNormalization")
    m.last = y  # type: ignore[attr-defined]
    return m


def model_of(m: Maker) -> onnx.ModelProto:
    return m.model(m.last)  # type: ignore[attr-defined]


def test_tied_tensors_count_once() -> None:
    """The file has 144 + 16 + 4 numbers."""
    network = read(twice(0.1, 0.2, 0.3, 0.4)).network
    assert network.params == 144 + 16 + 4
    assert network.multiply_adds == 64 * (144 + 144 + 16)
    assert [node.op.shares for node in network.nodes.values()][1:] == [
        *("", "", "body.0", "", "body.0"),
    ]


def test_a_constant_bias_is_each_layers_own_but_of_a_module_that_is_called_twice() -> None:
    imported = read(twice(0, 0, 0, 0))
    assert imported.network.params == 144 + 16 + 4 + 4
    assert dict(imported.keys) == {
        key: key for key in (*("body.0.weight", "body.0.bias", "last.weight", "last.bias"),)
    }


@pytest.mark.parametrize("with_identities", [True, False])
def test_norms_that_were_never_trained_are_those_of_each_layer(with_identities: bool) -> None:
    imported = read(model_of(fresh(with_identities=with_identities)))
    norms = [
        f"{at}.1.{one}"
        for at in (0, 1)
        for one in ("weight", "bias", "running_mean", "running_var")
    ]
    convs = ["0.0.weight", "1.0.weight"]
    assert {*imported.keys} == {*norms, *convs}
    assert all(key == theirs for key, theirs in imported.keys.items())
    assert imported.network.params == 108 + 144 + 4 * 4
    arrays = imported.arrays()
    assert all((arrays[key] == ("weight" in key or "var" in key)).all() for key in norms)


def test_a_fresh_model_is_lifted_and_verified(tmp_path: Path) -> None:
    m = fresh()
    y = m.node("Flatten", m.node("GlobalAveragePool", m.last))  # type: ignore[attr-defined]
    y = m.node("Gemm", y, m.weight(5, 4, name="2.weight"), m.weight(5, name="2.bias"), transB=1)
    (tmp_path / "net.onnx").write_bytes(m.data(y))
    found = archc.from_onnx(tmp_path / "net.onnx")
    assert "conv" in archc.lift(found)
    report = archc.verify(found, options=Options(quick=True))
    assert report.passed, report


def test_norms_with_equal_numbers_that_differ_are_tied() -> None:
    """Trained norms are equal only where they are one."""
    m = fresh()
    for tensor in m.tensors:
        if tensor.name.startswith("0.1."):
            tensor.CopyFrom(numpy_helper.from_array(np.arange(1, 5, dtype=np.float32), tensor.name))
    network = read(model_of(m)).network
    assert network.params == 108 + 144 + 8
    with pytest.raises(archc.ForeignError, match="share none"):
        archc.lift(network)


def test_vectors_in_a_file_beside_the_model_are_looked_at(tmp_path: Path) -> None:
    model = model_of(fresh())
    data = b""
    for tensor in model.graph.initializer:
        if tensor.name.startswith("0.1."):
            tensor.data_location = TensorProto.EXTERNAL
            places = {"location": "w", "offset": str(len(data)), "length": "16"}
            for key, value in places.items():
                tensor.external_data.add(key=key, value=value)
            data += tensor.raw_data
            tensor.ClearField("raw_data")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    path = tmp_path / "net.onnx"
    without = Imported(read_onnx(path, "net.onnx"), "net.onnx")
    (tmp_path / "w").write_bytes(data)
    imported = Imported(read_onnx(path, "net.onnx"), "net.onnx")
    assert imported.network.params == 108 + 144 + 4 * 4
    assert without.network.params < imported.network.params  # nothing says that they are constants
    assert (imported.arrays()["1.1.running_var"] == 1).all()
