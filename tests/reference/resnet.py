"""ResNets written plainly from the papers, to check archc against something independent.

He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385), He et al. 2016,
"Identity Mappings in Deep Residual Networks" (arXiv:1603.05027), Xie et al. 2017, "Aggregated
Residual Transformations" (arXiv:1611.05431) for groups and base_width. The keys of the state dict
are torchvision's where torchvision has the network; nothing here comes from archc.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BlockKind = Literal["basic", "bottleneck"]
Norm = Literal["batch_norm", "none"]
Shortcut = Literal["A", "B", "C", "none"]
Stem = Literal["imagenet", "cifar", "bare"]
StrideAt = Literal["1x1", "3x3"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of equal blocks.

    `stride` is the first block's. `stride_at`, `expansion`, `groups` and `base_width` matter to
    bottleneck blocks only. `shortcut` is the paper's option, or "none" for a plain network.
    """

    block: BlockKind
    shortcut: Shortcut
    depth: int = 1
    width: int = 64
    stride: int = 1
    stride_at: StrideAt = "1x1"
    expansion: int = 4
    groups: int = 1
    base_width: int = 64

    @property
    def inner_channels(self) -> int:
        """Channels of a bottleneck's 3x3 convolution."""
        return self.width * self.base_width // 64 * self.groups

    @property
    def out_channels(self) -> int:
        """Channels that each block of the stage puts out."""
        return self.width * self.expansion if self.block == "bottleneck" else self.width


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """A whole network: stem, stages, global average pooling, linear classifier.

    `input` is (channels, height, width). The stems: "imagenet" is a 7x7/2 convolution, norm, relu
    and a 3x3/2 max pooling; "cifar" a 3x3 convolution, norm, relu; "bare" a 3x3 convolution alone,
    without bias, as pre-activation networks for CIFAR-10 have it.
    """

    stages: tuple[Stage, ...]
    stem: Stem = "imagenet"
    stem_width: int = 64
    norm: Norm = "batch_norm"
    pre_activation: bool = False
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000


def convolution(
    in_channels: int, out_channels: int, kernel: int, norm: Norm, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Padded to keep the size at stride 1; with a bias exactly where the network has no norm."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=(kernel - 1) // 2,
        groups=groups,
        bias=norm == "none",
    )


def normalization(channels: int, norm: Norm) -> nn.Module:
    """Batch norm, or nothing."""
    return nn.BatchNorm2d(channels) if norm == "batch_norm" else nn.Identity()


class ZeroPadShortcut(nn.Module):
    """Option A: every stride-th pixel, zero channels appended after the existing ones."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(f"option A cannot shrink {in_channels} channels to {out_channels}")
        self.extra = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The subsampled and widened input."""
        x = x[:, :, :: self.stride, :: self.stride]
        n, _, h, w = x.shape
        return torch.cat([x, x.new_zeros(n, self.extra, h, w)], dim=1)


def needs_projection(stage: Stage, in_channels: int, stride: int) -> bool:
    """Whether the block's shortcut is a 1x1 convolution: C always, B where the shape changes."""
    shape_changes = stride != 1 or in_channels != stage.out_channels
    return stage.shortcut == "C" or (stage.shortcut == "B" and shape_changes)


def shortcut_of(
    stage: Stage, in_channels: int, stride: int, norm: Norm, pre_activation: bool
) -> nn.Module | None:
    """The shortcut of one block, or None in a plain network.

    A projection is a 1x1 convolution with norm, and without norm in a pre-activation network.
    """
    if stage.shortcut == "none":
        return None
    if needs_projection(stage, in_channels, stride):
        conv = convolution(in_channels, stage.out_channels, 1, norm, stride)
        if norm == "none" or pre_activation:
            return nn.Sequential(conv)
        return nn.Sequential(conv, normalization(stage.out_channels, norm))
    if stride != 1 or in_channels != stage.out_channels:  # option A where the shape changes
        return ZeroPadShortcut(in_channels, stage.out_channels, stride)
    return nn.Identity()


