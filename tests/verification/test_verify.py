"""Verification: what is emitted passes, on every structure; what it says; what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, Phase, assume, given, settings
from inductor import needs_a_compiler
from shell import record_of
from strategies import Data, compile_data, specs
from structures import STRUCTURES, network_of
from torch import Tensor, nn

import archc
from archc.backends.pytorch import emit
from archc.cli import cli, main
from archc.compile import compile_spec
from archc.devices import DeviceError
from archc.graph import Network, Shape, deploy_form
from archc.running import lacks_memory
from archc.spec import Source, SpecError, resolve
from archc.verification import BACKENDS, CHECKS, Fault, Options, Report, Row, verify
from archc.verification.settings import reproducible
from archc.verification.subject import LOGITS, Subject
from archc.weights import Checkpoint, WeightsError, fold_weights

EAGER = Options(backend="eager")


def assert_passes(network: Network, options: Options = EAGER) -> Report:
    report = verify(network, options=options)
    assert report.passed, report.faults
    assert not report.faults
    assert [row.check for row in report.rows] == list(CHECKS)
    return report


def numbers(report: Report) -> dict[str, str]:
    return {row.check: row.number for row in report.rows}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_passes(structure: str) -> None:
    network = network_of(structure)
    report = assert_passes(network, Options(backend="aot_eager"))
    told = numbers(report)
    assert told["parameters"] == f"{network.params:,}"
    assert told["state dict"] == f"{len(network.state)} tensors"
    assert told["multiply-adds"] == f"{network.multiply_adds:,}"
    assert told["training"] == told["inference"] == f"{len(network.nodes) - 2} ops bit for bit"
    learned = sum(len(set(node.op.state) - node.op.buffers) for node in network.nodes.values())
    assert told["gradients"].startswith(f"{learned} of {learned} ")


@pytest.mark.parametrize("structure", ["bottlenecks", "vgg with norm", "mixed"])
def test_deploy_forms_pass(structure: str) -> None:
    report = assert_passes(deploy_form(network_of(structure)))
    assert numbers(report)["deploy form"] == "the network has no norm to fold"


SHIPPED = [
    ("cifar10/resnet20", {}, (3, 8, 8)),
    ("cifar10/plain20", {}, (3, 8, 8)),
    ("cifar10/preresnet110", {"depth": 2}, (3, 8, 8)),
    ("cifar10/preresnet164", {"depth": 2}, (3, 8, 8)),
    ("imagenet/resnet18", {"depth": 1, "width": 64}, (3, 48, 40)),
    ("imagenet/resnet50", {"depth": [2, 1, 1, 1], "width": 8}, (3, 48, 40)),
    ("imagenet/vgg19", {"width": 4, "depth": 1}, (3, 32, 32)),
    ("torchvision/resnext50_32x4d", {"depth": 1, "width": 16}, (3, 48, 40)),
]


@pytest.mark.parametrize(("spec", "with_", "size"), SHIPPED, ids=lambda value: str(value))
def test_shipped_specs_pass_at_a_small_size(spec: str, with_: Data, size: Shape) -> None:
    assert_passes(archc.load(spec, with_=with_, input=size))


@settings(
    max_examples=max(8, settings().max_examples // 12),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(specs())
def test_random_networks_pass(data: Data) -> None:
    try:
        network = compile_data(data)
    except SpecError:
        assume(False)
    assume(network.multiply_adds < 3e7)
    assume(network.params < 1e6)
    assume(len(network.nodes) < 80)
    assert_passes(network)


@needs_a_compiler
def test_what_inductor_compiles_agrees() -> None:
    network = compile_data({"name": "x", "input": [3, 8, 8], "head": [CONV, "flatten", "linear"]})
    report = assert_passes(network, Options(backend="inductor"))
    number = numbers(report)["torch.compile"]
    assert number == "bit for bit" or number.startswith("within ")


CONV: Data = {"conv": {"width": 4, "kernel": 3}}


def test_without_a_compiler_inductor_is_told_from_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class InvalidCxxCompiler(Exception):
        pass

    def compiled(*_: object, **__: object) -> None:
        raise InvalidCxxCompiler("no C++ compiler")

    monkeypatch.setattr(torch, "compile", compiled)
    report = verify(network_of("vgg"))
    words = "inductor needs a C++ compiler, and none was found; the backend `aot_eager` needs none"
    assert report.faults == (Fault("", words),)
    assert [row.check for row in report.rows if not row.passed] == ["torch.compile"]


def test_a_quick_verification_proves_values_and_leaves_out_the_rest() -> None:
    network = network_of("option A")
    report = verify(network, options=Options(quick=True))
    assert report.passed
    left_out = ("other inputs", "torch.export", "torch.compile")
    assert [row.check for row in report.rows] == [one for one in CHECKS if one not in left_out]
    faulty = emit(network).replace("self.bn2(self.conv2(out))", "self.bn2(self.conv2(-out))")
    assert not verify(network, source=faulty, options=Options(quick=True)).passed


def test_a_quick_verification_imports_none_of_torch_s_compilers() -> None:
    program = (
        "import sys, archc; from archc.verification import Options; "
        "archc.verify('cifar10/resnet20', options=Options(quick=True)); "
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"


# A block type of the test's own


TWINS = """\
name: twins
input: [3, 12, 10]
classes: 4
norm: none
blocks:
  twin:
    description: Two convolutions side by side, the input where the shape stays, and a mean.
    attributes: {width: int}
    layers:
      - add:
          - [{conv: {width: width, kernel: 1, stride: stride, activation: none}, name: left.conv}]
          - [{conv: {width: width, kernel: 3, stride: stride, activation: none}, name: right.conv}]
      - {add: input, if: stride == 1 and in == width}
      - relu
      - {avg_pool: {kernel: 3, stride: 1}, name: smooth}
