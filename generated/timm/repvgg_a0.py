"""RepVGG-A0

timm's repvgg_a0, as it is trained (Ding et al. 2021)

Compiled by archc from timm/repvgg_a0; edit the spec, not this.
Digest of the resolved spec: sha256 b9a3e4d2f33594fe
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RepVGGA0"]


class BasicConv2d(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class RepVggBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        if self.keeps_shape:
            self.identity = nn.BatchNorm2d(in_channels)
        self.conv_kxk = BasicConv2d(
            in_channels, out_channels, kernel_size=3, stride=stride
        )
        self.conv_1x1 = BasicConv2d(
            in_channels, out_channels, kernel_size=1, stride=stride
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            identity = self.identity(x)
            conv_kxk = self.conv_kxk(x)
            conv_kxk = self.conv_1x1(x) + conv_kxk
            conv_kxk += identity
            return F.relu(conv_kxk, inplace=True)
        conv_kxk = self.conv_kxk(x)
        return F.relu(self.conv_1x1(x) + conv_kxk, inplace=True)


class RepVGGA0(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = RepVggBlock(3, 48, stride=2)
        self.stages = nn.Sequential(
            nn.Sequential(RepVggBlock(48, 48, stride=2), RepVggBlock(48, 48)),
            nn.Sequential(
                RepVggBlock(48, 96, stride=2),
                *(RepVggBlock(96, 96) for _ in range(3)),
            ),
            nn.Sequential(
                RepVggBlock(96, 192, stride=2),
                *(RepVggBlock(192, 192) for _ in range(13)),
            ),
            nn.Sequential(RepVggBlock(192, 1280, stride=2)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(OrderedDict(fc=nn.Linear(1280, num_classes)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.stages(x)
        x = self.avgpool(x)
        return self.head(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
