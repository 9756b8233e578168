"""RegNetY-800MF

torchvision's regnet_y_800mf (Radosavovic et al. 2020)

Compiled by archc from torchvision/regnet_y_800mf; edit the spec, not this.
Digest of the resolved spec: sha256 3c9bc881c0ef01fb
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RegNetY_800mf"]


class Conv2dNormActivation(nn.Sequential):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
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
            nn.BatchNorm2d(out_channels),
        ]
        if activation:
            layers.append(nn.ReLU(inplace=True))
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
        out = torch.sigmoid(self.fc2(out))
        return out * x


class ResBottleneckBlock(nn.Module):
    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        groups: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if stride != 1 or in_channels != out_channels:
            self.proj = Conv2dNormActivation(
                in_channels,
                out_channels,
                kernel_size=1,
                stride=stride,
                activation=False,
            )
        else:
            self.proj = nn.Identity()
        self.f = nn.Sequential(
            OrderedDict(
                a=Conv2dNormActivation(in_channels, out_channels, kernel_size=1),
                b=Conv2dNormActivation(
                    out_channels,
                    out_channels,
                    kernel_size=3,
                    stride=stride,
                    groups=groups,
                ),
                se=SqueezeExcitation(out_channels, width),
                c=Conv2dNormActivation(
                    out_channels, out_channels, kernel_size=1, activation=False
                ),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.proj(x) + self.f(x), inplace=True)


class RegNetY_800mf(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = Conv2dNormActivation(3, 32, kernel_size=3, stride=2)
        self.trunk_output = nn.Sequential(
            OrderedDict(
                block1=nn.Sequential(
                    OrderedDict(
                        {"block1-0": ResBottleneckBlock(32, 8, 64, groups=4, stride=2)},
                    ),
                ),
                block2=nn.Sequential(
                    OrderedDict(
                        {
                            "block2-0": ResBottleneckBlock(
                                64, 16, 144, groups=9, stride=2
                            ),
                            "block2-1": ResBottleneckBlock(144, 36, 144, groups=9),
                            "block2-2": ResBottleneckBlock(144, 36, 144, groups=9),
                        },
                    ),
                ),
                block3=nn.Sequential(
                    OrderedDict(
                        {
                            "block3-0": ResBottleneckBlock(
                                144, 36, 320, groups=20, stride=2
                            ),
                            **{
                                f"block3-{i + 1}": ResBottleneckBlock(
                                    320, 80, 320, groups=20
                                )
                                for i in range(7)
                            },
                        },
                    ),
                ),
                block4=nn.Sequential(
                    OrderedDict(
                        {
                            "block4-0": ResBottleneckBlock(
                                320, 80, 784, groups=49, stride=2
                            ),
                            "block4-1": ResBottleneckBlock(784, 196, 784, groups=49),
                        },
                    ),
                ),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(784, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.trunk_output(x)
        x = self.avgpool(x)
        return self.fc(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