defaults: {block: twin, depth: 2}
stages: [{width: 4}, {width: 8, stride: 2}]
head: [global_avg_pool, linear]
"""


def test_a_block_type_from_elsewhere_is_verified_like_any() -> None:
    network = compile_spec(resolve(Source("twins.yaml", TWINS)))
    assert_passes(network)
    source = emit(network)
    summands = "self.left(x) + self.right(x)"
    assert source.count(summands) == 2
    faulty = source.replace(summands, "self.left(x) - self.right(x)")
    report = verify(network, source=faulty, options=EAGER)
    training = next(row for row in report.rows if row.check == "training")
    assert training.faults == (Fault("layer1.0.add", "nothing in the module computes its value"),)


# Values that overflow


@pytest.mark.parametrize(
    ("weight", "layers"),
    [
        (1e38, ["layer1.0.conv1", "layer1.0.downsample.0"]),
        (1e20, ["layer1.0.conv2"]),
        (1e10, ["layer1.1.conv2"]),
        (3e4, ["layer2.1.conv1", "layer2.1.downsample.0"]),
    ],
)
def test_a_value_that_overflows_is_a_fault_of_its_layer(weight: float, layers: list[str]) -> None:
    """Bit-equal or not: what follows from it is not told."""
    network = network_of("without norm")
    state = archc.module(network).state_dict()
    loud = {key: torch.full_like(one, weight) for key, one in state.items() if one.ndim == 4}
    report = verify(network, Checkpoint("net.pth", {**state, **loud}), EAGER)
    rows = {row.check: row for row in report.rows}
    faults = tuple(Fault(layer, "its value is not finite") for layer in layers)
    assert rows["training"].faults == rows["inference"].faults == faults
    for check in ("gradients", "other inputs", "torch.export", "torch.compile", "deploy form"):
        assert rows[check] == Row(check, None, "not run")


def checkpoint_of(network: Network, **changes: Tensor) -> Checkpoint:
    state = archc.module(network).state_dict()
    return Checkpoint("net.pth", {**state, **changes})


def test_weights_that_overflow_are_named() -> None:
    network = network_of("vgg")
    weight = torch.full((8, 8, 3, 3), 1e38)
    report = verify(network, checkpoint_of(network, **{"features.2.weight": weight}), EAGER)
    assert not report.passed
    assert report.rows[0] == Row("weights", True, "all 12 tensors fit")
    assert set(report.faults) == {Fault("features.2", "its value is not finite")}


def test_gradients_that_overflow_are_named() -> None:
    """The values do not: the first layer makes them as small as the next two make them large."""
    network = network_of("vgg")
    shapes = {"features.0": (8, 3, 3, 3), "features.2": (8, 8, 3, 3), "features.5": (16, 8, 3, 3)}
    scales = {"features.0": 1e-30, "features.2": 1e25, "features.5": 1e25}
    weights = {
        f"{layer}.weight": scales[layer] * torch.ones(shape) for layer, shape in shapes.items()
    }
    report = verify(network, checkpoint_of(network, **weights), EAGER)
    assert [row.check for row in report.rows if not row.passed] == ["gradients"]
    assert report.faults == (Fault("features.0", "its gradients are not finite"),)


def test_a_checkpoint_is_what_is_verified() -> None:
    """Its running statistics are kept: those of a batch would hide what overflows."""
    network = network_of("option A")
    report = verify(network, checkpoint_of(network), EAGER)
    assert report.passed, report.faults
    assert [row.check for row in report.rows] == ["weights", *CHECKS]
    assert numbers(report)["weights"] == "all 56 tensors fit"
    far = {"bn1.running_mean": torch.full((8,), 3e38), "bn1.running_var": torch.zeros(8)}
    report = verify(network, checkpoint_of(network, **far), EAGER)
    assert {row.check: row.faults for row in report.rows if row.faults} == {
        "inference": (Fault("bn1", "its value is not finite"),),
    }


def test_logits_that_are_all_zero_pass() -> None:
    head = ["flatten", {"linear": 3}, "relu"]
    network = compile_data({"name": "x", "input": [3, 4, 4], "stem": [CONV], "head": head})
    report = verify(network, checkpoint_of(network, **{"fc.bias": torch.full((3,), -1e3)}), EAGER)
    assert report.passed, report.faults
    assert numbers(report)["deploy form"] == "1 norm folded, within 0e+00 in float64"


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    checkpoint = checkpoint_of(network_of("option A"))
    with pytest.raises(WeightsError):
        verify(network_of("vgg"), checkpoint, EAGER)


# Reports


def test_a_report_is_plain_data() -> None:
    report = verify(network_of("vgg"), source="raise ValueError('no')", options=EAGER)
    data = json.loads(json.dumps(report.as_dict()))
    skipped: list[dict[str, object]] = [
        {"check": check, "passed": None, "number": "not run", "faults": []} for check in CHECKS[1:]
    ]
    fault = {"layer": "", "message": "ValueError: no (line 1)"}
    first = {"check": CHECKS[0], "passed": False, "number": "", "faults": [fault]}
    assert data == {"name": "net", "device": "cpu", "rows": [first, *skipped], "passed": False}
    assert [str(fault) for fault in report.faults] == ["the module: ValueError: no (line 1)"]


def test_what_was_not_run_has_not_passed() -> None:
    rows = (Row.of("parameters", "1"), Row.skipped("state dict"))
    assert not Report("net", "cpu", rows).passed
    assert Report("net", "cpu", rows[:1]).passed


def test_verifying_draws_no_random_numbers_of_the_callers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert_passes(network_of("vgg"))
    assert torch.equal(torch.rand(3), expected)


def test_inference_mode_does_not_matter() -> None:
    with torch.inference_mode():
        assert_passes(network_of("option A"))
        assert torch.is_inference_mode_enabled()


def test_verification_says_the_same_each_time() -> None:
    faulty = emit(network_of("vgg")).replace("nn.Dropout(0.5)", "nn.Dropout(0.4)")
    first, second = (
        verify(network_of("vgg"), source=faulty, options=EAGER).faults for _ in range(2)
    )
    assert first
    assert first == second


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^`batch` must be an integer of at least 2, not 1$"):
        Options(batch=1)
    with pytest.raises(ValueError, match=r"^`batch` must be an integer of at least 2, not 2.5$"):
        Options(batch=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^`backend` must be one of inductor, aot_eager, eager, "):
        Options(backend="tensorrt")  # type: ignore[arg-type]
    assert BACKENDS == ("inductor", "aot_eager", "eager")


# Devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_told() -> None:
    reason = "none found" if torch.version.cuda else "this build of torch is for CPUs only"
    with pytest.raises(DeviceError) as caught:
        verify(network_of("vgg"), options=Options("cuda"))
    assert str(caught.value) == f"no CUDA device is available: {reason}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tpu", "unknown device `tpu`: use cpu or cuda"),
        ("meta", "archc supports cpu and cuda, not `meta`"),
    ],
)
def test_a_device_of_another_kind_is_told(name: str, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        verify(network_of("vgg"), options=Options(name))
    assert str(caught.value) == message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_passes_on_cuda(structure: str) -> None:
    assert_passes(network_of(structure), Options("cuda", backend="aot_eager"))


# The command


TABLE = """\
cifar10/resnet20 on cpu
    check                result
