"""EfficientNet-B6

torchvision's efficientnet_b6 (Tan and Le 2019)

Compiled by archc from torchvision/efficientnet_b6; edit the spec, not this.
Digest of the resolved spec: sha256 65a65a9568e9f76c
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetB6"]


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
            nn.BatchNorm2d(out_channels, eps=0.001, momentum=0.01),
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


class EfficientNetB6(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 56, kernel_size=3, stride=2),
            nn.Sequential(
                MBConv(56, 56, 14, 32, kernel_size=3),
                MBConv(32, 32, 8, 32, kernel_size=3, p=0.0044444444444444444),
                MBConv(32, 32, 8, 32, kernel_size=3, p=0.008888888888888889),
            ),
            nn.Sequential(
                MBConv(32, 192, 8, 40, kernel_size=3, stride=2),
                MBConv(40, 240, 10, 40, kernel_size=3, p=0.017777777777777778),
                MBConv(40, 240, 10, 40, kernel_size=3, p=0.022222222222222223),
                MBConv(40, 240, 10, 40, kernel_size=3, p=0.02666666666666667),
                MBConv(40, 240, 10, 40, kernel_size=3, p=0.03111111111111111),
                MBConv(40, 240, 10, 40, kernel_size=3, p=0.035555555555555556),
            ),
            nn.Sequential(
                MBConv(40, 240, 10, 72, kernel_size=5, stride=2),
                MBConv(72, 432, 18, 72, kernel_size=5, p=0.044444444444444446),
                MBConv(72, 432, 18, 72, kernel_size=5, p=0.04888888888888889),
                MBConv(72, 432, 18, 72, kernel_size=5, p=0.05333333333333334),
                MBConv(72, 432, 18, 72, kernel_size=5, p=0.057777777777777775),
                MBConv(72, 432, 18, 72, kernel_size=5, p=0.06222222222222222),
            ),
            nn.Sequential(
                MBConv(72, 432, 18, 144, kernel_size=3, stride=2),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.07111111111111111),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.07555555555555556),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.08),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.08444444444444445),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.08888888888888889),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.09333333333333334),
                MBConv(144, 864, 36, 144, kernel_size=3, p=0.09777777777777778),
            ),
            nn.Sequential(
                MBConv(144, 864, 36, 200, kernel_size=5),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.10666666666666667),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.1111111111111111),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.11555555555555555),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.12),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.12444444444444444),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.1288888888888889),
                MBConv(200, 1200, 50, 200, kernel_size=5, p=0.13333333333333333),
            ),
            nn.Sequential(
                MBConv(200, 1200, 50, 344, kernel_size=5, stride=2),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.14222222222222222),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.14666666666666667),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.1511111111111111),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.15555555555555556),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.16),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.16444444444444445),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.1688888888888889),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.17333333333333334),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.17777777777777778),
                MBConv(344, 2064, 86, 344, kernel_size=5, p=0.18222222222222223),
            ),
            nn.Sequential(
                MBConv(344, 2064, 86, 576, kernel_size=3),
                MBConv(576, 3456, 144, 576, kernel_size=3, p=0.19111111111111112),
                MBConv(576, 3456, 144, 576, kernel_size=3, p=0.19555555555555557),
            ),
            Conv2dNormActivation(576, 2304, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(2304, num_classes))
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
