"""Recipes: the shipped ones, what extends and settings do, and what is said of broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from archc.recipes import load_recipe, recipe_names, recipe_schema
from archc.recipes.models import EXAMPLES, SECTIONS, Header
from archc.shipped import shipped_folder, shipped_names
from archc.source.record import Record
from archc.spec import SpecError

pytestmark = pytest.mark.usefixtures("speaking_command_line")

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft7Validator(recipe_schema())


def test_cifar10_is_the_papers() -> None:
    recipe = load_recipe("cifar10")
    assert (recipe.header.iterations, recipe.header.batch) == (64_000, 128)
    assert (recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.9, 1e-4)
    assert recipe.learning_rate.initial == 0.1
    assert recipe.learning_rate.divide_by == 10
    assert recipe.learning_rate.at == (32_000, 48_000)
    assert (recipe.augmentation.pad, recipe.augmentation.flip) == (4, True)
    assert recipe.pixels.mean == "per_pixel"
    assert recipe.warm_up is not None
    warm_up = recipe.warm_up
    assert (warm_up.learning_rate, warm_up.until_error, warm_up.from_layers) == (0.01, 80, 110)
    assert recipe.header.initialization == "he"


def test_imagenet_is_the_papers() -> None:
    recipe = load_recipe("imagenet")
    assert (recipe.header.iterations, recipe.header.batch) == (600_000, 256)
    assert (recipe.learning_rate.initial, recipe.learning_rate.at) == (0.1, None)
    assert recipe.learning_rate.patience == 5
    assert recipe.augmentation.resize == (256, 480)
    assert recipe.augmentation.colour == "pca"
    assert recipe.testing.crops == 10


def test_recipes_are_no_specs() -> None:
    assert recipe_names() == ["cifar10", "cifar10-short", "imagenet", "torchvision"]
    assert not [name for name in shipped_names() if name.startswith("recipes")]


@pytest.mark.parametrize("name", recipe_names())
def test_a_resolved_recipe_is_a_recipe_that_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(load_recipe(name).as_yaml())
    again = load_recipe(str(path))
    assert again == load_recipe(name)
    assert again.digest == load_recipe(name).digest


@pytest.mark.parametrize("name", recipe_names())
def test_the_schema_accepts_the_shipped_recipes_which_name_it(name: str) -> None:
    text = (shipped_folder() / "recipes" / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../recipe.schema.json\n")
    VALIDATOR.validate(yaml.safe_load(text))


def test_the_committed_schema_is_up_to_date() -> None:
    """`make schema` writes it."""
    committed = json.loads((ROOT / "specs/recipe.schema.json").read_text())
    assert committed == recipe_schema()
    jsonschema.Draft7Validator.check_schema(recipe_schema())


def test_every_field_has_a_description_and_every_section_an_example() -> None:
    models: list[type[Record]] = [Header, *SECTIONS.values()]
    fields = [(m, name, info) for m in models for name, info in m.model_fields.items()]
    assert [f"{m.__name__}.{name}" for m, name, info in fields if not info.description] == []
    for name, example in EXAMPLES.items():
        VALIDATOR.validate({"recipe": "net", name: yaml.safe_load(example)})


@pytest.mark.parametrize(
    "recipe", [{"batch": 0}, {"learning_rate": {}, "foo": 1}, {"pixels": {"mean": [1, 2]}}]
)
def test_the_schema_refuses_what_archc_refuses(recipe: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({"recipe": "net", **recipe})


def test_a_child_replaces_whole_keys(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("extends: cifar10\nrecipe: base\nbatch: 64\n")
    child = tmp_path / "child.yaml"
    child.write_text("recipe: child\nextends: base.yaml\nlearning_rate: {initial: 0.05}\n")
    recipe = load_recipe(str(child))
    assert (recipe.name, recipe.header.batch, recipe.header.iterations) == ("child", 64, 64_000)
    assert recipe.header.description == ""
    assert recipe.learning_rate.at is None  # the parent's, which the child's stands for
    assert recipe.optimizer == load_recipe("cifar10").optimizer


def test_null_takes_away_what_a_parent_says(tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text("recipe: child\nextends: cifar10\nwarm_up: null\n")
    assert load_recipe(str(child)).warm_up is None
    settings = ["learning_rate.patience=3", "learning_rate.at=null", "warm_up=null"]
    recipe = load_recipe("cifar10", settings)
    assert (recipe.learning_rate.at, recipe.learning_rate.patience) == (None, 3)
    assert recipe.warm_up is None
    with pytest.raises(SpecError) as told:
        load_recipe("cifar10", settings[:1])
    assert "note: `at` is given here" in str(told.value)
    assert "hint: --set learning_rate.at=null removes `at`" in str(told.value)


def test_settings_reach_into_sections() -> None:
    recipe = load_recipe(
        "cifar10",
        ["iterations=2000", "learning_rate.at=[1000, 1500]", "pixels={mean: per_channel}"],
    )
    assert recipe.header.iterations == 2000
    assert recipe.learning_rate.initial == 0.1
    assert recipe.learning_rate.at == (1000, 1500)
    assert recipe.pixels.mean == "per_channel"


BROKEN = {
    "several at once": (
        """\
