"""SqueezeNet 1.1

torchvision's squeezenet1_1, which pools earlier (Iandola et al. 2016)

Compiled by archc from torchvision/squeezenet1_1; edit the spec, not this.
Digest of the resolved spec: sha256 7d70f25c8e4c5878
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SqueezeNet1_1"]


class Fire(nn.Module):
    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x), inplace=True)
        out = F.relu(self.expand1x1(x), inplace=True)
        x = F.relu(self.expand3x3(x), inplace=True)
        return torch.cat([out, x], dim=1)


class SqueezeNet1_1(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(512, num_classes, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for module in (self.classifier[1],):
            if not module.weight.is_meta:
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.classifier(x)
        return torch.flatten(x, 1)

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
