"""ShuffleNetV2 x1.5

torchvision's shufflenet_v2_x1_5 (Ma et al. 2018)

Compiled by archc from torchvision/shufflenet_v2_x1_5; edit the spec, not this.
Digest of the resolved spec: sha256 40ddad2f1741d5a8
"""

import torch
from torch import Tensor, nn

__all__ = ["ShuffleNetV2X1_5"]


class ChannelShuffle(nn.Module):
    """Mixes groups of channels: the first of each, the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class Conv2dNormActivation(nn.Sequential):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size=kernel_size,
                stride=stride,
                padding=(kernel_size - 1) // 2,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class InvertedResidual(nn.Module):
    def __init__(
        self, in_channels: int, width: int, half: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        if stride != 1:
            self.branch1 = nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    in_channels,
                    kernel_size=3,
                    stride=stride,
                    padding=1,
                    groups=in_channels,
                    bias=False,
                ),
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, half, kernel_size=1, bias=False),
                nn.BatchNorm2d(half),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            nn.Conv2d(width, half, kernel_size=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                half,
                half,
                kernel_size=3,
                stride=stride,
                padding=1,
                groups=half,
                bias=False,
            ),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, kernel_size=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )
        self.shuffle1 = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            out = self.branch2(torch.chunk(x, 2, dim=1)[1])
            x = torch.cat([torch.chunk(x, 2, dim=1)[0], out], dim=1)
            return self.shuffle1(x)
        out = self.branch1(x)
        x = self.branch2(x)
        return self.shuffle1(torch.cat([out, x], dim=1))


class ShuffleNetV2X1_5(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = Conv2dNormActivation(3, 24, kernel_size=3, stride=2)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.stage2 = nn.Sequential(
            InvertedResidual(24, 24, 88, stride=2),
            *(InvertedResidual(176, 88, 88) for _ in range(3)),
        )
        self.stage3 = nn.Sequential(
            InvertedResidual(176, 176, 176, stride=2),
            *(InvertedResidual(352, 176, 176) for _ in range(7)),
        )
        self.stage4 = nn.Sequential(
            InvertedResidual(352, 352, 352, stride=2),
            *(InvertedResidual(704, 352, 352) for _ in range(3)),
        )
        self.conv5 = Conv2dNormActivation(704, 1024, kernel_size=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.maxpool(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = self.avgpool(x)
        return self.fc(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