recipe: mine
data: cifar11
iterations: many
batch: 128
optimizer: {momentum: 1.0, weight_decya: 1e-4}
learning_rate: {initial: 0, at: [48000, 32000]}
augmentation: [pad: 4]
stages: []
""",
        """\
r.yaml:2:7: error: `data` must be cifar10 or image_folder, not `cifar11`
  data: cifar11
        ^
hint: did you mean `cifar10`?
r.yaml:3:13: error: `iterations` must be an integer from 1 to 1,000,000,000, not `many`
  iterations: many
              ^
r.yaml:5:23: error: `momentum` must be a number from 0 to below 1, not `1.0`
  optimizer: {momentum: 1.0, weight_decya: 1e-4}
                        ^
r.yaml:5:28: error: `optimizer` has no attribute `weight_decya`
  optimizer: {momentum: 1.0, weight_decya: 1e-4}
                             ^
hint: did you mean `weight_decay`?
r.yaml:6:26: error: `initial` must be a number above 0, at most 1,000, not `0`
  learning_rate: {initial: 0, at: [48000, 32000]}
                           ^
r.yaml:7:15: error: `augmentation` must be a mapping, not a list of 1
  augmentation: [pad: 4]
                ^
hint: for example `augmentation: {pad: 4, flip: true}`
r.yaml:8:1: error: a recipe has no key `stages`
  stages: []
  ^
hint: choose from extends, recipe, description, data, held_out, limit, iterations, batch, \
label_smoothing, ema_decay, initialization, evaluate_every, checkpoint_every, learning_rate, \
optimizer, warm_up, pixels, augmentation and testing""",
    ),
    "lists without brackets": (
        """\
recipe: mine
extends: cifar10
learning_rate:
  initial: 0.1
  at: 32000, 48000
""",
        """\
r.yaml:5:7: error: `at` must be a list of iterations, ascending, not `32000, 48000`
    at: 32000, 48000
        ^
hint: write [32000, 48000]""",
    ),
    "what is missing": (
        "recipe: mine\n",
        """\
r.yaml:1:1: error: the recipe needs `data`, `iterations` and `batch`
  recipe: mine
  ^
hint: `data` is cifar10 or image_folder, `iterations` is an integer from 1 to 1,000,000,000, \
`batch` is an integer from 1 to 1,000,000
r.yaml:1:1: error: the recipe needs `learning_rate`
  recipe: mine
  ^
hint: for example `learning_rate: {initial: 0.1, divide_by: 10, at: [32000, 48000]}`""",
    ),
    "rules about more than one key": (
        """\
recipe: mine
extends: cifar10
learning_rate: {initial: 0.1, at: [5, 5], patience: 3}
augmentation: {resize: [480, 256]}
testing: {resize: 256}
""",
        """\
r.yaml:3:35: error: the iterations of `at` must ascend
  learning_rate: {initial: 0.1, at: [5, 5], patience: 3}
                                    ^
r.yaml:3:43: error: `at` and `patience` cannot be used together: the rate is divided \
either at given iterations or when the test error stops falling
  learning_rate: {initial: 0.1, at: [5, 5], patience: 3}
                                            ^
r.yaml:3:31: note: `at` is given here
r.yaml:4:16: error: `resize` is for `data: image_folder`; this recipe's data is `cifar10`
  augmentation: {resize: [480, 256]}
                 ^
cifar10:4:1: note: `data` is `cifar10`
r.yaml:4:24: error: the sizes of `resize` must ascend: [256, 480]
  augmentation: {resize: [480, 256]}
                         ^
r.yaml:5:11: error: `resize` is for `data: image_folder`; this recipe's data is `cifar10`
  testing: {resize: 256}
            ^
cifar10:4:1: note: `data` is `cifar10`""",
    ),
    "a cosine": (
        """\
