"""The shipped specs: where they lie, and what they are called.

Nothing is read for it, and hardly anything imported: a shell that completes a name waits for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".yaml"
RECIPES = "recipes"
"""The folder of the shipped specs that holds no specs, but recipes."""


@cache
def shipped_path() -> str:
    """Where the shipped specs lie: inside an installed package, or in the checkout's ``specs/``."""
    package = os.path.dirname(os.path.realpath(__file__))
    installed = os.path.join(package, "_shipped")
    if os.path.isdir(installed):
        return installed
    return os.path.join(os.path.dirname(package), "specs")


def shipped_folder() -> Path:
    """The same as a path of pathlib, which most commands need not import."""
    from pathlib import Path

    return Path(shipped_path())


def is_shipped(path: str | None) -> bool:
    """Whether a path leads to something that is shipped."""
    return path is not None and os.path.realpath(path).startswith(f"{shipped_path()}{os.sep}")


def shipped_blocks(name: str) -> str | None:
    """The path of a shipped file of blocks, by a name such as ``torchvision/blocks/regnet.yaml``;
    None where there is none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+/blocks/[A-Za-z0-9_-]+\.yaml", name):
        return None
    path = os.path.join(shipped_path(), name)
    return path if os.path.isfile(path) else None


def shipped_names() -> list[str]:
    """The names of all shipped specs, as ``imagenet/resnet34``, in order."""
    return [name for _, name in sorted(_shipped())]


def _shipped() -> Iterator[tuple[tuple[str, list[tuple[int, int | str]]], str]]:
    folder = shipped_path()
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
