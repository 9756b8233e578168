"""The shipped specs: where they lie, and what they are called.

Nothing is read for it, and hardly anything imported: a shell that completes a name waits for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SUFFIX = ".yaml"
RECIPES = "recipes"
"""The folder of the shipped specs that holds no specs, but recipes."""


@cache
def shipped_folder() -> Path:
    """Where the shipped specs lie: inside an installed package, or in the checkout's ``specs/``."""
    package = Path(__file__).resolve().parent
    installed = package / "_shipped"
    return installed if installed.is_dir() else package.parent / "specs"


def is_within(path: str | None, folder: Path) -> bool:
    """Whether a path leads into a folder."""
    return path is not None and os.path.realpath(path).startswith(f"{folder}{os.sep}")


def shipped_blocks(name: str) -> str | None:
    """The path of a shipped file of blocks, by a name such as ``torchvision/blocks/regnet.yaml``;
    None where there is none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+/blocks/[A-Za-z0-9_-]+\.yaml", name):
        return None
    path = os.path.join(shipped_folder(), name)
    return path if os.path.isfile(path) else None


def shipped_names() -> list[str]:
    """The names of all shipped specs, as ``imagenet/resnet34``, in order."""
    return [name for _, name in sorted(_shipped())]


def _shipped() -> Iterator[tuple[tuple[str, list[tuple[int, int | str]]], str]]:
    folder = str(shipped_folder())
    for group in os.listdir(folder):
        place = os.path.join(folder, group)
        if group == RECIPES or not os.path.isdir(place):
            continue
        for file in os.listdir(place):
            stem, suffix = os.path.splitext(file)
            if suffix == SUFFIX and not stem.startswith("."):
                # resnet18 before resnet101: runs of digits sort as numbers.
                parts = re.findall(r"\d+|\D+", stem)
                key = [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
                yield (group, key), f"{group}/{stem}"
