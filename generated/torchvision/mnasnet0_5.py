"""MNASNet-B1 0.5

torchvision's mnasnet0_5, the B1 variant (Tan et al. 2018)

Compiled by archc from torchvision/mnasnet0_5; edit the spec, not this.
Digest of the resolved spec: sha256 1bcacbd59df0e259
"""

import torch
from torch import Tensor, nn

__all__ = ["MNASNet0_5"]


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
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden, kernel_size=1, bias=False),
            nn.BatchNorm2d(hidden, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                hidden,
                hidden,
                kernel_size=kernel_size,
                stride=stride,
                padding=(kernel_size - 1) // 2,
                groups=hidden,
                bias=False,
            ),
            nn.BatchNorm2d(hidden, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels, momentum=0.00029999999999996696),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            return self.layers(x) + x
        return self.layers(x)


class MNASNet0_5(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 16, kernel_size=3, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 8, kernel_size=1, bias=False),
            nn.BatchNorm2d(8, momentum=0.00029999999999996696),
            nn.Sequential(
                InvertedResidual(8, 24, 16, kernel_size=3, stride=2),
                InvertedResidual(16, 48, 16, kernel_size=3),
                InvertedResidual(16, 48, 16, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(16, 48, 24, kernel_size=5, stride=2),
                InvertedResidual(24, 72, 24, kernel_size=5),
                InvertedResidual(24, 72, 24, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(24, 144, 40, kernel_size=5, stride=2),
                InvertedResidual(40, 240, 40, kernel_size=5),
                InvertedResidual(40, 240, 40, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(40, 240, 48, kernel_size=3),
                InvertedResidual(48, 288, 48, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(48, 288, 96, kernel_size=5, stride=2),
                *(InvertedResidual(96, 576, 96, kernel_size=5) for _ in range(3)),
            ),
            nn.Sequential(InvertedResidual(96, 576, 160, kernel_size=3)),
            nn.Conv2d(160, 1280, kernel_size=1, bias=False),
            nn.BatchNorm2d(1280, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.kaiming_uniform_(
                    module.weight, mode="fan_out", nonlinearity="linear"
                )
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
