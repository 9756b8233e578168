"""RegNetX-400MF

torchvision's regnet_x_400mf (Radosavovic et al. 2020)

Compiled by archc from torchvision/regnet_x_400mf; edit the spec, not this.
Digest of the resolved spec: sha256 40056eafd818ccd2
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RegNetX_400mf"]


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


class ResBottleneckBlock(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, groups: int, stride: int = 1
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
                c=Conv2dNormActivation(
                    out_channels, out_channels, kernel_size=1, activation=False
                ),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.proj(x) + self.f(x), inplace=True)


class RegNetX_400mf(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = Conv2dNormActivation(3, 32, kernel_size=3, stride=2)
        self.trunk_output = nn.Sequential(
            OrderedDict(
                block1=nn.Sequential(
                    OrderedDict(
                        {"block1-0": ResBottleneckBlock(32, 32, groups=2, stride=2)},
                    ),
                ),
                block2=nn.Sequential(
                    OrderedDict(
                        {
                            "block2-0": ResBottleneckBlock(32, 64, groups=4, stride=2),
                            "block2-1": ResBottleneckBlock(64, 64, groups=4),
                        },
                    ),
                ),
                block3=nn.Sequential(
                    OrderedDict(
                        {
                            "block3-0": ResBottleneckBlock(
                                64, 160, groups=10, stride=2
                            ),
                            **{
                                f"block3-{i + 1}": ResBottleneckBlock(
                                    160, 160, groups=10
                                )
                                for i in range(6)
                            },
                        },
                    ),
                ),
                block4=nn.Sequential(
                    OrderedDict(
                        {
                            "block4-0": ResBottleneckBlock(
                                160, 400, groups=25, stride=2
                            ),
                            **{
                                f"block4-{i + 1}": ResBottleneckBlock(
                                    400, 400, groups=25
                                )
                                for i in range(11)
                            },
                        },
                    ),
                ),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(400, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
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
