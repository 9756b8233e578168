"""PoolingVisionTransformer

Compiled by archc from PoolingVisionTransformer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PoolingVisionTransformer"]


class ConvEmbedding(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=16, stride=8)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Attention(nn.Module):
    def __init__(self, width: int, width2: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, width2)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.qkv(x).reshape(-1, 730, 3, 2, 32).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(x[0], x[1], x[2]).transpose(1, 2)
        return self.proj_drop(self.proj(x.reshape(-1, 730, 64)))


class Attention2(nn.Module):
    def __init__(self, width: int, width2: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, width2)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.qkv(x).reshape(-1, 197, 3, 4, 32).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(x[0], x[1], x[2]).transpose(1, 2)
        return self.proj_drop(self.proj(x.reshape(-1, 197, 128)))


class Attention3(nn.Module):
    def __init__(self, width: int, width2: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, width2)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.qkv(x).reshape(-1, 50, 3, 8, 32).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(x[0], x[1], x[2]).transpose(1, 2)
        return self.proj_drop(self.proj(x.reshape(-1, 50, 256)))


class Mlp(nn.Module):
    def __init__(self, width: int, width2: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width2)
        self.drop1 = nn.Dropout(0.0)
        self.fc2 = nn.Linear(width2, width)
        self.drop2 = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.fc1(x))
        return self.drop2(self.fc2(self.drop1(x)))


class Block(nn.Module):
    def __init__(self, width: int, width2: int, width3: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-06)
        self.attn = Attention(width, width2)
        self.norm2 = nn.LayerNorm(width, eps=1e-06)
        self.mlp = Mlp(width, width3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Block2(nn.Module):
    def __init__(self, width: int, width2: int, width3: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-06)
        self.attn = Attention2(width, width2)
        self.norm2 = nn.LayerNorm(width, eps=1e-06)
        self.mlp = Mlp(width, width3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Block3(nn.Module):
    def __init__(self, width: int, width2: int, width3: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-06)
        self.attn = Attention3(width, width2)
        self.norm2 = nn.LayerNorm(width, eps=1e-06)
        self.mlp = Mlp(width, width3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(
        self, in_channels: int, width: int, width2: int, width3: int, width4: int
    ) -> None:
        super().__init__()
        self.pool = nn.ModuleDict(
            {
                "conv": nn.Conv2d(
                    in_channels,
                    width,
                    kernel_size=3,
                    stride=2,
                    padding=1,
                    groups=in_channels,
                ),
                "fc": nn.Linear(width2, width),
            },
        )
        self.blocks = nn.Sequential(*(Block3(width, width3, width4) for _ in range(4)))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out = self.pool["fc"](y)
        x = self.pool["conv"](x).flatten(2).transpose(1, 2)
        out = self.blocks(torch.cat([out, x], dim=1))
        return out[:, :1]


class SequentialTuple(nn.Module):
    def __init__(
        self,
        width: int,
        width2: int,
        width3: int,
        width4: int,
        width5: int,
        width6: int,
        width7: int,
        width8: int,
    ) -> None:
        super().__init__()
        self.add_module(
            "0",
            nn.ModuleDict(
                {
                    "blocks": nn.Sequential(
                        Block(width, width2, width3),
                        Block(width, width2, width3),
                    ),
                },
            ),
        )
        self.add_module(
            "1",
            nn.ModuleDict(
                {
                    "pool": nn.ModuleDict(
                        {
                            "conv": nn.Conv2d(
                                width,
                                width4,
                                kernel_size=3,
                                stride=2,
                                padding=1,
                                groups=width,
                            ),
                            "fc": nn.Linear(width, width4),
                        },
                    ),
                    "blocks": nn.Sequential(
                        *(Block2(width4, width5, width6) for _ in range(6)),
                    ),
                },
            ),
        )
        self.add_module("2", Transformer(width4, width3, width4, width7, width8))

    def forward(self, x: Tensor, cls_token: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = getattr(self, "0")["blocks"](x)
        out = x[:, 1:].transpose(1, 2).reshape(-1, 64, 27, 27)
        x = getattr(self, "1")["pool"]["fc"](x[:, :1])
        out = getattr(self, "1")["pool"]["conv"](out).flatten(2).transpose(1, 2)
        x = getattr(self, "1")["blocks"](torch.cat([x, out], dim=1))
        out2 = x[:, :1]
        x = x[:, 1:].transpose(1, 2).reshape(-1, 128, 14, 14)
        return getattr(self, "2")(x, out2)


class PoolingVisionTransformer(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 64, 27, 27))
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, 64))
        self.patch_embed = ConvEmbedding(3, 64)
        self.pos_drop = nn.Dropout(0.0)
        self.transformers = SequentialTuple(64, 192, 256, 128, 384, 512, 768, 1024)
        self.norm = nn.LayerNorm(256, eps=1e-06)
        self.head_drop = nn.Dropout(0.0)
        self.head = nn.Linear(256, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = self.transformers(self.pos_drop(x + self.pos_embed), self.cls_token)
        return self.head(self.head_drop(self.norm(x)[:, 0]))