─────────────────────────────────────────────────────────────────────────
✓   emitted source       89 lines
✓   parameters           269,722
✓   state dict           116 tensors
✓   initial values       116 tensors
✓   output shapes        42 layers
✓   multiply-adds        2,535,040
✓   training             71 ops bit for bit
✓   running statistics   57 buffers bit for bit
✓   gradients            59 of 59 bit-equal
✓   inference            71 ops bit for bit
✓   other inputs         1 and 3 images, float64, bfloat16, channels_last
✓   torch.export         bit for bit
✓   torch.compile        bit for bit
✓   deploy form          19 norms folded, within EPSILON in float64
cifar10/resnet20: verified on cpu
"""


SMALL = ("--input", "3,8,8", "--backend", "eager")


def run(*arguments: str) -> Result:
    """The command in this process; what it returns is the exit code of `archc`."""
    return CliRunner().invoke(cli, ["verify", *arguments], standalone_mode=False)


def test_the_command_prints_a_table_of_ticks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["archc", "verify", "cifar10/resnet20", *SMALL])
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == 0
    output = capsys.readouterr()
    epsilon = output.out.rpartition("within ")[2].partition(" ")[0]
    assert float(epsilon) < 1e-12
    assert output.out == TABLE.replace("EPSILON", epsilon)
    assert output.err == ""


def test_each_check_is_shown_as_soon_as_it_is_done() -> None:
    """What has been shown when a check begins, read from a pipe."""
    program = (
        "import sys\n"
        "from archc.verification.subject import Subject\n"
        "def stop(*_): input()\n"
        "Subject.check_export = stop\n"
        "from archc.cli import main\n"
        "main()"
    )
    command = ["verify", "cifar10/resnet20", *SMALL, "--with", "depth=1"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(14)]
    assert lines[0] == "cifar10/resnet20 on cpu\n"
    assert lines[-1].startswith("✓   other inputs ")
    process.kill()
    process.communicate()


def test_a_program_gets_each_row_as_it_is_found() -> None:
    rows: list[Row] = []
    report = verify(network_of("vgg"), options=EAGER, done=rows.append)
    assert tuple(rows) == report.rows
    assert [row.check for row in rows] == list(CHECKS)


def test_what_a_program_raises_meanwhile_is_not_the_source_s() -> None:
    def done(_row: Row) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        verify(network_of("vgg"), source=emit(network_of("vgg")), options=EAGER, done=done)


def test_several_specs_make_several_tables() -> None:
    result = run("cifar10/plain20", "cifar10/resnet20", *("--with", "depth=1"), *SMALL)
    assert result.return_value == 0
    assert result.output.count("\n\n") == 1
    assert result.output.count(": verified on cpu\n") == 2


def test_the_command_prints_json() -> None:
    result = run("cifar10/plain20", *SMALL, "--with", "depth=1", "--format", "json")
    assert result.return_value == 0
    (record,) = record_of("verify", result.output)
    assert list(record) == ["spec", "name", "device", "rows", "passed"]
    assert (record["spec"], record["device"], record["passed"]) == ("cifar10/plain20", "cpu", True)
    assert [row["check"] for row in record["rows"]] == list(CHECKS)
    assert all(row["passed"] and row["faults"] == [] for row in record["rows"])


def test_the_deploy_form_is_verified_on_demand(tmp_path: Path) -> None:
    result = run("cifar10/plain20", *SMALL, "--with", "depth=1", "--deploy")
    assert result.return_value == 0
    assert "✓   deploy form          the network has no norm to fold\n" in result.output
    assert "✓   running statistics   the network has none\n" in result.output


@pytest.mark.parametrize("option", ["--weights", "--source"])
def test_some_options_go_with_a_single_spec(option: str) -> None:
    result = run("cifar10/resnet20", "cifar10/resnet32", option, "net")
    assert isinstance(result.exception, click.UsageError)
    assert result.exception.exit_code == 2
    assert result.exception.message == f"{option} takes a single SPEC"


SHORT = ("cifar10/resnet20", "--with", "depth=1", *SMALL)


def emitted_short() -> str:
    return archc.emit(archc.load("cifar10/resnet20", with_={"depth": 1}))


def test_a_file_is_verified_instead_of_what_is_emitted(tmp_path: Path) -> None:
    emitted = emitted_short()
    file = tmp_path / "net.py"
    file.write_text(emitted.replace("out += shortcut", "out = shortcut + out"), encoding="utf-8")
    result = run(*SHORT, "--source", str(file))
    assert result.return_value == 0, result.output
    file.write_text(emitted.replace("out += shortcut", "out = shortcut - out"), encoding="utf-8")
    result = run(*SHORT, "--source", str(file))
    assert result.return_value == 1
    assert "✗ training: layer1.0.add: nothing in the module computes its value\n" in result.output
    report = archc.api.verify(
        archc.load("cifar10/resnet20", with_={"depth": 1}, input=(3, 8, 8)),
        source=file.read_text(),
        options=EAGER,
    )
    assert report.faults[0] == Fault("layer1.0.add", "nothing in the module computes its value")


def test_a_file_whose_name_is_not_utf8_is_verified(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.py")
    file.write_text(emitted_short(), encoding="utf-8")
    result = run(*SHORT, "--source", str(file))
    assert result.return_value == 0, result.output
    assert "\N{REPLACEMENT CHARACTER}.py: verified as cifar10/resnet20" in result.output


NO_CLASS = 'TypeError: the file defines no torch.nn.Module, and no `__all__ = ["Net"]` names one\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NO_CLASS),
        ("__all__ = []", NO_CLASS),
        ("__all__ = ['Net']", "AttributeError: module 'archc_emitted_"),
        (
            "__all__ = ['dict']\ndict = dict",
            "TypeError: what `dict()` returns is not a torch.nn.Module",
        ),
        ("\nraise SystemExit(3)", "SystemExit: 3 (line 2)"),
        ("x = ", "SyntaxError: invalid syntax (net.py, line 1)"),
        (
            "import threading\nimport torch\n\n\nclass Net(torch.nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.lock = threading.Lock()",
            "its module cannot be copied: TypeError: cannot pickle '_thread.lock' object\n",
        ),
        ("import torch\ntorch.nn.Conv2D", "AttributeError: module 'torch.nn' has no attribute"),
    ],
)
def test_a_file_without_a_module_is_told(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(text, encoding="utf-8")
    result = run(*SHORT, "--source", str(file))
    assert result.return_value == 1
    assert f"\n✗ emitted source: the module: {message}" in result.output
    assert result.output.count("\n–") == len(CHECKS) - 1


def test_without_all_the_last_module_of_a_file_is_verified(tmp_path: Path) -> None:
    emitted = emitted_short()
    file = tmp_path / "net.py"
    for all_ in ("", '__all__ = ["BasicBlock", "ResNet20"]'):
        file.write_text(emitted.replace('__all__ = ["ResNet20"]', all_), encoding="utf-8")
        assert run(*SHORT, "--source", str(file)).return_value == 0


def test_what_a_file_prints_is_not_in_the_output(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(emitted_short() + "\nprint('hello')\n", encoding="utf-8")
    result = run(*SHORT, "--source", str(file), "--format", "json")
    assert json.loads(result.stdout)[0]["passed"] is True
    assert result.stderr == "hello\n"


def test_weights_that_a_module_does_not_take_are_a_fault() -> None:
    network = network_of("option A")
    careless = """\
    def load_state_dict(self, state, *rest, **more):
        return super().load_state_dict({k: v for k, v in state.items() if "bn1" not in k}, False)

    def predict"""
    source = emit(network).replace("    def predict", careless)
    shifted = {"bn1.bias": torch.full((8,), 0.5)}
    report = verify(network, checkpoint_of(network, **shifted), EAGER, source=source)
    rows = {row.check: row for row in report.rows}
    assert rows["weights"].passed
    assert rows["training"].faults[0].layer == "bn1"


def test_the_callers_settings_stay_as_they_are() -> None:
    network = network_of("option A")
    source = emit(network).replace(
        "return torch.softmax", "torch.set_grad_enabled(False); return torch.softmax"
    )
    with torch.no_grad():
        assert verify(network, options=EAGER).passed
        assert not torch.is_grad_enabled()
    report = verify(network, source=source, options=EAGER)
    words = "one image, with gradients: `predict` turns gradients on or off permanently"
    assert report.faults == (Fault("softmax", words),)
    assert torch.is_grad_enabled()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run("cifar10/resnet20", *SMALL, "--source", str(tmp_path / "net.py"))
    assert isinstance(result.exception, SpecError)
    assert "error: there is no file " in str(result.exception)


def test_the_docs_show_the_table() -> None:
    """Of images of 32x32 pixels, where there are more multiply-adds."""
    text = (Path(__file__).parents[2] / "docs/modules.md").read_text(encoding="utf-8")
    begin = "$ archc verify cifar10/resnet20 --backend aot_eager\n"
    shown = text.partition(begin)[2].partition("```")[0]
    epsilon = shown.rpartition("within ")[2].partition(" ")[0]
    assert float(epsilon) < 1e-12
    larger = f"{archc.load('cifar10/resnet20').multiply_adds:,}"
    assert shown == TABLE.replace("EPSILON", epsilon).replace("2,535,040", larger)


def test_cudnn_is_on_and_exact_while_verifying_on_cuda() -> None:
    """What `torch.backends.cudnn.flags` is not told is turned off, cuDNN itself too."""
    cudnn = torch.backends.cudnn
    with reproducible(torch.device("cuda")):
        assert (cudnn.enabled, cudnn.deterministic) == (True, True)
        assert (cudnn.benchmark, cudnn.allow_tf32) == (False, False)


@pytest.mark.parametrize("arguments", [("--batch", "1"), ("--backend", "tensorrt"), ()])
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, *["cifar10/resnet20"] * bool(arguments))
    assert isinstance(result.exception, click.UsageError)
    assert result.exception.exit_code == 2


def plant(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Let archc emit a fault."""

    def faulty(network: Network) -> str:
        source = emit(network)
        assert old in source
        return source.replace(old, new)

    monkeypatch.setattr("archc.verification.check.emit", faulty)


