"""CIFAR-10 in its binary layout (Krizhevsky 2009), on the device, augmentation included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from archc.errors import DataError, reason
from archc.source.caller import said
from archc.training.data import TEST_BATCH, ImageSource, corners, finished_mean
from archc.training.order import Epochs, generator_of, permutation, spread

SIDE, CLASSES, RECORDS = 32, 10, 10_000
_RECORD = 1 + 3 * SIDE * SIDE
_TRAINING = [f"data_batch_{number}.bin" for number in range(1, 6)]
_TEST = ["test_batch.bin"]
_ELSEWHERE = {
    "cifar-10-batches-py": "it holds the Python version, which consists of pickles",
    "data_batch_1": "it holds the Python version, which consists of pickles",
    "cifar-10-binary.tar.gz": "unpack cifar-10-binary.tar.gz first",
    "batches.meta.mat": "it holds the MATLAB version",
}
_CIFAR100 = (
    "train.bin",
    "fine_label_names.txt",
    "cifar-100-binary",
    "cifar-100-python",
    "cifar-100-binary.tar.gz",
    "cifar-100-python.tar.gz",
)
"""What lies in folders of CIFAR-100, and where its archives are unpacked."""


class Cifar10:
    """All images, as bytes, and what an iteration takes of them; see `Data`."""

    def __init__(self, source: ImageSource, mean: Tensor | None = None):
        recipe, folder = source.recipe, _folder(source.directory)
        if source.classes != CLASSES:
            raise DataError(
                f"the network has {source.classes:,} classes; CIFAR-10 has {CLASSES}",
                said(
                    f"use `--set classes={CLASSES}`, or write `classes: {CLASSES}` in the spec",
                    f'use `set={{"classes": {CLASSES}}}`',
                ),
            )
        self._source = source
        self._pad = recipe.augmentation.pad or 0
        self._free = _free(source.size, self._pad)
        held_out, limit = recipe.header.held_out or 0, recipe.header.limit
        needs_training = source.trains or held_out or mean is None
        files = _read(folder, _TRAINING if needs_training else [])
        places = torch.arange(len(files) * RECORDS)
        training = places[: len(places) - held_out]
        self._images, self._labels = _taken(files, training[spread(len(training), limit)])
        tested = places[-held_out:] if held_out else torch.arange(RECORDS)
        files = files if held_out else _read(folder, _TEST)
        self._tested, self._test_labels = _taken(files, tested[spread(len(tested), limit)])
        self.mean = _mean(self._images, recipe.pixels.mean) if mean is None else mean
        self._to_device(source.device)

    def _to_device(self, device: torch.device) -> None:
        around = (0, 0, self._pad, self._pad, self._pad, self._pad)
        self._images, self._labels = F.pad(self._images, around).to(device), self._labels.to(device)
        self._tested = F.pad(self._tested, around).to(device)
        self._test_labels = self._test_labels.to(device)
        mean = self.mean.expand(SIDE, SIDE, 3)
        self._mean = F.pad(mean, around).to(device)  # zeros are put around what it leaves
        std = self._source.recipe.pixels.std
        self._std = None if std is None else torch.tensor(std, device=device)
        self._rows, self._columns = (
            torch.arange(side, device=device) for side in self._source.size
        )
        self._epochs = Epochs(len(self._images), self._draw)

    @property
    def training_images(self) -> int:
        """How many images an epoch has."""
        return len(self._images)

    def batches(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Crops and labels, from an iteration to before another one."""
        batch = self._source.recipe.header.batch
        for iteration in range(start, stop):
            which, top, left, flip = self._epochs.at(*self._source.share.of(iteration, batch))
            yield self._crop(self._images, which, top, left, flip), self._labels[which]

    def test_batches(self, crops: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of this process's test images, and labels."""
        if crops > 1 and self._free == (0, 0):
            raise DataError(
                "the ten crops are all equal for images as large as the network's input",
                "set `augmentation: {pad: 4}` in the recipe, so that they are cropped from padded "
                "images",
            )
        views = corners(self._free, crops)
        share, device = self._source.share, self._labels.device
        mine = torch.arange(share.rank, len(self._tested), share.world, device=device)
        for which in torch.split(mine, max(1, TEST_BATCH // crops)):
            seen = [
                self._crop(self._tested, which, *(torch.full_like(which, v) for v in view))
                for view in views
            ]
            yield torch.stack(seen, 1), self._test_labels[which]

    def test_scales(self, scales: Sequence[int]) -> Iterator[tuple[list[list[Tensor]], Tensor]]:
        """Nothing: the images are tested as large as they are."""
        raise DataError(
            f"images of CIFAR-10 have one size, {SIDE}x{SIDE}: they are not resized to several",
            f"{said('--crops 10', 'crops=10')} tests several views of each",
        )

    def _draw(self, epoch: int) -> tuple[Tensor, ...]:
        """The order of the images, and where each is cropped and whether it is mirrored."""
        count, seed = len(self._images), self._source.seed
        drawn = generator_of(seed, "crops", epoch)
        top, left = (torch.randint(f + 1, (count,), generator=drawn) for f in self._free)
        flip = torch.randint(2, (count,), generator=drawn)
        if not self._source.recipe.augmentation.flip:
            flip.zero_()
        draws = (permutation(count, seed, epoch), top, left, flip)
        return tuple(one.to(self._labels.device) for one in draws)

    def _crop(
        self, images: Tensor, which: Tensor, top: Tensor, left: Tensor, flip: Tensor
    ) -> Tensor:
        """Crops ``(images, 3, height, width)`` in channels_last, their mean subtracted."""
        height, width = self._source.size
        side = images.shape[1]
        along = torch.where(flip[:, None] > 0, width - 1 - self._columns, self._columns)
        rows, columns = top[:, None] + self._rows, left[:, None] + along
        # Pixels by their place in an image, and by that among all pixels: the quickest way to crop.
        inside = (rows[:, :, None] * side + columns[:, None, :]).flatten(1)
        among_all = inside + which[:, None] * (side * side)
        pixels = images.view(-1, 3).index_select(0, among_all.flatten()) / 255
        crops = pixels.sub_(self._mean.view(-1, 3).index_select(0, inside.flatten()))
        if self._std is not None:
            crops = crops.div_(self._std)
        return crops.view(len(which), height, width, 3).permute(0, 3, 1, 2)


def _folder(directory: Path) -> Path:
    """Where the files lie: in the directory, or in the folder that the archive unpacks to."""
    inside = directory / "cifar-10-batches-bin"
    if not (directory / _TRAINING[0]).exists() and inside.is_dir():
        return inside
    if not any((directory / name).exists() for name in (*_TRAINING, *_TEST)):
        if any((directory / name).exists() for name in _CIFAR100):
            raise DataError(
                f"{str(directory)!r} holds CIFAR-100, not CIFAR-10, which `data: cifar10` reads",
                "write its images as files, train/CLASS/... and val/CLASS/..., for a recipe with "
                "`data: image_folder`",
            )
        found = next((why for name, why in _ELSEWHERE.items() if (directory / name).exists()), None)
        because = f"; {found}" if found else ""
        raise DataError(
            f"{str(directory)!r} does not hold the binary version of CIFAR-10{because}",
            "it consists of data_batch_1.bin to data_batch_5.bin and test_batch.bin",
        )
    return directory


def _free(size: tuple[int, int], pad: int) -> tuple[int, int]:
    """How far a crop may be moved."""
    height, width = (SIDE + 2 * pad - side for side in size)
    if min(height, width) < 0:
        raise DataError(
            f"the network takes images of {size[0]}x{size[1]}; CIFAR-10's are {SIDE}x{SIDE}",
            "set `input: [3, 32, 32]` in the spec" + said(", or use --input 3,32,32", ""),
        )
    return height, width


def _read(folder: Path, names: list[str]) -> list[Tensor]:
    """The records of each file, bytes ``(10000, 3073)``: a label, then an image's three planes."""
    return [_read_file(folder / name) for name in names]


def _taken(files: list[Tensor], places: Tensor) -> tuple[Tensor, Tensor]:
    """Images ``(n, 32, 32, 3)`` as bytes, and their labels: those at places, in ascending order,
    among the records of all files."""
    images = [torch.empty(0, SIDE, SIDE, 3, dtype=torch.uint8)]
    labels = [torch.empty(0, dtype=torch.long)]
    for number, records in enumerate(files):
        # Turning planes into pixels takes long, so it is done for no image that is left out.
        here = records[places[places // RECORDS == number] - number * RECORDS]
        planes = here[:, 1:].view(len(here), 3, SIDE, SIDE)
        images.append(planes.permute(0, 2, 3, 1).contiguous())
        labels.append(here[:, 0].long())
    return torch.cat(images), torch.cat(labels)


def _read_file(path: Path) -> Tensor:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no {str(path)!r}", "CIFAR-10 has six image files") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {reason(error)}") from None
    if len(raw) != _RECORD * RECORDS:
        short = "short" if len(raw) < _RECORD * RECORDS else "too long"
        raise DataError(
            f"{str(path)!r} is {short}: it has {len(raw):,} bytes, not {_RECORD * RECORDS:,}",
            "download the binary version of CIFAR-10 again",
        )
    records = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(RECORDS, _RECORD)
    labels = records[:, 0]
    if (wrong := (labels >= CLASSES).nonzero()).numel():
        first = int(wrong[0])
        raise DataError(
            f"{str(path)!r} is damaged: image {first + 1:,} has the label {int(labels[first])}, "
            f"beyond {CLASSES - 1}"
        )
    return records


def _mean(images: Tensor, of: str | tuple[float, ...]) -> Tensor:
    """What is subtracted: ``(32, 32, 3)`` for each pixel, or ``(3,)``; pixels go from 0 to 1."""
    if isinstance(of, tuple):
        return torch.tensor(of)
    if not len(images):
        raise DataError("`held_out` leaves no image to train on")
    total = torch.zeros(SIDE, SIDE, 3, dtype=torch.float64)
    for part in torch.split(images, 10_000):
        total += part.sum(0, dtype=torch.float64)
    return finished_mean(total, len(images), of)
