"""GoogLeNet

torchvision's googlenet, with batch norm and its side heads (Szegedy et al. 2014)

Compiled by archc from torchvision/googlenet; edit the spec, not this.
Digest of the resolved spec: sha256 d1780bcab7a146fc
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["GoogLeNet"]


class Affine(nn.Module):
    """Scales and shifts each channel by constants, which no state dict holds."""

    def __init__(self, scale: tuple[float, ...], shift: tuple[float, ...]) -> None:
        super().__init__()
        self.constants = list(zip(scale, shift))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(x.split(1, dim=1), self.constants)
        return torch.cat([x * scale + shift for x, (scale, shift) in pairs], dim=1)


class BasicConv2d(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    def __init__(
        self,
        in_channels: int,
        one: int,
        three_in: int,
        three: int,
        five_in: int,
        five: int,
        pool: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, one, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, three_in, kernel_size=1),
            BasicConv2d(three_in, three, kernel_size=3),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, five_in, kernel_size=1),
            BasicConv2d(five_in, five, kernel_size=3),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch1(x)
        out2 = self.branch2(x)
        out3 = self.branch3(x)
        x = self.branch4(x)
        return torch.cat([out, out2, out3, x], dim=1)


class InceptionAux(nn.Module):
    def __init__(
        self, in_channels: int, width: int, width2: int, width3: int, out_channels: int
    ) -> None:
        super().__init__()
        self.avgpool1 = nn.AdaptiveAvgPool2d(4)
        self.conv = BasicConv2d(in_channels, width, kernel_size=1)
        self.fc1 = nn.Linear(width2, width3)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(width3, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool1(x)
        x = self.conv(x)
        x = F.relu(self.fc1(torch.flatten(x, 1)), inplace=True)
        return self.fc2(self.dropout(x))


class GoogLeNetOutput(NamedTuple):
    logits: Tensor
    aux1: Tensor
    aux2: Tensor


class GoogLeNet(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.transform = Affine((0.458, 0.448, 0.45), (-0.03, -0.088, -0.188))
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(kernel_size=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, 128, 2048, 1024, num_classes)
        self.aux2 = InceptionAux(528, 128, 2048, 1024, num_classes)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:
                nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutput:
        x = self.conv1(self.transform(x))
        x = self.maxpool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.maxpool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.maxpool3(x)
        x = self.inception4a(x)
        if self.training:
            aux1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if self.training:
            aux2 = self.aux2(x)
        x = self.inception4e(x)
        x = self.maxpool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.avgpool(x)
        x = self.fc(self.dropout(torch.flatten(x, 1)))
        if self.training:
            return GoogLeNetOutput(x, aux1, aux2)
        return x

    def predict(self, x: Tensor) -> Tensor:
        logits = self(x).logits if self.training else self(x)
        return torch.softmax(logits, dim=1)
