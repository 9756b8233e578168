"""Ten crops and uncropped images at several scales, against testing written out in plain torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import archc
from archc.errors import DataError, TrainingError
from archc.live import build_module
from archc.training.evaluation import evaluate, subject_of_spec
from archc.weights.files import to_safetensors

pytestmark = pytest.mark.usefixtures("speaking_command_line")

NET = """
name: windows
input: [3, 28, 28]
classes: 3
stem: [conv: {width: 6, kernel: 3, stride: 2}, max_pool: {kernel: 2, stride: 2}]
stages: [{block: basic, depth: 1, width: 8, shortcut: B}]
head: HEAD
"""
HEADS = {
    "vgg": "[flatten, {linear: 10}, relu, dropout: 0.5, linear]  # archc: allow large-linear",
    "resnet": "[global_avg_pool, linear]",
}
RECIPE = """
recipe: views
extends: torchvision
iterations: 1
batch: 2
augmentation: {resize: [28, 40]}
testing: {resize: 36, crops: 1}
"""
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Case:
    """A network with weights, and the images of a folder."""

    def __init__(self, head: str, folder: Path, place: Path):
        (place / "net.yaml").write_text(NET.replace("HEAD", HEADS[head]))
        (place / "recipe.yaml").write_text(RECIPE)
        self.network = archc.load(place / "net.yaml")
        torch.manual_seed(1)
        self.module = build_module(self.network).eval()
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                if name.startswith("fc"):
                    parameter.mul_(2)  # so that the probabilities differ
        (place / "net.safetensors").write_bytes(to_safetensors(self.module.state_dict()))
        self.subject = subject_of_spec(
            self.network, place / "net.safetensors", folder, str(place / "recipe.yaml")
        )
        self.files = sorted((folder / "val").glob("*/*.png"))
        self.labels = [int(path.parent.name[-1]) for path in self.files]

    def error_and_loss(self, chances: list[Tensor]) -> tuple[float, float]:
        table = torch.stack(chances)
        wrong = (table.argmax(1) != torch.tensor(self.labels)).double().mean().item()
        return 100 * wrong, -table[range(len(table)), self.labels].log().mean().item()


def resized(path: Path, shorter: int) -> Tensor:
    """An image ``(3, height, width)`` whose shorter side is resized, normalised."""
    with Image.open(path) as image:
        scale = shorter / min(image.size)
        size = tuple(max(shorter, round(side * scale)) for side in image.size)
        levels = image.convert("RGB").resize((size[0], size[1]), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(levels.tobytes()), dtype=torch.uint8)
    return ((pixels.view(size[1], size[0], 3) / 255 - MEAN) / STD).permute(2, 0, 1)


@pytest.mark.parametrize("head", HEADS)
def test_ten_crops(head: str, folder: Path, tmp_path: Path) -> None:
    case = Case(head, folder, tmp_path)
    chances = []
    for path in case.files:
        image = resized(path, 36)
        _, height, width = image.shape
        down, right = height - 28, width - 28
        views = []
        for top, left in (
            *((0, 0), (0, right), (down, 0), (down, right)),
            (down // 2, right // 2),
        ):
            crop = image[:, top : top + 28, left : left + 28]
            views += [crop, crop.flip(2)]
        with torch.no_grad():
            chances.append(case.module(torch.stack(views)).softmax(1).mean(0))
    error, loss = case.error_and_loss(chances)
    found = evaluate(case.subject, folder, crops=10)
    assert found.images == len(case.files)
    assert found.error == pytest.approx(error)
    # Resampling a crop alone rounds differently by a level or two.
    assert found.loss == pytest.approx(loss, rel=0.02)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scales", [(28,), (36, 61, 44)])
def test_whole_images_at_scales(
    head: str, scales: tuple[int, ...], folder: Path, tmp_path: Path
) -> None:
    case = Case(head, folder, tmp_path)
    net = dict(case.module.named_children())
    chances = []
    for path in case.files:
        at_scales = []
        for scale in scales:
            with torch.no_grad():
                maps = resized(path, scale)[None]
                for name, child in net.items():
                    if name in ("avgpool", "fc1"):
                        break
                    maps = F.relu(child(maps)) if name == "bn1" else child(maps)
                at_scales.append(scores(head, net, maps).softmax(0))
        chances.append(torch.stack(at_scales).mean(0))
    error, loss = case.error_and_loss(chances)
    found = evaluate(case.subject, folder, scales=scales)
    assert found.images == len(case.files)
    assert found.error == pytest.approx(error)
    assert found.loss == pytest.approx(loss, rel=1e-4)


def scores(head: str, net: dict[str, torch.nn.Module], maps: Tensor) -> Tensor:
    """The mean of the classifier's scores over all of its places on a map."""
    if head == "resnet":
        columns = maps[0].flatten(1).T
        return torch.stack([net["fc"](column) for column in columns]).mean(0)
    places = []
    for top in range(maps.shape[2] - 6):
        for left in range(maps.shape[3] - 6):
            window = maps[0, :, top : top + 7, left : left + 7].flatten()
            places.append(net["fc2"](F.relu(net["fc1"](window))))
    return torch.stack(places).mean(0)


def test_a_mean_per_pixel_is_averaged_over_pixels(folder: Path, tmp_path: Path) -> None:
    case = Case("resnet", folder, tmp_path)
    losses = []
    for mean in ("per_pixel", "per_channel"):
        recipe = tmp_path / f"{mean}.yaml"
        recipe.write_text(RECIPE + f"pixels: {{mean: {mean}}}\n")
        subject = subject_of_spec(case.network, case.subject.weights, folder, str(recipe))
        losses.append(evaluate(subject, folder, scales=[36]).loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_what_cannot_be_tested_so(folder: Path, cifar: Path, tmp_path: Path) -> None:
    case = Case("vgg", folder, tmp_path)
    with pytest.raises(TrainingError) as told:
        evaluate(case.subject, folder, scales=[36, 24])
    assert str(told.value) == (
        "images of 24 pixels are too small for windows: with its windows the shorter side is at "
        "least 27"
    )
    text = NET.replace("28, 28", "32, 32").replace("classes: 3", "classes: 10")
    (tmp_path / "small.yaml").write_text(text.replace("HEAD", HEADS["resnet"]))
    small = archc.load(tmp_path / "small.yaml")
    weights = tmp_path / "small.safetensors"
    weights.write_bytes(to_safetensors(build_module(small).state_dict()))
    with pytest.raises(DataError, match="images of CIFAR-10 have one size, 32x32"):
        evaluate(subject_of_spec(small, weights, cifar, None), cifar, scales=[32])
    (tmp_path / "odd.yaml").write_text(
        NET.replace("HEAD", "[adaptive_avg_pool: 3, flatten, linear]")
    )
    odd = replace(case.subject, network=archc.load(tmp_path / "odd.yaml"))
    with pytest.raises(TrainingError) as told:
        evaluate(odd, folder, scales=[36])
    assert str(told.value) == (
        "no fully convolutional form: windows pools a map of 7x7 to 3x3 at `avgpool`: its windows "
        "are not all of one size"
    )
    assert told.value.hint == "--crops 10 tests several views of each image"
