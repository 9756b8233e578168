"""What specs mean: which value wins, what is inherited, and what holds where nothing is said."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import archc
from archc.compile import compile_spec
from archc.graph import Network
from archc.ops import AvgPool2d, Conv2d, Linear, MaxPool2d
from archc.spec import Source, Spec, SpecError, load_spec, resolve
from archc.spec.overrides import InputSize

STAGE = "{block: basic, depth: 1, width: 8, shortcut: B}"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return name


def load(text: str, *with_: str, input_: str | None = None) -> Spec:
    return load_spec(
        write("child.yaml", text), [*with_, *([] if input_ is None else [InputSize(input_)])]
    )


def network(text: str) -> Network:
    return compile_spec(load(text))


def depths(spec: Spec) -> list[int]:
    return [stage.model.depth for stage in spec.stages]


def faults(text: str, *with_: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text, *with_)
    return [f"{d.place}: {d.message}" for d in caught.value.diagnostics]


# Precedence


def test_a_stage_wins_over_defaults() -> None:
    spec = load(
        "name: net\n"
        "defaults: {block: basic, depth: 2, width: 8, shortcut: A}\n"
        "stages: [{}, {depth: 3}]\n"
    )
    assert depths(spec) == [2, 3]


def test_with_wins_over_stages_and_defaults() -> None:
    spec = load(
        "name: net\n"
        "defaults: {block: basic, depth: 2, width: 8, shortcut: A}\n"
        "stages: [{}, {depth: 3}]\n"
        "with: {depth: 5}\n"
    )
    assert depths(spec) == [5, 5]


def test_null_in_with_leaves_a_stage_alone() -> None:
    spec = load(
        "name: net\n"
        "defaults: {block: basic, width: 8, shortcut: A, depth: 2}\n"
        "stages: [{}, {depth: 3}, {}, {}]\n"
        "with: {depth: [null, ~, 4, ]}\n".replace(", ]", ", 5]")
    )
    assert depths(spec) == [2, 3, 4, 5]


def test_the_child_s_with_wins_over_its_ancestors() -> None:
    write("grand.yaml", f"name: g\nstages: [{STAGE}, {STAGE}]\nwith: {{depth: [2, 3], width: 4}}\n")
    write("parent.yaml", "name: p\nextends: grand.yaml\nwith: {depth: [null, 4]}\n")
    spec = load("name: c\nextends: parent.yaml\nwith: {depth: [5, null]}\n")
    assert depths(spec) == [5, 4]
    assert [stage.model.width for stage in spec.stages] == [4, 4]


def test_the_command_line_wins_over_every_with() -> None:
    write("parent.yaml", f"name: p\nstages: [{STAGE}, {STAGE}]\nwith: {{depth: 2}}\n")
    text = "name: c\nextends: parent.yaml\nwith: {depth: [3, 4]}\n"
    assert depths(load(text, "depth=5,")) == [5, 4]
    assert depths(load(text, "depth=5,null")) == [5, 4]
    assert depths(load(text, " depth = 6 , 7 ")) == [6, 7]


def test_the_last_option_wins() -> None:
    text = f"name: net\nstages: [{STAGE}, {STAGE}]\n"
    assert depths(load(text, "depth=2", "depth=,3", "shortcut=C")) == [2, 3]


def test_with_can_change_the_block() -> None:
    spec = load(f"name: net\nstages: [{STAGE}]\nwith: {{block: bottleneck, stride_at: 3x3}}\n")
    assert [stage.model.block for stage in spec.stages] == ["bottleneck"]


# Extends


def test_stages_of_a_child_drop_what_ancestors_laid_over_theirs() -> None:
    write("parent.yaml", f"name: p\nstages: [{STAGE}, {STAGE}]\nwith: {{depth: [2, 3]}}\n")
    spec = load(f"name: c\nextends: parent.yaml\nstages: [{STAGE}, {STAGE}, {STAGE}]\n")
    assert depths(spec) == [1, 1, 1]


def test_stages_of_a_child_keep_the_ancestors_defaults() -> None:
    write("parent.yaml", "name: p\ndefaults: {block: basic, width: 8, shortcut: A, depth: 1}\n")
    assert depths(load("name: c\nextends: parent.yaml\nstages: [{}, {depth: 2}]\n")) == [1, 2]


@pytest.mark.parametrize(
    ("key", "own", "inherited"),
    [("stem", "[relu]", "[batch_norm, relu]"), ("head", "[linear]", "[global_avg_pool, linear]")],
)
def test_layers_are_replaced_as_a_whole(key: str, own: str, inherited: str) -> None:
    write("parent.yaml", f"name: p\n{key}: {inherited}\nstages: [{STAGE}]\n")
    spec = load(f"name: c\nextends: parent.yaml\n{key}: {own}\n")
    assert [layer.word for layer in getattr(spec, key)] == own.strip("[]").split(", ")
    spec = load("name: c\nextends: parent.yaml\n")
    assert [layer.word for layer in getattr(spec, key)] == inherited.strip("[]").split(", ")
    spec = load(f"name: c\nextends: parent.yaml\n{key}: []\n")
    assert getattr(spec, key) == ()


def test_other_keys_are_inherited_one_by_one() -> None:
    write("parent.yaml", "name: p\ninput: [1, 28, 28]\nclasses: 10\nnorm: none\nhead: [linear]\n")
    header = load("name: c\nextends: parent.yaml\nclasses: 20\n").header
    assert (header.input, header.classes, header.norm) == ((1, 28, 28), 20, "none")


def test_defaults_are_merged_attribute_by_attribute() -> None:
    write(
        "parent.yaml",
        "name: p\ndefaults: {block: basic, depth: 2, width: 8, shortcut: A}\nstages: [{}]\n",
    )
    (stage,) = load("name: c\nextends: parent.yaml\ndefaults: {shortcut: B, depth: 3}\n").stages
    assert stage.model.model_dump() == {
        "block": "basic",
        "depth": 3,
        "width": 8,
        "stride": 1,
        "shortcut": "B",
    }


def test_name_title_and_description_are_not_inherited() -> None:
    write("parent.yaml", "name: p\ntitle: Parent\ndescription: Old\nhead: [linear]\n")
    header = load("name: c\nextends: parent.yaml\n").header
    assert (header.name, header.title, header.description) == ("c", "", "")


def test_every_file_needs_its_name() -> None:
    write("parent.yaml", "head: [linear]\n")
    assert faults("extends: parent.yaml\n") == [
        "child.yaml:1:1: the spec needs `name`",
        "parent.yaml:1:1: the spec needs `name`",
    ]


def test_only_the_resolved_spec_must_be_complete() -> None:
    write("parent.yaml", "name: p\ndefaults: {block: basic, shortcut: A}\nstages: [{width: 8}]\n")
    assert depths(load("name: c\nextends: parent.yaml\nwith: {depth: 2}\n")) == [2]
    with pytest.raises(SpecError, match="stage 1 needs `depth`"):
        load_spec("parent.yaml")


def test_a_default_that_no_stage_uses_may_be_inherited() -> None:
    write(
        "parent.yaml",
        "name: p\ndefaults: {block: bottleneck, expansion: 2, depth: 1, shortcut: A}\n"
        "stages: [{width: 8}]\n",
    )
    load("name: c\nextends: parent.yaml\nwith: {block: basic}\n")
    assert faults("name: c\nextends: parent.yaml\ndefaults: {block: basic, expansion: 4}\n") == [
        "child.yaml:3:26: no stage can use `expansion`"
    ]


def test_a_default_may_be_for_some_stages_only() -> None:
    spec = load(
        "name: net\ndefaults: {depth: 1, width: 8, shortcut: B, stride_at: 3x3, kernel: 5}\n"
        "stages: [{block: conv}, {block: basic}, {block: bottleneck}]\n"
    )
    given = [set(stage.model.model_fields_set) for stage in spec.stages]
    common = {"block", "depth", "width"}
    assert given == [
        common | {"kernel"},
        common | {"shortcut"},
        common | {"shortcut", "stride_at"},
    ]


def test_a_parent_is_found_beside_the_file_that_names_it() -> None:
    write("specs/a/parent.yaml", "name: p\nextends: ../b/grand.yaml\n")
    write("specs/b/grand.yaml", "name: g\nhead: [linear]\n")
    spec = load("name: c\nextends: specs/a/parent.yaml\n")
    assert str(spec.head[0].place) == "specs/b/grand.yaml:2:8"


def test_a_parent_may_have_an_absolute_path(tmp_path: Path) -> None:
    write("parent.yaml", "name: p\nhead: [linear]\n")
    assert load(f"name: c\nextends: {tmp_path / 'parent.yaml'}\n").header.name == "c"


def test_a_shipped_spec_is_extended_by_its_name() -> None:
    assert depths(load("name: c\nextends: imagenet/resnet50\n")) == [3, 4, 6, 3]


def test_a_file_goes_before_a_shipped_spec_of_the_same_name() -> None:
    write("imagenet/resnet50", f"name: p\nstages: [{STAGE}]\n")
    assert depths(load("name: c\nextends: imagenet/resnet50\n")) == [1]
    assert depths(load_spec("imagenet/resnet50")) == [1]


def test_a_spec_may_have_64_ancestors() -> None:
    write("0.yaml", "name: n0\nhead: [linear]\n")
    for number in range(1, 66):
        write(f"{number}.yaml", f"name: n{number}\nextends: {number - 1}.yaml\n")
    assert load_spec("64.yaml").header.name == "n64"
    with pytest.raises(SpecError, match="a spec may have at most 64 ancestors"):
        load_spec("65.yaml")


@pytest.mark.usefixtures("speaking_command_line")
def test_places_survive_merging() -> None:
    write("parent.yaml", "name: p\ndefaults: {block: basic, shortcut: A}\nstages: [{width: 8}]\n")
    spec = load("name: c\nextends: parent.yaml\nwith: {depth: [2]}\n", "stride=2")
    (stage,) = spec.stages
    origins = {name: str(a.value.place) for name, a in stage.attributes.items()}
    assert origins == {
        "block": "parent.yaml:2:19",
        "shortcut": "parent.yaml:2:36",
        "width": "parent.yaml:3:18",
        "depth": "child.yaml:3:16",
        "stride": "--with:1:8",
    }
    assert [a.via for a in stage.attributes.values()] == [
        "defaults",
        "defaults",
        "stage",
        "with",
        "with",
    ]
    assert str(stage.place) == "parent.yaml:3:10"
    assert str(spec.place) == "child.yaml:1:1"


# Input


def test_input_of_the_command_line_wins() -> None:
    spec = load("name: net\ninput: [3, 32, 32]\nhead: [linear]\n", input_="1, 28,30")
    assert spec.header.input == (1, 28, 30)


def test_input_is_rgb_of_224_pixels_unless_given() -> None:
    assert load("name: net\nhead: [linear]\n").header.input == (3, 224, 224)


def test_height_and_width_may_differ() -> None:
    shape = network("name: net\ninput: [1, 32, 64]\nhead: [max_pool: {kernel: 2}]\n")
    assert [node.output_shape for node in shape.nodes.values()] == [(1, 32, 64), (1, 16, 32)]


# Defaults of the language


def test_there_are_a_thousand_classes_unless_given() -> None:
    assert network("name: net\nhead: [linear]\n").nodes["fc"].output_shape == (1000,)
    assert network("name: net\nclasses: 10\nhead: [linear]\n").nodes["fc"].output_shape == (10,)
    ops = [n.op for n in network("name: net\nhead: [linear: 20, linear]\n").nodes.values()]
    assert [op.out_features for op in ops if isinstance(op, Linear)] == [20, 1000]


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 0), (3, 1), (4, 1), (7, 3)])
def test_padding_keeps_the_size_for_odd_kernels(kernel: int, padding: int) -> None:
    net = network(
        f"name: net\nstem: [conv: {{width: 8, kernel: {kernel}}}]\n"
        f"stages: [{{block: conv, depth: 1, width: 8, kernel: {kernel}}}]\n"
    )
    ops = [node.op for node in net.nodes.values()]
    assert [op.padding for op in ops if isinstance(op, Conv2d)] == [padding] * 2


@pytest.mark.parametrize("word", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (1, None, 0),
        (2, None, 0),
        (2, 1, 0),
        (3, None, 0),
        (3, 1, 1),
        (3, 2, 1),
        (3, 3, 0),
        (3, 4, 0),
        (4, 3, 1),
        (7, None, 0),
        (7, 6, 3),
        (7, 8, 0),
    ],
)
def test_a_pooling_is_padded_where_its_windows_overlap(
    word: str, kernel: int, stride: int | None, padding: int
) -> None:
    step = "" if stride is None else f", stride: {stride}"
    net = network(f"name: net\nstem: [{word}: {{kernel: {kernel}{step}}}]\n")
    (pool,) = [n.op for n in net.nodes.values() if isinstance(n.op, (MaxPool2d, AvgPool2d))]
    assert (pool.kernel_size, pool.padding) == (kernel, padding)
    given = network(f"name: net\nstem: [{word}: {{kernel: {kernel}{step}, padding: 0}}]\n")
    (pool,) = [n.op for n in given.nodes.values() if isinstance(n.op, (MaxPool2d, AvgPool2d))]
    assert pool.padding == 0


def test_the_papers_pooling_sees_every_pixel() -> None:
    """He et al. 2015, table 1: an average pooling of 7x7 ends the network."""
    net = network("name: net\ninput: [3, 7, 7]\nhead: [{avg_pool: {kernel: 7}}, linear]\n")
    assert net.nodes["avgpool"].op == AvgPool2d(7, 7, padding=0)
    assert net.nodes["avgpool"].output_shape == (3, 1, 1)


def test_the_pool_of_a_conv_stage_is_not_padded() -> None:
    net = network("name: net\nstages: [{block: conv, depth: 1, width: 8, pool: 3}]\n")
    (pool,) = [node.op for node in net.nodes.values() if isinstance(node.op, MaxPool2d)]
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 3, 0)


def test_a_pool_strides_by_its_kernel_unless_given() -> None:
    net = network("name: net\nstem: [max_pool: {kernel: 2}, max_pool: {kernel: 3, stride: 1}]\n")
    assert [n.op.stride for n in net.nodes.values() if isinstance(n.op, MaxPool2d)] == [2, 1]


@pytest.mark.parametrize(
    ("norm", "layer", "bias"),
    [
        ("batch_norm", "", False),
        ("none", "", True),
        ("batch_norm", ", norm: none", True),
        ("none", ", norm: batch_norm", False),
        ("batch_norm", ", bias: true", True),
        ("none", ", bias: false", False),
    ],
)
def test_there_is_a_bias_exactly_where_there_is_no_norm_unless_given(
    norm: str, layer: str, bias: bool
) -> None:
    net = network(f"name: net\nnorm: {norm}\nstem: [conv: {{width: 8, kernel: 3{layer}}}]\n")
    assert [n.op.bias for n in net.nodes.values() if isinstance(n.op, Conv2d)] == [bias]


@pytest.mark.parametrize(("norm", "bias"), [("batch_norm", False), ("none", True)])
def test_blocks_follow_the_norm_of_the_network(norm: str, bias: bool) -> None:
    net = network(
        f"name: net\nnorm: {norm}\ndefaults: {{depth: 1, width: 8}}\n"
        "stages: [{block: basic, shortcut: C}, {block: bottleneck, shortcut: B}, {block: conv}]\n"
    )
    assert {n.op.bias for n in net.nodes.values() if isinstance(n.op, Conv2d)} == {bias}


def test_a_linear_layer_flattens_a_feature_map_and_leaves_a_vector_alone() -> None:
    assert [n.op.kind for n in network("name: n\nhead: [linear: 5, linear]\n").nodes.values()] == [
        "input",
        "flatten",
        "linear",
        "linear",
    ]


def test_a_softmax_may_end_a_network_without_a_head() -> None:
    assert load("name: net\nstem: [linear, softmax]\n").stem[-1].word == "softmax"


# Standard input


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"name: net\nhead: [linear]\n")
    assert load_spec("-").header.name == "net"


def test_standard_input_extends_relative_to_the_working_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("a/parent.yaml", "name: p\nhead: [linear]\n")
    standard_input(monkeypatch, b"name: net\nextends: a/parent.yaml\n")
    assert load_spec("-").header.name == "net"


def test_faults_of_standard_input_are_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"nmae: net\nhead: [linear]\n")
    with pytest.raises(SpecError, match=r"^<stdin>:1:1: error: a spec has no key `nmae`"):
        load_spec("-")


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SpecError, match="standard input is closed"):
        load_spec("-")


# What ancestors and `with` may do together


def test_with_may_change_the_block_type_of_stages_with_defaults_of_the_old_one() -> None:
    write(
        "res.yaml", "name: r\ndefaults: {block: basic, shortcut: A}\nstages: [{depth: 1, width: 4}]"
    )
    spec = load_spec("res.yaml", ["block=conv"])
    assert spec.stages[0].model.definition.name == "conv"


def test_a_spec_and_its_ancestors_share_a_bound_on_bytes() -> None:
    filler = "# " + "x" * 600_000 + "\n"
    write("a.yaml", f"{filler}name: a\nhead: [linear]\n")
    write("b.yaml", f"{filler}name: b\nextends: a.yaml\n")
    with pytest.raises(
        SpecError, match="a spec and its ancestors may have 1,000,000 bytes in total"
    ):
        load_spec("b.yaml")


# Overrides as data


def test_an_override_as_data_has_the_types_of_a_spec() -> None:
    assert archc.load("imagenet/resnet50", with_={"depth": [3, None, 11, 3]}).layers == 65
    assert archc.load("imagenet/resnet50", with_=["depth=3,4,11,3"]).layers == 65
    for data, words in (
        ([3], "`depth` has 1 value for 4 stages"),
        ("4", "not the text `4`"),
        (3.0, "not `3.0`"),
        (True, "not `True`"),
        ([[3], 1, 1, 1], "not a list of 1"),
    ):
        with pytest.raises(SpecError, match=words) as caught:
            archc.load("imagenet/resnet50", with_={"depth": data})
        assert caught.value.diagnostics[0].place.source.name == "with_"
    with pytest.raises(TypeError, match="`with_` must be a mapping"):
        archc.load("imagenet/resnet50", with_="depth=3")


KERNELS = (
    "name: net\nblocks: {b: {attributes: {width: int, kernel: 3}, "
    "layers: [conv: {width: width, kernel: kernel}]}}\n"
    "defaults: {block: b, width: 8}\nstages: [{depth: 1}, {depth: 1}]\n"
)


@pytest.mark.parametrize(
    ("text", "data", "kernels"),
    [
        ("kernel=[1,7],3", [[1, 7], 3], [(1, 7), 3]),
        ("kernel=[[1, 7], null]", [(1, 7), None], [(1, 7), 3]),
        ("kernel=[1,7]", [1, 7], [1, 7]),
        ("kernel= [1,7] , [7,1]", [[1, 7], [7, 1]], [(1, 7), (7, 1)]),
    ],
)
def test_brackets_hold_lists_in_overrides(text: str, data: list[object], kernels: object) -> None:
    write("kernels.yaml", KERNELS)
    spec = load_spec("kernels.yaml", [text])
    assert [dict(stage.model)["kernel"] for stage in spec.stages] == kernels
    again = load_spec("kernels.yaml", [("kernel", data)])
    assert again.digest == spec.digest
    written = again.label.partition("--with ")[2]
    assert load_spec("kernels.yaml", [written]).digest == spec.digest


def test_a_wrong_item_of_an_override_as_data_is_pointed_at() -> None:
    write("kernels.yaml", KERNELS)
    with pytest.raises(SpecError) as caught:
        load_spec("kernels.yaml", [("kernel", [[1, 7], [3, "x"]])])
    assert [one.render() for one in caught.value.diagnostics] == [
        "with_:1:17: error: each item of `kernel` must be an integer from 1 to 32,768, "
        "not the text `x`\n  kernel=[1,7],[3,x]\n                  ^"
    ]


def test_many_norms_in_a_row_are_named_in_linear_time() -> None:
    network = compile_spec(load("name: net\nstem:\n" + "- batch_norm\n" * 20_000))
    assert list(network.nodes)[-1] == "bn20000"


def test_a_layer_that_no_machine_can_hold_is_refused() -> None:
    with pytest.raises(SpecError, match="parameters in one layer exceed the limit"):
        compile_spec(load("name: net\nhead: [linear: 999999999999999999]\n"))


def test_a_fraction_stays_exact_on_its_way_through_an_attribute() -> None:
    """Pyramidal widths: 48 channels more over nine blocks are 16/3 a block."""
    text = """
name: pyramid
input: [3, 8, 8]
variables: {alpha: 48, blocks: 9}
blocks:
  grown:
    attributes: {grow: number}
    let: {out: floor(16 + grow * (index + 1))}
    layers: [conv: {width: out, kernel: 1}]
defaults: {block: grown, grow: alpha / blocks}
stages: [{depth: 9}]
"""
    network = compile_spec(resolve(Source("pyramid.yaml", text)))
    widths = [one.output_shape[0] for one in network.nodes.values() if one.op.kind == "conv2d"]
    assert widths == [21, 26, 32, 37, 42, 48, 53, 58, 64]
