"""Reference networks by name."""

from torch import nn

from .resnet import NETWORKS as RESNETS
from .resnet import ResNet, ResNetConfig
from .vgg import NETWORKS as VGGS
from .vgg import VGG, VGGConfig

CONFIGS: dict[str, ResNetConfig | VGGConfig] = {**RESNETS, **VGGS}
"""Every network of tests/data/networks.json."""

TORCHVISION: dict[str, str] = {
    "vgg11": "vgg11",
    "vgg11_bn": "vgg11-bn",
    "vgg13": "vgg13",
    "vgg13_bn": "vgg13-bn",
    "vgg16": "vgg16",
    "vgg16_bn": "vgg16-bn",
    "vgg19": "vgg19",
    "vgg19_bn": "vgg19-bn",
    "resnet18": "resnet18-B",
    "resnet34": "resnet34-B",
    "resnet50": "resnet50-B-v1.5",
    "resnet101": "resnet101-B-v1.5",
    "resnet152": "resnet152-B-v1.5",
    "resnext50_32x4d": "resnext50_32x4d",
    "resnext101_32x8d": "resnext101_32x8d",
    "resnext101_64x4d": "resnext101_64x4d",
    "wide_resnet50_2": "wide_resnet50_2",
    "wide_resnet101_2": "wide_resnet101_2",
}
"""torchvision's names to those of networks.json."""


def build(config: ResNetConfig | VGGConfig) -> nn.Module:
    """The reference module of a config, on torch's default device."""
    return ResNet(config) if isinstance(config, ResNetConfig) else VGG(config)
