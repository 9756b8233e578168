"""Each op beyond those of residual networks and VGGs, in a small network of its own: counted,
drawn, emitted, verified, exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import networkx
import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from analysis.test_memory import most_alive, saved_by_autograd
from torch import Tensor, nn
from trained import images_for, trained

import archc
from archc import analysis
from archc.backends.graphs import to_graphml, to_json
from archc.backends.onnx import to_onnx
from archc.backends.pytorch import emit
from archc.graph import (
    FragmentBuilder,
    Network,
    NetworkBuilder,
    Region,
    Step,
    fold_repeats,
    foldings,
    lint,
)
from archc.live import build_module
from archc.ops import (
    GELU,
    AdaptiveAvgPool2d,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm2d,
    ChannelLinear,
    ChannelShuffle,
    Chunk,
    Concat,
    Conv2d,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Identity,
    LayerNorm2d,
    LayerScale,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Multiply,
    Op,
    ReLU,
    ReLU6,
    ShapeError,
    Sigmoid,
    SiLU,
    StochasticDepth,
    Tanh,
)
from archc.verification.check import Options, verify
from archc.weights import fold_weights

IMAGE = (3, 11, 9)
Body = Callable[[FragmentBuilder], object]


def network(body: Body, classes: int = 5) -> Network:
    """A convolution to 8 channels, a body, and a classifier."""
    piece = FragmentBuilder(IMAGE)
    piece.add("stem", Conv2d(3, 8, 3, padding=1))
    body(piece)
    piece.add("avgpool", AdaptiveAvgPool2d(1))
    piece.add("flatten", Flatten())
    piece.add("fc", Linear(piece.shape()[0], classes))
    return built(piece)


def built(piece: FragmentBuilder) -> Network:
    """A piece as a network, its steps being its modules."""
    nodes = NetworkBuilder(piece.input_shape)
    nodes.append(piece.build(), lambda step: step.name)
    return lint(Network("toy", nodes.nodes))


def alone(op: Op) -> Body:
    """A body of one op, and a convolution that keeps what it reads."""

    def body(piece: FragmentBuilder) -> None:
        piece.add("op", op)
        piece.add("conv", Conv2d(piece.shape()[0], 6, 1))

    return body


def normalised(op: Op) -> Body:
    """A body of one op behind a norm, whose value may be written over."""

    def body(piece: FragmentBuilder) -> None:
        piece.add("bn", BatchNorm2d(8))
        alone(op)(piece)

    return body


def gated(piece: FragmentBuilder) -> None:
    """A squeeze-and-excitation."""
    x = piece.add("bn", BatchNorm2d(8))
    piece.add("squeeze", AdaptiveAvgPool2d(1))
    piece.add("fc1", Conv2d(8, 2, 1))
    piece.add("relu", ReLU())
    piece.add("fc2", Conv2d(2, 8, 1))
    gate = piece.add("gate", Sigmoid())
    piece.add("product", Multiply(), gate, x)


def placed(piece: FragmentBuilder) -> None:
    """A map of one channel that multiplies all others."""
    x = piece.add("relu", ReLU())
    gate = piece.add("gate", Conv2d(8, 1, 1))
    piece.add("product", Multiply(), x, gate)


def product_of_sums(piece: FragmentBuilder) -> None:
    """A product of two sums, and a sum of products."""
    x = piece.last
    a, b, c = (piece.add(name, Conv2d(8, 8, 1), x) for name in "abc")
    first = piece.add("first", Add(), a, b)
    second = piece.add("second", Add(), b, c)
    product = piece.add("product", Multiply(), first, second)
    other = piece.add("other", Multiply(), a, product)
    piece.add("sum", Add(), other, product)


def dense(piece: FragmentBuilder) -> None:
    """Two layers of a dense block."""
    for index in range(2):
        x, channels = piece.last, piece.shape()[0]
        piece.add(f"norm{index}", BatchNorm2d(channels), x)
        piece.add(f"relu{index}", ReLU())
        new = piece.add(f"conv{index}", Conv2d(channels, 4, 3, padding=1))
        piece.add(f"concat{index}", Concat(), x, new)


def shuffled(piece: FragmentBuilder) -> None:
    """A unit of ShuffleNetV2."""
    x = piece.last
    first = piece.add("first", Chunk(2, 1), x)
    second = piece.add("second", Chunk(2, 2), x)
    piece.add("conv", Conv2d(4, 4, 3, padding=1, groups=4), second)
    piece.add("bn", BatchNorm2d(4))
    piece.add("relu", ReLU())
    piece.add("concat", Concat(), first, piece.last)
    piece.add("shuffle", ChannelShuffle(2))


def convnext(piece: FragmentBuilder) -> None:
    """A block of ConvNeXt."""
    x = piece.last
    piece.add("conv", Conv2d(8, 8, 7, padding=3, groups=8))
    piece.add("norm", LayerNorm2d(8))
    piece.add("linear1", ChannelLinear(8, 32))
    piece.add("gelu", GELU())
    piece.add("linear2", ChannelLinear(32, 8))
    piece.add("layer_scale", LayerScale(8))
    piece.add("stochastic_depth", StochasticDepth(0.25))
    piece.add("add", Add(), piece.last, x)


def pooled(piece: FragmentBuilder) -> None:
    """Poolings that round up, with and without padding that counts."""
    piece.add("max", MaxPool2d(3, 2, 1, ceil_mode=True))
    piece.add("avg1", AvgPool2d(3, 2, 1, ceil_mode=True))
    piece.add("avg2", AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False))
    piece.add("avg3", AvgPool2d((2, 1), (1, 2), (1, 0), count_include_pad=False))


def dilated(piece: FragmentBuilder) -> None:
    """Dilated convolutions, with norms of their own numbers."""
    piece.add("conv1", Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False))
    piece.add("bn1", BatchNorm2d(8, 1e-3, 0.01))
    piece.add("conv2", Conv2d(8, 6, (1, 3), padding=(0, 2), dilation=(1, 2)))
    piece.add("bn2", BatchNorm2d(6, eps=1e-3))


BORROWING = (Affine, LayerNorm2d, ChannelLinear)
"""Ops that take memory for a while: for channels, for statistics, for a copy in channels_last."""

ACTIVATIONS = (
    *(ReLU(), ReLU6(), SiLU(), Hardswish(), Hardsigmoid(), Sigmoid(), GELU(), Tanh()),
    *(LeakyReLU(), LeakyReLU(0.2)),
)
BODIES: dict[str, Body] = {
    **{f"{op.kind} {tuple(op.numbers.values())}": normalised(op) for op in ACTIVATIONS},
    **{f"conv and {op.kind}": alone(op) for op in ACTIVATIONS[:-1]},
    "gate": gated,
    "gate of places": placed,
    "products and sums": product_of_sums,
    "dense": dense,
    "shuffled": shuffled,
    "convnext": convnext,
    "poolings": pooled,
    "dilated": dilated,
    "identity": normalised(Identity()),
    "layer norm": normalised(LayerNorm2d(8)),
    "group norm": alone(GroupNorm(4, 8)),
    "group norm with eps": alone(GroupNorm(2, 8, 1e-3)),
    "layer scale": alone(LayerScale(8, 0.5)),
    "channel linear": alone(ChannelLinear(8, 7, bias=False)),
    "stochastic depth": alone(StochasticDepth(0.5)),
    "no stochastic depth": alone(StochasticDepth(0.0)),
    "affine": alone(Affine((0.5, 1.5) * 4, (0.1, -0.2) * 4)),
    "one chunk": alone(Chunk(4, 2)),
    "shuffle": alone(ChannelShuffle(4)),
}


@pytest.fixture(params=BODIES)
def each(request: pytest.FixtureRequest) -> Network:
    return network(BODIES[request.param])


def test_it_is_verified(each: Network) -> None:
    report = verify(each, options=Options(backend="eager"))
    assert report.passed, report.faults


def test_its_state_dict_is_in_torch_s_order(each: Network) -> None:
    module = build_module(each)
    found = [(key, tuple(one.shape)) for key, one in module.state_dict().items()]
    assert list(each.state.items()) == found
    assert each.params == sum(one.numel() for one in module.parameters())


def test_training_keeps_what_autograd_saves(each: Network) -> None:
    assert analysis.memory(each, 3).training == saved_by_autograd(each, 3)


def test_inference_has_as_much_alive_as_the_module_allocates(each: Network) -> None:
    if any(isinstance(node.op, BORROWING) for node in each.nodes.values()):
        pytest.skip("what torch borrows while it computes is not counted")
    assert analysis.memory(each, 3).inference == pytest.approx(most_alive(each, 3), rel=0.05)


def test_it_runs_in_onnxruntime(each: Network) -> None:
    module = trained(each)
    weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    session = onnxruntime.InferenceSession(to_onnx(each, weights))
    images = images_for(each)
    (found,) = session.run(None, {"input": images.numpy()})
    with torch.no_grad():
        expected = module(images).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * abs(expected).max())


def test_it_is_drawn_and_written(each: Network) -> None:
    assert archc.draw(each)
    graph = networkx.node_link_graph(json.loads(to_json(each)), edges="edges")
    assert set(graph) == set(each.nodes)
    assert networkx.parse_graphml(to_graphml(each).decode())
    for node in each.nodes.values():
        assert (
            node.op.numbers.items()
            <= {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in graph.nodes[node.id].items()
            }.items()
        )


def blocks(body: Callable[[FragmentBuilder, int], object], count: int = 3) -> Network:
    """A convolution to 8 channels, some blocks in a stage, and a classifier."""
    nodes = NetworkBuilder(IMAGE)
    stem = FragmentBuilder(IMAGE)
    stem.add("stem", Conv2d(3, 8, 3, padding=1))
    nodes.append(stem.build(), lambda step: step.name)
    regions = []
    for index in range(count):
        piece = FragmentBuilder(nodes.shape)
        body(piece, index)
        ids = nodes.append(piece.build(), partial(_in_block, index))
        regions.append(Region("block", ids, index, "Block"))
    head = FragmentBuilder(nodes.shape)
    head.add("avgpool", AdaptiveAvgPool2d(1))
    head.add("flatten", Flatten())
    head.add("fc", Linear(head.shape()[0], 5))
    nodes.append(head.build(), lambda step: step.name)
    return lint(Network("toy", nodes.nodes, regions=(Region("stage", tuple(regions), 1),)))


def _in_block(index: int, step: Step) -> str:
    return f"layer1.{index}.{step.name}"


def convnext_block(piece: FragmentBuilder, index: int) -> None:
    """A block of ConvNeXt, whose probability grows; the scale's key comes first."""
    piece.add("block.0", Conv2d(8, 8, 7, padding=3, groups=8))
    piece.add("block.1", LayerNorm2d(8))
    piece.add("block.2", ChannelLinear(8, 16))
    piece.add("block.3", GELU())
    piece.add("block.4", ChannelLinear(16, 8))
    piece.add("layer_scale", LayerScale(8, 0.1))
    piece.add("stochastic_depth", StochasticDepth(0.1 * index))
    piece.add("add", Add(), piece.last, "")


