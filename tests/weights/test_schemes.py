"""Names of other projects: which of their tensors is which of archc's.

What is expected does not come from the tables under test: timm registers modules in torchvision's
order (a RegNet's shortcut apart), and the names of the others are written by functions here, after
their public sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import archc
from archc.graph import Network, Shape
from archc.weights import MisfitError, fit
from archc.weights.schemes import SCHEMES

TIMM = Path(__file__).parents[1] / "data" / "timm_modules.txt"
"""The modules with tensors of models of timm 1.0.31, in its order. With random weights, archc's
modules and timm's then gave the same logits bit for bit, vgg11 and mobilenetv3 up to 3e-5."""


def timm_models() -> dict[str, tuple[str, list[str]]]:
    """The spec and the paths of modules of each model."""
    models: dict[str, tuple[str, list[str]]] = {}
    for line in TIMM.read_text().splitlines():
        if not line.startswith(" "):
            name, spec = line.split()
            models[name] = (spec, [])
            continue
        roots, _, inner = line.rpartition(":")
        paths = [f"{root}.{path}" for root in roots.split() for path in inner.split()]
        models[name][1].extend(paths or inner.split())
    return models


def modules_of(network: Network) -> dict[str, list[str]]:
    """The keys of each module of a network, in order."""
    modules: dict[str, list[str]] = {}
    for key in network.state:
        path = key if key.endswith("layer_scale") else key.rpartition(".")[0]
        modules.setdefault(path, []).append(key)
    return modules


def in_torchvision_order(paths: list[str]) -> list[str]:
    """The paths, a RegNet's shortcut before the rest of its block."""

    def place(index: int) -> tuple[int, bool]:
        block, is_shortcut, _ = paths[index].partition(".downsample")
        if not is_shortcut:
            return index, True
        return next(i for i, path in enumerate(paths) if path.startswith(f"{block}.")), False

    is_regnet = any(path.startswith("s1.b1.") for path in paths)
    order = sorted(range(len(paths)), key=place) if is_regnet else range(len(paths))
    return [paths[index] for index in order]


def reshaped(key: str, shape: Shape) -> Shape:
    """The shape that a tensor has in timm, where it is another one."""
    shapes: dict[str, dict[Shape, Shape]] = {
        "classifier.0.weight": {(4096, 25088): (4096, 512, 7, 7), (1024, 576): (1024, 576, 1, 1)},
        "classifier.3.weight": {(4096, 4096): (4096, 4096, 1, 1)},
    }
    if key.endswith("layer_scale"):
        return shape[:1]
    return shapes.get(key, {}).get(shape, shape)


@pytest.mark.parametrize("model", timm_models())
def test_timm_names_are_those_of_the_modules_in_order(model: str) -> None:
    spec, paths = timm_models()[model]
    network = archc.load(spec)
    ours = modules_of(network)
    expected = {}
    for path, keys in zip(in_torchvision_order(paths), ours.values(), strict=True):
        for key in keys:
            name = key.rpartition(".")[2]
            expected[key] = path if name == "layer_scale" else f"{path}.{name}"
    shapes = {theirs: reshaped(key, network.state[key]) for key, theirs in expected.items()}
    found = fit(network, shapes)
    assert found.fits
    assert found.keys == expected
    assert found.scheme is not None
    assert found.scheme.startswith("timm's ")
    assert all(math.prod(shapes[expected[k]]) == math.prod(network.state[k]) for k in expected)
    assert set(found.reshaped) == {k for k in expected if shapes[expected[k]] != network.state[k]}


# Names of others: a function from a module of torchvision's ResNet to theirs


def detectron2(path: str) -> str:
    """detectron2.modeling.backbone.resnet: a norm is a module of its convolution."""
    parts = path.split(".")
    if parts[0] in ("conv1", "bn1"):
        return "stem.conv1" + (".norm" if parts[0] == "bn1" else "")
    if parts[0] == "fc":
        return "linear"
    root = f"res{int(parts[0][5:]) + 1}.{parts[1]}"
    if parts[2] == "downsample":
        return f"{root}.shortcut" + (".norm" if parts[3] == "1" else "")
    return f"{root}.conv{parts[2][-1]}" + (".norm" if parts[2].startswith("bn") else "")


