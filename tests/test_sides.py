"""Side heads: computed and learned from in training, counted in parameters, gone in inference."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import networkx
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.analysis import Device
from archc.backends.pytorch import emit
from archc.compile import compile_spec
from archc.graph import LintError, Network, Side, deploy_form, fold_repeats, foldings, lint
from archc.spec import Source, SpecError, resolve
from archc.sweeps.swept import SweepRow
from archc.verification import Options, verify

BLOCKS = """
blocks:
  judge:
    class: Judge
    inline: true
    layers:
      - {conv: {width: 6, kernel: 1}, name: conv}
      - global_avg_pool
      - {dropout: 0.5, name: dropout}
      - {linear: {}, name: fc}
"""
STEM = """
stem:
  - conv: {width: 8, kernel: 3, stride: 2}
  - label: early
  - conv: {width: 12, kernel: 3}
SIDE
stages:
  - {block: basic, depth: 3, width: 12, shortcut: B}
  - {block: basic, depth: 1, width: 16, stride: 2, shortcut: B}
head:
SIDE
  - global_avg_pool
  - linear
  - softmax
"""
SIDES = (
    """  - {side: {early: [judge]}, name: aux1, weight: 0.4}
""",
    """  - {side: [{max_pool: {kernel: 3, stride: 2}}, global_avg_pool, linear], name: aux2}
""",
)
SMALL = "name: small\ninput: [3, 16, 16]\nclasses: 5\n"


def spec(*sides: str, head: str = SMALL) -> str:
    first, second = sides or SIDES
    before, middle, after = STEM.split("SIDE\n")
    return head + BLOCKS + before + first + middle + second + after


def network(text: str) -> Network:
    return compile_spec(resolve(Source("small.yaml", text)))


@pytest.fixture(scope="module")
def small() -> Network:
    return network(spec())


@pytest.fixture(scope="module")
def plain() -> Network:
    return network(spec("", ""))


OWN = (8 * 6 + 12) + (6 * 5 + 5) + (16 * 5 + 5)
"""The parameters of the side heads by hand: a convolution with its norm, and two linear layers."""


def test_they_count_in_parameters_alone(small: Network, plain: Network) -> None:
    assert small.params == plain.params + OWN
    assert (small.layers, small.multiply_adds) == (plain.layers, plain.multiply_adds)
    assert small.main_path == plain.main_path
    assert small.output == "softmax"
    assert small.logits == "fc"
    for convention in ("multiply-adds", "torch", "fvcore", "ptflops", "thop", "torchinfo"):
        both = [archc.count(one, "layer", convention) for one in (small, plain)]
        assert both[0].flops == both[1].flops
        assert both[0].not_counted == both[1].not_counted
    rows = {row.name: row for row in archc.count(small, "layer").rows}
    assert (rows["aux1.conv"].params, rows["aux1.conv"].multiply_adds) == (48, 0)
    assert sum(row.params for row in rows.values()) == small.params
    assert archc.explain(small).conventions == archc.explain(plain).conventions


def test_a_part_puts_out_what_its_trunk_does(small: Network) -> None:
    rows = {row.name: row.output_shape for row in archc.count(small, "stage").rows}
    assert rows["stem"] == (12, 8, 8)
    assert rows["head"] == (5,)


def test_memory_has_them_in_training_alone(small: Network, plain: Network) -> None:
    ours, theirs = archc.memory(small), archc.memory(plain)
    assert ours.inference == theirs.inference
    assert ours.training > theirs.training
    rows = {row.name: row for row in ours.rows}
    assert rows["aux1.conv"].output == rows["aux1.conv"].alive == 0
    assert sum(row.kept for row in ours.rows) == ours.training
    # The input of the convolution is kept already, by the one behind it in the trunk; of the norm,
    # its input and the statistics are.
    assert rows["aux1.conv"].kept == 0
    assert rows["aux1.bn"].kept == 4 * (6 * 8 * 8 + 2 * 6)


def test_what_reads_inference_is_without_them(small: Network, plain: Network) -> None:
    device = Device("a", "a", "float32", 1e12, 1e11, "nobody")
    assert archc.roofline(small, device).rows == archc.roofline(plain, device).rows
    assert archc.receptive_fields(small).rows == archc.receptive_fields(plain).rows
    assert small.inference.nodes == plain.nodes
    assert plain.inference is plain
    assert lint(small.inference).sides == ()


def test_they_are_registered_where_they_are_written(small: Network) -> None:
    modules = list(dict.fromkeys(key.split(".")[0] for key in small.state))
    assert modules == ["conv1", "bn1", "conv2", "bn2", "aux1", "layer1", "layer2", "aux2", "fc"]
    assert [key for key in small.state if key.startswith("aux1.") and "bn" not in key] == [
        *("aux1.conv.weight", "aux1.fc.weight", "aux1.fc.bias")
    ]
    assert [key for key in small.state if key.startswith("aux2.")] == [
        *("aux2.2.weight", "aux2.2.bias")
    ]
    module = archc.module(small)
    assert list(module.state_dict()) == list(small.state)


def test_they_run_as_soon_as_they_can() -> None:
    late, early = SIDES[1], SIDES[0]
    made = network(spec("", "  - {side: [global_avg_pool, linear], name: first}\n" + late))
    assert [side.name for side in made.sides] == ["first", "aux2"]
    swapped = spec("  - {side: [global_avg_pool, flatten, linear], name: second}\n" + early, late)
    made = network(swapped)
    assert [side.name for side in made.sides] == ["aux1", "second", "aux2"]
    keys = list(made.state)
    assert keys.index("second.2.weight") < keys.index("aux1.conv.weight")
    assert list(archc.module(made).state_dict()) == keys
    source = emit(made)
    assert source.index("aux1 = self.aux1(x)") < source.index("second = self.second(x)")


FORWARD = """\
    def forward(self, x: Tensor) -> Tensor | SmallOutput:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if self.training:
            aux1 = self.aux1(x)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = self.layer1(x)
        x = self.layer2(x)
        if self.training:
            aux2 = self.aux2(x)
        x = self.avgpool(x)
        x = self.fc(torch.flatten(x, 1))
        if self.training:
            return SmallOutput(x, aux1, aux2)
        return x

    def predict(self, x: Tensor) -> Tensor:
        logits = self(x).logits if self.training else self(x)
        return torch.softmax(logits, dim=1)