def dense_layer(piece: FragmentBuilder, index: int) -> None:
    """A layer of DenseNet: channels grow from one to the next."""
    channels = piece.shape()[0]
    piece.add("norm1", BatchNorm2d(channels))
    piece.add("relu1", ReLU())
    piece.add("conv1", Conv2d(channels, 12, 1, bias=False))
    piece.add("norm2", BatchNorm2d(12, 1e-3 if index else 1e-5))
    piece.add("relu2", LeakyReLU(0.1 if index == 2 else 0.2))
    piece.add("conv2", Conv2d(12, 4, 3, padding=1, bias=False))
    piece.add("concat", Concat(), "", piece.last)


def shuffle_unit(piece: FragmentBuilder, index: int) -> None:
    """A unit of ShuffleNetV2 between two convolutions: channels are halved and doubled."""
    channels = 8 * (index + 1)
    piece.add("conv", Conv2d(piece.shape()[0], channels, 1))
    first = piece.add("first", Chunk(2, 1))
    piece.add("second", Chunk(2, 2), "conv")
    half = channels // 2
    piece.add("conv2", Conv2d(half, half, 3, padding=1, groups=half))
    piece.add("concat", Concat(), first, piece.last)
    piece.add("shuffle", ChannelShuffle(2))
    piece.add("norm", GroupNorm(2, channels))


