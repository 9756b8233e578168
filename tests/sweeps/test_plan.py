"""A sweep's numbers, against those of every variant compiled for itself."""

from __future__ import annotations

import tracemalloc
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs, text_of

import archc
from archc.compile import compile_spec
from archc.graph import Network
from archc.spec import Source, SpecError, resolve
from archc.spec.overrides import Set
from archc.sweeps import Factor, Plan, Unbuildable, Variant, parse_axes
from archc.sweeps.swept import SweepFault, SweepRow

pytestmark = pytest.mark.usefixtures("speaking_command_line")

VARIED = {
    "depth": ["1..3", "2,1", "x0.5..x2:0.5", "5"],
    "width": ["4,8,12", "x0.25,x3", "1..9:4", "x1"],
    "stride": ["1,2", "3"],
    "shortcut": ["A,B,C,none", "A,nonsense"],
    "block": ["basic,bottleneck", "conv,basic"],
    "expansion": ["1,2"],
    "groups": ["1,2,5"],
    "kernel": ["1,3,2"],
    "classes": ["3,7"],
    "norm": ["none,batch_norm"],
}
OF_NETWORK = ("classes", "norm")


@st.composite
def axes(draw: st.DrawFn, stages: int) -> list[str]:
    names = draw(st.lists(st.sampled_from(sorted(VARIED)), min_size=1, max_size=3, unique=True))
    texts = []
    for name in names:
        numbers = [] if name in OF_NETWORK else range(1, stages + 1)
        stage = draw(st.sampled_from(["", *(f"[{number}]" for number in numbers)]))
        texts.append(f"{name}{stage}={draw(st.sampled_from(VARIED[name]))}")
    return texts


def compiled(source: Source, plan: Plan, settings: tuple[Any, ...]) -> Network:
    """A variant by the long way: its settings as a `--set` each, all through the compiler."""
    return compile_spec(
        resolve(
            source,
            [
                Set((axis.name, str(choice) if isinstance(choice, Factor) else choice))
                for axis, choice in zip(plan.axes, settings, strict=True)
            ],
        )
    )


@given(specs(), st.data())
@settings(max_examples=80)
def test_every_variant_has_the_numbers_of_its_own_network(
    data: dict[str, Any], more: st.DataObject
) -> None:
    source = Source("random.yaml", text_of(data))
    try:
        spec = resolve(source)
    except SpecError:
        return
    if not spec.stages:
        return
    plan = Plan(source, parse_axes(more.draw(axes(len(spec.stages))), spec))
    seen = 0
    for index, found in enumerate(plan.variants()):
        assert found.index == index
        seen += 1
        try:
            network = compiled(source, plan, found.settings)
        except (SpecError, AttributeError, TypeError):
            assert isinstance(found, Unbuildable), found
            continue
        assert isinstance(found, Variant), (found, network.name)
        assert found.numbers == (network.layers, network.params, network.multiply_adds)
    assert seen == plan.count == prod(axis.values.count for axis in plan.axes)


@pytest.mark.parametrize(
    ("spec", "vary"),
    [
        ("imagenet/resnet50", ["depth[3]=2..8:3", "width=x0.5..x2:0.5", "shortcut=A,B,C"]),
        ("torchvision/vgg16_bn", ["depth=1..3", "width[4]=64,512"]),
        ("cifar10/preresnet164", ["depth=1,18", "expansion=2,4", "stride_at=1x1,3x3"]),
        ("torchvision/resnext50_32x4d", ["groups=1,32", "base_width=4,64"]),
        ("imagenet/resnet34", ["block=basic,bottleneck", "depth=x0.5,x1,x2"]),
    ],
)
def test_variants_of_shipped_specs_are_exact(spec: str, vary: list[str]) -> None:
    source = Source("x", f"extends: {spec}\nname: x")
    plan = Plan(source, parse_axes(vary, resolve(source)))
    for found in plan.variants():
        network = compiled(source, plan, found.settings)
        assert isinstance(found, Variant)
        assert found.numbers == (network.layers, network.params, network.multiply_adds)


