"""MNASNet-B1 1.3

torchvision's mnasnet1_3, the B1 variant (Tan et al. 2018)

Compiled by archc from torchvision/mnasnet1_3; edit the spec, not this.
Digest of the resolved spec: sha256 094fbb07cb569ba1
"""

import torch
from torch import Tensor, nn

__all__ = ["MNASNet1_3"]


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


class MNASNet1_3(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 40, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(40, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(40, 40, kernel_size=3, padding=1, groups=40, bias=False),
            nn.BatchNorm2d(40, momentum=0.00029999999999996696),
            nn.ReLU(inplace=True),
            nn.Conv2d(40, 24, kernel_size=1, bias=False),
            nn.BatchNorm2d(24, momentum=0.00029999999999996696),
            nn.Sequential(
                InvertedResidual(24, 72, 32, kernel_size=3, stride=2),
                InvertedResidual(32, 96, 32, kernel_size=3),
                InvertedResidual(32, 96, 32, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(32, 96, 56, kernel_size=5, stride=2),
                InvertedResidual(56, 168, 56, kernel_size=5),
                InvertedResidual(56, 168, 56, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(56, 336, 104, kernel_size=5, stride=2),
                InvertedResidual(104, 624, 104, kernel_size=5),
                InvertedResidual(104, 624, 104, kernel_size=5),
            ),
            nn.Sequential(
                InvertedResidual(104, 624, 128, kernel_size=3),
                InvertedResidual(128, 768, 128, kernel_size=3),
            ),
            nn.Sequential(
                InvertedResidual(128, 768, 248, kernel_size=5, stride=2),
                *(InvertedResidual(248, 1488, 248, kernel_size=5) for _ in range(3)),
            ),
            nn.Sequential(InvertedResidual(248, 1488, 416, kernel_size=3)),
            nn.Conv2d(416, 1280, kernel_size=1, bias=False),
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
