"""MobileNetV3-Large

torchvision's mobilenet_v3_large (Howard et al. 2019, Table 1)

Compiled by archc from torchvision/mobilenet_v3_large; edit the spec, not this.
Digest of the resolved spec: sha256 d44a55ea6e149dcf
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MobileNetV3Large"]


class Conv2dNormActivation(nn.Sequential):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] | None = nn.Hardswish,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size=kernel_size,
                stride=stride,
                padding=(kernel_size - 1) // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels, eps=0.001, momentum=0.01),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, width, kernel_size=1)
        self.fc2 = nn.Conv2d(width, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.avgpool(x)
        out = F.relu(self.fc1(out), inplace=True)
        out = F.hardsigmoid(self.fc2(out))
        return out * x


class InvertedResidual(nn.Module):
    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        squeezed: int = 0,
        stride: int = 1,
        activation: Callable[[], nn.Module] = nn.Hardswish,
    ) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        block: list[nn.Module] = []
        if hidden != in_channels:
            block.append(
                Conv2dNormActivation(
                    in_channels, hidden, kernel_size=1, activation=activation
                ),
            )
        block.append(
            Conv2dNormActivation(
                hidden,
                hidden,
                kernel_size=kernel_size,
                stride=stride,
                groups=hidden,
                activation=activation,
            ),
        )
        if squeezed:
            block.append(SqueezeExcitation(hidden, squeezed))
        block.append(
            Conv2dNormActivation(hidden, out_channels, kernel_size=1, activation=None),
        )
        self.block = nn.Sequential(*block)

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            return self.block(x) + x
        return self.block(x)


class MobileNetV3Large(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 16, kernel_size=3, stride=2),
            InvertedResidual(
                16, 16, 16, kernel_size=3, activation=partial(nn.ReLU, inplace=True)
            ),
            InvertedResidual(
                16,
                64,
                24,
                kernel_size=3,
                stride=2,
                activation=partial(nn.ReLU, inplace=True),
            ),
            InvertedResidual(
                24, 72, 24, kernel_size=3, activation=partial(nn.ReLU, inplace=True)
            ),
            InvertedResidual(
                24,
                72,
                40,
                kernel_size=5,
                squeezed=24,
                stride=2,
                activation=partial(nn.ReLU, inplace=True),
            ),
            InvertedResidual(
                40,
                120,
                40,
                kernel_size=5,
                squeezed=32,
                activation=partial(nn.ReLU, inplace=True),
            ),
            InvertedResidual(
                40,
                120,
                40,
                kernel_size=5,
                squeezed=32,
                activation=partial(nn.ReLU, inplace=True),
            ),
            InvertedResidual(40, 240, 80, kernel_size=3, stride=2),
            InvertedResidual(80, 200, 80, kernel_size=3),
            InvertedResidual(80, 184, 80, kernel_size=3),
            InvertedResidual(80, 184, 80, kernel_size=3),
            InvertedResidual(80, 480, 112, kernel_size=3, squeezed=120),
            InvertedResidual(112, 672, 112, kernel_size=3, squeezed=168),
            InvertedResidual(112, 672, 160, kernel_size=5, squeezed=168, stride=2),
            InvertedResidual(160, 960, 160, kernel_size=5, squeezed=240),
            InvertedResidual(160, 960, 160, kernel_size=5, squeezed=240),
            Conv2dNormActivation(160, 960, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(960, 1280),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(1280, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
