"""164-layer pre-activation

Pre-activation ResNet-164 for CIFAR-10, bottlenecks, option B (He et al. 2016, Table 2)

Compiled by archc from cifar10/preresnet164; edit the spec, not this.
Digest of the resolved spec: sha256 89a925117ddc4ce3
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PreResNet164"]


class PreActProjectionBottleneck(nn.Module):
    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(
            in_channels, width, kernel_size=1, stride=stride, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.downsample = nn.Sequential(
            nn.Conv2d(
                in_channels, out_channels, kernel_size=1, stride=stride, bias=False
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(x)), inplace=True)
        out = F.relu(self.bn3(self.conv2(out)), inplace=True)
        out = self.conv3(out)
        out += self.downsample(x)
        return out


class PreActBottleneck(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(out)), inplace=True)
        out = F.relu(self.bn3(self.conv2(out)), inplace=True)
        out = self.conv3(out)
        out += x
        return out


class PreResNet164(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
        self.layer1 = nn.Sequential(
            PreActProjectionBottleneck(16, 16, 64),
            *(PreActBottleneck(64, 16) for _ in range(17)),
        )
        self.layer2 = nn.Sequential(
            PreActProjectionBottleneck(64, 32, 128, stride=2),
            *(PreActBottleneck(128, 32) for _ in range(17)),
        )
        self.layer3 = nn.Sequential(
            PreActProjectionBottleneck(128, 64, 256, stride=2),
            *(PreActBottleneck(256, 64) for _ in range(17)),
        )
        self.bn = nn.BatchNorm2d(256)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(256, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.conv1(x))
        x = self.layer2(x)
        x = self.layer3(x)
        x = F.relu(self.bn(x))
        x = self.avgpool(x)
        return self.fc(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