"""


def test_the_source_reads_as_written_by_hand(small: Network) -> None:
    source = emit(small)
    assert source.endswith(FORWARD)
    assert "class SmallOutput(NamedTuple):\n    logits: Tensor\n    aux1: Tensor\n" in source
    assert '__all__ = ["Small"]' in source
    assert "class Judge(nn.Module):" in source


def test_a_named_tuple_in_training_and_logits_in_eval_mode(small: Network) -> None:
    torch.manual_seed(0)
    module = archc.module(small)
    images = torch.randn(2, 3, 16, 16)
    torch.manual_seed(1)
    outputs = module(images)
    assert outputs._fields == ("logits", "aux1", "aux2")
    assert all(one.shape == (2, 5) for one in outputs)
    assert torch.equal(pickle.loads(pickle.dumps(outputs)).aux2, outputs.aux2)

    def bn(x: Tensor, norm: nn.Module) -> Tensor:
        return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)  # type: ignore[arg-type]

    m = module
    early = F.relu(bn(m.conv1(images), m.bn1))  # type: ignore[operator, arg-type]
    judged = F.relu(bn(m.aux1.conv(early), m.aux1.bn))  # type: ignore[operator, arg-type, union-attr]
    torch.manual_seed(1)
    aux1 = m.aux1.fc(F.dropout(judged.mean((2, 3)), 0.5))  # type: ignore[operator, union-attr]
    torch.testing.assert_close(outputs.aux1, aux1)
    module.eval()
    logits = module(images)
    assert isinstance(logits, Tensor)
    assert torch.equal(module.predict(images), logits.softmax(1))  # type: ignore[operator]
    assert module.train().predict(images).shape == (2, 5)  # type: ignore[operator]


def test_rules_for_the_weights_of_side_heads_are_gone_in_the_deploy_form() -> None:
    text = spec().replace("{linear: {}, name: fc}", "{linear: {init: {normal: 0.1}}, name: fc}")
    drawn = network(text)
    assert "aux1.fc" in drawn.initial.own
    assert deploy_form(drawn).initial.own == drawn.inference.initial.own == {}


def test_weights_load_and_export_without_them(small: Network, tmp_path: Path) -> None:
    module = archc.module(small).eval()
    path = tmp_path / "small.pth"
    torch.save(module.state_dict(), path)
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        expected = module(images)
        assert torch.equal(archc.module(small, weights=path).eval()(images), expected)
        folded = archc.module(small, weights=path, deploy=True).eval()
        torch.testing.assert_close(folded(images), expected)
    assert not any(key.startswith("aux") for key in folded.state_dict())
    model = onnx.load_from_string(archc.export(small, "onnx", weights=path))
    assert [one.name for one in model.graph.output] == ["logits"]
    assert not any("aux" in one.name for one in (*model.graph.initializer, *model.graph.node))
    program = torch.export.load(io.BytesIO(archc.export(small, "pt2", weights=path)))
    assert not any("aux" in key for key in program.state_dict)
    assert torch.equal(program.module()(images), expected)
    # Weights of the deploy form are taken for what they are.
    torch.save(folded.state_dict(), path)
    assert torch.equal(
        archc.module(small, weights=path, deploy=True).eval()(images), folded(images)
    )


def test_the_deploy_form_is_without_them(small: Network, plain: Network) -> None:
    assert deploy_form(small).nodes == deploy_form(plain).nodes
    assert foldings(small) == foldings(plain)
    assert deploy_form(small).sides == ()
    form = archc.fully_convolutional(small).network
    assert form.nodes == archc.fully_convolutional(plain).network.nodes


def test_a_graph_says_what_is_of_a_side_head(small: Network, plain: Network) -> None:
    data = json.loads(archc.to_json(small))
    assert data["graph"]["sides"] == ["aux1", "aux2"]
    assert data["graph"]["side_weights"] == [0.4, 0.3]
    nodes = {node["id"]: node for node in data["nodes"]}
    assert (nodes["aux1.conv"]["side"], nodes["aux1.conv"]["multiply_adds"]) == ("aux1", 0)
    assert nodes["conv1"]["side"] is None
    assert sum(node["multiply_adds"] for node in nodes.values()) == small.multiply_adds
    assert networkx.node_link_graph(data, edges="edges").nodes == small.graph.nodes
    flat = networkx.read_graphml(io.BytesIO(archc.to_graphml(small)))
    assert flat.nodes["aux2.2"]["side"] == "aux2"
    assert "side" not in archc.to_json(plain)


def test_a_comparison_tells_of_them(small: Network, plain: Network) -> None:
    found = archc.diff(plain, small)
    assert not found.same
    added = [change for change in found.changes if change.change == "added"]
    assert len(added) == len(found.changes) == len(small.nodes) - len(plain.nodes)
    assert sum(change.params for change in added) == OWN
    assert all(change.multiply_adds == 0 for change in added)
    stem = next(part for part in found.parts if part.name == "stem")
    assert stem.a is not None
    assert stem.b is not None
    assert stem.a.output_shape == stem.b.output_shape
    heavier = network(spec(SIDES[0].replace("0.4", "0.8"), SIDES[1]))
    (change,) = archc.diff(small, heavier).changes
    assert (change.a, change.what) == ("aux1.fc", ("weight of its loss 0.4 → 0.8",))


def test_a_sweep_counts_as_a_network_does(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(spec())
    for variant in archc.sweep(path, ["depth=1,2,4"]):
        assert isinstance(variant, SweepRow)
        made = archc.load(path, with_=variant.settings)
        found = (variant.layers, variant.params, variant.multiply_adds)
        assert found == (made.layers, made.params, made.multiply_adds)


def test_a_figure_has_a_box_for_each(small: Network) -> None:
    for fold in (False, True):
        svg = archc.draw(small, fold=fold).decode()
        assert "aux1 (training)" in svg
        assert "aux2 (training)" in svg
        assert "2 side heads in training alone" in svg
    assert "aux1" in archc.report(small)
    folded = fold_repeats(small)
    assert list(folded.runs) == [(1, 0)]
    assert folded.network.sides == small.sides
    last = network(
        spec("", SIDES[1]).replace(
            "  - softmax", "  - {side: [{linear: 5}], name: end}\n  - softmax"
        )
    )
    assert "end (training)" in archc.draw(last).decode()


def test_show_gives_the_same_network(small: Network, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(spec())
    again = network(archc.show(path))
    assert again.digest == small.digest
    assert again.sides == small.sides
    other = network(spec(SIDES[0].replace("0.4", "0.8"), SIDES[1]))
    assert other.digest != small.digest


# Verification

QUICK = Options(backend="eager", quick=True)


def test_verification_passes(small: Network) -> None:
    report = verify(small, options=Options(backend="eager"))
    assert report.passed, report.faults


FAULTS = {
    "another value": ("output shapes", [("aux2 = self.aux2(x)", "aux2 = self.aux1(x)")]),
    "its own value": ("training", [("aux1 = self.aux1(x)", "aux1 = self.aux1(2 * x)")]),
    "no gradient": ("training", [("aux1 = self.aux1(x)", "aux1 = self.aux1(x.detach())")]),
    "other outputs": ("training", [("SmallOutput(x, aux1, aux2)", "SmallOutput(x, aux2, aux1)")]),
    "one is lost": ("training", [("(x, aux1, aux2)", "(x, aux1, torch.zeros_like(aux2))")]),
    "no named tuple": ("output shapes", [("SmallOutput(x, aux1, aux2)", "(x, aux1, aux2)")]),
    "logits alone": (
        "output shapes",
        [("            return SmallOutput(x, aux1, aux2)", "            return x")],
    ),
    "another name": (
        "output shapes",
        [("    aux1: Tensor\n    aux2: Tensor", "    aux2: Tensor\n    aux1: Tensor")],
    ),
    "in eval mode, too": (
        "inference",
        [("        if self.training:\n            aux1", "        if True:\n            aux1")],
    ),
    "outputs in eval mode, too": (
        "inference",
        [("        if self.training:\n", "        if True:\n")],
    ),
    "predict in training": (
        "inference",
        [("self(x).logits if self.training else self(x)", "2 * self(x)")],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(small: Network, name: str) -> None:
    check, edits = FAULTS[name]
    source = emit(small)
    for old, new in edits:
        assert old in source
        source = source.replace(old, new)
    report = verify(small, options=QUICK, source=source)
    rows = {row.check: row for row in report.rows}
    assert not report.passed
    assert rows[check].passed is False, report.faults


# Invariants


def test_lint_knows_what_a_side_head_is(small: Network) -> None:
    from dataclasses import replace

    with pytest.raises(LintError, match="more than one output"):
        lint(replace(small, sides=small.sides[:1]))
    with pytest.raises(LintError, match="not in the order"):
        lint(replace(small, sides=small.sides[::-1]))
    other = Side("aux1", "aux2.2", 0.3)
    with pytest.raises(LintError):
        lint(replace(small, sides=(other, small.sides[1])))


@pytest.mark.parametrize("name", ["logits", "count", "a-b", "a.b", "_a", "class"])
def test_its_name_is_a_field_of_a_named_tuple(name: str) -> None:
    with pytest.raises(SpecError, match="side head"):
        network(spec(SIDES[0].replace("aux1", name), SIDES[1]))
