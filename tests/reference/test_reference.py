"""The references themselves: published counts, torchvision's keys, and what blocks compute."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from agreement import norms_by_shape, without_drawing
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .catalogue import CONFIGS, TORCHVISION, build
from .resnet import (
    BasicBlock,
    BlockKind,
    Bottleneck,
    ResNet,
    ResNetConfig,
    Shortcut,
    Stage,
    Stem,
    StrideAt,
    ZeroPadShortcut,
    block_of,
    doubling,
)
from .vgg import VGG, VGGConfig

DATA = Path(__file__).parent.parent / "data"
FACTS = json.loads((DATA / "networks.json").read_text(encoding="utf-8"))
STATE_DICTS = json.loads((DATA / "torchvision_state_dicts.json").read_text(encoding="utf-8"))


def on_meta(name: str) -> nn.Module:
    """A network without memory for its weights, in eval mode."""
    with torch.device("meta"), without_drawing():
        return build(CONFIGS[name]).eval()


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-adds of convolutions and linear layers for one image; torch counts each as two."""
    with norms_by_shape(), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, *shape, device="meta"))
    flops: int = counter.get_total_flops()
    return flops // 2


def randomized(module: nn.Module) -> nn.Module:
    """The module in eval mode with every parameter and running mean random."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(generator=generator)
    return module.eval()


def silence(convolution: nn.Module) -> None:
    """Make a convolution put out zeros."""
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.zero_()


def test_every_listed_network_has_a_reference() -> None:
    assert set(CONFIGS) == set(FACTS["networks"])
    assert set(TORCHVISION) == set(FACTS["torchvision"]) == set(STATE_DICTS)


@pytest.mark.parametrize("name", FACTS["networks"])
def test_counts(name: str) -> None:
    facts = FACTS["networks"][name]
    network = on_meta(name)
    assert parameters(network) == facts["params"]
    assert multiply_adds(network, CONFIGS[name].input) == facts["multiply_adds"]


@pytest.mark.parametrize("name", FACTS["torchvision"])
def test_torchvision_publishes_the_same_counts(name: str) -> None:
    published, facts = FACTS["torchvision"][name], FACTS["networks"][TORCHVISION[name]]
    assert facts["params"] == published["params"]
    assert round(facts["multiply_adds"] / 1e9, 3) == published["gflops_published"]


@pytest.mark.parametrize("name", STATE_DICTS)
def test_torchvision_state_dict(name: str) -> None:
    state = on_meta(TORCHVISION[name]).state_dict()
    shapes = [(key, "x".join(map(str, value.shape))) for key, value in state.items()]
    assert shapes == list(STATE_DICTS[name].items())


def test_option_a_subsamples_and_appends_zeros() -> None:
    x = torch.arange(2 * 3 * 5 * 5.0).reshape(2, 3, 5, 5) + 1
    out = ZeroPadShortcut(3, 7, stride=2)(x)
    assert out.shape == (2, 7, 3, 3)
    assert torch.equal(out[:, :3], x[:, :, ::2, ::2])
    assert not out[:, 3:].any()
    with pytest.raises(ValueError, match="cannot shrink 7 channels to 3"):
        ZeroPadShortcut(7, 3, stride=1)


@pytest.mark.parametrize(
    ("shortcut", "in_channels", "stride", "projects"),
    [
        ("A", 8, 2, False),
        ("B", 16, 1, False),
        ("B", 16, 2, True),
        ("B", 8, 1, True),
        ("C", 16, 1, True),
        ("none", 8, 2, False),
    ],
)
def test_where_blocks_project(
    shortcut: Shortcut, in_channels: int, stride: int, projects: bool
) -> None:
    stage = Stage(block="basic", shortcut=shortcut, width=16)
    block = BasicBlock(stage, in_channels, stride, "batch_norm")
    found = [name for name, _ in block.named_parameters() if name.startswith("downsample")]
    parts = ["downsample.0.weight", "downsample.1.weight", "downsample.1.bias"]
    assert found == (parts if projects else [])


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_silent_branch_leaves_the_shortcut(kind: BlockKind) -> None:
    """With its last convolution silenced, a block is its shortcut (and relu, after He 2015)."""
    x = torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(1))
    last = "conv2" if kind == "basic" else "conv3"

    def silent(shortcut: Shortcut, pre_activation: bool) -> nn.Module:
        stage = Stage(block=kind, shortcut=shortcut, width=16, expansion=1)
        block = randomized(block_of(stage, 16, 1, "none", pre_activation))
        silence(block.get_submodule(last))
        return block

    for shortcut in ("A", "B"):
        assert torch.equal(silent(shortcut, False)(x), F.relu(x))
        assert torch.equal(silent(shortcut, True)(x), x)
    assert not silent("none", False)(x).any()
    assert not silent("none", True)(x).any()

    projected = silent("C", False)
    assert torch.equal(projected(x), F.relu(projected.get_submodule("downsample")(x)))
    projected = silent("C", True)
    assert torch.equal(projected(x), projected.get_submodule("downsample")(F.relu(x)))


def test_pre_activation_block_by_hand() -> None:
    """He et al. 2016: norm, relu, convolution, twice; a bare projection of what conv1 sees."""
    stage = Stage(block="basic", shortcut="B", width=8)
    block = randomized(block_of(stage, 4, 2, "batch_norm", pre_activation=True))
    part = block.get_submodule
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))

    activated = F.relu(part("bn1")(x))
    residual = part("conv2")(F.relu(part("bn2")(part("conv1")(activated))))
    projection = F.conv2d(activated, block.state_dict()["downsample.0.weight"], stride=2)
    torch.testing.assert_close(block(x), residual + projection)
    assert not [key for key in block.state_dict() if key.startswith("downsample.1")]


@pytest.mark.parametrize(("stride_at", "strides"), [("1x1", (2, 1, 1)), ("3x3", (1, 2, 1))])
def test_where_bottlenecks_stride(stride_at: StrideAt, strides: tuple[int, int, int]) -> None:
    stage = Stage(block="bottleneck", shortcut="B", stride_at=stride_at)
    block = Bottleneck(stage, 64, 2, "batch_norm")
    found = [block.conv1.stride[0], block.conv2.stride[0], block.conv3.stride[0]]
    assert tuple(found) == strides


@pytest.mark.parametrize("pre_activation", [False, True])
@pytest.mark.parametrize("stem", ["imagenet", "cifar", "bare"])
def test_without_norm_convolutions_have_biases(stem: Stem, pre_activation: bool) -> None:
    """All but the bare stem, which never has one."""
    stages = doubling(Stage(block="basic", shortcut="B", width=8), (1, 1))
    config = ResNetConfig(
        stages=stages,
        stem=stem,
        stem_width=8,
        norm="none",
        pre_activation=pre_activation,
        input=(3, 32, 32),
        classes=10,
    )
    network = ResNet(config)
    without = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.bias is None
    ]
    assert without == (["conv1"] if stem == "bare" else [])
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_vgg_without_average_pool() -> None:
    """The classifier then takes the whole last feature map."""
    config = VGGConfig(
        depths=(1, 2),
        widths=(4, 8),
        avgpool=None,
        hidden=(),
        input=(3, 32, 16),
        classes=10,
    )
    network = VGG(config)
    assert network.state_dict()["classifier.0.weight"].shape == (10, 8 * 8 * 4)
    assert network(torch.zeros(2, 3, 32, 16)).shape == (2, 10)
