"""Inception v3

torchvision's inception_v3, with its side head (Szegedy et al. 2015)

Compiled by archc from torchvision/inception_v3; edit the spec, not this.
Digest of the resolved spec: sha256 57dfdab2762be4b7
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["InceptionV3"]


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
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        padding: int | tuple[int, int],
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class InceptionA(nn.Module):
    def __init__(
        self, in_channels: int, width: int, width2: int, width3: int, pool: int
    ) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch5x5_1 = BasicConv2d(in_channels, width2, kernel_size=1, padding=0)
        self.branch5x5_2 = BasicConv2d(width2, width, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch3x3dbl_2 = BasicConv2d(width, width3, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(width3, width3, kernel_size=3, padding=1)
        self.avgpool1 = nn.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = BasicConv2d(in_channels, pool, kernel_size=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch1x1(x)
        out2 = self.branch5x5_1(x)
        out2 = self.branch5x5_2(out2)
        out3 = self.branch3x3dbl_1(x)
        out3 = self.branch3x3dbl_2(out3)
        out3 = self.branch3x3dbl_3(out3)
        x = self.avgpool1(x)
        x = self.branch_pool(x)
        return torch.cat([out, out2, out3, x], dim=1)


class InceptionB(nn.Module):
    def __init__(self, in_channels: int, width: int, width2: int, width3: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(
            in_channels, width, kernel_size=3, padding=0, stride=2
        )
        self.branch3x3dbl_1 = BasicConv2d(in_channels, width2, kernel_size=1, padding=0)
        self.branch3x3dbl_2 = BasicConv2d(width2, width3, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(
            width3, width3, kernel_size=3, padding=0, stride=2
        )
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch3x3(x)
        out2 = self.branch3x3dbl_1(x)
        out2 = self.branch3x3dbl_2(out2)
        out2 = self.branch3x3dbl_3(out2)
        x = self.maxpool1(x)
        return torch.cat([out, out2, x], dim=1)


class InceptionC(nn.Module):
    def __init__(self, in_channels: int, width: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch7x7_1 = BasicConv2d(in_channels, inner, kernel_size=1, padding=0)
        self.branch7x7_2 = BasicConv2d(inner, inner, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7_3 = BasicConv2d(inner, width, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = BasicConv2d(in_channels, inner, kernel_size=1, padding=0)
        self.branch7x7dbl_2 = BasicConv2d(
            inner, inner, kernel_size=(7, 1), padding=(3, 0)
        )
        self.branch7x7dbl_3 = BasicConv2d(
            inner, inner, kernel_size=(1, 7), padding=(0, 3)
        )
        self.branch7x7dbl_4 = BasicConv2d(
            inner, inner, kernel_size=(7, 1), padding=(3, 0)
        )
        self.branch7x7dbl_5 = BasicConv2d(
            inner, width, kernel_size=(1, 7), padding=(0, 3)
        )
        self.avgpool1 = nn.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = BasicConv2d(in_channels, width, kernel_size=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch1x1(x)
        out2 = self.branch7x7_1(x)
        out2 = self.branch7x7_2(out2)
        out2 = self.branch7x7_3(out2)
        out3 = self.branch7x7dbl_1(x)
        out3 = self.branch7x7dbl_2(out3)
        out3 = self.branch7x7dbl_3(out3)
        out3 = self.branch7x7dbl_4(out3)
        out3 = self.branch7x7dbl_5(out3)
        x = self.avgpool1(x)
        x = self.branch_pool(x)
        return torch.cat([out, out2, out3, x], dim=1)


class InceptionD(nn.Module):
    def __init__(self, in_channels: int, width: int, width2: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch3x3_2 = BasicConv2d(
            width, width2, kernel_size=3, padding=0, stride=2
        )
        self.branch7x7x3_1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch7x7x3_2 = BasicConv2d(
            width, width, kernel_size=(1, 7), padding=(0, 3)
        )
        self.branch7x7x3_3 = BasicConv2d(
            width, width, kernel_size=(7, 1), padding=(3, 0)
        )
        self.branch7x7x3_4 = BasicConv2d(
            width, width, kernel_size=3, padding=0, stride=2
        )
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch3x3_1(x)
        out = self.branch3x3_2(out)
        out2 = self.branch7x7x3_1(x)
        out2 = self.branch7x7x3_2(out2)
        out2 = self.branch7x7x3_3(out2)
        out2 = self.branch7x7x3_4(out2)
        x = self.maxpool1(x)
        return torch.cat([out, out2, x], dim=1)


class InceptionE(nn.Module):
    def __init__(
        self, in_channels: int, width: int, width2: int, width3: int, width4: int
    ) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, width, kernel_size=1, padding=0)
        self.branch3x3_1 = BasicConv2d(in_channels, width2, kernel_size=1, padding=0)
        self.branch3x3_2a = BasicConv2d(
            width2, width2, kernel_size=(1, 3), padding=(0, 1)
        )
        self.branch3x3_2b = BasicConv2d(
            width2, width2, kernel_size=(3, 1), padding=(1, 0)
        )
        self.branch3x3dbl_1 = BasicConv2d(in_channels, width3, kernel_size=1, padding=0)
        self.branch3x3dbl_2 = BasicConv2d(width3, width2, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(
            width2, width2, kernel_size=(1, 3), padding=(0, 1)
        )
        self.branch3x3dbl_3b = BasicConv2d(
            width2, width2, kernel_size=(3, 1), padding=(1, 0)
        )
        self.avgpool1 = nn.AvgPool2d(kernel_size=3, stride=1, padding=1)
        self.branch_pool = BasicConv2d(in_channels, width4, kernel_size=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch1x1(x)
        out2 = self.branch3x3_1(x)
        out3 = self.branch3x3_2a(out2)
        out2 = self.branch3x3_2b(out2)
        out3 = torch.cat([out3, out2], dim=1)
        out4 = self.branch3x3dbl_1(x)
        out4 = self.branch3x3dbl_2(out4)
        out5 = self.branch3x3dbl_3a(out4)
        out4 = self.branch3x3dbl_3b(out4)
        out5 = torch.cat([out5, out4], dim=1)
        x = self.avgpool1(x)
        x = self.branch_pool(x)
        return torch.cat([out, out3, out5, x], dim=1)


class InceptionV3Output(NamedTuple):
    logits: Tensor
    AuxLogits: Tensor


class InceptionV3(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.transform = Affine((0.458, 0.448, 0.45), (-0.03, -0.088, -0.188))
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel_size=3, padding=0, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3, padding=0)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1, padding=0)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3, padding=0)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = InceptionA(192, 64, 48, 96, 32)
        self.Mixed_5c = InceptionA(256, 64, 48, 96, 64)
        self.Mixed_5d = InceptionA(288, 64, 48, 96, 64)
        self.Mixed_6a = InceptionB(288, 384, 64, 96)
        self.Mixed_6b = InceptionC(768, 192, 128)
        self.Mixed_6c = InceptionC(768, 192, 160)
        self.Mixed_6d = InceptionC(768, 192, 160)
        self.Mixed_6e = InceptionC(768, 192, 192)
        self.AuxLogits = nn.Sequential(
            OrderedDict(
                {
                    "0": nn.AvgPool2d(kernel_size=5, stride=3),
                    "conv0": BasicConv2d(768, 128, kernel_size=1, padding=0),
                    "conv1": BasicConv2d(128, 768, kernel_size=5, padding=0),
                    "1": nn.AdaptiveAvgPool2d(1),
                    "2": nn.Flatten(),
                    "fc": nn.Linear(768, num_classes),
                },
            ),
        )
        self.Mixed_7a = InceptionD(768, 192, 320)
        self.Mixed_7b = InceptionE(1280, 320, 384, 448, 192)
        self.Mixed_7c = InceptionE(2048, 320, 384, 448, 192)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2048, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and not module.weight.is_meta:
                nn.init.trunc_normal_(module.weight, std=0.1)
        for module in (self.AuxLogits.fc,):
            if not module.weight.is_meta:
                nn.init.trunc_normal_(module.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor | InceptionV3Output:
        x = self.Conv2d_1a_3x3(self.transform(x))
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = self.maxpool1(x)
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = self.maxpool2(x)
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        if self.training:
            AuxLogits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = self.avgpool(x)
        x = self.fc(torch.flatten(self.dropout(x), 1))
        if self.training:
            return InceptionV3Output(x, AuxLogits)
        return x

    def predict(self, x: Tensor) -> Tensor:
        logits = self(x).logits if self.training else self(x)
        return torch.softmax(logits, dim=1)
