"""EfficientNetV2-M

torchvision's efficientnet_v2_m (Tan and Le 2021)

Compiled by archc from torchvision/efficientnet_v2_m; edit the spec, not this.
Digest of the resolved spec: sha256 9e7201528bccf0ea
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetV2M"]


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


class EfficientNetV2M(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 24, kernel_size=3, stride=2),
            nn.Sequential(
                FusedMBConv(24, 24),
                FusedMBConv(24, 24, p=0.0035087719298245615),
                FusedMBConv(24, 24, p=0.007017543859649123),
            ),
            nn.Sequential(
                FusedMBConv(24, 48, width=96, stride=2),
                FusedMBConv(48, 48, width=192, p=0.014035087719298246),
                FusedMBConv(48, 48, width=192, p=0.017543859649122806),
                FusedMBConv(48, 48, width=192, p=0.021052631578947368),
                FusedMBConv(48, 48, width=192, p=0.02456140350877193),
            ),
            nn.Sequential(
                FusedMBConv(48, 80, width=192, stride=2),
                FusedMBConv(80, 80, width=320, p=0.031578947368421054),
                FusedMBConv(80, 80, width=320, p=0.03508771929824561),
                FusedMBConv(80, 80, width=320, p=0.03859649122807018),
                FusedMBConv(80, 80, width=320, p=0.042105263157894736),
            ),
            nn.Sequential(
                MBConv(80, 320, 20, 160, stride=2),
                MBConv(160, 640, 40, 160, p=0.04912280701754386),
                MBConv(160, 640, 40, 160, p=0.05263157894736842),
                MBConv(160, 640, 40, 160, p=0.056140350877192984),
                MBConv(160, 640, 40, 160, p=0.05964912280701754),
                MBConv(160, 640, 40, 160, p=0.06315789473684211),
                MBConv(160, 640, 40, 160, p=0.06666666666666667),
            ),
            nn.Sequential(
                MBConv(160, 960, 40, 176),
                MBConv(176, 1056, 44, 176, p=0.07368421052631578),
                MBConv(176, 1056, 44, 176, p=0.07719298245614035),
                MBConv(176, 1056, 44, 176, p=0.08070175438596491),
                MBConv(176, 1056, 44, 176, p=0.08421052631578947),
                MBConv(176, 1056, 44, 176, p=0.08771929824561403),
                MBConv(176, 1056, 44, 176, p=0.0912280701754386),
                MBConv(176, 1056, 44, 176, p=0.09473684210526316),
                MBConv(176, 1056, 44, 176, p=0.09824561403508772),
                MBConv(176, 1056, 44, 176, p=0.10175438596491228),
                MBConv(176, 1056, 44, 176, p=0.10526315789473684),
                MBConv(176, 1056, 44, 176, p=0.10877192982456141),
                MBConv(176, 1056, 44, 176, p=0.11228070175438597),
                MBConv(176, 1056, 44, 176, p=0.11578947368421053),
            ),
            nn.Sequential(
                MBConv(176, 1056, 44, 304, stride=2),
                MBConv(304, 1824, 76, 304, p=0.12280701754385964),
                MBConv(304, 1824, 76, 304, p=0.12631578947368421),
                MBConv(304, 1824, 76, 304, p=0.12982456140350876),
                MBConv(304, 1824, 76, 304, p=0.13333333333333333),
                MBConv(304, 1824, 76, 304, p=0.1368421052631579),
                MBConv(304, 1824, 76, 304, p=0.14035087719298245),
                MBConv(304, 1824, 76, 304, p=0.14385964912280702),
                MBConv(304, 1824, 76, 304, p=0.14736842105263157),
                MBConv(304, 1824, 76, 304, p=0.15087719298245614),
                MBConv(304, 1824, 76, 304, p=0.1543859649122807),
                MBConv(304, 1824, 76, 304, p=0.15789473684210525),
                MBConv(304, 1824, 76, 304, p=0.16140350877192983),
                MBConv(304, 1824, 76, 304, p=0.1649122807017544),
                MBConv(304, 1824, 76, 304, p=0.16842105263157894),
                MBConv(304, 1824, 76, 304, p=0.17192982456140352),
                MBConv(304, 1824, 76, 304, p=0.17543859649122806),
                MBConv(304, 1824, 76, 304, p=0.17894736842105263),
            ),
            nn.Sequential(
                MBConv(304, 1824, 76, 512),
                MBConv(512, 3072, 128, 512, p=0.18596491228070175),
                MBConv(512, 3072, 128, 512, p=0.18947368421052632),
                MBConv(512, 3072, 128, 512, p=0.19298245614035087),
                MBConv(512, 3072, 128, 512, p=0.19649122807017544),
            ),
            Conv2dNormActivation(512, 1280, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(1280, num_classes))
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
