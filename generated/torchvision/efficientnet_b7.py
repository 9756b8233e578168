"""EfficientNet-B7

torchvision's efficientnet_b7 (Tan and Le 2019)

Compiled by archc from torchvision/efficientnet_b7; edit the spec, not this.
Digest of the resolved spec: sha256 4d5cb3f1021455b7
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EfficientNetB7"]


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


class EfficientNetB7(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 64, kernel_size=3, stride=2),
            nn.Sequential(
                MBConv(64, 64, 16, 32, kernel_size=3),
                MBConv(32, 32, 8, 32, kernel_size=3, p=0.0036363636363636364),
                MBConv(32, 32, 8, 32, kernel_size=3, p=0.007272727272727273),
                MBConv(32, 32, 8, 32, kernel_size=3, p=0.01090909090909091),
            ),
            nn.Sequential(
                MBConv(32, 192, 8, 48, kernel_size=3, stride=2),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.01818181818181818),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.02181818181818182),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.025454545454545455),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.02909090909090909),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.03272727272727273),
                MBConv(48, 288, 12, 48, kernel_size=3, p=0.03636363636363636),
            ),
            nn.Sequential(
                MBConv(48, 288, 12, 80, kernel_size=5, stride=2),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.04363636363636364),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.04727272727272727),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.05090909090909091),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.05454545454545454),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.05818181818181818),
                MBConv(80, 480, 20, 80, kernel_size=5, p=0.06181818181818182),
            ),
            nn.Sequential(
                MBConv(80, 480, 20, 160, kernel_size=3, stride=2),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.06909090909090909),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.07272727272727272),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.07636363636363637),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.08),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.08363636363636363),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.08727272727272728),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.09090909090909091),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.09454545454545454),
                MBConv(160, 960, 40, 160, kernel_size=3, p=0.09818181818181818),
            ),
            nn.Sequential(
                MBConv(160, 960, 40, 224, kernel_size=5),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.10545454545454545),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.10909090909090909),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.11272727272727273),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.11636363636363636),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.12),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.12363636363636364),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.12727272727272726),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.13090909090909092),
                MBConv(224, 1344, 56, 224, kernel_size=5, p=0.13454545454545455),
            ),
            nn.Sequential(
                MBConv(224, 1344, 56, 384, kernel_size=5, stride=2),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.14181818181818182),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.14545454545454545),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.14909090909090908),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.15272727272727274),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.15636363636363637),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.16),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.16363636363636364),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.16727272727272727),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.1709090909090909),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.17454545454545456),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.1781818181818182),
                MBConv(384, 2304, 96, 384, kernel_size=5, p=0.18181818181818182),
            ),
            nn.Sequential(
                MBConv(384, 2304, 96, 640, kernel_size=3),
                MBConv(640, 3840, 160, 640, kernel_size=3, p=0.1890909090909091),
                MBConv(640, 3840, 160, 640, kernel_size=3, p=0.19272727272727272),
                MBConv(640, 3840, 160, 640, kernel_size=3, p=0.19636363636363635),
            ),
            Conv2dNormActivation(640, 2560, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(2560, num_classes))
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
