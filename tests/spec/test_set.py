"""What `--set` does to a spec; what is said of mistakes, the catalogue in tests/broken has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archc
from archc.blocks import STANDARD
from archc.compile import compile_spec
from archc.recipes import check_settings, load_recipe, route, setting_names
from archc.recipes.models import KEYS as RECIPE_KEYS
from archc.recipes.models import SECTIONS
from archc.shipped import shipped_folder
from archc.source.diagnostics import Findings, Source
from archc.source.reader import read
from archc.source.settings import parse_setting
from archc.spec import Spec, SpecError, resolve
from archc.spec.models import SETTABLE, Header
from archc.spec.overrides import Change, InputSize, Set
from archc.spec.show import show

pytestmark = pytest.mark.usefixtures("speaking_command_line")

NET = """\
name: net
input: [3, 16, 16]
classes: 7
variables: {mult: 1.5}
stem: [conv: {width: 8, kernel: 3}]
stages:
  - {block: conv, depth: 2, width: 8}
  - {block: basic, depth: 3, width: 16*mult, shortcut: A, stride: 2}
  - {block: bottleneck, depth: 1, width: 8, shortcut: A, expansion: 6}
head: [global_avg_pool, linear]
"""


def net(*sets: str, text: str = NET) -> Spec:
    return resolve(Source("net.yaml", text), [Set(one) for one in sets])


def stages(spec: Spec, name: str) -> list[Any]:
    return [getattr(stage.model, name, None) for stage in spec.stages]


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("classes=10", "classes", 10),
        ("input=32", "input", (3, 32, 32)),
        ("input=1x32x24", "input", (1, 32, 24)),
        ("input=32x24", "input", (3, 32, 24)),
        ("input=1,32,24", "input", (1, 32, 24)),
        ("input = [1, 32, 24]", "input", (1, 32, 24)),
        ("norm=none", "norm", "none"),
        ("norm={group_norm: {groups: 4}}", "norm", "group_norm"),
        ("activation=silu", "activation", "silu"),
        ("pre_activation=true", "pre_activation", True),
        ("name=other", "name", "other"),
        ("title=a, b: [c]", "title", "a, b: [c]"),
        ('title="34"', "title", "34"),
        ("spec.classes=10", "classes", 10),
    ],
)
def test_keys_of_the_network(text: str, key: str, expected: object) -> None:
    plain = NET.replace("conv, depth", "basic, shortcut: A, depth") if "pre_" in text else NET
    assert getattr(net(text, text=plain).header, key) == expected


def test_a_norm_has_its_numbers_and_weights_their_rule() -> None:
    spec = net("norm={group_norm: {groups: 4}}", "init={linear: {normal: 0.5}}")
    assert spec.norm is not None
    assert spec.norm.groups == 4
    assert spec.initial.linear.value == 0.5


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("depth=4", "depth", [4, 4, 4]),
        ("depth=1, 2,3", "depth", [1, 2, 3]),
        ("depth=[1,2,3]", "depth", [1, 2, 3]),
        ("depth=null,5,null", "depth", [2, 5, 1]),
        ("depth[2]=20", "depth", [2, 20, 1]),
        ("depth[2]=x2", "depth", [2, 6, 1]),
        ("width=x2", "width", [16, 48, 16]),
        ("width=x0.5,null,x3", "width", [4, 24, 24]),
        ("width=16*mult", "width", [24, 24, 24]),
        ("width=max(4, mult)", "width", [4, 4, 4]),
        ("expansion=x0.5", "expansion", [None, None, 3]),
        ("mult=2", "width", [8, 32, 8]),
        ("mult=x3", "width", [8, 72, 8]),
    ],
)
def test_variables_and_attributes_of_stages(text: str, name: str, expected: list[Any]) -> None:
    spec = net("shortcut=B", text)
    assert stages(spec, name) == expected
    again = resolve(Source("shown.yaml", show(spec)))
    assert compile_spec(again).digest == compile_spec(spec).digest


@pytest.mark.parametrize("text", ["kernel[1]=[1, 7]", "kernel=[1,7],null", "kernel=[[1,7],null]"])
def test_a_value_may_be_a_list_itself(text: str) -> None:
    plain = "name: net\nstages:\n" + "  - {block: basic_conv, depth: 1, width: 8, kernel: 3}\n" * 2
    assert stages(net(text, text=plain), "kernel") == [(1, 7), 3]


def test_each_applies_to_what_those_before_it_made() -> None:
    changes: list[Change] = [
        "width=32",
        Set("width=x0.5"),
        Set("width[1]=8"),
        Set("width=x2"),
        "depth=9",
    ]
    spec = resolve(
        Source("net.yaml", NET), [*changes, "depth=9", Set("depth=1"), Set("shortcut=C")]
    )
    assert stages(spec, "width") == [16, 32, 32]
    assert stages(spec, "depth") == [1, 1, 1]
    sizes: list[Change] = [Set("input=8"), InputSize("1,24,24"), Set("input=32")]
    assert resolve(Source("net.yaml", NET), sizes).header.input == (1, 32, 32)
    assert resolve(Source("net.yaml", NET), sizes[:2]).header.input == (1, 24, 24)
    label = resolve(Source("net.yaml", NET), [*sizes[1:], "depth=2", Set(("mult", 2))]).label
    assert label == "net.yaml --input 1,24,24 --set input=32 --with depth=2 --set mult=2"


def notes(*sets: str, text: str = NET) -> list[str]:
    return [f"{one.place}: {one.message}" for one in net(*sets, text=text).notes]


def test_what_is_rounded_or_left_alone_is_told() -> None:
    assert notes("shortcut=B") == [
        "--set:1:1: stage 1 has no attribute `shortcut` and is left unchanged"
    ]
    assert notes("expansion=2") == [
        "--set:1:1: stages 1 and 2 have no attribute `expansion` and are left unchanged"
    ]
    assert notes("shortcut=B", "width=x0.3")[1:] == [
        "--set:1:7: `width` of stages 1, 2 and 3 is rounded: 2.4 to 2, 7.2 to 7 and 2.4 to 2"
    ]
    assert notes("depth=x0.5") == [
        "--set:1:7: `depth` of stages 2 and 3 is rounded: 1.5 to 2 and 0.5 to 1"
    ]
    assert notes("width=x0.5", "shortcut[2]=B", "shortcut[3]=B") == []


@pytest.mark.parametrize(
    ("text", "head", "stem", "told"),
    [
        ("classes=10", "[linear: 5]", "conv: {width: 8, kernel: 3}", "each `linear` of net has"),
        ("classes=10", "[global_avg_pool]", "conv: {width: 8, kernel: 3}", "net has no `linear`"),
        ("classes=10", "[linear: classes*2]", "relu", ""),
        ("norm=none", "[linear]", "relu", "nothing in net reads it"),
        ("norm=none", "[linear]", "norm", ""),
        ("norm=none", "[linear]", "conv: {width: 8, kernel: 3}", ""),
        ("activation=silu", "[linear]", "conv: {width: 8, kernel: 3, activation: none}", "nothing"),
        ("n=2", "[linear]", "relu", "the variable `n` has no effect: nothing in net reads it"),
        ("n=2", "[linear: 4*n]", "relu", ""),
    ],
)
def test_what_has_no_effect_is_told(text: str, head: str, stem: str, told: str) -> None:
    spec = f"name: net\ninput: [3, 4, 4]\nvariables: {{n: 1}}\nstem: [{stem}]\nhead: {head}\n"
    found = notes(text, text=spec)
    assert len(found) == (told != "")
    assert told in "".join(found)


def test_stages_with_a_norm_or_an_activation_of_their_own_keep_it() -> None:
    text = NET.replace("block: conv,", "block: conv_norm, activation: relu,")
    assert notes("activation=silu", text=text) == [
        "--set:1:1: stage 1 has its own `activation`, which stays"
    ]
    spec = net("activation[1]=silu", text=text)
    assert stages(spec, "activation")[0] == "silu"
    assert spec.header.activation == "relu"


def test_python_says_the_same_as_data() -> None:
    def digest(**options: Any) -> str:
        return archc.read({"extends": "cifar10/resnet20", "name": "net"}, **options).spec.digest

    assert digest(classes=7, set={"depth[3]": np.int64(5), "width": "x2"}) == digest(
        set=["classes=7", "depth[3]=5", "width=x2"]
    )
    assert digest(input=48, norm="none") == digest(input=(3, 48, 48), set={"norm": "none"})
    assert digest(set={"norm": {"batch_norm": {"eps": np.float32(0.5)}}}) == digest(
        set=["norm={batch_norm: {eps: 0.5}}"]
    )
    assert digest(with_={"depth": 2}, set={"depth": [None, 4, None]}) == digest(set=["depth=2,4,2"])
    assert archc.check("cifar10/resnet20", set={"depth": 0}) != ()
    assert "\nclasses: 7 " in archc.show("cifar10/resnet20", classes=7)
    rows = [*archc.sweep("cifar10/resnet20", {"classes": [7, 8], "input": [16, "3x8x8"]})]
    assert [row.params for row in rows] == [
        archc.load("cifar10/resnet20", classes=classes).params for classes in (7, 7, 8, 8)
    ]
    with pytest.raises(TypeError, match=r"no argument `clases`: did you mean `classes`\?"):
        archc.load("cifar10/resnet20", clases=7)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="`set` must be a mapping or a list of KEY=VALUE"):
        archc.load("cifar10/resnet20", set="classes=7")
    with pytest.warns(archc.SpecWarning, match="`shortcut` and is left unchanged"):
        archc.loads(NET, set={"shortcut": "B"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1,2", [1, 2]),
        ("a=[1,[2, x]],3", [[1, [2, "x"]], 3]),
        ("a='it''s, so',\"b,\\\"c\",f(d, e)", ["it's, so", 'b,"c', "f(d, e)"]),
        ("a=null, ~,true", [None, None, True]),
        ("a={b: [1, 2], c: {d: 1.5}}", {"b": [1, 2], "c": {"d": 1.5}}),
        ("a.b[ 3 ] = 1e-4 ", 1e-4),
    ],
)
def test_values_are_typed_as_yaml_types_them(text: str, expected: object) -> None:
    findings = Findings()
    found = parse_setting(text, "--set", "", findings)
    assert found is not None
    assert found.value(findings).plain == expected
    assert findings.found == {}


def test_no_key_of_recipes_is_one_of_specs() -> None:
    """A `--set` of train and evaluate is of the recipe or of the spec by its key alone."""
    ours = {*SETTABLE, *Header.model_fields} - {"description"} | {*STANDARD.attributes}
    for path in (shipped_folder()).rglob("blocks/*.yaml"):
        root = read(Source(path.name, path.read_text(), kind="block file"), Findings()).plain
        assert isinstance(root, dict)
        for block in root["blocks"].values():
            ours |= set(block.get("attributes", ()))
    assert len(ours) > 25
    assert ours & {*RECIPE_KEYS, *SECTIONS} == set()
    assert "description" not in {*SETTABLE, *setting_names()}


def test_settings_go_to_the_recipe_or_to_the_spec() -> None:
    changes: list[Change] = [
        Set("batch=64"),
        "depth=2",
        Set("classes=10"),
        Set(("learning_rate.at", [1000])),
        Set("spec.batch=3"),
        Set("recipe.batch=5"),
        Set("depth[2]=3"),
    ]
    of_spec, settings = route(changes)
    assert settings == ("batch=64", "learning_rate.at=[1000]", "recipe.batch=5")
    given = [one.given if isinstance(one, Set) else one for one in of_spec]
    assert given == ["depth=2", "classes=10", "spec.batch=3", "depth[2]=3"]
    recipe = load_recipe("cifar10", settings)
    assert recipe.header.batch == 5
    assert recipe.learning_rate.at == (1000,)
    assert load_recipe("cifar10", ["learning_rate.at=1000,2000"]).learning_rate.at == (1000, 2000)


def test_a_key_of_both_is_refused() -> None:
    text = NET.replace("variables: {", "variables: {batch: 4, ")
    check_settings(["recipe.batch=2", "iterations=5"], net(text=text))
    with pytest.raises(SpecError) as told:
        check_settings(["batch=2"], net(text=text))
    assert str(told.value) == (
        "--set:1:1: error: `batch` is a key of the recipe and a variable of net\n  batch=2\n  ^\n"
        "hint: write recipe.batch=2 or spec.batch=2"
    )
    with pytest.raises(SpecError) as told:
        resolve(Source("net.yaml", NET), route([Set("itertions=2")])[0])
    assert str(told.value).startswith(
        "--set:1:1: error: neither the recipe nor net has a key `itertions`\n"
    )
    assert str(told.value).endswith("hint: did you mean `iterations`?")


def test_a_folder_of_blocks_takes_none(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("blocks: {b: {layers: [relu]}}\n")
    (told,) = archc.check(tmp_path / "b.yaml", set={"depth": 3})
    assert told.message == "`--set` is for specs, and this is a file of blocks"
