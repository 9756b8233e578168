"""EfficientNet-Lite0

timm's efficientnet_lite0, EfficientNet-B0 without squeeze-and-excitation, with ReLU6
(Tan and Le 2019)

Compiled by archc from timm/efficientnet_lite0; edit the spec, not this.
Digest of the resolved spec: sha256 6f48dccd0e9d4253
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetLite0"]


class DepthwiseSeparableConv(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(
            in_channels,
            in_channels,
            kernel_size=3,
            padding=1,
            groups=in_channels,
            bias=False,
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.bn1(self.conv_dw(x)))
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.Module):
    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        self.conv_pw = nn.Conv2d(in_channels, hidden, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv_dw = nn.Conv2d(
            hidden,
            hidden,
            kernel_size=kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            groups=hidden,
            bias=False,
        )
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv_pwl = nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu6(self.bn1(self.conv_pw(x)))
        out = F.relu6(self.bn2(self.conv_dw(out)))
        if self.keeps_shape:
            out = self.bn3(self.conv_pwl(out))
            out += x
            return out
        return self.bn3(self.conv_pwl(out))


class EfficientNetLite0(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(
            3, 32, kernel_size=3, stride=2, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(
            nn.Sequential(DepthwiseSeparableConv(32, 16)),
            nn.Sequential(
                InvertedResidual(16, 96, 24, kernel_size=3, stride=2),
                InvertedResidual(24, 144, 24, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(24, 144, 40, kernel_size=5, stride=2),
                InvertedResidual(40, 240, 40, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(40, 240, 80, kernel_size=3, stride=2),
                InvertedResidual(80, 480, 80, kernel_size=3),
                InvertedResidual(80, 480, 80, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(80, 480, 112, kernel_size=5),
                InvertedResidual(112, 672, 112, kernel_size=5),
                InvertedResidual(112, 672, 112, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(112, 672, 192, kernel_size=5, stride=2),
                *(InvertedResidual(192, 1152, 192, kernel_size=5) for _ in range(3)),
            ),
            nn.Sequential(InvertedResidual(192, 1152, 320, kernel_size=3)),
        )
        self.conv_head = nn.Conv2d(320, 1280, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1280, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        x = F.relu6(self.bn2(self.conv_head(x)))
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
