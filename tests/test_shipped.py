"""The shipped specs: published counts, torchvision's state dicts, and their emitted modules."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from agreement import assert_agrees, on_meta, without_drawing
from families import OF_THE_PAPERS
from reference.catalogue import CONFIGS, TORCHVISION, build
from shipped import network_of

import archc
from archc.graph import Network
from archc.listing import index_text, summaries
from archc.shipped import shipped_folder

DATA = Path(__file__).parent / "data"
FACTS = json.loads((DATA / "networks.json").read_text(encoding="utf-8"))
STATE_DICTS = json.loads((DATA / "torchvision_state_dicts.json").read_text(encoding="utf-8"))


FROM_TORCHVISION = {fact: f"torchvision/{name}" for name, fact in TORCHVISION.items()}


@cache
def load_fact(name: str) -> Network:
    """A network of networks.json: a shipped spec, where needed with another shortcut or depth."""
    if name in FROM_TORCHVISION:
        return network_of(FROM_TORCHVISION[name])
    group = "cifar10" if name.startswith("cifar-") else "imagenet"
    stem, _, option = name.removeprefix("cifar-").partition("-")
    if stem == "plain1202":
        return archc.load("cifar10/plain20", with_={"depth": 200})
    return archc.load(f"{group}/{stem}", with_={"shortcut": option} if option else {})


def fact_of(spec: str) -> str:
    """The name in networks.json of a shipped spec's network."""
    group, name = spec.split("/")
    if group == "torchvision":
        return TORCHVISION[name]
    option = {"b": "B", "c": "C"}.get(name.partition("-")[2])
    stem = name.partition("-")[0]
    if name.startswith("resnet"):
        option = option or ("A" if group == "cifar10" or stem in ("resnet18", "resnet34") else "B")
    if name.startswith("preresnet"):
        option = {"preresnet110": "A", "preresnet164": "B"}[name]
    prefix = "cifar-" if group == "cifar10" else ""
    return f"{prefix}{stem}" + (f"-{option}" if option else "")


@pytest.mark.parametrize("name", FACTS["networks"])
def test_counts_are_the_published_ones(name: str) -> None:
    facts = FACTS["networks"][name]
    network = load_fact(name)
    assert network.params == facts["params"]
    assert network.multiply_adds == facts["multiply_adds"]


@pytest.mark.parametrize("name", FACTS["networks"])
def test_emitted_state_dict_is_the_references(name: str) -> None:
    """Keys in order and shapes, so that one loads the other's weights."""
    with torch.device("meta"), without_drawing():
        reference = build(CONFIGS[name])
    ours, theirs = on_meta(load_fact(name)).state_dict(), reference.state_dict()
    assert [(key, value.shape) for key, value in ours.items()] == [
        (key, value.shape) for key, value in theirs.items()
    ]


@pytest.mark.parametrize("spec", OF_THE_PAPERS)
def test_shipped_spec_is_the_network_it_says(spec: str) -> None:
    network = network_of(spec)
    facts = FACTS["networks"][fact_of(spec)]
    assert (network.params, network.multiply_adds) == (facts["params"], facts["multiply_adds"])
    assert network.name == spec.split("/")[1]
    assert network.source == spec
    assert network.title != network.name
    assert network.description


@pytest.mark.parametrize("spec", OF_THE_PAPERS)
def test_emitted_module_agrees_with_its_graph_layer_by_layer(spec: str) -> None:
    network = network_of(spec)
    assert_agrees(network, on_meta(network))


@pytest.mark.parametrize("name", STATE_DICTS)
def test_state_dicts_of_torchvision_specs_are_torchvisions(name: str) -> None:
    state = on_meta(network_of(f"torchvision/{name}")).state_dict()
    shapes = [(key, "x".join(map(str, value.shape))) for key, value in state.items()]
    assert shapes == list(STATE_DICTS[name].items())


def test_every_torchvision_spec_has_a_state_dict_to_compare_with() -> None:
    names = [name for name in OF_THE_PAPERS if name.startswith("torchvision/")]
    assert {name.split("/")[1] for name in names} == set(STATE_DICTS) == set(FACTS["torchvision"])


@pytest.mark.parametrize("name", FACTS["torchvision"])
def test_torchvision_publishes_the_same_counts(name: str) -> None:
    network = archc.load(f"torchvision/{name}")
    published = FACTS["torchvision"][name]
    assert network.params == published["params"]
    assert round(network.multiply_adds / 1e9, 3) == published["gflops_published"]


def test_the_other_version_of_a_bottleneck_is_one_attribute_away() -> None:
    facts = FACTS["networks"]["resnet50-B-v1.5"]
    network = archc.load("imagenet/resnet50", with_={"stride_at": "3x3"})
    assert (network.params, network.multiply_adds) == (facts["params"], facts["multiply_adds"])


def test_twice_the_image_size_is_four_times_the_convolutions_and_no_parameter_more() -> None:
    once, twice = (archc.load("imagenet/resnet34", input=(3, n, n)) for n in (224, 448))
    classifier = 512 * 1000
    assert twice.params == once.params
    assert twice.multiply_adds - classifier == 4 * (once.multiply_adds - classifier)
    assert_agrees(twice, on_meta(twice))


def test_the_index_of_the_shipped_specs_is_theirs() -> None:
    """`make index` writes it anew."""
    assert (shipped_folder() / "index.json").read_text(encoding="utf-8") == index_text()


def test_an_index_of_other_specs_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("imagenet/resnet34", "imagenet/plain34"):
        copy = tmp_path / f"{name}.yaml"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((shipped_folder() / f"{name}.yaml").read_bytes())
    right = '{"digest": "", "specs": [1]}'
    for text in (right, "", "[]", "[", '{"digest": 1}', None):
        if text is not None:
            (tmp_path / "index.json").write_text(text, encoding="utf-8")
        with monkeypatch.context() as patch:
            for module in ("archc.shipped", "archc.spec.files"):
                patch.setattr(f"{module}.shipped_path", lambda: str(tmp_path))
            found = {row["spec"]: row["layers"] for row in summaries()}
        assert found == {"imagenet/plain34": 34, "imagenet/resnet34": 34}
