"""EfficientNetV2-S

torchvision's efficientnet_v2_s (Tan and Le 2021, Table 4)

Compiled by archc from torchvision/efficientnet_v2_s; edit the spec, not this.
Digest of the resolved spec: sha256 df554bd7e7b9ac5a
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetV2S"]


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
            nn.BatchNorm2d(out_channels, eps=0.001),
        ]
        if activation:
            layers.append(nn.SiLU())
        super().__init__(*layers)


class FusedMBConv(nn.Module):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 0,
        p: float = 0.0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        block: list[nn.Module] = []
        if width:
            block += [
                Conv2dNormActivation(in_channels, width, kernel_size=3, stride=stride),
                Conv2dNormActivation(
                    width, out_channels, kernel_size=1, activation=False
                ),
            ]
        else:
            block.append(Conv2dNormActivation(in_channels, in_channels, kernel_size=3))
        self.block = nn.Sequential(*block)
        self.stochastic_depth1 = StochasticDepth(p)

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            out = self.block(x)
            return self.stochastic_depth1(out) + x
        return self.block(x)


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
        stride: int = 1,
        p: float = 0.0,
    ) -> None:
        super().__init__()
        self.keeps_shape = stride == 1 and in_channels == out_channels
        self.block = nn.Sequential(
            Conv2dNormActivation(in_channels, hidden, kernel_size=1),
            Conv2dNormActivation(
                hidden, hidden, kernel_size=3, stride=stride, groups=hidden
            ),
            SqueezeExcitation(hidden, squeeze_width),
            Conv2dNormActivation(hidden, out_channels, kernel_size=1, activation=False),
        )
        self.stochastic_depth1 = StochasticDepth(p)

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_shape:
            out = self.block(x)
            return self.stochastic_depth1(out) + x
        return self.block(x)


class EfficientNetV2S(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 24, kernel_size=3, stride=2),
            nn.Sequential(FusedMBConv(24, 24), FusedMBConv(24, 24, p=0.005)),
            nn.Sequential(
                FusedMBConv(24, 48, width=96, stride=2),
                FusedMBConv(48, 48, width=192, p=0.015),
                FusedMBConv(48, 48, width=192, p=0.02),
                FusedMBConv(48, 48, width=192, p=0.025),
            ),
            nn.Sequential(
                FusedMBConv(48, 64, width=192, stride=2),
                FusedMBConv(64, 64, width=256, p=0.035),
                FusedMBConv(64, 64, width=256, p=0.04),
                FusedMBConv(64, 64, width=256, p=0.045),
            ),
            nn.Sequential(
                MBConv(64, 256, 16, 128, stride=2),
                MBConv(128, 512, 32, 128, p=0.055),
                MBConv(128, 512, 32, 128, p=0.06),
                MBConv(128, 512, 32, 128, p=0.065),
                MBConv(128, 512, 32, 128, p=0.07),
                MBConv(128, 512, 32, 128, p=0.075),
            ),
            nn.Sequential(
                MBConv(128, 768, 32, 160),
                MBConv(160, 960, 40, 160, p=0.085),
                MBConv(160, 960, 40, 160, p=0.09),
                MBConv(160, 960, 40, 160, p=0.095),
                MBConv(160, 960, 40, 160, p=0.1),
                MBConv(160, 960, 40, 160, p=0.105),
                MBConv(160, 960, 40, 160, p=0.11),
                MBConv(160, 960, 40, 160, p=0.115),
                MBConv(160, 960, 40, 160, p=0.12),
            ),
            nn.Sequential(
                MBConv(160, 960, 40, 256, stride=2),
                MBConv(256, 1536, 64, 256, p=0.13),
                MBConv(256, 1536, 64, 256, p=0.135),
                MBConv(256, 1536, 64, 256, p=0.14),
                MBConv(256, 1536, 64, 256, p=0.145),
                MBConv(256, 1536, 64, 256, p=0.15),
                MBConv(256, 1536, 64, 256, p=0.155),
                MBConv(256, 1536, 64, 256, p=0.16),
                MBConv(256, 1536, 64, 256, p=0.165),
                MBConv(256, 1536, 64, 256, p=0.17),
                MBConv(256, 1536, 64, 256, p=0.175),
                MBConv(256, 1536, 64, 256, p=0.18),
                MBConv(256, 1536, 64, 256, p=0.185),
                MBConv(256, 1536, 64, 256, p=0.19),
                MBConv(256, 1536, 64, 256, p=0.195),
            ),
            Conv2dNormActivation(256, 1280, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))
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
