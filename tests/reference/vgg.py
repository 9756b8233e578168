"""VGG written plainly from Simonyan & Zisserman 2014 (arXiv:1409.1556), Table 1.

The keys of the state dict are torchvision's: `features.N` and `classifier.N` count every module.
Convolutions have a bias in the batch norm versions too, as torchvision's have.
"""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class VGGConfig:
    """Stages of 3x3 convolutions, a 2x2/2 max pooling after each, fully connected layers.

    `depths` and `widths` have one entry per stage, `input` is (channels, height, width), `avgpool`
    the size of the adaptive average pooling before the classifier (None: there is none), `hidden`
    the widths of the fully connected layers before the last.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = False
    avgpool: int | None = 7
    hidden: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000


class VGG(nn.Module):
    """The network of a config; `forward` returns logits."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__()
        channels, height, width = config.input

        features: list[nn.Module] = []
        for depth, out_channels in zip(config.depths, config.widths, strict=True):
            for _ in range(depth):
                features.append(nn.Conv2d(channels, out_channels, kernel_size=3, padding=1))
                if config.batch_norm:
                    features.append(nn.BatchNorm2d(out_channels))
                features.append(nn.ReLU())
                channels = out_channels
            features.append(nn.MaxPool2d(kernel_size=2, stride=2))
            height, width = height // 2, width // 2
        self.features = nn.Sequential(*features)

        self.avgpool: nn.Module = nn.Identity()
        if config.avgpool is not None:
            self.avgpool = nn.AdaptiveAvgPool2d(config.avgpool)
            height, width = config.avgpool, config.avgpool

        classifier: list[nn.Module] = []
        values = channels * height * width
        for hidden in config.hidden:
            classifier += [nn.Linear(values, hidden), nn.ReLU(), nn.Dropout(config.dropout)]
            values = hidden
        classifier.append(nn.Linear(values, config.classes))
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, classes)."""
        x = self.features(x)
        x = self.avgpool(x).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits


DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

NETWORKS: dict[str, VGGConfig] = {
    f"vgg{layers}{'-bn' if batch_norm else ''}": VGGConfig(depths=depths, batch_norm=batch_norm)
    for layers, depths in DEPTHS.items()
    for batch_norm in (False, True)
}
"""The VGGs of tests/data/networks.json, under the names used there."""
