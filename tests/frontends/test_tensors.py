"""The tensors of exported programs: read from the zip as raw bytes, and from nothing else."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

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


def tensors(given: dict[str, Any], data: bytes, *, deflated: bool = False) -> ArchiveTensors:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.writestr("net/data/weights/weight_0", data)
    members = {"data/weights/weight_0": "net/data/weights/weight_0"}
    return ArchiveTensors(stream.getvalue(), "net.pt2", {"w": given}, members)


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
        (entry([2**40], [0]), "net.pt2: the tensor `w` has too little data for its shape"),
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
