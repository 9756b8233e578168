"""EfficientNet-B4

torchvision's efficientnet_b4 (Tan and Le 2019)

Compiled by archc from torchvision/efficientnet_b4; edit the spec, not this.
Digest of the resolved spec: sha256 fede93d2a7e7be15
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetB4"]


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


class EfficientNetB4(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 48, kernel_size=3, stride=2),
            nn.Sequential(
                MBConv(48, 48, 12, 24, kernel_size=3),
                MBConv(24, 24, 6, 24, kernel_size=3, p=0.00625),
            ),
            nn.Sequential(
                MBConv(24, 144, 6, 32, kernel_size=3, stride=2),
                MBConv(32, 192, 8, 32, kernel_size=3, p=0.01875),
                MBConv(32, 192, 8, 32, kernel_size=3, p=0.025),
                MBConv(32, 192, 8, 32, kernel_size=3, p=0.03125),
            ),
            nn.Sequential(
                MBConv(32, 192, 8, 56, kernel_size=5, stride=2),
                MBConv(56, 336, 14, 56, kernel_size=5, p=0.04375),
                MBConv(56, 336, 14, 56, kernel_size=5, p=0.05),
                MBConv(56, 336, 14, 56, kernel_size=5, p=0.05625),
            ),
            nn.Sequential(
                MBConv(56, 336, 14, 112, kernel_size=3, stride=2),
                MBConv(112, 672, 28, 112, kernel_size=3, p=0.06875),
                MBConv(112, 672, 28, 112, kernel_size=3, p=0.075),
                MBConv(112, 672, 28, 112, kernel_size=3, p=0.08125),
                MBConv(112, 672, 28, 112, kernel_size=3, p=0.0875),
                MBConv(112, 672, 28, 112, kernel_size=3, p=0.09375),
            ),
            nn.Sequential(
                MBConv(112, 672, 28, 160, kernel_size=5),
                MBConv(160, 960, 40, 160, kernel_size=5, p=0.10625),
                MBConv(160, 960, 40, 160, kernel_size=5, p=0.1125),
                MBConv(160, 960, 40, 160, kernel_size=5, p=0.11875),
                MBConv(160, 960, 40, 160, kernel_size=5, p=0.125),
                MBConv(160, 960, 40, 160, kernel_size=5, p=0.13125),
            ),
            nn.Sequential(
                MBConv(160, 960, 40, 272, kernel_size=5, stride=2),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.14375),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.15),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.15625),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.1625),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.16875),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.175),
                MBConv(272, 1632, 68, 272, kernel_size=5, p=0.18125),
            ),
            nn.Sequential(
                MBConv(272, 1632, 68, 448, kernel_size=3),
                MBConv(448, 2688, 112, 448, kernel_size=3, p=0.19375),
            ),
            Conv2dNormActivation(448, 1792, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.4), nn.Linear(1792, num_classes))
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
