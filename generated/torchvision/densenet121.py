"""DenseNet-121

torchvision's densenet121 (Huang et al. 2016)

Compiled by archc from torchvision/densenet121; edit the spec, not this.
Digest of the resolved spec: sha256 6815626f4bcb142c
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DenseNet121"]


class DenseLayer(nn.Module):
    def __init__(self, in_channels: int, width: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, growth, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(x))
        out = F.relu(self.norm2(self.conv1(out)), inplace=True)
        return torch.cat([x, self.conv2(out)], dim=1)


class Transition(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(x))
        return self.pool(self.conv(x))


class DenseNet121(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(64),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
                denseblock1=nn.Sequential(
                    OrderedDict(
                        {
                            f"denselayer{i + 1}": DenseLayer(64 + 32 * i, 128, 32)
                            for i in range(6)
                        },
                    ),
                ),
                transition1=Transition(256, 128),
                denseblock2=nn.Sequential(
                    OrderedDict(
                        {
                            f"denselayer{i + 1}": DenseLayer(128 + 32 * i, 128, 32)
                            for i in range(12)
                        },
                    ),
                ),
                transition2=Transition(512, 256),
                denseblock3=nn.Sequential(
                    OrderedDict(
                        {
                            f"denselayer{i + 1}": DenseLayer(256 + 32 * i, 128, 32)
                            for i in range(24)
                        },
                    ),
                ),
                transition3=Transition(1024, 512),
                denseblock4=nn.Sequential(
                    OrderedDict(
                        {
                            f"denselayer{i + 1}": DenseLayer(512 + 32 * i, 128, 32)
                            for i in range(16)
                        },
                    ),
                ),
                norm5=nn.BatchNorm2d(1024),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = F.relu(x)
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
