"""ConvNeXt-B

torchvision's convnext_base (Liu et al. 2022)

Compiled by archc from torchvision/convnext_base; edit the spec, not this.
Digest of the resolved spec: sha256 89104da042c80c4c
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvNeXtBase"]


class LayerNorm2d(nn.LayerNorm):
    """Normalises each place of a map, or each vector, over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return super().forward(x)
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ChannelLinear(nn.Linear):
    """A linear layer over the channels of each place of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GELU(nn.GELU):
    """Takes a map in channels_last as what it is in memory: channels last."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return super().forward(x)


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
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=4),
            LayerNorm2d(out_channels, eps=1e-06),
        )


class CNBlock(nn.Module):
    def __init__(self, channels: int, width: int, p: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels),
            nn.Identity(),
            LayerNorm2d(channels, eps=1e-06),
            ChannelLinear(channels, width),
            GELU(),
            ChannelLinear(width, channels),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-06))
        self.stochastic_depth = StochasticDepth(p)

    def forward(self, x: Tensor) -> Tensor:
        out = self.block(x)
        return self.stochastic_depth(self.layer_scale * out) + x


class Downsample(nn.Sequential):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            LayerNorm2d(in_channels, eps=1e-06),
            nn.Conv2d(in_channels, out_channels, kernel_size=2, stride=2),
        )


class ConvNeXtBase(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 128),
            nn.Sequential(
                CNBlock(128, 512, p=0.0),
                CNBlock(128, 512, p=0.014285714285714285),
                CNBlock(128, 512, p=0.02857142857142857),
            ),
            Downsample(128, 256),
            nn.Sequential(
                CNBlock(256, 1024, p=0.04285714285714286),
                CNBlock(256, 1024, p=0.05714285714285714),
                CNBlock(256, 1024, p=0.07142857142857142),
            ),
            Downsample(256, 512),
            nn.Sequential(
                CNBlock(512, 2048, p=0.08571428571428572),
                CNBlock(512, 2048, p=0.1),
                CNBlock(512, 2048, p=0.11428571428571428),
                CNBlock(512, 2048, p=0.12857142857142856),
                CNBlock(512, 2048, p=0.14285714285714285),
                CNBlock(512, 2048, p=0.15714285714285714),
                CNBlock(512, 2048, p=0.17142857142857143),
                CNBlock(512, 2048, p=0.18571428571428572),
                CNBlock(512, 2048, p=0.2),
                CNBlock(512, 2048, p=0.21428571428571427),
                CNBlock(512, 2048, p=0.22857142857142856),
                CNBlock(512, 2048, p=0.24285714285714285),
                CNBlock(512, 2048, p=0.2571428571428571),
                CNBlock(512, 2048, p=0.2714285714285714),
                CNBlock(512, 2048, p=0.2857142857142857),
                CNBlock(512, 2048, p=0.3),
                CNBlock(512, 2048, p=0.3142857142857143),
                CNBlock(512, 2048, p=0.32857142857142857),
                CNBlock(512, 2048, p=0.34285714285714286),
                CNBlock(512, 2048, p=0.35714285714285715),
                CNBlock(512, 2048, p=0.37142857142857144),
                CNBlock(512, 2048, p=0.38571428571428573),
                CNBlock(512, 2048, p=0.4),
                CNBlock(512, 2048, p=0.4142857142857143),
                CNBlock(512, 2048, p=0.42857142857142855),
                CNBlock(512, 2048, p=0.44285714285714284),
                CNBlock(512, 2048, p=0.45714285714285713),
            ),
            Downsample(512, 1024),
            nn.Sequential(
                CNBlock(1024, 4096, p=0.4714285714285714),
                CNBlock(1024, 4096, p=0.4857142857142857),
                CNBlock(1024, 4096, p=0.5),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(1024, eps=1e-06),
            nn.Flatten(),
            nn.Linear(1024, num_classes),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        return self.classifier(x)

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
