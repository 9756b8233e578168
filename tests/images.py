"""Small sets of images in the layouts that archc trains on, made up but learnable."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

RECORD, RECORDS, CLASSES = 3073, 10_000, 10


def cifar_images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bytes ``(count, 3, 32, 32)`` with a colour and a stripe for each class, under noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    patterns = torch.Generator().manual_seed(0)
    colours = torch.randint(40, 215, (CLASSES, 3), generator=patterns)
    images = colours[labels][:, :, None, None].expand(-1, -1, 32, 32).clone()
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 3 * label : 3 * label + 3] = 255 - image[:, 3 * label : 3 * label + 3]
    noise = torch.randint(-30, 31, images.shape, generator=generator)
    return (images + noise).clamp(0, 255).to(torch.uint8), labels


COUNT = 512
"""How many images of a file differ; it repeats them."""


def cifar_spread(limit: int, *, test: bool = False) -> tuple[Tensor, Tensor]:
    """The images and labels that `limit` of a recipe takes of what `make_cifar` writes."""
    first, total = (6, RECORDS) if test else (1, 5 * RECORDS)
    files = {seed: cifar_images(COUNT, seed) for seed in range(first, first + total // RECORDS)}
    places = [divmod(index * total // limit, RECORDS) for index in range(limit)]
    chosen = [(files[first + file], record % COUNT) for file, record in places]
    return (
        torch.stack([images[record] for (images, _), record in chosen]),
        torch.stack([labels[record] for (_, labels), record in chosen]),
    )


def make_cifar(folder: Path) -> Path:
    """The six files of CIFAR-10, of made-up images."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    for seed, name in enumerate(names, 1):
        images, labels = cifar_images(COUNT, seed)
        records = torch.cat([labels[:, None].to(torch.uint8), images.flatten(1)], 1)
        whole = records.numpy().tobytes() * (RECORDS // COUNT + 1)
        (folder / name).write_bytes(whole[: RECORD * RECORDS])
    return folder


def make_folder(folder: Path, classes: int = 3, training: int = 6, tested: int = 4) -> Path:
    """PNG files of odd sizes in ``train/CLASS`` and ``val/CLASS``."""
    from PIL import Image

    generator = torch.Generator().manual_seed(7)
    for part, count in (("train", training), ("val", tested)):
        for label in range(classes):
            inside = folder / part / f"class{label}"
            inside.mkdir(parents=True)
            for index in range(count):
                size = torch.randint(40, 70, (2,), generator=generator).tolist()
                noise = torch.randint(0, 40, (*size, 3), generator=generator)
                pixels = (noise + torch.tensor([60 * label, 100, 180 - 60 * label])).clamp(0, 255)
                image = Image.fromarray(pixels.to(torch.uint8).numpy())
                image.save(inside / f"{index}.png")
    return folder
