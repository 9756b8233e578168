"""Receptive fields: where the gradient of one output reaches, and figures of the literature."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import compile_data
from torch import Tensor, nn

import archc
from archc.analysis import Field, receptive_fields
from archc.graph import Network
from archc.live import build_module
from archc.spec import SpecError

SIZE = 29


@st.composite
def _networks(draw: st.DrawFn) -> dict[str, Any]:
    """Small networks without max pooling, whose gradient goes one way only."""
    stem: list[Any] = []
    for _ in range(draw(st.integers(0, 2))):
        kernel = draw(st.integers(1, 4))
        layer = {"kernel": kernel, "stride": draw(st.integers(1, 3))}
        padding = draw(st.integers(0, kernel // 2))
        if draw(st.booleans()):
            stem.append({"conv": {"width": 2, "padding": padding, **layer}})
        else:
            stem.append({"avg_pool": {"padding": padding, **layer}})
    stages = [
        {
            "block": draw(st.sampled_from(["basic", "bottleneck"])),
            "depth": draw(st.integers(1, 2)),
            "width": 4,
            "stride": draw(st.integers(1, 2)),
            "shortcut": draw(st.sampled_from(["A", "B", "C", "none"])),
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    head = draw(st.sampled_from([[], ["global_avg_pool"], [{"adaptive_avg_pool": 2}], ["linear"]]))
    size = draw(st.tuples(st.integers(9, SIZE), st.integers(9, SIZE)))
    return {"name": "x", "input": [1, *size], "stem": stem, "stages": stages, "head": head}


@given(_networks())
@settings(max_examples=60)
def test_the_gradient_of_one_output_reaches_the_field(data: dict[str, Any]) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        assume(False)
    found = {row.name: row for row in receptive_fields(network).rows}
    for name, value, images in _values(network):
        row = found[name]
        for place in _places(value):
            reached = _reached(value, place, images)
            if reached is None:
                continue
            for reach, field, size in zip(
                reached, _field(row, place), network.input_shape[1:], strict=True
            ):
                # Padding within the network cuts off what lies near the border.
                assert _lies_in(reach, field)
                assert reach == field or not _lies_in(field, range(size))


def _values(network: Network) -> list[tuple[str, Tensor, Tensor]]:
    """The values of the modules, all positive, so that no gradient is cut off or cancelled."""
    module = build_module(network).double().eval()
    for parameter in module.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)
    values = []

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: values.append((name, output))

    for name, one in module.named_modules():
        if name in network.nodes:
            one.register_forward_hook(keep(name))
    images = torch.rand(1, *network.input_shape, dtype=torch.float64, requires_grad=True)
    module(images)
    return [(name, value, images) for name, value in values]


def _places(value: Tensor) -> list[tuple[int, int]]:
    if value.dim() == 2:
        return [(0, 0)]
    height, width = value.shape[2:]
    return [(0, 0), (height // 2, width // 2), (height - 1, width - 1)]


def _reached(value: Tensor, place: tuple[int, int], images: Tensor) -> tuple[range, range] | None:
    """The rows and columns of the image that an output's gradient spans."""
    one = value[0, 0] if value.dim() == 2 else value[0, 0, place[0], place[1]]
    (gradient,) = torch.autograd.grad(one, images, retain_graph=True)
    rows, columns = gradient[0].sum(0).nonzero(as_tuple=True)
    if not len(rows):
        return None  # it sees padding alone
    spans = [range(int(axis.min()), int(axis.max()) + 1) for axis in (rows, columns)]
    return spans[0], spans[1]


def _field(row: Field, place: tuple[int, int]) -> tuple[range, range]:
    """The field of an output, by its size, its stride and the first output's centre."""
    spans = []
    for axis in (0, 1):
        stride = row.stride[axis]
        assume(stride is not None or place[axis] == 0)
        first = row.centre[axis] + place[axis] * (stride or 0) - (row.size[axis] - 1) / 2
        spans.append(range(int(first), int(first) + row.size[axis]))
    return spans[0], spans[1]


def _lies_in(inner: range, outer: range) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


@pytest.mark.parametrize(
    ("spec", "layer", "size"),
    [
        # Araujo et al. 2019, table 1, have 212 for VGG-16's features.
        ("torchvision/vgg16", "features.30", 212),
        ("torchvision/resnet18", "layer4.1.conv2", 435),
        ("torchvision/resnet34", "layer4.2.conv2", 899),
        ("torchvision/resnet50", "layer4.2.conv3", 427),
        ("torchvision/resnet101", "layer4.2.conv3", 971),
        ("torchvision/resnet152", "layer4.2.conv3", 1451),
    ],
)
def test_fields_of_the_literature(spec: str, layer: str, size: int) -> None:
    rows = {row.name: row for row in archc.receptive_fields(spec).rows}
    assert rows[layer].size == (size, size)
    assert rows[layer].stride == (32, 32)


def test_centres_of_an_odd_stem() -> None:
    """7x7 at stride 2 padded by 3 is centred on the first pixel, 2x2 pooling between two."""
    rows = {row.name: row for row in archc.receptive_fields("torchvision/vgg11").rows}
    assert rows["features.0"].centre == (0.0, 0.0)
    assert (rows["features.2"].size, rows["features.2"].centre) == ((4, 4), (0.5, 0.5))
    rows = {row.name: row for row in archc.receptive_fields("imagenet/resnet18").rows}
    assert (rows["conv1"].size, rows["conv1"].centre) == ((7, 7), (0.0, 0.0))
    assert (rows["maxpool"].size, rows["maxpool"].stride) == ((11, 11), (4, 4))


def test_what_sees_everything_has_no_stride() -> None:
    rows = {row.name: row for row in archc.receptive_fields("cifar10/resnet20").rows}
    assert rows["avgpool"].stride == rows["fc"].stride == (None, None)
    assert rows["fc"].size == rows["avgpool"].size


def test_windows_of_uneven_size() -> None:
    """Seven rows on three outputs are pooled by 3, 3 and 3, five columns by 2, 3 and 2."""
    data = {"name": "x", "input": [1, 7, 5], "stem": [{"adaptive_avg_pool": 3}]}
    network = compile_data({**data, "head": [{"conv": {"width": 1, "kernel": 3}}]})
    rows = {row.name: row for row in receptive_fields(network).rows}
    assert rows["avgpool"].size == (3, 3)
    assert rows["avgpool"].stride == (None, None)
    assert rows["conv1"].size == (7, 5)
