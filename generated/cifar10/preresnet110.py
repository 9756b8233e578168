"""110-layer pre-activation

Pre-activation ResNet-110 for CIFAR-10, option A (He et al. 2016, Table 2)

Compiled by archc from cifar10/preresnet110; edit the spec, not this.
Digest of the resolved spec: sha256 cf5b69cf8aa77125
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PreResNet110"]


class ZeroPadShortcut(nn.Module):
    """Option A: subsample, then append zero channels; there is nothing to learn."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.extra = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        s = self.stride
        return F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, self.extra))


class PreActBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = ZeroPadShortcut(in_channels, out_channels, stride=stride)
        else:
            self.shortcut = nn.Identity()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=3,
            stride=stride,
            padding=1,
            bias=False,
        )
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(
            out_channels, out_channels, kernel_size=3, padding=1, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        out = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(out)), inplace=True)
        out = self.conv2(out)
        out += shortcut
        return out


class PreResNet110(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
        self.layer1 = nn.Sequential(*(PreActBlock(16, 16) for _ in range(18)))
        self.layer2 = nn.Sequential(
            PreActBlock(16, 32, stride=2),
            *(PreActBlock(32, 32) for _ in range(17)),
        )
        self.layer3 = nn.Sequential(
            PreActBlock(32, 64, stride=2),
            *(PreActBlock(64, 64) for _ in range(17)),
        )
        self.bn = nn.BatchNorm2d(64)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
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