recipe: mine
extends: cifar10
iterations: 100
learning_rate: {initial: 0.1, schedule: cosine, at: [5], patience: 3, final: 0.2, \
warm_up_iterations: 100}
label_smoothing: 1
ema_decay: -0.1
""",
        """\
r.yaml:4:49: error: `at` and `schedule: cosine` cannot be used together: the rate is either \
divided or falls along a cosine
  learning_rate: {initial: 0.1, schedule: cosine, at: [5], patience: 3, final: 0.2, \
warm_up_iterations…
                                                  ^
r.yaml:4:31: note: `schedule` is given here
r.yaml:4:58: error: `patience` and `schedule: cosine` cannot be used together: the rate is \
either divided or falls along a cosine
  …ng_rate: {initial: 0.1, schedule: cosine, at: [5], patience: 3, final: 0.2, \
warm_up_iterations: 100}
                                                      ^
r.yaml:4:31: note: `schedule` is given here
r.yaml:4:78: error: the rate must not rise: `final` is 0.2, `initial` 0.1
  …ng_rate: {initial: 0.1, schedule: cosine, at: [5], patience: 3, final: 0.2, \
warm_up_iterations: 100}
                                                                          ^
r.yaml:5:18: error: `label_smoothing` must be a number from 0 to below 1, not `1`
  label_smoothing: 1
                   ^
r.yaml:6:12: error: `ema_decay` must be a number from 0 to below 1, not `-0.1`
  ema_decay: -0.1
             ^""",
    ),
    "a cosine that is none": (
        """\
recipe: mine
extends: cifar10
warm_up: null
learning_rate: {initial: 0.1, schedule: linear, final: -1, warm_up_iterations: 0}
""",
        """\
r.yaml:4:41: error: `schedule` must be cosine, not `linear`
  learning_rate: {initial: 0.1, schedule: linear, final: -1, warm_up_iterations: 0}
                                          ^
r.yaml:4:56: error: `final` must be a number from 0 to 1,000, not `-1`
  learning_rate: {initial: 0.1, schedule: linear, final: -1, warm_up_iterations: 0}
                                                         ^
r.yaml:4:80: error: `warm_up_iterations` must be an integer from 1 to 1,000,000,000, not `0`
  learning_rate: {initial: 0.1, schedule: linear, final: -1, warm_up_iterations: 0}
                                                                                 ^""",
    ),
    "warm-ups that do not fit": (
        """\
recipe: mine
extends: cifar10
iterations: 100
learning_rate: {initial: 0.1, schedule: cosine, warm_up_iterations: 100}
""",
        """\
r.yaml:4:49: error: `warm_up_iterations` and `warm_up` cannot be used together: a recipe has \
one warm-up
  learning_rate: {initial: 0.1, schedule: cosine, warm_up_iterations: 100}
                                                  ^
hint: `warm_up: null` removes one that is inherited
cifar10:12:1: note: `warm_up` is given here
r.yaml:4:69: error: the warm-up (100 iterations) must be shorter than the training (100)
  learning_rate: {initial: 0.1, schedule: cosine, warm_up_iterations: 100}
                                                                      ^
hint: set `learning_rate.warm_up_iterations` together with `iterations`
r.yaml:3:1: note: `iterations` is given here""",
    ),
    "a warm-up past a division": (
        """\
recipe: mine
extends: cifar10
warm_up: null
learning_rate: {initial: 0.1, at: [20, 30], warm_up_iterations: 40}
""",
        """\
r.yaml:4:65: error: the warm-up (40 iterations) must end before the rate is divided after 20
  learning_rate: {initial: 0.1, at: [20, 30], warm_up_iterations: 40}
                                                                  ^""",
    ),
    "an end without a cosine": (
        "recipe: mine\nextends: cifar10\nlearning_rate: {initial: 0.1, at: [9], final: 0.01}\n",
        """\
r.yaml:3:40: error: `final` is for `schedule: cosine`; this rate is divided instead
  learning_rate: {initial: 0.1, at: [9], final: 0.01}
                                         ^""",
    ),
    "a list": (
        "- recipe\n",
        """\
r.yaml:1:1: error: a recipe is a mapping, not a list of 1
  - recipe
  ^
hint: a recipe begins with `recipe:`""",
    ),
    "nothing": ("", "r.yaml:1:1: error: the recipe is empty"),
    "itself": (
        "recipe: mine\nextends: r.yaml\n",
        """\
r.yaml:2:10: error: `r.yaml` extends itself
  extends: r.yaml
           ^""",
    ),
    "a parent that is none": (
        "recipe: mine\nextends: imagnet\n",
        """\
r.yaml:2:10: error: there is no file or shipped recipe `imagnet`
  extends: imagnet
           ^
hint: did you mean `imagenet`?""",
    ),
    "numbers that are not among the choices": (
        """\
recipe: mine
extends: cifar10
testing: {crops: 5}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not `5`
  testing: {crops: 5}
                   ^""",
    ),
    "a list for a choice among numbers": (
        """\
recipe: mine
extends: cifar10
testing: {crops: [1]}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not a list of 1
  testing: {crops: [1]}
                   ^""",
    ),
    "a mapping for a choice among numbers": (
        """\
recipe: mine
extends: cifar10
testing: {crops: {}}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not an empty mapping
  testing: {crops: {}}
                   ^""",
    ),
    "a truth value is not 1": (
        """\
recipe: mine
extends: cifar10
testing: {crops: true}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not `true`
  testing: {crops: true}
                   ^""",
    ),
    "a number with a point is not 1": (
        """\
recipe: mine
extends: cifar10
testing: {crops: 1.0}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not `1.0`
  testing: {crops: 1.0}
                   ^
hint: write 1""",
    ),
    "a choice among numbers between quotes": (
        """\
recipe: mine
extends: cifar10
testing: {crops: "10"}
""",
        """\
r.yaml:3:18: error: `crops` must be 1 or 10, not the text `10`
  testing: {crops: "10"}
                   ^
hint: write 10 without quotes""",
    ),
    "a choice among numbers without a value": (
        """\
recipe: mine
extends: cifar10
testing:
  crops:
""",
        """\
r.yaml:4:9: error: `crops` has no value
    crops:
          ^
hint: it must be 1 or 10""",
    ),
    "YAML that is none": (
        "recipe: mine\nbatch: [\n",
        """\
r.yaml:2:8: error: this list is not closed with `]`
  batch: [
         ^""",
    ),
}


@pytest.mark.parametrize("title", BROKEN)
def test_what_is_said_of_a_broken_recipe(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = BROKEN[title]
    (tmp_path / "r.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as told:
        load_recipe("r.yaml")
    assert str(told.value) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            "batch",
            "--set:1:1: error: `--set` needs KEY=VALUE, not `batch`\n  batch\n  ^\n"
            "hint: for example iterations=2000",
        ),
        (
            "batches=3",
            "--set:1:1: error: a recipe has no key `batches`\n  batches=3\n  ^\n"
            "hint: did you mean `batch`?",
        ),
        (
            "learning_rate.at=[1,",
            "--set:1:18: error: this list is not closed with `]`\n"
            "  learning_rate.at=[1,\n                   ^",
        ),
        (
            "pixels.mean=[0.1, 2, 0.3]",
            "--set:1:19: error: the level of `mean` must be a number from 0 to 1, not `2`\n"
            "  pixels.mean=[0.1, 2, 0.3]\n                    ^",
        ),
        (
            "optimizer.momentum=2",
            "--set:1:20: error: `momentum` must be a number from 0 to below 1, not `2`\n"
            "  optimizer.momentum=2\n                     ^",
        ),
        (
            "testing.crops=5",
            "--set:1:15: error: `crops` must be 1 or 10, not `5`\n"
            "  testing.crops=5\n                ^",
        ),
        (
            "description=a\0b",
            "--set:1:14: error: the character U+0000 is not allowed in a setting\n"
            "  description=a\N{REPLACEMENT CHARACTER}b\n               ^",
        ),
        (
            "data=\udcff",
            "--set:1:6: error: the character U+DCFF is not allowed in a setting\n"
            "  data=\N{REPLACEMENT CHARACTER}\n       ^",
        ),
    ],
)
def test_what_is_said_of_a_broken_setting(setting: str, expected: str) -> None:
    with pytest.raises(SpecError) as told:
        load_recipe("cifar10", [setting])
    assert str(told.value) == expected


@pytest.mark.parametrize("text", ["1e5", "true", "~", "12", ".inf", "0x10", "yes", "a: b", "", "é"])
def test_any_description_survives_a_resolved_recipe(text: str, tmp_path: Path) -> None:
    """PyYAML quotes what YAML 1.1 would misread; `1e5` is a number since YAML 1.2."""
    path = tmp_path / "recipe.yaml"
    path.write_text(f"recipe: null_\nextends: cifar10\ndescription: {json.dumps(text)}\n")
    recipe = load_recipe(str(path))
    path.write_text(recipe.as_yaml())
    assert load_recipe(str(path)) == recipe
