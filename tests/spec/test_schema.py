"""The JSON Schema that editors use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from definitions import specs_of_blocks
from hypothesis import HealthCheck, given, settings
from strategies import text_of

from archc.blocks import STANDARD
from archc.blocks.layers import LAYERS
from archc.blocks.library import STD
from archc.schemas import schema_of
from archc.shipped import shipped_folder, shipped_names
from archc.source.record import Record
from archc.spec import Source, SpecError, load_spec, resolve
from archc.spec.models import Header
from archc.spec.schema import json_schema

FAMILIES = (
    *("imagenet/resnet50", "torchvision/vgg11_bn", "torchvision/mobilenet_v2"),
    *("torchvision/mobilenet_v3_small", "torchvision/efficientnet_b0", "torchvision/densenet121"),
    *("torchvision/googlenet", "torchvision/convnext_tiny", "torchvision/shufflenet_v2_x1_0"),
    *("torchvision/mnasnet1_3", "timm/res2net50_26w_4s", "timm/resnet50d"),
)
ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft7Validator(json_schema())


def conv(**fields: Any) -> dict[str, Any]:
    return {"width": 8, "kernel": 3, **fields}


def accepts(schema: dict[str, Any], spec: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft7Validator(schema).is_valid(spec))


def accepted(spec: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid({"name": "net", **spec}))


def test_the_committed_schema_is_up_to_date() -> None:
    """`make schema` writes it."""
    committed = json.loads((ROOT / "specs/schema.json").read_text())
    assert committed == json_schema()


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", shipped_names())
def test_it_accepts_the_shipped_specs_which_name_it(name: str) -> None:
    text = (shipped_folder() / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize("name", FAMILIES)
def test_that_of_a_spec_accepts_the_spec(name: str) -> None:
    text = (shipped_folder() / f"{name}.yaml").read_text()
    assert accepts(schema_of(load_spec(name)), yaml.safe_load(text))


BLOCK_FILES = [*Path(STD).glob("*.yaml"), *shipped_folder().glob("*/blocks/*.yaml")]


@pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda path: path.stem)
def test_it_accepts_the_shipped_definitions(path: Path) -> None:
    assert accepted({"blocks": yaml.safe_load(path.read_text()).get("blocks", {})})


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs_of_blocks())
def test_it_accepts_random_definitions_that_archc_accepts(data: dict[str, Any]) -> None:
    try:
        spec = resolve(Source("random.yaml", text_of(data, as_json=False)))
    except SpecError:
        return
    assert VALIDATOR.is_valid(data)
    if len(str(data)) % 8 == 0:  # of each spec, a schema takes half a second
        assert accepts(schema_of(spec), data)


def test_every_field_has_a_description() -> None:
    models: list[type[Record]] = [Header, *STANDARD.values(), *LAYERS.values()]
    fields = [(m, name, info) for m in models for name, info in m.model_fields.items()]
    assert [f"{m.__name__}.{name}" for m, name, info in fields if not info.description] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": [{"block": "basic", "depth": 2, "width": 8, "shortcut": "A"}]},
        {"stem": ["relu", {"dropout": 0.5}, {"conv": {"width": 8, "kernel": 3}}]},
        {"with": {"depth": [1, None, 3], "shortcut": "B"}},
        {"defaults": {"block": "conv", "pool": "none"}, "stages": [{"pool": 2}]},
        {"stages": [{"block": "basic", "shortcut": "A"}], "with": {"block": "bottleneck"}},
        {"stages": [{"block": "basic", "stride_at": "3x3"}], "with": {"block": "bottleneck"}},
        {"stages": [{"width": "classes * 8", "depth": "2 * 2"}]},
        {"stem": ["relu", {"label": "a"}, "relu", "a", {"add": "a"}]},
        {"stem": [{"layers": [{"label": "a"}, "relu"]}, "a", {"a": None, "if": "classes > 2"}]},
        {"stem": [{"conv": {"width": "in * 2", "kernel": 3, "norm": "norm"}}]},
        {
            "stem": [
                {"conv": {"width": 8, "kernel": 3, "activation": "gelu if classes > 2 else relu"}}
            ]
        },
        {"stem": [{"add": {"input": ["relu"]}}, {"concat": ["identity", ["relu"], "tanh"]}]},
        {"variables": {"act": "silu"}, "stem": [{"conv": conv(activation="act")}]},
        {"variables": {"act": "silu"}, "stages": [{"block": "squeeze", "activation": "act"}]},
        {"blocks": {"b": {"layers": [{"conv": conv(activation="act")}]}}},
        {"blocks": {"b": {"layers": [{"conv": conv(norm="norm if wide else none")}]}}},
        {
            "blocks": {
                "b": {
                    "layers": [
                        {"conv": conv(groups="parts")},
                        {"squeeze": {"width": 4, "gate": "g"}},
                    ]
                }
            }
        },
        {"blocks": {"b": {"layers": [{"conv": conv(bias="norm == none", kernel="1 + 2")}]}}},
    ],
    ids=str,
)
def test_it_accepts_what_archc_accepts(spec: dict[str, Any]) -> None:
    assert accepted(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"stagse": []},
        {"stages": [{"depht": 3}]},
        {"stages": [{"block": "bottelneck"}]},
        {"stages": [{"block": "basic", "stride_at": "3x3"}]},
        {"stages": [{"depth": "3"}]},
        {"stages": [{"depth": 0}]},
        {"stages": [{"depth": None}]},
        {"stem": ["conv"]},
        {"stem": [{"conv": {"width": 3}}]},
        {"stem": [{"relu": 1}]},
        {"head": [{"dropout": 2}]},
        {"input": [3, 224]},
        {"input": [3, 224, 0]},
        {"with": {"stem": 3}},
        {"name": "9net"},
        {"stem": [{"conv": {"width": "abc", "kernel": 3}}]},
        {"stem": ["relux"]},
        {"stem": [{"add": "input"}, "a"]},
        {"stem": [{"conv": {"width": "3", "kernel": 3}}]},
        {"stem": [{"add": ["relu"]}]},
        {"defaults": {"block": "conv"}, "stages": [{"shortcut": "A"}]},
        {"defaults": {"block": "conv"}, "stages": [{"width": "abc def"}]},
        {"blocks": {"b": {"layers": [{"conv": {"width": "a b", "kernel": 3}}]}}},
        {"variables": {"m": 2}, "defaults": {"block": "conv"}, "stages": [{"shortcut": "A"}]},
    ],
    ids=str,
)
def test_it_refuses_what_archc_refuses(spec: dict[str, Any]) -> None:
    assert not accepted(spec)


PARENT = """\
name: parent
variables: {scale: 1.0}
blocks:
  coord_block:
    attributes: {width: int, expand: 2, act: relu}
    layers:
      - conv: {width: width * expand, kernel: 3, stride: stride, activation: act}
      - conv: {width: width, kernel: 1}
