"""What a network takes beside its images, where it is only run to see what it does."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from archc.graph import Network


def others(network: Network, images: torch.Tensor) -> list[torch.Tensor]:
    """Values for all that a network takes beside images, in order."""
    nodes = [node for node in network.nodes.values() if node.op.is_given]
    return [beside(node.id, node.output_shape, node.op.numbers, images) for node in nodes]


def beside(
    name: str, shape: Sequence[int], about: Mapping[str, Any], images: torch.Tensor
) -> torch.Tensor:
    """A value for what a network takes under a name, always the same for as many images: numbers
    that are normally distributed, of the images' type, or else zeros and ones.

    ``about`` has what an op says of itself: its type, and whether all images share one.
    """
    import torch

    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    sides = tuple(shape) if about.get("is_shared") else (len(images), *shape)
    dtype = getattr(torch, str(about.get("dtype", "float32")), torch.float32)
    drawn = torch.randn(sides, generator=generator, device="cpu")
    if dtype.is_floating_point:
        return drawn.to(images.device, images.dtype)
    return (drawn > 0).to(images.device, dtype)


def joined(result: Any) -> torch.Tensor:
    """What a network puts out as one tensor of real numbers: itself, or all of several in a row."""
    import torch

    several = [result] if isinstance(result, torch.Tensor) else list(result)
    dtype = next((one.dtype for one in several if one.is_floating_point()), torch.float32)
    if isinstance(result, torch.Tensor):
        return result.to(dtype)
    return torch.cat([one.reshape(-1).to(dtype) for one in several])