def test_variants_come_in_order_the_last_axis_first() -> None:
    found = list(archc.sweep("imagenet/resnet18", ["depth=1,2", "shortcut=A,B"]))
    expected = [{"depth": depth, "shortcut": option} for depth, option in product((1, 2), "AB")]
    assert [one.settings for one in found] == expected


def test_a_variant_that_cannot_be_built_says_why_and_the_rest_goes_on() -> None:
    found = list(archc.sweep("imagenet/resnet34", ["width[2]=32,128", "depth=0,3"]))
    assert [type(one).__name__ for one in found] == ["SweepFault"] * 3 + ["SweepRow"]
    reasons = [one.reason for one in found if isinstance(one, SweepFault)]
    assert reasons == [
        "stage 1: `depth` must be an integer from 1 to 10,000, not `0`",
        "stage 2: option A cannot reduce 64 channels to 32",
        "stage 1: `depth` must be an integer from 1 to 10,000, not `0`",
    ]


def test_a_reason_names_the_stage_at_fault() -> None:
    stages = "[{depth: 1, width: 4}, {depth: 1, width: 4}, {depth: 1, width: 4}]"
    text = f"name: x\ninput: [4, 8, 8]\ndefaults: {{block: conv}}\nstages: {stages}\n"
    source = Source("x", text)
    plan = Plan(source, parse_axes(["pool[1]=none,16", "pool[2]=none,16"], resolve(source)))
    reasons = [one.reason for one in plan.variants() if isinstance(one, Unbuildable)]
    assert [reason.partition(":")[0] for reason in reasons] == ["stage 2", "stage 1", "stage 1"]