def spatial_gate(piece: FragmentBuilder, index: int) -> None:
    """A gate of one channel, and one of a single place."""
    channels = 6 + 2 * index
    x = piece.add("conv", Conv2d(piece.shape()[0], channels, (1, 3 + 2 * index), padding=(0, 1)))
    piece.add("places", Conv2d(channels, 1, 1), x)
    gate = piece.add("sigmoid", Sigmoid())
    y = piece.add("product", Multiply(), x, gate)
    piece.add("pool", AdaptiveAvgPool2d(1))
    gate = piece.add("excite", Conv2d(channels, channels, 1))
    piece.add("gated", Multiply(), y, gate)


BLOCKS = (convnext_block, dense_layer, shuffle_unit, spatial_gate)


@pytest.mark.parametrize("body", BLOCKS, ids=lambda body: body.__name__)
def test_blocks_share_classes(body: Callable[[FragmentBuilder, int], object]) -> None:
    toy = blocks(body)
    report = verify(toy, options=Options(backend="eager"))
    assert report.passed, report.faults
    module = build_module(toy)
    found = [(key, tuple(one.shape)) for key, one in module.state_dict().items()]
    assert list(toy.state.items()) == found


def test_a_layer_scale_stands_before_the_modules_of_its_block() -> None:
    toy = blocks(convnext_block)
    keys = [key for key in toy.state if key.startswith("layer1.1.")]
    assert keys[:3] == ["layer1.1.layer_scale", "layer1.1.block.0.weight", "layer1.1.block.0.bias"]
    source = emit(toy)
    assert "nn.Parameter(torch.full((channels, 1, 1), 0.1))" in source
    assert "self.stochastic_depth(self.layer_scale * out) + x" in source
    assert "width2: int, p: float) -> None:" in source


