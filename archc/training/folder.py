"""ImageNet and its like: a folder of images for each class, in ``train/`` and in ``val/``."""

from __future__ import annotations

import os
import random
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archc.dataclassing import dataclass
from archc.errors import DataError, reason
from archc.extras import require
from archc.recipes import Recipe
from archc.source.caller import said
from archc.training.data import TEST_BATCH, ImageSource, corners, finished_mean
from archc.training.order import permutation, seed_of

SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
_WHOLE = 10
"""How many uncropped images are tested at a time, at all their scales."""

MEAN_IMAGES = 10_000
"""Of how many training images at most the mean is taken."""

# Standard deviations along the principal components of ImageNet's colours, and the components:
# the figures that Krizhevsky et al. 2012 describe, as published with fb.resnet.torch, for pixels
# from 0 to 1. Each is weighted by a normal number of standard deviation 0.1.
_DEVIATIONS = torch.tensor([0.2175, 0.0188, 0.0045])
_COMPONENTS = torch.tensor(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
_COLOUR = 0.1


@dataclass(frozen=True)
class _Files:
    """Paths of images, and the number of the class of each."""

    paths: Sequence[str]
    labels: Sequence[int]


@dataclass(frozen=True)
class _Broken:
    """Stands for an image that cannot be decoded, on its way out of the process that tried."""

    path: str
    why: str


class ImageFolder:
    """Files that other processes decode and crop, and what becomes of them; see `Data`."""

    def __init__(self, source: ImageSource, mean: Tensor | None = None):
        require("PIL", "a folder of images", "train", package="Pillow")
        self._source, self._recipe = source, source.recipe
        train, val = source.directory / "train", source.directory / "val"
        needs_training, limit = source.trains or mean is None, self._recipe.header.limit
        classes = _classes(train if needs_training else val, source.classes)
        if needs_training:
            self._training = _files(train, classes, limit)
            _check_same(classes, _classes(val), val)
        self._tested = _files(val, classes, limit)
        self._resize = self._recipe.testing.shorter_side(source.size)
        _check_sizes(self._recipe, source.size, self._resize)
        self.mean = self._mean_of_training() if mean is None else mean
        self._subtracted = self.mean.to(source.device)
        std = self._recipe.pixels.std
        self._std = None if std is None else torch.tensor(std, device=source.device)

    @property
    def training_images(self) -> int:
        """How many images an epoch has."""
        return len(self._training.paths)

    def batches(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Crops and labels, from an iteration to before another one."""
        source, batch = self._source, self._recipe.header.batch
        drawn = _Drawn(self._training, self._recipe, source.size, source.seed)
        positions = (range(*source.share.of(i, batch)) for i in range(start, stop))
        for images, labels, colours in self._load(drawn, positions):
            yield self._input(images, colours), labels

    def test_batches(self, crops: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of this process's test images, and labels."""
        source = self._source
        seen = _Seen(self._tested, self._resize, source.size, crops)
        mine = range(source.share.rank, len(self._tested.paths), source.share.world)
        step = max(1, TEST_BATCH // crops)
        groups = (mine[at : at + step] for at in range(0, len(mine), step))
        for images, labels, _ in self._load(seen, groups):
            views = self._input(images.flatten(0, 1), None)
            yield views.view(*images.shape[:2], *views.shape[1:]), labels

    def test_scales(self, scales: Sequence[int]) -> Iterator[tuple[list[list[Tensor]], Tensor]]:
        """Uncropped test images, their shorter side resized to each scale, and labels.

        A mean per pixel, which is as large as the network's input, is averaged over pixels.
        """
        count = len(self._tested.paths)
        groups = (range(at, min(at + _WHOLE, count)) for at in range(0, count, _WHOLE))
        mean = self._subtracted if self._subtracted.dim() == 1 else self._subtracted.mean((0, 1))
        whole = _Whole(self._tested, scales)
        for pixels, sizes, labels in self._load(whole, groups, _collate_whole):
            counts = [3 * height * width for of_image in sizes for height, width in of_image]
            parts = iter(pixels.split(counts))
            images = [
                [self._normalised(next(parts).view(*size, 3), mean) for size in of_image]
                for of_image in sizes
            ]
            yield [list(at_scale) for at_scale in zip(*images, strict=True)], labels

    def _normalised(self, image: Tensor, mean: Tensor) -> Tensor:
        """From bytes ``(height, width, 3)`` to what the network takes."""
        pixels = image / 255 - mean
        return (pixels if self._std is None else pixels / self._std).permute(2, 0, 1)

    def _load(
        self,
        items: Dataset[Any],
        groups: Iterator[range],
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> Iterator[Any]:
        """Batches of items, decoded by the workers; tensors are on the device."""
        device = self._source.device
        loader: DataLoader[Any] = DataLoader(
            items,
            batch_sampler=map(list, groups),
            num_workers=self._source.workers,
            collate_fn=collate or _collate,
            pin_memory=device.type == "cuda",
            worker_init_fn=_leave_interrupts if self._source.workers else None,
        )
        for batch in _of_living_workers(loader):
            if isinstance(batch, _Broken):
                what = f"{batch.path!r} cannot be decoded: {batch.why}"
                raise DataError(what, of_one_process=True)
            yield tuple(
                part.to(device, non_blocking=True) if isinstance(part, Tensor) else part
                for part in batch
            )

    def _input(self, images: Tensor, colours: Tensor | None) -> Tensor:
        """From bytes ``(n, height, width, 3)`` to what the network takes, in channels_last."""
        pixels = images / 255
        if colours is not None and self._recipe.augmentation.colour == "pca":
            pixels = pixels + colours[:, None, None, :]
        pixels = pixels - self._subtracted
        if self._std is not None:
            pixels = pixels / self._std
        return pixels.permute(0, 3, 1, 2)

    def _mean_of_training(self) -> Tensor:
        """The mean over centre crops of the training images, of some where they are many."""
        given, source = self._recipe.pixels.mean, self._source
        if isinstance(given, tuple):
            return torch.tensor(given)
        count = len(self._training.paths)
        some = permutation(count, 0, 0)[:MEAN_IMAGES].tolist()
        files = _Files(
            [self._training.paths[i] for i in some], [self._training.labels[i] for i in some]
        )
        seen = _Seen(files, self._resize, source.size, 1)
        total = torch.zeros(*source.size, 3, dtype=torch.float64)
        groups = (range(at, min(at + 100, len(some))) for at in range(0, len(some), 100))
        for images, _, _ in self._load(seen, groups):
            source.go_on()
            total += images.sum((0, 1), dtype=torch.float64).cpu()
        return finished_mean(total, len(some), given)


class _Drawn(Dataset[Any]):
    """Training crops by their position in training, counted over epochs."""

    def __init__(self, files: _Files, recipe: Recipe, size: tuple[int, int], seed: int):
        self.files, self.recipe, self.size, self.seed = files, recipe, size, seed

    def __getitem__(self, position: int) -> Any:
        epoch, place = divmod(position, len(self.files.paths))
        which = int(_order(len(self.files.paths), self.seed, epoch)[place])
        drawn = random.Random(seed_of(self.seed, "crop", position))
        augmentation = self.recipe.augmentation
        shorter = drawn.randint(*(augmentation.resize or _default_sides(self.size)))
        where, mirrored = (drawn.random(), drawn.random()), drawn.random() < 0.5
        weights = torch.tensor([drawn.gauss(0, _COLOUR) for _ in range(3)])
        opened = _open(self.files.paths[which])
        if isinstance(opened, _Broken):
            return opened
        free = _free(opened.size, shorter, self.size)
        top, left = (int(share * (room + 1)) for share, room in zip(where, free, strict=True))
        view = (top, left, augmentation.flip and mirrored)
        colours = _COMPONENTS @ (weights * _DEVIATIONS)
        return _view(opened, shorter, self.size, view), self.files.labels[which], colours


class _Seen(Dataset[Any]):
    """The views of test images."""

    def __init__(self, files: _Files, resize: int, size: tuple[int, int], crops: int):
        self.files, self.resize, self.size, self.crops = files, resize, size, crops

    def __getitem__(self, which: int) -> Any:
        opened = _open(self.files.paths[which])
        if isinstance(opened, _Broken):
            return opened
        free = _free(opened.size, self.resize, self.size)
        views = [
            _view(opened, self.resize, self.size, place) for place in corners(free, self.crops)
        ]
        return torch.stack(views), self.files.labels[which], torch.zeros(3)


class _Whole(Dataset[Any]):
    """Uncropped test images at several scales."""

    def __init__(self, files: _Files, scales: Sequence[int]):
        self.files, self.scales = files, scales

    def __getitem__(self, which: int) -> Any:
        opened = _open(self.files.paths[which])
        if isinstance(opened, _Broken):
            return opened
        sizes = [_scaled(opened.size, scale) for scale in self.scales]
        views = [
            _view(opened, scale, size, (0, 0, False)).flatten()
            for scale, size in zip(self.scales, sizes, strict=True)
        ]
        return torch.cat(views), sizes, self.files.labels[which]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> Tensor:
    return permutation(count, seed, epoch)


def _collate(items: list[Any]) -> Any:
    broken = next((item for item in items if isinstance(item, _Broken)), None)
    if broken is not None:
        return broken
    images, labels, colours = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(labels), torch.stack(colours)


def _collate_whole(items: list[Any]) -> Any:
    broken = next((item for item in items if isinstance(item, _Broken)), None)
    if broken is not None:
        return broken
    # As one tensor, since each that comes from another process holds a file descriptor.
    images, sizes, labels = zip(*items, strict=True)
    return torch.cat(images), list(sizes), torch.tensor(labels)


def _of_living_workers(loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches; raises `DataError` where a worker has died."""
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process that decodes images died, perhaps for lack of memory",
            said(
                "use fewer --workers, and --resume to continue",
                "use fewer `workers`, and resume=True to continue",
            ),
            of_one_process=True,
        ) from None


def _leave_interrupts(_: int) -> None:
    """What asks to stop is for the process that trains, which ends its workers."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    torch.set_num_threads(1)


def _open(path: str) -> Any:
    """A decoded RGB image, or why there is none."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow remarks on metadata
            with Image.open(path) as image:
                if image.mode.startswith("I;16"):
                    return image.convert("I").point(lambda level: level * (1 / 256)).convert("RGB")
                if image.mode in ("I", "F"):
                    return _Broken(
                        path, "it has 32 bits per channel, which have no fixed white level"
                    )
                return image.convert("RGB")
    except OSError as error:
        return _Broken(path, "this is not an image" if "identify" in str(error) else reason(error))
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return _Broken(path, str(error))


def _scaled(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Height and width of an image (width, height) whose shorter side is resized."""
    width, height = size
    scale = shorter / min(width, height)
    return max(shorter, round(height * scale)), max(shorter, round(width * scale))


def _free(size: tuple[int, int], shorter: int, crop: tuple[int, int]) -> tuple[int, int]:
    """How far a crop may be moved over a resized image."""
    height, width = _scaled(size, shorter)
    return height - crop[0], width - crop[1]


def _view(image: Any, shorter: int, crop: tuple[int, int], view: tuple[int, int, bool]) -> Tensor:
    """A crop ``(height, width, 3)`` of an image as if resized; only the crop is computed."""
    from PIL import Image

    height, width = _scaled(image.size, shorter)
    across, down = image.size[0] / width, image.size[1] / height
    top, left, mirrored = view
    box = (left * across, top * down, (left + crop[1]) * across, (top + crop[0]) * down)
    box = (*box[:2], min(box[2], image.size[0]), min(box[3], image.size[1]))
    seen = image.resize((crop[1], crop[0]), Image.Resampling.BILINEAR, box=box)
    if mirrored:
        seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    raw = torch.frombuffer(bytearray(seen.tobytes()), dtype=torch.uint8)
    return raw.view(crop[0], crop[1], 3)


def _classes(folder: Path, count: int | None = None) -> list[str]:
    """The names of the class folders, in order; so many, if it is known."""
    try:
        inside = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        found = sorted(entry.name for entry in inside if entry.is_dir())
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {str(folder)!r}",
            "a directory of images has train/CLASS/... and val/CLASS/...",
        ) from None
    except OSError as error:
        raise DataError(f"{str(folder)!r} cannot be read: {reason(error)}") from None
    if not found:
        raise DataError(f"{str(folder)!r} has no class folders")
    if count is not None and len(found) != count:
        raise DataError(
            f"the network has {count:,} classes; {str(folder)!r} has {len(found):,}",
            said(
                f"use `--set classes={len(found)}`, or write `classes: {len(found)}` in the spec",
                f'use `set={{"classes": {len(found)}}}`',
            ),
        )
    return found


def _check_same(training: list[str], tested: list[str], val: Path) -> None:
    for name in sorted(set(training) ^ set(tested)):
        where = f"is not in {str(val)!r}" if name in training else f"is only in {str(val)!r}"
        raise DataError(
            f"the class folder {name!r} {where}", "both must have the same class folders"
        )


def _files(folder: Path, classes: list[str], limit: int | None) -> _Files:
    """The images of every class, in order; with a limit, so many, of all classes alike."""
    paths: list[str] = []
    labels: list[int] = []
    ranks: list[tuple[int, int]] = []
    for label, name in enumerate(classes):
        try:
            entries = [entry.path for entry in os.scandir(folder / name) if _is_image(entry)]
        except OSError as error:
            raise DataError(f"{str(folder / name)!r} cannot be read: {reason(error)}") from None
        if not entries:
            ending = ", ".join(sorted(SUFFIXES))
            what = f"the class folder {str(folder / name)!r} has no images"
            raise DataError(what, f"images end in {ending}")
        paths += sorted(entries)
        labels += [label] * len(entries)
        ranks += [(index, label) for index in range(len(entries))]
    if limit is None:
        return _Files(paths, labels)
    chosen = sorted(range(len(paths)), key=ranks.__getitem__)[:limit]
    return _Files([paths[i] for i in chosen], [labels[i] for i in chosen])


def _is_image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()


def _default_sides(size: tuple[int, int]) -> tuple[int, int]:
    """Between which sizes the shorter side is drawn where a recipe does not say: the paper's."""
    return round(max(size) * 256 / 224), round(max(size) * 480 / 224)


def _check_sizes(recipe: Recipe, size: tuple[int, int], tested: int) -> None:
    smallest = min((recipe.augmentation.resize or _default_sides(size))[0], tested)
    if smallest < max(size):
        raise DataError(
            f"the recipe resizes images to {smallest} pixels, smaller than the network's input of "
            f"{size[0]}x{size[1]}",
            "set `resize` under `augmentation` and `testing` in the recipe",
        )
