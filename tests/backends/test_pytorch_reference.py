"""Emitted modules against networks written plainly from the papers: bit for bit.

Both get the same weights and the same images; outputs, gradients and running statistics must be
equal, not close, while training and in evaluation.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.resnet import (
    BlockKind,
    Norm,
    ResNetConfig,
    Shortcut,
    Stage,
    Stem,
    StrideAt,
    doubling,
)
from reference.specs import INPUT, config_of, data_of, randomized
from reference.vgg import VGGConfig
from strategies import compile_data
from torch import Tensor, nn

from archc.live import build_module


def assert_bit_for_bit(config: ResNetConfig | VGGConfig) -> None:
    """Fail unless the emitted module and the reference compute the same."""
    ours, theirs = build_module(compile_data(data_of(config))), randomized(config)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, *config.input, generator=torch.Generator().manual_seed(1))
    for mode in (True, False):
        found, expected = (_run(module.train(mode), images) for module in (ours, theirs))
        assert found.keys() == expected.keys()
        assert expected["output"].isfinite().all()
        assert expected["output"].std() > 0
        for name, value in expected.items():
            assert torch.equal(found[name], value), f"{name} differs, training={mode}"


def _run(module: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Output, gradients of inputs and parameters, and buffers after one step."""
    torch.manual_seed(2)  # for dropout
    module.zero_grad()
    images = images.clone().requires_grad_()
    output = module(images)
    output.backward(torch.arange(output.numel()).reshape(output.shape).sin())
    assert images.grad is not None
    results = {"output": output.detach(), "gradient of images": images.grad}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        results[f"gradient of {name}"] = parameter.grad
    return results | {name: buffer.clone() for name, buffer in module.named_buffers()}


SHORTCUTS = ("A", "B", "C", "none")


@pytest.mark.parametrize("stem", ["imagenet", "cifar", "bare"])
@pytest.mark.parametrize("norm", ["batch_norm", "none"])
@pytest.mark.parametrize("pre_activation", [False, True])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_basic_blocks(shortcut: Shortcut, pre_activation: bool, norm: Norm, stem: Stem) -> None:
    stages = doubling(Stage(block="basic", shortcut=shortcut, width=8), (2, 2, 1))
    assert_bit_for_bit(config_of(stages, norm=norm, pre_activation=pre_activation, stem=stem))


@pytest.mark.parametrize(("groups", "base_width"), [(1, 64), (2, 48)])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
@pytest.mark.parametrize("norm", ["batch_norm", "none"])
@pytest.mark.parametrize("pre_activation", [False, True])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_bottlenecks(
    shortcut: Shortcut,
    pre_activation: bool,
    norm: Norm,
    stride_at: StrideAt,
    groups: int,
    base_width: int,
) -> None:
    first = Stage(
        block="bottleneck",
        shortcut=shortcut,
        width=8,
        stride_at=stride_at,
        groups=groups,
        base_width=base_width,
        expansion=2,
    )
    options: Any = {"norm": norm, "pre_activation": pre_activation}
    stem: Stem = "bare" if pre_activation else "imagenet"
    assert_bit_for_bit(config_of(doubling(first, (2, 1, 2)), stem=stem, **options))


@st.composite
def mixed_stages(draw: Any) -> tuple[Stage, ...]:
    """Stages that differ in everything."""
    channels, stages = 8, []
    for _ in range(draw(st.integers(1, 4))):
        kind: BlockKind = draw(st.sampled_from(("basic", "bottleneck")))
        stage = Stage(
            block=kind,
            shortcut="B",
            depth=draw(st.integers(1, 4)),
            width=draw(st.sampled_from((4, 8, 12, 16))),
            stride=draw(st.integers(1, 3)),
            stride_at=draw(st.sampled_from(("1x1", "3x3"))),
            expansion=draw(st.integers(1, 4)),
            groups=draw(st.sampled_from((1, 2, 4))),
            base_width=draw(st.sampled_from((16, 64, 100))),
        )
        options = SHORTCUTS if stage.out_channels >= channels else ("B", "C")
        stages.append(_with_shortcut(stage, draw(st.sampled_from(options))))
        channels = stage.out_channels
    return tuple(stages)


def _with_shortcut(stage: Stage, shortcut: Shortcut) -> Stage:
    return Stage(**{**vars(stage), "shortcut": shortcut})


@settings(
    max_examples=max(50, settings().max_examples // 5),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    mixed_stages(),
    st.sampled_from(("batch_norm", "none")),
    st.booleans(),
    st.sampled_from(("imagenet", "cifar", "bare")),
)
def test_networks_of_different_stages(
    stages: tuple[Stage, ...], norm: Norm, pre_activation: bool, stem: Stem
) -> None:
    assert_bit_for_bit(config_of(stages, norm=norm, pre_activation=pre_activation, stem=stem))


@pytest.mark.parametrize("hidden", [(), (9, 6)])
@pytest.mark.parametrize("avgpool", [None, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_vggs(batch_norm: bool, avgpool: int | None, hidden: tuple[int, ...]) -> None:
    config = VGGConfig(
        depths=(1, 2),
        widths=(4, 8),
        batch_norm=batch_norm,
        avgpool=avgpool,
        hidden=hidden,
        input=INPUT,
        classes=5,
    )
    assert_bit_for_bit(config)