def test_stochastic_depth_lets_blocks_be_equal() -> None:
    toy = blocks(convnext_block)
    assert fold_repeats(toy).runs == {(1, 0): 2}
    assert not analysis.compare(toy, blocks(convnext_block, 2)).same
    changed = [one.what for one in analysis.compare(toy, _with_other_rate(toy)).changes]
    assert changed == [("p 0.1 → 0.3",)]


def _with_other_rate(toy: Network) -> Network:
    node = toy.nodes["layer1.1.stochastic_depth"]
    changed = node._replace(op=StochasticDepth(0.3))
    return replace(toy, nodes={**toy.nodes, node.id: changed})


def test_a_map_of_1x1_or_of_one_channel_may_multiply_others() -> None:
    multiply = Multiply()
    assert multiply.infer((8, 5, 4), (8, 1, 1)) == (8, 5, 4)
    assert multiply.infer((1, 5, 4), (8, 5, 4)) == (8, 5, 4)
    assert multiply.infer((8,), (8,)) == (8,)
    for other in ((4, 1, 1), (1, 1, 1), (8, 1, 4), (2, 5, 4), (8,), (8, 5, 5)):
        with pytest.raises(ShapeError, match="cannot be multiplied"):
            multiply.infer((8, 5, 4), other)
    with pytest.raises(ShapeError, match="cannot be multiplied"):
        multiply.infer((8, 1, 1), (1, 5, 4))


def test_maps_of_one_size_are_concatenated() -> None:
    assert Concat().infer((8, 5, 4), (3, 5, 4), (1, 5, 4)) == (12, 5, 4)
    assert Concat().infer((8,), (3,)) == (11,)
    for other in ((8, 5, 5), (8, 1, 1), (8,)):
        with pytest.raises(ShapeError, match="cannot be concatenated"):
            Concat().infer((8, 5, 4), other)


@pytest.mark.parametrize(
    ("op", "attribute", "words"),
    [
        (Chunk(3, 1), "of", "8 channels cannot be divided into 3 equal parts"),
        (Chunk(2, 3), "take", "there is no part 3 of 2"),
        (Chunk(2, 0), "take", "there is no part 0 of 2"),
        (ChannelShuffle(3), "groups", "3 groups do not divide 8 channels"),
        (GroupNorm(3, 8), "groups", "3 groups do not divide 8 channels"),
        (GroupNorm(3, 9), None, "the norm expects 9 channels but gets 8"),
        (LayerNorm2d(9), None, "the norm expects 9 channels but gets 8"),
        (LayerScale(9), None, "the layer scale expects 9 channels but gets 8"),
        (ChannelLinear(9, 2), None, "the linear layer expects 9 channels but gets 8"),
        (Affine((1.0,), (0.0,) * 8), "scale", "there are 1 numbers for 8 channels"),
        (Affine((1.0,) * 8, ()), "shift", "there are 0 numbers for 8 channels"),
        (StochasticDepth(1.5), "p", "a probability lies between 0 and 1, 1.5 does not"),
        (LeakyReLU(-0.1), "negative_slope", "a leaky relu cannot have the slope -0.1"),
    ],
)
def test_what_an_op_cannot_be_is_refused(op: Op, attribute: str | None, words: str) -> None:
    with pytest.raises(ShapeError) as told:
        op.infer((8, 5, 4))
    assert told.value.attribute == attribute
    assert told.value.message.startswith(words)


def test_a_gate_sees_what_its_pooling_sees() -> None:
    fields = {row.name: row for row in analysis.receptive_fields(network(gated)).rows}
    assert fields["bn"].size == (3, 3)
    assert fields["product"].size == (13, 11)  # the image, and the padding around it
    dilations = {row.name: row for row in analysis.receptive_fields(network(dilated)).rows}
    assert dilations["conv1"].size == (7, 7)
    assert dilations["conv2"].size == (7, 11)


