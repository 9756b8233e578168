"""ONNX's Resize against onnxruntime, as what is emitted of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from onnxmaker import Maker

import archc

ort = pytest.importorskip("onnxruntime")

Manner: TypeAlias = tuple[dict[str, Any], tuple[float, float]]

MANNERS: dict[str, Manner] = {
    "asked for nothing": ({}, (2, 2)),
    "nearest, as torch exports it": (
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (2, 3),
    ),
    "nearest, rounded up": ({"nearest_mode": "round_prefer_ceil"}, (3, 2)),
    "linear": ({"mode": "linear"}, (1.5, 2)),
    "linear, as torch exports it": (
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        (0.5, 2.5),
    ),
    "linear at corners": (
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        (2, 1.5),
    ),
    "cubic": ({"mode": "cubic", "cubic_coeff_a": -0.75}, (2, 1.5)),
}
OTHERS: dict[str, Manner] = {
    "nearest by a broken factor": ({}, (1.5, 1.5)),
    "nearest at the end": (
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
        (2, 2),
    ),
    "linear from the edge": (
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        (2, 2),
    ),
    "other curves": ({"mode": "cubic", "cubic_coeff_a": -0.5}, (2, 2)),
    "without what is outside": ({"mode": "cubic", "exclude_outside": 1}, (2, 2)),
}


def written(manner: dict[str, Any], factors: tuple[float, float], *, by_size: bool) -> bytes:
    m = Maker((1, 3, 6, 8), 18)
    y = m.conv("x", 3, 4, 1)
    if by_size:
        sizes = m.whole(1, 4, int(6 * factors[0]), int(8 * factors[1]))
        y = m.node("Resize", y, "", "", sizes, **manner)
    else:
        y = m.node("Resize", y, "", m.tensor([1.0, 1.0, *factors]), **manner)
    return m.data(m.conv(y, 4, 2, 1))


@pytest.mark.parametrize("by_size", [False, True])
@pytest.mark.parametrize("name", MANNERS)
def test_what_torch_has_is_emitted(name: str, by_size: bool, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(written(*MANNERS[name], by_size=by_size))
    network = archc.from_onnx(file)
    images = torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    (expected,) = ort.InferenceSession(str(file)).run(None, {"x": images.numpy()})
    with torch.no_grad():
        found = archc.module(network).eval()(images)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6, rtol=1e-5)
    assert "F.interpolate(" in archc.emit(network)


@pytest.mark.parametrize("name", OTHERS)
def test_what_torch_has_not_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(written(*OTHERS[name], by_size=False))
    network = archc.from_onnx(file)
    assert archc.count(network).not_counted == {"resize": 1}
    with pytest.raises(archc.ArchcError, match="`resize`"):
        archc.emit(network)