def hugging_face(path: str) -> str:
    """transformers.models.resnet, in `ResNetForImageClassification`."""
    parts = path.split(".")
    kind = "normalization" if parts[-1].startswith("bn") or parts[-1] == "1" else "convolution"
    if parts[0] in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{kind}"
    if parts[0] == "fc":
        return "classifier.1"
    root = f"resnet.encoder.stages.{int(parts[0][5:]) - 1}.layers.{parts[1]}"
    if parts[2] == "downsample":
        return f"{root}.shortcut.{kind}"
    return f"{root}.layer.{int(parts[2][-1]) - 1}.{kind}"


def pycls(path: str, first: int = 1) -> str:
    """pycls.models.resnet; in its first version the stem is stage 1."""
    parts = path.split(".")
    if parts[0] in ("conv1", "bn1"):
        return f"{'stem' if first == 1 else 's1'}.{parts[0][:-1]}"
    if parts[0] == "fc":
        return "head.fc"
    root = f"s{int(parts[0][5:]) + first - 1}.b{int(parts[1]) + 1}"
    if parts[2] == "downsample":
        return f"{root}.{('proj', 'bn')[int(parts[3])]}"
    letter = "abc"[int(parts[2][-1]) - 1]
    return f"{root}.f.{letter}" + ("_bn" if parts[2].startswith("bn") else "")


def kuangliu(path: str) -> str:
    return path.replace("downsample", "shortcut").replace("fc", "linear")


RESNETS: dict[str, Callable[[str], str]] = {
    "detectron2's ResNet": detectron2,
    "Hugging Face's ResNet": hugging_face,
    "pycls's ResNet": pycls,
    "the ResNet of early pycls": lambda path: pycls(path, first=2),
    "CIFAR ResNets with `linear`": kuangliu,
}


def renamed(network: Network, name: Callable[[str], str]) -> dict[str, str]:
    """Their key for each of a network's, where ``name`` gives the paths of modules."""
    keys = {key: key.rpartition(".") for key in network.state}
    return {key: f"{name(path)}.{tensor}" for key, (path, _, tensor) in keys.items()}


@pytest.mark.parametrize("scheme", RESNETS)
@pytest.mark.parametrize(
    ("spec", "around"),
    [("imagenet/resnet34-b", "{}"), ("torchvision/resnet50", "module.backbone.bottom_up.{}")],
)
def test_names_of_resnets_are_known(scheme: str, spec: str, around: str) -> None:
    network = archc.load(spec)
    theirs = {key: around.format(one) for key, one in renamed(network, RESNETS[scheme]).items()}
    found = fit(network, {theirs[key]: shape for key, shape in network.state.items()})
    assert found.fits
    assert found.keys == theirs
    assert found.scheme == scheme
    assert f"named as in {scheme}" in found.summary()


def test_the_body_of_a_hugging_face_model_has_no_prefix() -> None:
    network = archc.load("torchvision/resnet50")
    theirs = renamed(network, lambda path: hugging_face(path).removeprefix("resnet."))
    body = {theirs[key]: shape for key, shape in network.state.items() if key[:2] != "fc"}
    assert fit(network, body).missing == ("fc.weight", "fc.bias")


def test_detectron2_without_counters_and_with_a_head_of_torchvision() -> None:
    """Frozen norms count no batches; its converter of torchvision's weights has `stem.fc`."""
    network = archc.load("torchvision/resnet50")
    theirs = renamed(network, lambda path: "stem.fc" if path == "fc" else detectron2(path))
    shapes = {
        theirs[key]: shape for key, shape in network.state.items() if not key.endswith("tracked")
    }
    assert fit(network, shapes).fits


