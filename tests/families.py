"""Which of the shipped networks some tests are of."""

from __future__ import annotations

from archc.shipped import shipped_names


def _is_of_the_papers(name: str) -> bool:
    group, network = name.split("/")
    families = ("plain", "preresnet", "resnet", "resnext", "wide_resnet", "vgg")
    return group != "timm" and network.startswith(families)


OF_THE_PAPERS = [name for name in shipped_names() if _is_of_the_papers(name)]
"""ResNets and VGGs, with their plain and their wide relatives."""
