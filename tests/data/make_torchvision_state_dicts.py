"""Write torchvision_state_dicts.json: the state-dict keys and shapes of torchvision's networks.

Run it where torchvision can be imported; the file holds what torchvision 0.28.0 gave. One network a
line, keys in torchvision's order, a shape as "64x3x7x7" and a scalar's as "".
"""

import json
from pathlib import Path

import torch

NAMES = (
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    *("wide_resnet50_2", "wide_resnet101_2"),
)


def state_dict_shapes(name: str) -> dict[str, str]:
    """Key to shape of one network, built without memory for its weights."""
    # Imported here so that tools which import every file (doctest collection) need no torchvision.
    from torchvision import models  # type: ignore[import-not-found, unused-ignore]

    with torch.device("meta"):
        network = models.get_model(name)
    return {key: "x".join(map(str, value.shape)) for key, value in network.state_dict().items()}


def main() -> None:
    """Write the file beside this script."""
    lines = []
    for name in NAMES:
        shapes = json.dumps(state_dict_shapes(name), separators=(",", ":"))
        lines.append(f"{json.dumps(name)}: {shapes}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    Path(__file__).with_name("torchvision_state_dicts.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
