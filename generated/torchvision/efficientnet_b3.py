"""EfficientNet-B3

torchvision's efficientnet_b3 (Tan and Le 2019)

Compiled by archc from torchvision/efficientnet_b3; edit the spec, not this.
Digest of the resolved spec: sha256 cd3fd7a75ef34641
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetB3"]


class StochasticDepth(nn.Module):
    """Drops an image's values, all at once, with probability p while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty([x.shape[0]] + [1] * (x.dim() - 1)).bernoulli_(1 - self.p)
        if self.p < 1:
            kept.div_(1 - self.p)
        return x * kept


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
            layers.append(nn.SiLU())
        super().__init__(*layers)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, width, kernel_size=1)
        self.fc2 = nn.Conv2d(width, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.avgpool(x)
        out = F.silu(self.fc1(out))
        out = torch.sigmoid(self.fc2(out))
        return out * x


class MBConv(nn.Module):
    def __init__(
        self,
        in_channels: int,
        hidden: int,
        squeeze_width: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        p: float = 0.0,
    ) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        block: list[nn.Module] = []
        if hidden != in_channels:
            block.append(Conv2dNormActivation(in_channels, hidden, kernel_size=1))
        block += [
            Conv2dNormActivation(
                hidden, hidden, kernel_size=kernel_size, stride=stride, groups=hidden
            ),
            SqueezeExcitation(hidden, squeeze_width),
            Conv2dNormActivation(hidden, out_channels, kernel_size=1, activation=False),
        ]
        self.block = nn.Sequential(*block)
        self.stochastic_depth1 = StochasticDepth(p)

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            out = self.block(x)
            return self.stochastic_depth1(out) + x
        return self.block(x)


class EfficientNetB3(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 40, kernel_size=3, stride=2),
            nn.Sequential(
                MBConv(40, 40, 10, 24, kernel_size=3),
                MBConv(24, 24, 6, 24, kernel_size=3, p=0.007692307692307693),
            ),
            nn.Sequential(
                MBConv(24, 144, 6, 32, kernel_size=3, stride=2),
                MBConv(32, 192, 8, 32, kernel_size=3, p=0.023076923076923078),
                MBConv(32, 192, 8, 32, kernel_size=3, p=0.03076923076923077),
            ),
            nn.Sequential(
                MBConv(32, 192, 8, 48, kernel_size=5, stride=2),
                MBConv(48, 288, 12, 48, kernel_size=5, p=0.046153846153846156),
                MBConv(48, 288, 12, 48, kernel_size=5, p=0.05384615384615385),
            ),
            nn.Sequential(
                MBConv(48, 288, 12, 96, kernel_size=3, stride=2),
                MBConv(96, 576, 24, 96, kernel_size=3, p=0.06923076923076923),
                MBConv(96, 576, 24, 96, kernel_size=3, p=0.07692307692307693),
                MBConv(96, 576, 24, 96, kernel_size=3, p=0.08461538461538462),
                MBConv(96, 576, 24, 96, kernel_size=3, p=0.09230769230769231),
            ),
            nn.Sequential(
                MBConv(96, 576, 24, 136, kernel_size=5),
                MBConv(136, 816, 34, 136, kernel_size=5, p=0.1076923076923077),
                MBConv(136, 816, 34, 136, kernel_size=5, p=0.11538461538461539),
                MBConv(136, 816, 34, 136, kernel_size=5, p=0.12307692307692308),
                MBConv(136, 816, 34, 136, kernel_size=5, p=0.13076923076923078),
            ),
            nn.Sequential(
                MBConv(136, 816, 34, 232, kernel_size=5, stride=2),
                MBConv(232, 1392, 58, 232, kernel_size=5, p=0.14615384615384616),
                MBConv(232, 1392, 58, 232, kernel_size=5, p=0.15384615384615385),
                MBConv(232, 1392, 58, 232, kernel_size=5, p=0.16153846153846155),
                MBConv(232, 1392, 58, 232, kernel_size=5, p=0.16923076923076924),
                MBConv(232, 1392, 58, 232, kernel_size=5, p=0.17692307692307693),
            ),
            nn.Sequential(
                MBConv(232, 1392, 58, 384, kernel_size=3),
                MBConv(384, 2304, 96, 384, kernel_size=3, p=0.19230769230769232),
            ),
            Conv2dNormActivation(384, 1536, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(1536, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear) and not module.weight.is_meta:
                nn.init.kaiming_uniform_(module.weight, a=2.236068, mode="fan_out")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        return self.classifier(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