def test_a_fault_is_told_below_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "out += shortcut", "out -= shortcut")
    result = run("cifar10/resnet20", *SMALL, "--with", "depth=1")
    assert result.return_value == 1
    assert result.output.startswith("cifar10/resnet20 on cpu\n")
    assert result.output.endswith(
        "✓   multiply-adds        765,568\n"
        "✗   training             differs\n"
        "–   running statistics   not run\n"
        "–   gradients            not run\n"
        "✗   inference            differs\n"
        "–   other inputs         not run\n"
        "–   torch.export         not run\n"
        "–   torch.compile        not run\n"
        "–   deploy form          not run\n"
        "✗ training: layer1.0.add: nothing in the module computes its value\n"
        "✗ inference: layer1.0.add: nothing in the module computes its value\n"
        "cifar10/resnet20: differs from its graph on cpu\n"
    )


def test_a_fault_is_told_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(
        monkeypatch,
        "self.fc = nn.Linear(64, num_classes)",
        "self.fc = nn.Linear(64, 10, bias=False)",
    )
    result = run("cifar10/resnet20", *SMALL, "--with", "depth=1", "--format", "json")
    assert result.return_value == 1
    (record,) = record_of("verify", result.output)
    assert record["passed"] is False
    faults: list[Any] = [row["faults"] for row in record["rows"] if row["faults"]]
    assert faults == [
        [{"layer": "fc", "message": "has 640 parameters, not 650"}],
        [{"layer": "fc", "message": "has no tensor `bias`"}],
    ]


