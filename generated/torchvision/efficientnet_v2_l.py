"""EfficientNetV2-L

torchvision's efficientnet_v2_l (Tan and Le 2021)

Compiled by archc from torchvision/efficientnet_v2_l; edit the spec, not this.
Digest of the resolved spec: sha256 28e0e18abe720083
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetV2L"]


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


class EfficientNetV2L(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 32, kernel_size=3, stride=2),
            nn.Sequential(
                FusedMBConv(32, 32),
                FusedMBConv(32, 32, p=0.002531645569620253),
                FusedMBConv(32, 32, p=0.005063291139240506),
                FusedMBConv(32, 32, p=0.007594936708860759),
            ),
            nn.Sequential(
                FusedMBConv(32, 64, width=128, stride=2),
                FusedMBConv(64, 64, width=256, p=0.012658227848101266),
                FusedMBConv(64, 64, width=256, p=0.015189873417721518),
                FusedMBConv(64, 64, width=256, p=0.017721518987341773),
                FusedMBConv(64, 64, width=256, p=0.020253164556962026),
                FusedMBConv(64, 64, width=256, p=0.02278481012658228),
                FusedMBConv(64, 64, width=256, p=0.02531645569620253),
            ),
            nn.Sequential(
                FusedMBConv(64, 96, width=256, stride=2),
                FusedMBConv(96, 96, width=384, p=0.030379746835443037),
                FusedMBConv(96, 96, width=384, p=0.03291139240506329),
                FusedMBConv(96, 96, width=384, p=0.035443037974683546),
                FusedMBConv(96, 96, width=384, p=0.0379746835443038),
                FusedMBConv(96, 96, width=384, p=0.04050632911392405),
                FusedMBConv(96, 96, width=384, p=0.043037974683544304),
            ),
            nn.Sequential(
                MBConv(96, 384, 24, 192, stride=2),
                MBConv(192, 768, 48, 192, p=0.04810126582278481),
                MBConv(192, 768, 48, 192, p=0.05063291139240506),
                MBConv(192, 768, 48, 192, p=0.053164556962025315),
                MBConv(192, 768, 48, 192, p=0.05569620253164557),
                MBConv(192, 768, 48, 192, p=0.05822784810126582),
                MBConv(192, 768, 48, 192, p=0.060759493670886074),
                MBConv(192, 768, 48, 192, p=0.06329113924050633),
                MBConv(192, 768, 48, 192, p=0.06582278481012659),
                MBConv(192, 768, 48, 192, p=0.06835443037974684),
            ),
            nn.Sequential(
                MBConv(192, 1152, 48, 224),
                MBConv(224, 1344, 56, 224, p=0.07341772151898734),
                MBConv(224, 1344, 56, 224, p=0.0759493670886076),
                MBConv(224, 1344, 56, 224, p=0.07848101265822785),
                MBConv(224, 1344, 56, 224, p=0.0810126582278481),
                MBConv(224, 1344, 56, 224, p=0.08354430379746836),
                MBConv(224, 1344, 56, 224, p=0.08607594936708861),
                MBConv(224, 1344, 56, 224, p=0.08860759493670886),
                MBConv(224, 1344, 56, 224, p=0.09113924050632911),
                MBConv(224, 1344, 56, 224, p=0.09367088607594937),
                MBConv(224, 1344, 56, 224, p=0.09620253164556962),
                MBConv(224, 1344, 56, 224, p=0.09873417721518987),
                MBConv(224, 1344, 56, 224, p=0.10126582278481013),
                MBConv(224, 1344, 56, 224, p=0.10379746835443038),
                MBConv(224, 1344, 56, 224, p=0.10632911392405063),
                MBConv(224, 1344, 56, 224, p=0.10886075949367088),
                MBConv(224, 1344, 56, 224, p=0.11139240506329114),
                MBConv(224, 1344, 56, 224, p=0.11392405063291139),
                MBConv(224, 1344, 56, 224, p=0.11645569620253164),
            ),
            nn.Sequential(
                MBConv(224, 1344, 56, 384, stride=2),
                MBConv(384, 2304, 96, 384, p=0.12151898734177215),
                MBConv(384, 2304, 96, 384, p=0.1240506329113924),
                MBConv(384, 2304, 96, 384, p=0.12658227848101267),
                MBConv(384, 2304, 96, 384, p=0.1291139240506329),
                MBConv(384, 2304, 96, 384, p=0.13164556962025317),
                MBConv(384, 2304, 96, 384, p=0.1341772151898734),
                MBConv(384, 2304, 96, 384, p=0.13670886075949368),
                MBConv(384, 2304, 96, 384, p=0.13924050632911392),
                MBConv(384, 2304, 96, 384, p=0.14177215189873418),
                MBConv(384, 2304, 96, 384, p=0.14430379746835442),
                MBConv(384, 2304, 96, 384, p=0.1468354430379747),
                MBConv(384, 2304, 96, 384, p=0.14936708860759493),
                MBConv(384, 2304, 96, 384, p=0.1518987341772152),
                MBConv(384, 2304, 96, 384, p=0.15443037974683543),
                MBConv(384, 2304, 96, 384, p=0.1569620253164557),
                MBConv(384, 2304, 96, 384, p=0.15949367088607594),
                MBConv(384, 2304, 96, 384, p=0.1620253164556962),
                MBConv(384, 2304, 96, 384, p=0.16455696202531644),
                MBConv(384, 2304, 96, 384, p=0.1670886075949367),
                MBConv(384, 2304, 96, 384, p=0.16962025316455695),
                MBConv(384, 2304, 96, 384, p=0.17215189873417722),
                MBConv(384, 2304, 96, 384, p=0.17468354430379746),
                MBConv(384, 2304, 96, 384, p=0.17721518987341772),
                MBConv(384, 2304, 96, 384, p=0.17974683544303796),
            ),
            nn.Sequential(
                MBConv(384, 2304, 96, 640),
                MBConv(640, 3840, 160, 640, p=0.1848101265822785),
                MBConv(640, 3840, 160, 640, p=0.18734177215189873),
                MBConv(640, 3840, 160, 640, p=0.189873417721519),
                MBConv(640, 3840, 160, 640, p=0.19240506329113924),
                MBConv(640, 3840, 160, 640, p=0.1949367088607595),
                MBConv(640, 3840, 160, 640, p=0.19746835443037974),
            ),
            Conv2dNormActivation(640, 1280, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.4), nn.Linear(1280, num_classes))
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
