"""VoVNet-39

timm's vovnet39a (Lee et al. 2019)

Compiled by archc from timm/vovnet39a; edit the spec, not this.
Digest of the resolved spec: sha256 85dfbaeb755ecb7b
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["VoVNet39a"]


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
        return F.relu(self.bn(self.conv(x)), inplace=True)


class OsaBlock(nn.Module):
    def __init__(
        self,
        in_channels: int,
        inner: int,
        width: int,
        out_channels: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if stride != 1:
            self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        else:
            self.maxpool1 = nn.Identity()
        self.conv_mid = nn.ModuleList(
            [
                BasicConv2d(in_channels, inner, kernel_size=3),
                *(BasicConv2d(inner, inner, kernel_size=3) for _ in range(4)),
            ],
        )
        self.conv_concat = BasicConv2d(width, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool1(x)
        out = self.conv_mid[0](x)
        out2 = self.conv_mid[1](out)
        out3 = self.conv_mid[2](out2)
        out4 = self.conv_mid[3](out3)
        out5 = self.conv_mid[4](out4)
        return self.conv_concat(torch.cat([x, out, out2, out3, out4, out5], dim=1))


class VoVNet39a(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            BasicConv2d(3, 64, kernel_size=3, stride=2),
            BasicConv2d(64, 64, kernel_size=3),
            BasicConv2d(64, 128, kernel_size=3, stride=2),
        )
        self.stages = nn.Sequential(
            nn.Sequential(
                OrderedDict(blocks=nn.Sequential(OsaBlock(128, 128, 768, 256))),
            ),
            nn.Sequential(
                OrderedDict(
                    blocks=nn.Sequential(OsaBlock(256, 160, 1056, 512, stride=2)),
                ),
            ),
            nn.Sequential(
                OrderedDict(
                    blocks=nn.Sequential(
                        OsaBlock(512, 192, 1472, 768, stride=2),
                        OsaBlock(768, 192, 1728, 768),
                    ),
                ),
            ),
            nn.Sequential(
                OrderedDict(
                    blocks=nn.Sequential(
                        OsaBlock(768, 224, 1888, 1024, stride=2),
                        OsaBlock(1024, 224, 2144, 1024),
                    ),
                ),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(OrderedDict(fc=nn.Linear(1024, num_classes)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.stages(x)
        x = self.avgpool(x)
        return self.head(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