def test_many_faults_are_told_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "self.bn1 = nn.BatchNorm2d(", "self.bn1 = nn.Identity(")
    result = run("cifar10/resnet20", *SMALL)
    assert result.return_value == 1
    lines = [line for line in result.output.splitlines() if line.startswith("✗ state dict: ")]
    assert len(lines) == 21
    assert lines[0] == "✗ state dict: bn1: has no tensor `weight`"
    assert lines[-1] == "✗ state dict: and 30 more"


def test_weights_are_checked_of_the_module_that_runs() -> None:
    """Constructed on the meta device it may be another."""
    whole = "nn.Linear(16, num_classes)"
    source = emit(network_of("option A"))
    assert whole in source
    source = source.replace(whole, "nn.Linear(16, 5, bias=self.conv1.weight.is_meta)")
    report = verify(network_of("option A"), source=source, options=EAGER)
    assert {row.check: row.faults for row in report.rows if row.faults} == {
        "parameters": (Fault("fc", "has 80 parameters, not 85"),),
        "state dict": (Fault("fc", "has no tensor `bias`"),),
    }


def test_one_spec_that_fails_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, 'mode="fan_out")', 'mode="fan_out"); self.fc.bias = None')
    result = run("cifar10/plain20", "cifar10/plain32", *SMALL, "--with", "depth=1")
    assert result.return_value == 1
    assert result.output.count("differs from its graph") == 2