def test_caffe2_names_have_no_dots() -> None:
    network = archc.load("torchvision/resnet50")
    tensors = {"weight": "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}

    def name(key: str) -> str:
        *path, tensor = key.split(".")
        is_norm = path[-1].startswith("bn") or path[-2:] == ["downsample", "1"]
        end = {**tensors, "weight": "s"}[tensor] if is_norm else tensors[tensor]
        if path == ["fc"]:
            return f"fc1000_{end}"
        if len(path) == 1:
            return f"res_conv1_bn_{end}" if is_norm else f"conv1_{end}"
        branch = "branch1" if path[2] == "downsample" else f"branch2{'abc'[int(path[2][-1]) - 1]}"
        norm = "_bn" if is_norm else ""
        return f"res{int(path[0][5:]) + 1}_{path[1]}_{branch}{norm}_{end}"

    theirs = {key: name(key) for key in network.state if not key.endswith("tracked")}
    assert theirs["layer1.0.downsample.1.weight"] == "res2_0_branch1_bn_s"
    found = fit(network, {theirs[key]: network.state[key] for key in theirs})
    assert found.fits
    assert found.keys == theirs


def regnet(path: str) -> str:
    """pycls.models.regnet."""
    parts = path.split(".")
    if parts[0] == "stem":
        return f"stem.{('conv', 'bn')[int(parts[1])]}"
    if parts[0] == "fc":
        return "head.fc"
    stage, block = parts[2].removeprefix("block").split("-")
    root = f"s{stage}.b{int(block) + 1}"
    if parts[3] == "proj":
        return f"{root}.{('proj', 'bn')[int(parts[4])]}"
    if parts[4] == "se":
        return f"{root}.f.se.f_ex.{(int(parts[5][-1]) - 1) * 2}"
    return f"{root}.f.{parts[4]}" + ("_bn" if parts[5] == "1" else "")


def efficientnet(path: str) -> str:
    """pycls.models.effnet."""
    parts = path.split(".")
    if parts[0] == "classifier":
        return "head.fc"
    if parts[1] in "08":
        return (
            f"{'stem' if parts[1] == '0' else 'head'}."
            + (("conv", "bn"), ("conv", "conv_bn"))[parts[1] == "8"][int(parts[2])]
        )
    root, inner = f"s{parts[1]}.b{int(parts[2]) + 1}", parts[4:]
    names = ["dwise", "se", "lin_proj"] if parts[1] == "1" else ["exp", "dwise", "se", "lin_proj"]
    name = names[int(inner[0])]
    if name == "se":
        return f"{root}.se.f_ex.{(int(inner[1][-1]) - 1) * 2}"
    return f"{root}.{name}" + ("_bn" if inner[1] == "1" else "")


def mm_regnet(path: str) -> str:
    """mmpretrain's RegNet is a ResNet, in `backbone`; the head is beside it."""
    parts = path.split(".")
    if parts[0] == "fc":
        return "head.fc"
    if parts[0] == "stem":
        return f"backbone.{('conv1', 'bn1')[int(parts[1])]}"
    stage, block = parts[2].removeprefix("block").split("-")
    root = f"backbone.layer{stage}.{block}"
    if parts[3] == "proj":
        return f"{root}.downsample.{parts[4]}"
    return f"{root}.{('conv', 'bn')[int(parts[5])]}{'abc'.index(parts[4]) + 1}"


def mm_mobilenet(path: str) -> str:
    """mmpretrain's MobileNetV2, of modules that have `conv` and `bn`; stages of 1 to 4 blocks."""
    parts = path.split(".")
    if parts[0] == "classifier":
        return "head.fc"
    number = int(parts[1])
    if number in (0, 18):
        return f"backbone.conv{1 if number == 0 else 2}.{('conv', 'bn')[int(parts[2])]}"
    depths, stage = [1, 2, 3, 4, 3, 3, 1], 0
    number -= 1
    while number >= depths[stage]:
        number -= depths[stage]
        stage += 1
    inner = parts[3:]
    last = 1 if stage == 0 else 2
    if len(inner) == 1:
        inner = [str(last), "0" if int(inner[0]) == last else "1"]
    name = ("conv", "bn")[int(inner[1])]
    return f"backbone.layer{stage + 1}.{number}.conv.{inner[0]}.{name}"


CONVNEXT = {"0": ("dwconv", "dwconv"), "2": ("norm", "layernorm")}
CONVNEXT |= {"3": ("pwconv1", "pwconv1"), "5": ("pwconv2", "pwconv2")}


def convnext(path: str) -> str:
    """models/convnext.py of ConvNeXt's authors."""
    parts = path.split(".")
    if parts[0] == "classifier":
        return {"0": "norm", "2": "head"}[parts[1]]
    stage = int(parts[1])
    if stage % 2 == 0:
        return f"downsample_layers.{stage // 2}.{parts[2]}"
    root = f"stages.{stage // 2}.{parts[2]}"
    return f"{root}.{CONVNEXT[parts[4]][0]}" if len(parts) > 3 else root


def hugging_face_convnext(path: str) -> str:
    """transformers.models.convnext, in `ConvNextForImageClassification`."""
    parts = path.split(".")
    if parts[0] == "classifier":
        return {"0": "convnext.layernorm", "2": "classifier"}[parts[1]]
    stage = int(parts[1])
    if stage == 0:
        return f"convnext.embeddings.{('patch_embeddings', 'layernorm')[int(parts[2])]}"
    if stage % 2 == 0:
        return f"convnext.encoder.stages.{stage // 2}.downsampling_layer.{parts[2]}"
    root = f"convnext.encoder.stages.{stage // 2}.layers.{parts[2]}"
    return f"{root}.{CONVNEXT[parts[4]][1]}" if len(parts) > 3 else root


def pretrainedmodels(path: str) -> str:
    path = f"layer0.{path}" if path in ("conv1", "bn1") else path
    return path.replace("se.fc", "se_module.fc").replace("fc", "last_linear", path == "fc")


def mm_seresnet(path: str) -> str:
    path = path.replace("se.fc1", "se_layer.conv1.conv").replace("se.fc2", "se_layer.conv2.conv")
    return "head.fc" if path == "fc" else f"backbone.{path}"


@pytest.mark.parametrize(
    ("spec", "name", "scheme"),
    [
        ("torchvision/regnet_y_800mf", regnet, "pycls's RegNet"),
        ("torchvision/regnet_x_400mf", regnet, "pycls's RegNet"),
        ("torchvision/efficientnet_b0", efficientnet, "pycls's EfficientNet"),
        ("torchvision/regnet_x_400mf", mm_regnet, "mmpretrain's RegNet"),
        ("torchvision/mobilenet_v2", mm_mobilenet, "mmpretrain's MobileNetV2"),
        ("timm/seresnet50", mm_seresnet, "mmpretrain's SE-ResNet"),
        ("timm/seresnet50", pretrainedmodels, "pretrainedmodels' SE-ResNet"),
        ("torchvision/convnext_tiny", convnext, "the ConvNeXt of its authors"),
        ("torchvision/convnext_tiny", hugging_face_convnext, "Hugging Face's ConvNeXt"),
    ],
)
def test_names_of_other_networks_are_known(
    spec: str, name: Callable[[str], str], scheme: str
) -> None:
    network = archc.load(spec)
    scale = "layer_scale_parameter" if name is hugging_face_convnext else "gamma"
    theirs = {key: one.replace("layer_scale", scale) for key, one in renamed(network, name).items()}
    found = fit(
        network, {theirs[key]: reshaped(key, shape) for key, shape in network.state.items()}
    )
    assert found.fits
    assert found.keys == theirs
    assert found.scheme == scheme


def test_densenets_of_torchvision_are_published_with_other_names() -> None:
    network = archc.load("torchvision/densenet121")
    theirs = {
        key: key.replace("norm1", "norm.1").replace("norm2", "norm.2")
        .replace("conv1", "conv.1").replace("conv2", "conv.2")
        for key in network.state
    }  # fmt: skip
    assert theirs["features.denseblock1.denselayer1.conv1.weight"].endswith(".conv.1.weight")
    found = fit(network, {theirs[key]: shape for key, shape in network.state.items()})
    assert found.fits
    assert found.keys == theirs


def test_the_numbers_stay_those_of_the_tensor_in_another_shape() -> None:
    """What is a convolution over the whole map there is a linear layer here."""
    spec = archc.load("torchvision/vgg11", input=(3, 32, 32), with_={"width": 8})
    state = archc.module(spec).state_dict()
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
    theirs = {}
    for key, tensor in state.items():
        path, _, name = key.rpartition(".")
        is_first = path == "classifier.0" and name == "weight"
        given = tensor.reshape(len(tensor), 8, 7, 7) if is_first else tensor
        path = names.get(path, path.replace("classifier.6", "head.fc"))
        theirs[f"{path}.{name}"] = given
    loaded = archc.module(spec, weights=theirs).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())


def test_only_what_a_scheme_renames_is_reshaped() -> None:
    network = archc.load("cifar10/resnet20")
    shapes = {**network.state, "fc.weight": (10, 64, 1, 1)}
    assert set(fit(network, shapes).misshapen) == {"fc.weight"}


def all_rows() -> Iterator[str]:
    for scheme in SCHEMES:
        yield from scheme.paths.split()


def test_every_scheme_says_whose_names_it_has() -> None:
    assert len({scheme.name for scheme in SCHEMES}) == len(SCHEMES)
    assert all(row.count("<") == row.count(">") for row in all_rows())


def test_two_tensors_do_not_become_one() -> None:
    """A file that has both names is told of, neither is chosen in silence."""
    network = archc.load("cifar10/resnet20")
    shapes = {**network.state, "linear.weight": (10, 64), "linear.bias": (10,)}
    assert fit(network, shapes).unexpected == ("linear.weight", "linear.bias")
    state = {key: torch.zeros(shape) for key, shape in shapes.items()}
    with pytest.raises(MisfitError):
        archc.module(network, weights=state)
