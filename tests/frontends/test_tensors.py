"""The tensors of exported programs: read from the zip as raw bytes, and from nothing else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archc.frontends.onnx.model import Tensor
from archc.frontends.onnx.statics import Static
from archc.frontends.onnx.tensors import OnnxTensors
from archc.frontends.program import ForeignError
from archc.frontends.tensors import ArchiveTensors

FLOAT = 7


def entry(sizes: list[int], strides: list[int], offset: int = 0, **more: Any) -> dict[str, Any]:
    """What the configuration says of a tensor."""
    meta = {
        "dtype": more.pop("dtype", FLOAT),
        "sizes": [{"as_int": size} for size in sizes],
        "strides": [{"as_int": stride} for stride in strides],
        "storage_offset": {"as_int": offset},
    }
    return {"path_name": "weight_0", "use_pickle": False, "tensor_meta": meta, **more}


def tensors(
    given: dict[str, Any], data: bytes, *, deflated: bool = False, shape: Any = None, more: int = 0
) -> ArchiveTensors:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.writestr("net/data/weights/weight_0", data)
    members = {"data/weights/weight_0": "net/data/weights/weight_0"}
    shapes = {} if shape is None else {"w": shape}
    config = {"w": given, **{f"w{number}": given for number in range(more)}}
    return ArchiveTensors(stream.getvalue(), "net.pt2", config, members, shapes)


DATA = np.arange(12, dtype="<f4").tobytes()


def test_tensors_lie_as_their_strides_say() -> None:
    one = tensors(entry([2, 3], [1, 4], 1), DATA).read(["w"])["w"]
    assert one.tolist() == [[1, 5, 9], [2, 6, 10]]
    assert tensors(entry([], []), DATA).read(["w"])["w"].tolist() == 0
    assert tensors(entry([0, 3], [3, 1]), b"").read(["w"])["w"].shape == (0, 3)
    halves = np.array([0.5, -3.0], "<f4").view("<u4") >> 16
    upper = halves.astype("<u2").tobytes()
    assert tensors(entry([2], [1], dtype=13), upper).read(["w"])["w"].tolist() == [0.5, -3.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (entry([2, 3], [1, 4], 3), "net.pt2: the tensor `w` has too little data for its shape"),
        (entry([99], [1]), "net.pt2: the tensor `w` has too little data for its shape"),
        (
            entry([2**40], [0]),
            "net.pt2: the tensor `w` is too large: the tensors would take far more memory than "
            "the file",
        ),
        (entry([2], [-1], 4), "net.pt2: the tensor `w` has too little data for its shape"),
        (
            entry([2], [1], use_pickle=True),
            "net.pt2: the tensor `w` is pickled, and archc unpickles nothing",
        ),
        (
            entry([2], [1], dtype=29),
            "net.pt2: the tensor `w` has a data type that archc does not read",
        ),
        (
            entry([2], [1], path_name="../weight_0"),
            "net.pt2: the tensor `w` is not in the file",
        ),
        ({"path_name": 3}, "net.pt2 is damaged, or not as torch writes it"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ForeignError) as caught:
        tensors(given, DATA).read(["w"])
    assert caught.value.message == message


def test_compressed_members_are_refused() -> None:
    """They could be any size; torch writes none."""
    with pytest.raises(ForeignError, match="is compressed, which torch never does"):
        tensors(entry([2], [1]), DATA, deflated=True).read(["w"])


def test_a_tensor_that_is_not_there_is_named() -> None:
    with pytest.raises(ForeignError, match="the tensor `v` is not in the file"):
        tensors(entry([2], [1]), DATA).read(["v"])


def test_a_shape_that_is_not_the_graphs_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ForeignError) as caught:
        tensors(entry([2**23], [0]), DATA, shape=(3, 4)).read(["w"])
    assert caught.value.message == (
        "net.pt2: the tensor `w` does not have the shape that the graph gives it"
    )


def test_a_number_may_be_repeated_but_not_beyond_all_bounds() -> None:
    """As an expanded buffer is; many of them would fill the memory."""
    made = tensors(entry([1000, 1000], [0, 0], 2), DATA, more=99)
    assert (made.read(["w"])["w"] == 2).all()
    with pytest.raises(ForeignError, match="far more memory than the file"):
        made.read([*made.config])
    assert made.read(["w7"])["w7"].size == 1_000_000  # each read is one of its own


def test_initializers_that_lie_in_one_place_beside_the_model_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(2**20))
    external = {"location": "w"}
    stored = {f"w{n}": Tensor(f"w{n}", (2**18,), 1, external=external) for n in range(100)}
    statics = {name: Static.of(one) for name, one in stored.items()}
    (tmp_path / "net.onnx").write_bytes(b"0")
    made = OnnxTensors(tmp_path / "net.onnx", "net.onnx", statics, stored)
    assert len(made.read([*stored][:60])) == 60
    with pytest.raises(ForeignError, match="far more memory than the file"):
        made.read([*stored])


def test_computed_constants_are_bounded_together() -> None:
    statics = {f"c{n}": Static((2**20,), 1, (0.0,), root=f"c{n}") for n in range(20)}
    made = OnnxTensors(b"", "net.onnx", statics, {})
    assert made.read(["c0", "c1"])["c1"].shape == (2**20,)
    with pytest.raises(ForeignError, match="far more memory than the file"):
        made.read([*statics])