def test_norms_are_folded_with_their_own_numbers() -> None:
    toy = network(dilated)
    found = foldings(toy)
    assert found.count == 2
    module = trained(toy).double()
    folded = build_module(toy, deploy=True).double().eval()
    folded.load_state_dict(fold_weights(toy, module.state_dict()))
    images = images_for(toy).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(images), module(images), rtol=1e-9, atol=1e-9)


def test_values_are_torchvision_s_to_the_bit() -> None:
    """As its ConvNeXt's blocks compute them, but for the gelu, which torch rounds differently by
    how its input lies in memory."""
    toy = network(convnext)
    module = trained(toy).train()
    state = module.state_dict()

    def run(name: str, x: Tensor) -> Tensor:
        found: Tensor = module.get_submodule(name)(x)
        return found

    x = run("stem", images_for(toy))
    reference = nn.Sequential(
        *(nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.Linear(8, 32), nn.Linear(32, 8)),
        nn.LayerNorm(8, eps=1e-6),
    )
    layers = ("conv", "linear1", "linear2", "norm")
    for name, layer in zip(layers, reference, strict=True):
        layer.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight", "bias")})
    conv, linear1, linear2, norm = reference
    first = linear1(norm(conv(x).permute(0, 2, 3, 1)))
    inner = F.gelu(first)
    expected = state["layer_scale"] * linear2(inner).permute(0, 3, 1, 2)
    torch.manual_seed(3)
    noise = torch.empty([len(x), 1, 1, 1]).bernoulli_(0.75).div_(0.75)
    torch.manual_seed(3)
    assert torch.equal(run("linear1", run("norm", run("conv", x))), first.permute(0, 3, 1, 2))
    out = run("linear2", inner.permute(0, 3, 1, 2))
    found = run("stochastic_depth", state["layer_scale"] * out)
    assert torch.equal(found, expected * noise)


def test_an_affine_op_is_torchvision_s_transform() -> None:
    scale, shift = (0.229 / 0.5, 0.224 / 0.5), ((0.485 - 0.5) / 0.5, (0.456 - 0.5) / 0.5)
    piece = FragmentBuilder((2, 5, 4))
    piece.add("transform", Affine(scale, shift))
    piece.add("conv", Conv2d(2, 3, 1))
    module = build_module(built(piece))
    x = torch.randn(2, 2, 5, 4)
    first = torch.unsqueeze(x[:, 0], 1) * (0.229 / 0.5) + (0.485 - 0.5) / 0.5
    second = torch.unsqueeze(x[:, 1], 1) * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
    assert torch.equal(module.get_submodule("transform")(x), torch.cat((first, second), 1))
    assert list(module.state_dict()) == ["conv.weight", "conv.bias"]


def test_poolings_that_need_not_round_up_are_as_others() -> None:
    assert MaxPool2d(3, 2, 1, ceil_mode=True).canonical((4, 5, 5)) == MaxPool2d(3, 2, 1)
    up = MaxPool2d(3, 2, 1, ceil_mode=True)
    assert up.canonical((4, 6, 6)) == up
    assert AvgPool2d(2, 2, 0, count_include_pad=False).canonical((4, 6, 6)) == AvgPool2d(2, 2)


@pytest.mark.parametrize("size", [(9, 9), (10, 7), (8, 12)])
@pytest.mark.parametrize("window", [(3, 2, 1), (2, 2, 0), (3, 2, 0), (3, 3, 1), (2, 3, 1)])
@pytest.mark.parametrize("kind", ["max", "avg", "avg without padding"])
def test_poolings_that_round_up_run_in_onnxruntime(
    size: tuple[int, int], window: tuple[int, int, int], kind: str
) -> None:
    op: Op = MaxPool2d(*window, ceil_mode=True)
    if kind != "max":
        op = AvgPool2d(*window, ceil_mode=True, count_include_pad=kind == "avg")
    piece = FragmentBuilder((3, *size))
    piece.add("pool", op)
    toy = built(piece)
    images = torch.randn(2, 3, *size)
    session = onnxruntime.InferenceSession(to_onnx(toy, {}))
    (found,) = session.run(None, {"input": images.numpy()})
    np.testing.assert_allclose(found, build_module(toy)(images).numpy(), rtol=1e-5, atol=1e-6)