def test_a_spec_without_stages_has_nothing_to_vary(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nhead: [linear]\n")
    with pytest.raises(SpecError, match="x has no stages to vary"):
        archc.sweep(path, ["depth=1"])


def test_too_many_blocks_cannot_be_built() -> None:
    found = list(archc.sweep("cifar10/resnet20", ["depth=3333,3334"]))
    assert isinstance(found[0], SweepRow)
    assert isinstance(found[1], SweepFault)
    assert found[1].reason == "a network may have at most 10,000 blocks"


def test_true_and_one_are_two_settings() -> None:
    found = list(archc.sweep("torchvision/vgg11", ["bias=true,1"]))
    assert [type(one).__name__ for one in found] == ["SweepRow", "SweepFault"]


def test_multiples_are_rounded_to_the_nearest_and_at_least_one() -> None:
    spec = resolve(Source("x", "extends: cifar10/resnet20\nname: x"))
    (axis,) = parse_axes(["width=x0.01..x0.1:0.03,x1.5,x0.03125"], spec)
    choices = [choice for choice in axis.values if isinstance(choice, Factor)]
    assert [choice.of(16) for choice in choices] == [1, 1, 1, 2, 24, 1]
    assert list(map(str, choices)) == ["x0.01", "x0.04", "x0.07", "x0.1", "x1.5", "x0.03125"]


def test_ranges_are_not_spelt_out() -> None:
    spec = resolve(Source("x", "extends: cifar10/resnet20\nname: x"))
    huge = ",".join(["1..999999999999999999"] * 12)
    (axis,) = parse_axes(
        [f"depth={huge},x1..x1000000,x0..x99999999999999999:0.000000000000001"], spec
    )
    assert axis.values.count == 12 * (10**18 - 1) + 10**6 + (10**17 - 1) * 10**15 + 1
    found = iter(axis.values)
    assert [next(found) for _ in range(3)] == [1, 2, 3]
    plan = Plan(Source("x", "extends: cifar10/resnet20\nname: x"), [axis])
    assert next(plan.variants()).settings == (1,)


def test_a_sweep_remembers_no_more_than_it_needs() -> None:
    """A hundred thousand variants, each with a width and a depth of its own."""
    tracemalloc.start()
    source = Source("x", "extends: imagenet/resnet50\nname: x")
    plan = Plan(source, parse_axes(["width=1..400", "depth=1..100"], resolve(source)))
    built = sum(isinstance(one, Variant) for one in plan.variants())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert built > 10_000
    assert peak < 30e6


MISTAKES = {
    "depht=2": (
        "--vary:1:1: error: resnet20 has no key, variable or stage attribute `depht`\n"
        "  depht=2\n  ^\nhint: did you mean `depth`?"
    ),
    "depth": (
        "--vary:1:1: error: `--vary` takes NAME=VALUES, not `depth`\n  depth\n  ^\n"
        "hint: for example depth=2..8:2, depth[3]=4,6,23 or width=x0.5..x2:0.25"
    ),
    "depth=8..2": (
        "--vary:1:7: error: the range `8..2` is empty: it ends before it begins\n  depth=8..2\n   "
        "     ^\nhint: write 2..8"
    ),
    "width=x2..x0.5": (
        "--vary:1:7: error: the range `x2..x0.5` is empty: it ends before it begins\n"
        "  width=x2..x0.5\n        ^\nhint: write x0.5..x2"
    ),
    "depth=2,,3": (
        "--vary:1:9: error: a value is missing here\n  depth=2,,3\n          ^\n"
        "hint: for example depth=2..8:2, depth[3]=4,6,23 or width=x0.5..x2:0.25"
    ),
    "depth[4]=2": (
        "--vary:1:7: error: there is no stage `4`\n  depth[4]=2\n        ^\n"
        "hint: resnet20 has stages 1 to 3"
    ),
    f"depth[{'1' * 5000}]=2": (
        f"--vary:1:7: error: there is no stage `{'1' * 39}…`\n  depth[{'1' * 94}…\n        ^\n"
        "hint: resnet20 has stages 1 to 3"
    ),
    "depth[\u0661]=2": (
        "--vary:1:7: error: there is no stage `\u0661`\n  depth[\u0661]=2\n        ^\n"
        "hint: resnet20 has stages 1 to 3"
    ),
    "depth=2..8:0": (
        "--vary:1:7: error: the range `2..8:0` has a step of 0\n  depth=2..8:0\n        ^\n"
        "hint: the step must be above 0"
    ),
    "width=0.5..2": (
        "--vary:1:7: error: the range `0.5..2` is not a range of integers\n  width=0.5..2\n       "
        " ^\nhint: write multiples of the spec's value as x0.5..x2"
    ),
    "depth=2..x": (
        "--vary:1:7: error: `2..x` is not a range\n  depth=2..x\n        ^\n"
        "hint: a range is FIRST..LAST or FIRST..LAST:STEP"
    ),
    "depth=1..9999999999999999999": (
        "--vary:1:7: error: a number may have at most 18 digits\n"
        "  depth=1..9999999999999999999\n        ^"
    ),
    "width=null": (
        "--vary:1:7: error: `null` leaves a stage unchanged and is not a value\n  width=null\n    "
        "    ^\nhint: x1 is the spec's own value"
    ),
    "depth=1..x2": (
        "--vary:1:7: error: `1..x2` is not a range\n  depth=1..x2\n        ^\n"
        "hint: a range is FIRST..LAST or FIRST..LAST:STEP"
    ),
    "depth[]=1": (
        "--vary:1:6: error: the number of a stage is missing here\n  depth[]=1\n       ^\n"
        "hint: for example depth[1]=..."
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_an_axis_are_told_where_they_are(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        archc.sweep("cifar10/resnet20", [text])
    assert str(caught.value) == MISTAKES[text]


def test_an_attribute_is_varied_once() -> None:
    with pytest.raises(SpecError) as caught:
        archc.sweep("cifar10/resnet20", ["depth[2]=1", "depth=2,3"])
    assert str(caught.value).startswith(
        "--vary:1:1: error: `depth` is already varied by `--vary depth[2]=1`"
    )
