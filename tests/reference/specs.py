"""References as specs, at a small size."""

from __future__ import annotations

from typing import Any

import torch
from strategies import Data
from torch import nn

from .catalogue import build
from .resnet import ResNetConfig, Stage, Stem
from .vgg import VGGConfig

INPUT = (3, 20, 14)

STEMS: dict[Stem, list[Data]] = {
    "imagenet": [
        {"conv": {"width": 8, "kernel": 7, "stride": 2}},
        {"max_pool": {"kernel": 3, "stride": 2}},
    ],
    "cifar": [{"conv": {"width": 8, "kernel": 3}}],
    "bare": [
        {"conv": {"width": 8, "kernel": 3, "bias": False, "norm": "none", "activation": "none"}}
    ],
}


def config_of(stages: tuple[Stage, ...], **options: Any) -> ResNetConfig:
    """A small network of the reference's."""
    return ResNetConfig(stages=stages, stem_width=8, input=INPUT, classes=5, **options)


def data_of(config: ResNetConfig | VGGConfig) -> Data:
    """A reference's config as a spec."""
    return _resnet_data(config) if isinstance(config, ResNetConfig) else _vgg_data(config)


def _resnet_data(config: ResNetConfig) -> Data:
    return {
        "name": "resnet",
        "input": list(config.input),
        "classes": config.classes,
        "norm": config.norm,
        "pre_activation": config.pre_activation,
        "stem": STEMS[config.stem],
        "stages": [_stage_data(stage) for stage in config.stages],
        "head": ["global_avg_pool", "linear", "softmax"],
    }


def _stage_data(stage: Stage) -> Data:
    names = ["block", "shortcut", "depth", "width", "stride"]
    if stage.block == "bottleneck":
        names += ["stride_at", "expansion", "groups", "base_width"]
    return {name: getattr(stage, name) for name in names}


def _vgg_data(config: VGGConfig) -> Data:
    """Its convolutions have biases beside norms too."""
    head: list[Any] = [] if config.avgpool is None else [{"adaptive_avg_pool": config.avgpool}]
    for width in config.hidden:
        head += [{"linear": width}, "relu", {"dropout": config.dropout}]
    stages = zip(config.depths, config.widths, strict=True)
    return {
        "name": "vgg",
        "input": list(config.input),
        "classes": config.classes,
        "norm": "batch_norm" if config.batch_norm else "none",
        "defaults": {"block": "conv", "bias": True, "pool": 2},
        "stages": [{"depth": depth, "width": width} for depth, width in stages],
        "head": [*head, "linear", "softmax"],
    }


def randomized(config: ResNetConfig | VGGConfig) -> nn.Module:
    """The reference module of a config; scales, shifts, biases and statistics are random."""
    module = build(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
        for name, buffer in module.named_buffers():
            if not name.endswith("num_batches_tracked"):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return module
