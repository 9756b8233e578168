"""Res2Net-50 26w 4s

timm's res2net50_26w_4s (Gao et al. 2019)

Compiled by archc from timm/res2net50_26w_4s; edit the spec, not this.
Digest of the resolved spec: sha256 3aa50a55b9213c1d
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Res2net50_26w_4s"]


class Bottle2neck(nn.Module):
    def __init__(
        self,
        in_channels: int,
        width: int,
        part: int,
        out_channels: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.changes_shape = stride != 1 or in_channels != out_channels
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.convs = nn.ModuleList(
            nn.Conv2d(part, part, kernel_size=3, stride=stride, padding=1, bias=False)
            for _ in range(3)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(part) for _ in range(3))
        if self.changes_shape:
            self.avgpool1 = nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        if self.changes_shape:
            self.downsample = nn.Sequential(
                nn.Conv2d(
                    in_channels, out_channels, kernel_size=1, stride=stride, bias=False
                ),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out2 = F.relu(self.bns[0](self.convs[0](torch.chunk(out, 4, dim=1)[0])))
        if self.changes_shape:
            out3 = F.relu(self.bns[1](self.convs[1](torch.chunk(out, 4, dim=1)[1])))
            out4 = F.relu(self.bns[2](self.convs[2](torch.chunk(out, 4, dim=1)[2])))
            out = self.avgpool1(torch.chunk(out, 4, dim=1)[3])
            out2 = self.bn3(self.conv3(torch.cat([out2, out3, out4, out], dim=1)))
            x = self.downsample(x)
            return F.relu(out2 + x, inplace=True)
        out3 = F.relu(self.bns[1](self.convs[1](torch.chunk(out, 4, dim=1)[1] + out2)))
        out4 = F.relu(self.bns[2](self.convs[2](torch.chunk(out, 4, dim=1)[2] + out3)))
        out2 = torch.cat([out2, out3, out4, torch.chunk(out, 4, dim=1)[3]], dim=1)
        out2 = self.bn3(self.conv3(out2))
        out2 += x
        return F.relu(out2, inplace=True)


class Res2net50_26w_4s(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = nn.Sequential(
            Bottle2neck(64, 104, 26, 256),
            Bottle2neck(256, 104, 26, 256),
            Bottle2neck(256, 104, 26, 256),
        )
        self.layer2 = nn.Sequential(
            Bottle2neck(256, 208, 52, 512, stride=2),
            *(Bottle2neck(512, 208, 52, 512) for _ in range(3)),
        )
        self.layer3 = nn.Sequential(
            Bottle2neck(512, 416, 104, 1024, stride=2),
            *(Bottle2neck(1024, 416, 104, 1024) for _ in range(5)),
        )
        self.layer4 = nn.Sequential(
            Bottle2neck(1024, 832, 208, 2048, stride=2),
            Bottle2neck(2048, 832, 208, 2048),
            Bottle2neck(2048, 832, 208, 2048),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.maxpool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x)
        return self.fc(torch.flatten(x, 1))

    def predict(self, x: Tensor) -> Tensor:
        return torch.softmax(self(x), dim=1)
