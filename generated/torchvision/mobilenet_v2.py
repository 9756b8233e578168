"""MobileNetV2

torchvision's mobilenet_v2 (Sandler et al. 2018)

Compiled by archc from torchvision/mobilenet_v2; edit the spec, not this.
Digest of the resolved spec: sha256 e113b9a776652c2b
"""

import torch
from torch import Tensor, nn

__all__ = ["MobileNetV2"]


class Conv2dNormActivation(nn.Sequential):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
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
            nn.ReLU6(),
        )


class InvertedResidual(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, expand: int = 6
    ) -> None:
        super().__init__()
        hidden = in_channels * expand
        self.keeps_shape = stride == 1 and in_channels == out_channels
        conv: list[nn.Module] = []
        if expand != 1:
            conv.append(Conv2dNormActivation(in_channels, hidden, kernel_size=1))
        conv += [
            Conv2dNormActivation(
                hidden, hidden, kernel_size=3, stride=stride, groups=hidden
            ),
            nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*conv)

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            return self.conv(x) + x
        return self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 32, kernel_size=3, stride=2),
            InvertedResidual(32, 16, expand=1),
            InvertedResidual(16, 24, stride=2),
            InvertedResidual(24, 24),
            InvertedResidual(24, 32, stride=2),
            InvertedResidual(32, 32),
            InvertedResidual(32, 32),
            InvertedResidual(32, 64, stride=2),
            *(InvertedResidual(64, 64) for _ in range(3)),
            InvertedResidual(64, 96),
            InvertedResidual(96, 96),
            InvertedResidual(96, 96),
            InvertedResidual(96, 160, stride=2),
            InvertedResidual(160, 160),
            InvertedResidual(160, 160),
            InvertedResidual(160, 320),
            Conv2dNormActivation(320, 1280, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