class BasicBlock(nn.Module):
    """3x3, 3x3 (He et al. 2015, Figure 5 left)."""

    def __init__(self, stage: Stage, in_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, stage.width, 3, norm, stride)
        self.bn1 = normalization(stage.width, norm)
        self.conv2 = convolution(stage.width, stage.width, 3, norm)
        self.bn2 = normalization(stage.width, norm)
        self.downsample = shortcut_of(stage, in_channels, stride, norm, pre_activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """Norm after each convolution, relu after the addition."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 (He et al. 2015, Figure 5 right)."""

    def __init__(self, stage: Stage, in_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        inner, out_channels = stage.inner_channels, stage.out_channels
        stride1, stride2 = (stride, 1) if stage.stride_at == "1x1" else (1, stride)
        self.conv1 = convolution(in_channels, inner, 1, norm, stride1)
        self.bn1 = normalization(inner, norm)
        self.conv2 = convolution(inner, inner, 3, norm, stride2, stage.groups)
        self.bn2 = normalization(inner, norm)
        self.conv3 = convolution(inner, out_channels, 1, norm)
        self.bn3 = normalization(out_channels, norm)
        self.downsample = shortcut_of(stage, in_channels, stride, norm, pre_activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """Norm after each convolution, relu after the addition."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class PreActBasicBlock(nn.Module):
    """3x3, 3x3, each after norm and relu (He et al. 2016, Figure 1b)."""

    def __init__(self, stage: Stage, in_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.bn1 = normalization(in_channels, norm)
        self.conv1 = convolution(in_channels, stage.width, 3, norm, stride)
        self.bn2 = normalization(stage.width, norm)
        self.conv2 = convolution(stage.width, stage.width, 3, norm)
        self.downsample = shortcut_of(stage, in_channels, stride, norm, pre_activation=True)
        self.projects = needs_projection(stage, in_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """A projection takes the activated input, every other shortcut the raw one."""
        activated = F.relu(self.bn1(x))
        out: Tensor = self.conv1(activated)
        out = self.conv2(F.relu(self.bn2(out)))
        if self.downsample is not None:
            out = out + self.downsample(activated if self.projects else x)
        return out


class PreActBottleneck(nn.Module):
    """1x1, 3x3, 1x1, each after norm and relu (He et al. 2016)."""

    def __init__(self, stage: Stage, in_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        inner, out_channels = stage.inner_channels, stage.out_channels
        stride1, stride2 = (stride, 1) if stage.stride_at == "1x1" else (1, stride)
        self.bn1 = normalization(in_channels, norm)
        self.conv1 = convolution(in_channels, inner, 1, norm, stride1)
        self.bn2 = normalization(inner, norm)
        self.conv2 = convolution(inner, inner, 3, norm, stride2, stage.groups)
        self.bn3 = normalization(inner, norm)
        self.conv3 = convolution(inner, out_channels, 1, norm)
        self.downsample = shortcut_of(stage, in_channels, stride, norm, pre_activation=True)
        self.projects = needs_projection(stage, in_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """A projection takes the activated input, every other shortcut the raw one."""
        activated = F.relu(self.bn1(x))
        out: Tensor = self.conv1(activated)
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.conv3(F.relu(self.bn3(out)))
        if self.downsample is not None:
            out = out + self.downsample(activated if self.projects else x)
        return out


def block_of(
    stage: Stage, in_channels: int, stride: int, norm: Norm, pre_activation: bool
) -> nn.Module:
    """One block of the stage."""
    if stage.block == "basic":
        basic = PreActBasicBlock if pre_activation else BasicBlock
        return basic(stage, in_channels, stride, norm)
    bottleneck = PreActBottleneck if pre_activation else Bottleneck
    return bottleneck(stage, in_channels, stride, norm)


class ResNet(nn.Module):
    """The network of a config; `forward` returns logits."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        norm, width = config.norm, config.stem_width
        self.config = config
        if config.stem == "imagenet":
            self.conv1 = convolution(config.input[0], width, 7, norm, stride=2)
            self.bn1 = normalization(width, norm)
        elif config.stem == "cifar":
            self.conv1 = convolution(config.input[0], width, 3, norm)
            self.bn1 = normalization(width, norm)
        else:
            self.conv1 = nn.Conv2d(config.input[0], width, 3, padding=1, bias=False)

        channels = width
        for number, stage in enumerate(config.stages, start=1):
            blocks: list[nn.Module] = []
            for index in range(stage.depth):
                stride = stage.stride if index == 0 else 1
                blocks.append(block_of(stage, channels, stride, norm, config.pre_activation))
                channels = stage.out_channels
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

        if config.pre_activation:
            self.bn = normalization(channels, norm)
        self.fc = nn.Linear(channels, config.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, classes)."""
        x = self.conv1(x)
        if self.config.stem != "bare":
            x = F.relu(self.bn1(x))
        if self.config.stem == "imagenet":
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        for number in range(1, len(self.config.stages) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        if self.config.pre_activation:
            x = F.relu(self.bn(x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.fc(x)
        return logits


def doubling(first: Stage, depths: Sequence[int]) -> tuple[Stage, ...]:
    """Stages like `first`; each further one has twice the width at half the height and width."""
    return tuple(
        replace(first, depth=depth, width=first.width * 2**i, stride=1 if i == 0 else 2)
        for i, depth in enumerate(depths)
    )


BASIC_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SHORTCUTS: tuple[Shortcut, ...] = ("A", "B", "C")


def imagenet_networks() -> dict[str, ResNetConfig]:
    """He et al. 2015, Table 1, with every shortcut option, and torchvision's later variants."""
    configs = {}
    for layers, depths in BASIC_DEPTHS.items():
        plain = Stage(block="basic", shortcut="none")
        configs[f"plain{layers}"] = ResNetConfig(stages=doubling(plain, depths))
        for shortcut in SHORTCUTS:
            basic = Stage(block="basic", shortcut=shortcut)
            configs[f"resnet{layers}-{shortcut}"] = ResNetConfig(stages=doubling(basic, depths))
    for layers, depths in BOTTLENECK_DEPTHS.items():
        for shortcut in SHORTCUTS:
            original = Stage(block="bottleneck", shortcut=shortcut)
            configs[f"resnet{layers}-{shortcut}"] = ResNetConfig(stages=doubling(original, depths))

    v1_5 = Stage(block="bottleneck", shortcut="B", stride_at="3x3")
    for name, stage, layers in (
        ("resnet50-B-v1.5", v1_5, 50),
        ("resnet101-B-v1.5", v1_5, 101),
        ("resnet152-B-v1.5", v1_5, 152),
        ("resnext50_32x4d", replace(v1_5, groups=32, base_width=4), 50),
        ("resnext101_32x8d", replace(v1_5, groups=32, base_width=8), 101),
        ("resnext101_64x4d", replace(v1_5, groups=64, base_width=4), 101),
        ("wide_resnet50_2", replace(v1_5, base_width=128), 50),
        ("wide_resnet101_2", replace(v1_5, base_width=128), 101),
    ):
        configs[name] = ResNetConfig(stages=doubling(stage, BOTTLENECK_DEPTHS[layers]))
    return configs


def cifar(first: Stage, n: int, stem: Stem = "cifar", pre_activation: bool = False) -> ResNetConfig:
    """A CIFAR-10 network: three stages of n blocks at 32x32, 16x16 and 8x8 pixels."""
    return ResNetConfig(
        stages=doubling(first, (n, n, n)),
        stem=stem,
        stem_width=16,
        pre_activation=pre_activation,
        input=(3, 32, 32),
        classes=10,
    )


def cifar_networks() -> dict[str, ResNetConfig]:
    """He et al. 2015, Section 4.2 (6n + 2 layers); He et al. 2016 (6n + 2 and 9n + 2 layers)."""
    configs = {}
    for n in (3, 5, 7, 9, 18, 200):
        layers = 6 * n + 2
        plain = Stage(block="basic", shortcut="none", width=16)
        configs[f"cifar-plain{layers}"] = cifar(plain, n)
        for shortcut in SHORTCUTS:
            basic = Stage(block="basic", shortcut=shortcut, width=16)
            configs[f"cifar-resnet{layers}-{shortcut}"] = cifar(basic, n)
    pre_a = Stage(block="basic", shortcut="A", width=16)
    pre_b = Stage(block="bottleneck", shortcut="B", width=16)
    configs["cifar-preresnet110-A"] = cifar(pre_a, 18, stem="bare", pre_activation=True)
    configs["cifar-preresnet164-B"] = cifar(pre_b, 18, stem="bare", pre_activation=True)
    return configs


NETWORKS: dict[str, ResNetConfig] = imagenet_networks() | cifar_networks()
"""The ResNets of tests/data/networks.json, under the names used there."""
