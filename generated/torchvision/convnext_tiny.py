"""ConvNeXt-T

torchvision's convnext_tiny (Liu et al. 2022)

Compiled by archc from torchvision/convnext_tiny; edit the spec, not this.
Digest of the resolved spec: sha256 9ae5dbef7d817837
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvNeXtTiny"]


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


class ConvNeXtTiny(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv2dNormActivation(3, 96),
            nn.Sequential(
                CNBlock(96, 384, p=0.0),
                CNBlock(96, 384, p=0.0058823529411764705),
                CNBlock(96, 384, p=0.011764705882352941),
            ),
            Downsample(96, 192),
            nn.Sequential(
                CNBlock(192, 768, p=0.01764705882352941),
                CNBlock(192, 768, p=0.023529411764705882),
                CNBlock(192, 768, p=0.029411764705882353),
            ),
            Downsample(192, 384),
            nn.Sequential(
                CNBlock(384, 1536, p=0.03529411764705882),
                CNBlock(384, 1536, p=0.041176470588235294),
                CNBlock(384, 1536, p=0.047058823529411764),
                CNBlock(384, 1536, p=0.052941176470588235),
                CNBlock(384, 1536, p=0.058823529411764705),
                CNBlock(384, 1536, p=0.06470588235294118),
                CNBlock(384, 1536, p=0.07058823529411765),
                CNBlock(384, 1536, p=0.07647058823529412),
                CNBlock(384, 1536, p=0.08235294117647059),
            ),
            Downsample(384, 768),
            nn.Sequential(
                CNBlock(768, 3072, p=0.08823529411764706),
                CNBlock(768, 3072, p=0.09411764705882353),
                CNBlock(768, 3072, p=0.1),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(768, eps=1e-06),
            nn.Flatten(),
            nn.Linear(768, num_classes),
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
