"""The JSON Schema that editors use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from archc.blocks import STANDARD
from archc.blocks.layers import LAYERS
from archc.shipped import shipped_folder, shipped_names
from archc.spec.models import Header
from archc.spec.schema import json_schema

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft7Validator(json_schema())


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


def test_every_field_has_a_description() -> None:
    models: list[type[BaseModel]] = [Header, *STANDARD.values(), *LAYERS.values()]
    fields = [(m, name, info) for m in models for name, info in m.model_fields.items()]
    assert [f"{m.__name__}.{name}" for m, name, info in fields if not info.description] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": [{"block": "basic", "depth": 2, "width": 8, "shortcut": "A"}]},
        {"stem": ["relu", {"dropout": 0.5}, {"conv": {"width": 8, "kernel": 3}}]},
        {"with": {"depth": [1, None, 3], "shortcut": "B"}},
        {"defaults": {"block": "conv", "pool": "none"}, "stages": [{"pool": 2}]},
    ],
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
    ],
    ids=str,
)
def test_it_refuses_what_archc_refuses(spec: dict[str, Any]) -> None:
    assert not accepted(spec)
