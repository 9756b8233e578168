"""CIFAR-10 from its binary files: what the network is given, and files that are not whole."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from images import cifar_spread
from torch import Tensor

from archc.errors import DataError
from archc.recipes import load_recipe
from archc.training.cifar10 import Cifar10
from archc.training.data import ImageSource, Share

SIZE = (32, 32)


def source(directory: Path, *settings: str, size: tuple[int, int] = SIZE) -> ImageSource:
    recipe = load_recipe("cifar10", ["limit=100", "batch=12", *settings])
    return ImageSource(directory, recipe, size, 10, torch.device("cpu"), seed=5)


def test_a_batch_is_padded_cropped_and_mirrored_images_less_their_mean(cifar: Path) -> None:
    data = Cifar10(source(cifar, "limit=40"))
    few, numbers = cifar_spread(40)
    few = few.double() / 255
    mean = few.mean(0)
    assert torch.allclose(data.mean.permute(2, 0, 1).double(), mean, atol=1e-6)
    padded = torch.nn.functional.pad(few - mean, (4, 4, 4, 4))
    seen = set()
    for images, labels in data.batches(0, 16):
        assert images.shape == (12, 3, 32, 32)
        assert images.is_contiguous(memory_format=torch.channels_last)
        for image, label in zip(images, labels, strict=True):
            view = find(image, padded)
            assert numbers[view[0]] == label
            seen.add(view)
    assert len({view[1:3] for view in seen}) > 50  # of 81 places
    assert {view[3] for view in seen} == {False, True}


def find(image: Tensor, padded: Tensor) -> tuple[int, int, int, bool]:
    """Which image, cropped where and mirrored or not, this one is."""
    for mirrored in (False, True):
        wanted = (image.flip(2) if mirrored else image).double()
        for top in range(9):
            for left in range(9):
                crops = padded[:, :, top : top + 32, left : left + 32]
                off = (crops - wanted).abs().amax((1, 2, 3))
                if off.min() < 1e-6:
                    return int(off.argmin()), top, left, mirrored
    raise AssertionError("no crop of any image")


def test_two_shares_are_the_batch(cifar: Path) -> None:
    whole = source(cifar)
    halves = [Cifar10(replace(whole, share=Share(rank, 2))) for rank in range(2)]
    for (images, labels), *parts in zip(
        Cifar10(whole).batches(3, 12), *(half.batches(3, 12) for half in halves), strict=True
    ):
        assert torch.equal(images, torch.cat([part[0] for part in parts]))
        assert torch.equal(labels, torch.cat([part[1] for part in parts]))
    tested = [sum(len(labels) for _, labels in half.test_batches(1)) for half in halves]
    assert tested == [50, 50]


def test_a_test_view_is_the_whole_image_and_ten_are_corners_and_centre(cifar: Path) -> None:
    data = Cifar10(source(cifar))
    mean = data.mean.permute(2, 0, 1)
    images = cifar_spread(100, test=True)[0].float() / 255 - mean
    views = torch.cat([views for views, _ in data.test_batches(1)])
    assert torch.allclose(views[:, 0], images, atol=1e-6)
    ten = torch.cat([views for views, _ in data.test_batches(10)])
    assert ten.shape == (100, 10, 3, 32, 32)
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    places = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    for index, (top, left) in enumerate(places):
        crop = padded[:, :, top : top + 32, left : left + 32]
        assert torch.allclose(ten[:, index], crop, atol=1e-6)
        assert torch.allclose(ten[:, index + 5], crop.flip(3), atol=1e-6)


def test_held_out_images_are_tested_on(cifar: Path) -> None:
    recipe = load_recipe("cifar10", ["held_out=5000"])
    data = Cifar10(replace(source(cifar), recipe=recipe))
    assert data.training_images == 45_000
    assert sum(len(labels) for _, labels in data.test_batches(1)) == 5_000


def test_given_means_and_deviations(cifar: Path) -> None:
    data = Cifar10(source(cifar, "pixels={mean: [0.5, 0.4, 0.3], std: [0.1, 0.2, 0.5]}"))
    views, _ = next(data.test_batches(1))
    images = cifar_spread(100, test=True)[0].float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.5, 0.4, 0.3), (0.1, 0.2, 0.5)))
    assert torch.allclose(views[:, 0], (images - mean) / std, atol=1e-5)


def test_testing_alone_needs_no_training_images(cifar: Path, tmp_path: Path) -> None:
    shutil.copy(cifar / "test_batch.bin", tmp_path)
    alone = replace(source(tmp_path), trains=False)
    data = Cifar10(alone, mean=torch.zeros(3))
    assert sum(len(labels) for _, labels in data.test_batches(1)) == 100
    with pytest.raises(DataError, match=r"there is no '.*data_batch_1.bin'"):
        Cifar10(alone)


def broken(folder: Path, into: Path) -> Path:
    shutil.copytree(folder, into, symlinks=True)
    return into


def test_files_that_are_missing_short_or_damaged(cifar: Path, tmp_path: Path) -> None:
    directory = broken(cifar, tmp_path / "images")
    last = directory / "test_batch.bin"
    with last.open("r+b") as file:
        file.seek(3073 * 17)
        file.write(b"\xc8")
    with pytest.raises(DataError, match=r"'.*test_batch.bin' is damaged: image 18 has the label"):
        Cifar10(source(directory))
    with last.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match=r"test_batch.bin' is short: it has 1,000 bytes, not 30,73"):
        Cifar10(source(directory))
    last.unlink()
    with pytest.raises(DataError, match=r"there is no '.*test_batch.bin'"):
        Cifar10(source(directory))


def test_what_is_no_binary_cifar10(cifar: Path, tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").touch()
    with pytest.raises(DataError, match="it holds the Python version, which consists of pickles"):
        Cifar10(source(tmp_path))
    assert Cifar10(source(cifar.parent)).training_images == 100  # as the archive unpacks


@pytest.mark.parametrize(
    "name", ["train.bin", "fine_label_names.txt", "cifar-100-binary.tar.gz", "cifar-100-python/x"]
)
@pytest.mark.parametrize("classes", [10, 100])
def test_cifar100_is_called_that_whatever_the_network(
    name: str, classes: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(DataError, match="holds CIFAR-100, not CIFAR-10") as caught:
        Cifar10(replace(source(tmp_path), classes=classes))
    assert caught.value.hint == (
        "write its images as files, train/CLASS/... and val/CLASS/..., for a recipe with "
        "`data: image_folder`"
    )


def test_networks_that_the_images_do_not_fit(cifar: Path) -> None:
    with pytest.raises(DataError, match="takes images of 224x224; CIFAR-10's are 32x32"):
        Cifar10(source(cifar, size=(224, 224)))
    with pytest.raises(DataError, match="has 1,000 classes; CIFAR-10 has 10"):
        Cifar10(replace(source(cifar), classes=1000))
    with pytest.raises(DataError, match="ten crops"):
        next(Cifar10(source(cifar, "augmentation.pad=0")).test_batches(10))
