"""EfficientNet-B2

torchvision's efficientnet_b2 (Tan and Le 2019)

Compiled by archc from torchvision/efficientnet_b2; edit the spec, not this.
Digest of the resolved spec: sha256 5bf8197068773e87
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetB2"]


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


class EfficientNetB2(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 32, kernel_size=3, stride=2),
            nn.Sequential(
                MBConv(32, 32, 8, 16, kernel_size=3),
                MBConv(16, 16, 4, 16, kernel_size=3, p=0.008695652173913044),
            ),
            nn.Sequential(
                MBConv(16, 96, 4, 24, kernel_size=3, stride=2),
                MBConv(24, 144, 6, 24, kernel_size=3, p=0.02608695652173913),
                MBConv(24, 144, 6, 24, kernel_size=3, p=0.034782608695652174),
            ),
            nn.Sequential(
                MBConv(24, 144, 6, 48, kernel_size=5, stride=2),
                MBConv(48, 288, 12, 48, kernel_size=5, p=0.05217391304347826),
                MBConv(48, 288, 12, 48, kernel_size=5, p=0.06086956521739131),
            ),
            nn.Sequential(
                MBConv(48, 288, 12, 88, kernel_size=3, stride=2),
                MBConv(88, 528, 22, 88, kernel_size=3, p=0.0782608695652174),
                MBConv(88, 528, 22, 88, kernel_size=3, p=0.08695652173913043),
                MBConv(88, 528, 22, 88, kernel_size=3, p=0.09565217391304348),
            ),
            nn.Sequential(
                MBConv(88, 528, 22, 120, kernel_size=5),
                MBConv(120, 720, 30, 120, kernel_size=5, p=0.11304347826086956),
                MBConv(120, 720, 30, 120, kernel_size=5, p=0.12173913043478261),
                MBConv(120, 720, 30, 120, kernel_size=5, p=0.13043478260869565),
            ),
            nn.Sequential(
                MBConv(120, 720, 30, 208, kernel_size=5, stride=2),
                MBConv(208, 1248, 52, 208, kernel_size=5, p=0.14782608695652175),
                MBConv(208, 1248, 52, 208, kernel_size=5, p=0.1565217391304348),
                MBConv(208, 1248, 52, 208, kernel_size=5, p=0.16521739130434782),
                MBConv(208, 1248, 52, 208, kernel_size=5, p=0.17391304347826086),
            ),
            nn.Sequential(
                MBConv(208, 1248, 52, 352, kernel_size=3),
                MBConv(352, 2112, 88, 352, kernel_size=3, p=0.19130434782608696),
            ),
            Conv2dNormActivation(352, 1408, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(1408, num_classes))
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