defaults: {block: coord_block, expand: 3}
stages: [{depth: 2, width: 16}]
head: [global_avg_pool, linear]
"""
CHILD = "extends: parent.yaml\nname: child\nstages: [{depth: 2, width: 16}]\n"


@pytest.fixture(scope="module", params=["parent", "child"])
def of_spec(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[jsonschema.Draft7Validator, dict[str, Any]]:
    """The schema of a spec whose block type comes from its own defaults, or from those of what it
    extends; and the spec."""
    folder = tmp_path_factory.mktemp("schema")
    for name, text in (("parent", PARENT), ("child", CHILD)):
        (folder / f"{name}.yaml").write_text(text)
    path = folder / f"{request.param}.yaml"
    schema = schema_of(load_spec(str(path)))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema), yaml.safe_load(path.read_text())


def with_stage(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**spec, "stages": [{**spec["stages"][0], **fields}]}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"expand": 4},
        {"expand": "scale * 4"},
        {"width": "scale"},
        {"act": "silu"},
        {"name": "part.{block}"},
        {"block": "bottleneck", "shortcut": "B"},
    ],
    ids=str,
)
def test_that_of_a_spec_accepts_stages_of_its_default_block(
    of_spec: tuple[jsonschema.Draft7Validator, dict[str, Any]], fields: dict[str, Any]
) -> None:
    validator, spec = of_spec
    assert validator.is_valid(with_stage(spec, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"exapnd": 3},
        {"expand": "abc def"},
        {"expand": "other"},
        {"act": "relx"},
        {"shortcut": "B"},
        {"block": "cord_block"},
        {"block": "basic", "expand": 2},
    ],
    ids=str,
)
def test_that_of_a_spec_refuses_stages_that_its_default_block_has_not(
    of_spec: tuple[jsonschema.Draft7Validator, dict[str, Any]], fields: dict[str, Any]
) -> None:
    validator, spec = of_spec
    assert not validator.is_valid(with_stage(spec, **fields))


@pytest.mark.parametrize(
    ("keys", "is_valid"),
    [
        ({"with": {"scale": 2, "expand": [2]}}, True),
        ({"with": {"exapnd": 2}}, False),
        ({"defaults": {"block": "cord_block"}}, False),
        ({"defaults": {"exapnd": 2}}, False),
        ({"stem": ["relux"]}, False),
        ({"stem": [{"cord_block": {"width": 8}}]}, False),
        ({"stem": [{"coord_block": {"width": 8}}]}, True),
        ({"stem": [{"coord_block": {"widht": 8}}]}, False),
        ({"blocks": {"b": {"layers": ["relux"]}}}, False),
        ({"blocks": {"b": {"layers": [{"label": "a"}, "relu", "a"]}}}, True),
    ],
    ids=str,
)
def test_that_of_a_spec_knows_all_of_its_words(
    of_spec: tuple[jsonschema.Draft7Validator, dict[str, Any]],
    keys: dict[str, Any],
    is_valid: bool,
) -> None:
    validator, spec = of_spec
    assert validator.is_valid({**spec, **keys}) is is_valid
