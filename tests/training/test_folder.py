"""Images in class folders: what the network is given, and folders that are not whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from images import make_folder
from PIL import Image

from archc.errors import DataError
from archc.recipes import load_recipe
from archc.training.data import ImageSource, Share
from archc.training.folder import ImageFolder

SETTINGS = ("augmentation.resize=[32, 48]", "testing={resize: 36, crops: 10}", "batch=6")


def source(directory: Path, *settings: str, **other: int) -> ImageSource:
    recipe = load_recipe("imagenet", [*SETTINGS, *settings])
    return ImageSource(directory, recipe, (28, 28), other.get("classes", 3), torch.device("cpu"))


def test_batches_of_crops_are_the_same_wherever_training_begins(folder: Path) -> None:
    data = ImageFolder(source(folder))
    assert data.training_images == 18
    assert data.mean.shape == (28, 28, 3)
    whole = list(data.batches(0, 6))
    assert all(images.shape == (6, 3, 28, 28) for images, _ in whole)
    epoch = torch.cat([labels for _, labels in whole[:3]])
    assert epoch.bincount().tolist() == [6, 6, 6]
    for (images, labels), (again, same) in zip(whole[2:], data.batches(2, 6), strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)
    assert not torch.equal(whole[0][0], whole[3][0])


def test_workers_and_shares_change_nothing(folder: Path) -> None:
    plain = source(folder)
    mean = ImageFolder(plain).mean
    images = torch.cat([images for images, _ in ImageFolder(plain, mean).batches(0, 2)])
    worked = ImageFolder(replace(plain, workers=1), mean)
    assert torch.equal(images, torch.cat([images for images, _ in worked.batches(0, 2)]))
    halves = [ImageFolder(replace(plain, share=Share(rank, 2)), mean) for rank in range(2)]
    parts = [[images for images, _ in half.batches(0, 2)] for half in halves]
    both = [torch.cat(pair) for pair in zip(*parts, strict=True)]
    assert torch.equal(images, torch.cat(both))


def test_a_test_view_is_the_centre_of_the_resized_image(folder: Path) -> None:
    data = ImageFolder(source(folder, "pixels={mean: [0, 0, 0]}"))
    views, labels = next(data.test_batches(1))
    assert views.shape == (12, 1, 3, 28, 28)
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for index, view in enumerate(views[:4, 0]):
        with Image.open(folder / "val" / "class0" / f"{index}.png") as image:
            scale = 36 / min(image.size)
            width, height = (max(36, round(side * scale)) for side in image.size)
            size = (width, height)
            resized = image.resize(size, Image.Resampling.BILINEAR)
        left, top = ((side - 28) // 2 for side in size)
        crop = resized.crop((left, top, left + 28, top + 28))
        levels = torch.frombuffer(bytearray(crop.tobytes()), dtype=torch.uint8)
        wanted = levels.view(28, 28, 3).permute(2, 0, 1) / 255
        # Resampling the crop alone rounds differently by a level or two.
        assert (view - wanted).abs().max() <= 2.5 / 255


def test_ten_views(folder: Path) -> None:
    views, _ = next(ImageFolder(source(folder)).test_batches(10))
    assert views.shape[1:] == (10, 3, 28, 28)
    mean = ImageFolder(source(folder)).mean.permute(2, 0, 1)
    assert torch.allclose(views[:, 9] + mean, (views[:, 4] + mean).flip(3), atol=1e-5)


def test_colours_shift_whole_images(folder: Path) -> None:
    zero = "pixels={mean: [0, 0, 0]}"
    plain = torch.cat([x for x, _ in ImageFolder(source(folder, zero, *OFF)).batches(0, 3)])
    shifted = torch.cat([x for x, _ in ImageFolder(source(folder, zero)).batches(0, 3)])
    shift = (shifted - plain).flatten(2)
    assert shift.std(2).max() < 1e-6
    assert 0.005 < shift.std() < 0.1


OFF = ("augmentation.colour=none",)


def test_the_mean_is_that_of_all_training_images(folder: Path) -> None:
    data = ImageFolder(source(folder, "pixels={mean: per_channel}"))
    assert data.mean.shape == (3,)
    assert torch.allclose(data.mean, ImageFolder(source(folder)).mean.mean((0, 1)), atol=1e-6)


def test_folders_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder '.*train'"):
        ImageFolder(source(tmp_path))
    directory = make_folder(tmp_path / "images")
    with pytest.raises(DataError, match=r"has 1,000 classes; .*train' has 3") as caught:
        ImageFolder(source(directory, classes=1000))
    assert caught.value.hint == 'use `set={"classes": 3}`'
    (directory / "train" / ".cache").mkdir()  # hidden folders are none
    (directory / "val" / "extra").mkdir()
    with pytest.raises(DataError, match=r"the class folder 'extra' is only in '.*val'"):
        ImageFolder(source(directory))
    (directory / "val" / "extra").rmdir()
    for file in (directory / "train" / "class1").iterdir():
        file.unlink()
    (directory / "train" / "class1" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"the class folder '.*train/class1' has no images"):
        ImageFolder(source(directory))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_decoded(tmp_path: Path, workers: int) -> None:
    directory = make_folder(tmp_path / "images", training=2)
    bad = directory / "train" / "class2" / "1.png"
    data = ImageFolder(replace(source(directory), workers=workers))
    bad.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"class2/1.png' cannot be decoded: this is not an image"):
        list(data.batches(0, 1))


def test_testing_alone_needs_no_training_images(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "val").symlink_to(folder / "val")
    alone = replace(source(tmp_path), trains=False)
    assert len(next(ImageFolder(alone, torch.zeros(3)).test_batches(1))[1]) == 12
    with pytest.raises(DataError, match=r"there is no folder '.*train'"):
        ImageFolder(alone)


def test_levels_of_16_bits_are_scaled_and_those_of_32_refused(tmp_path: Path) -> None:
    directory = make_folder(tmp_path, training=1)
    file = directory / "train" / "class0" / "0.png"
    grey = torch.full((40, 40), 32768, dtype=torch.uint16)
    Image.fromarray(grey.numpy()).save(file)
    plain = source(directory, "pixels={mean: [0, 0, 0]}", *OFF, "batch=3")
    images, labels = next(ImageFolder(plain).batches(0, 1))
    assert torch.allclose(images[labels == 0], torch.tensor(128 / 255))
    file.unlink()
    Image.fromarray(torch.rand(40, 40).numpy()).save(file.with_suffix(".tiff"))
    with pytest.raises(DataError, match="which have no fixed white level"):
        next(ImageFolder(plain).batches(0, 1))


def test_inputs_that_no_image_is_resized_to(folder: Path) -> None:
    with pytest.raises(DataError, match=r"resizes images to 20 pixels, smaller than .* 28x28"):
        ImageFolder(source(folder, "augmentation.resize=[20, 30]"))