# Memory

NOT_ENOUGH = r"^not enough memory on `cpu`$"
NO_MEMORY: dict[str, Exception] = {
    "of a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "of the machine": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "of Python": MemoryError(),
}


@pytest.mark.parametrize("error", NO_MEMORY)
@pytest.mark.parametrize(
    "place",
    ["torch.autograd.backward", "torch.autograd.grad", "torch.export.export", "torch.compile"],
)
def test_a_lack_of_memory_is_no_fault(
    place: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise NO_MEMORY[error]

    monkeypatch.setattr(place, fails)
    with pytest.raises(DeviceError, match=NOT_ENOUGH):
        verify(network_of("vgg"), options=Options(backend="eager"))


def test_a_lack_of_memory_is_seen_behind_what_torch_makes_of_it() -> None:
    def lacks(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    torch.compiler.reset()
    with pytest.raises(Exception, match="CUDA out of memory") as caught:
        torch.compile(torch.nn.Linear(2, 2), backend=lacks)(torch.ones(1, 2))
    assert not isinstance(caught.value, torch.OutOfMemoryError)
    assert lacks_memory(caught.value)
    assert lacks_memory(OSError("Cannot allocate memory"))
    assert not lacks_memory(ValueError("no memory of that"))


@pytest.mark.parametrize("error", ["torch.OutOfMemoryError()", "MemoryError()"])
@pytest.mark.parametrize(
    "when",
    [
        "True",
        "x.dtype == torch.bfloat16",
        "not x.is_contiguous()",
        "x.is_meta",
        "not self.training",
    ],
)
def test_a_source_that_lacks_memory_is_not_at_fault(error: str, when: str) -> None:
    source = emit(network_of("vgg"))
    begin = "def forward(self, x: Tensor) -> Tensor:\n"
    assert source.count(begin) == 1
    raises = f"        if {when}:\n            raise {error}\n"
    with pytest.raises(DeviceError, match=NOT_ENOUGH):
        verify(
            network_of("vgg"),
            options=Options(backend="eager"),
            source=source.replace(begin, begin + raises),
        )


def test_the_row_of_the_deploy_form_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folding that is off by little; no source can make it fail."""

    def off(network: Network, state: dict[str, Tensor]) -> dict[str, Tensor]:
        folded = fold_weights(network, state)
        folded["fc.bias"] = folded["fc.bias"] + 1e-9
        return folded

    monkeypatch.setattr("archc.verification.subject.fold_weights", off)
    report = verify(network_of("option A"), options=Options(backend="eager"))
    assert [row.check for row in report.rows if not row.passed] == ["deploy form"]
    (fault,) = report.faults
    assert re.fullmatch(r"is off by \d\.\de-\d+ in float64, norm over norm", fault.message)


CANCELS: Data = {
    "name": "cancels",
    "input": [8, 16, 16],
    "classes": 3,
    "head": [{"conv": {"width": 2, "kernel": 3}}, "global_avg_pool", "linear"],
}


def weights_that_cancel(network: Network) -> dict[str, Tensor]:
    """Weights with which logits are a small difference of large values, that of two channels."""
    torch.manual_seed(0)
    weights = archc.module(network).state_dict()
    large = 1000 * weights["conv1.weight"][0]
    weights["conv1.weight"] = torch.stack([large, large * (1 + 1e-5)])
    first, _ = weights["fc.weight"].chunk(2, dim=1)
    weights["fc.weight"] = torch.cat([first.abs(), -first.abs()], dim=1)
    weights["fc.bias"].zero_()
    return weights


def test_logits_that_nearly_cancel_out_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch.compile makes is off in float32 by what float64 does not show."""

    def compiled(module: nn.Module, **_: object) -> Callable[[Tensor], Tensor]:
        def rounding(images: Tensor) -> Tensor:
            noise = torch.finfo(images.dtype).eps * torch.randn_like(images)
            output: Tensor = module(images + images * noise)
            return output

        return rounding

    monkeypatch.setattr(torch, "compile", compiled)
    network = compile_data(CANCELS)
    report = verify(network, Checkpoint("weights", weights_that_cancel(network)), EAGER)
    assert report.passed, report.faults
    assert numbers(report)["torch.compile"].endswith(", nearer in float64")
    assert numbers(report)["deploy form"].endswith(" in float64, as rounding allows")


def test_what_rounding_does_not_explain_is_a_fault_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def off(network: Network, state: dict[str, Tensor]) -> dict[str, Tensor]:
        folded = fold_weights(network, state)
        folded["conv1.weight"][0] *= 1 + 1e-9
        return folded

    monkeypatch.setattr("archc.verification.subject.fold_weights", off)
    network = compile_data(CANCELS)
    report = verify(network, Checkpoint("weights", weights_that_cancel(network)), EAGER)
    assert [row.check for row in report.rows if not row.passed] == ["deploy form"]


def test_where_float32_is_too_coarse_float64_decides() -> None:
    network = network_of("vgg")
    subject = Subject(network, archc.module(network), None, torch.randn(2, *network.input_shape))
    exact = subject.exact
    assert subject.agrees(LOGITS, lambda: 2 * exact)
    assert subject.agrees(2 * LOGITS, lambda: exact)
    assert not subject.agrees(2 * LOGITS, lambda: exact * (1 + 2 * LOGITS))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_that_cannot_show_marks_has_words() -> None:
    import pty

    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb") as shown:
        specs = ("cifar10/resnet20", "--with", "depth=1", *SMALL)
        result = subprocess.run(
            [sys.executable, "-m", "archc", "verify", *specs],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            stdout=end,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        os.close(end)
        text = b""
        with suppress(OSError):  # which ends what a terminal has shown
            while part := shown.read1():
                text += part
    assert (result.returncode, result.stderr) == (0, b"")
    assert sum(line.startswith(b"ok ") for line in text.splitlines()) == len(CHECKS)
