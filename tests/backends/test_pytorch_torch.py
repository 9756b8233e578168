"""Emitted modules under what torch offers: export, compile, fx, autocast, pickle and the rest."""

from __future__ import annotations

import copy
import inspect
import io
import math
import pickle
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from strategies import compile_data
from structures import STRUCTURES, network_of
from torch import Tensor, fx, nn

import archc
from archc.backends.pytorch import emit
from archc.live import build_module, load_source


def module_of(structure: str) -> nn.Module:
    """A module of one of the structures, the same in every test."""
    torch.manual_seed(0)
    return build_module(network_of(structure)).eval()


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 16, 12, generator=torch.Generator().manual_seed(1))


every_structure = pytest.mark.parametrize("structure", STRUCTURES)


@every_structure
def test_export_agrees_for_every_batch_size(structure: str) -> None:
    module = module_of(structure)
    sizes = {"x": {0: torch.export.Dim("batch", min=1)}}
    program = torch.export.export(module, (images(3),), dynamic_shapes=sizes)
    for batch in (1, 3):
        torch.testing.assert_close(program.module()(images(batch)), module(images(batch)))


@every_structure
def test_compile_agrees_in_outputs_and_gradients(structure: str) -> None:
    module = module_of(structure)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    x = images()
    torch.testing.assert_close(compiled(x), module(x))
    gradients = []
    for one in (compiled, module):
        module.zero_grad()
        one(x).square().sum().backward()
        gradients.append([parameter.grad for parameter in module.parameters()])
    torch.testing.assert_close(*gradients)


@every_structure
def test_symbolic_trace_agrees(structure: str) -> None:
    module = module_of(structure)
    traced = fx.symbolic_trace(module)
    assert torch.equal(traced(images()), module(images()))


@every_structure
def test_autocast_computes_in_the_smaller_type(structure: str) -> None:
    module = module_of(structure)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(images())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), module(images()), atol=0.1, rtol=0.1)


@every_structure
def test_channels_last_agrees_and_stays(structure: str) -> None:
    module = module_of(structure)
    expected = module(images())
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept: list[bool] = []
    for one in module.modules():
        if isinstance(one, nn.Conv2d) and one.out_channels > 1:
            one.register_forward_hook(
                lambda _module, _inputs, output: kept.append(
                    output.is_contiguous(memory_format=torch.channels_last)
                )
            )
    output = module(images().to(memory_format=torch.channels_last))
    torch.testing.assert_close(output, expected)
    assert kept
    assert all(kept)


@every_structure
def test_gradients_stay_in_channels_last(structure: str) -> None:
    """A gradient in NCHW would be turned round again at every layer that it comes to."""
    last = torch.channels_last
    module = module_of(structure).train().to(memory_format=last)  # type: ignore[call-overload]
    turned: list[str] = []

    def watch(name: str, output: Tensor) -> None:
        def look(gradient: Tensor) -> None:
            if not gradient.is_contiguous(memory_format=last):
                turned.append(name)

        output.register_hook(look)  # type: ignore[no-untyped-call]

    for name, one in module.named_modules():
        if isinstance(one, nn.Conv2d | nn.BatchNorm2d) or name == "layer1":
            one.register_forward_hook(lambda _module, _inputs, out, name=name: watch(name, out))
    module(images().to(memory_format=last)).square().sum().backward()
    assert turned == []


@every_structure
def test_deepcopy_and_pickle_give_an_equal_module_of_its_own(structure: str) -> None:
    module = module_of(structure)
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(again) is type(module)
        assert torch.equal(again(images()), module(images()))
        with torch.no_grad():
            next(again.parameters()).zero_()
        assert not torch.equal(again(images()), module(images()))


def test_a_whole_module_can_be_saved_and_loaded() -> None:
    module = module_of("mixed")
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert torch.equal(again(images()), module(images()))


def test_a_pickle_is_read_by_another_process(tmp_path: Path) -> None:
    module = module_of("mixed")
    (tmp_path / "pickle").write_bytes(pickle.dumps((module, images(), module(images()))))
    program = "import pickle, sys; m, x, y = pickle.load(open(sys.argv[1], 'rb'))\n" + (
        "import torch; assert torch.equal(m(x), y); print(type(m).__name__)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "pickle"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "Net\n"


def test_a_traceback_shows_the_line_of_the_module() -> None:
    try:
        module_of("bottlenecks")(torch.zeros(1, 4, 16, 12))
    except RuntimeError:
        text = traceback.format_exc()
    assert "x = F.relu(self.bn1(self.conv1(x)), inplace=True)" in text
    assert 'File "<archc net ' in text


def test_inspect_finds_the_source_of_a_class() -> None:
    module = module_of("option A")
    source = inspect.getsource(type(module))
    assert source.startswith("class Net(nn.Module):")
    assert source in archc.emit(network_of("option A"))


def test_the_same_source_is_one_class() -> None:
    one, other = module_of("vgg"), module_of("vgg")
    assert type(one) is type(other)
    assert type(one) is not type(module_of("mixed"))


def test_a_source_that_fails_leaves_no_module_behind() -> None:
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        load_source("broken", "1 / 0\n")
    assert set(sys.modules) == before


@every_structure
def test_predict_is_the_softmax_of_forward(structure: str) -> None:
    module = module_of(structure)
    predict = module.predict
    assert callable(predict)
    assert torch.equal(predict(images()), torch.softmax(module(images()), dim=1))


@every_structure
def test_convolutions_start_as_in_the_papers_and_biases_at_zero(structure: str) -> None:
    """Normal with std sqrt(2 / fan_out); linear layers as torch has them."""
    for one in module_of(structure).modules():
        if isinstance(one, nn.Conv2d):
            fan_out = one.out_channels * one.kernel_size[0] * one.kernel_size[1]
            expected = math.sqrt(2 / fan_out)
            error = 5 * expected / math.sqrt(2 * one.weight.numel())  # five standard errors
            assert one.weight.std().item() == pytest.approx(expected, abs=error)
            assert one.weight.mean().abs() < 5 * expected / math.sqrt(one.weight.numel())
            assert one.bias is None or not one.bias.any()
        elif isinstance(one, nn.Linear):
            assert one.weight.abs().max() <= 1 / math.sqrt(one.in_features)
        elif isinstance(one, nn.BatchNorm2d):
            assert torch.equal(one.weight, torch.ones(one.num_features))


def test_biases_of_some_convolutions_start_at_zero_too() -> None:
    stem = [{"conv": {"width": 4, "kernel": 3, "bias": bias}} for bias in (True, False)]
    module = build_module(compile_data({"name": "x", "stem": stem}))
    biases = [one.bias for one in module.modules() if isinstance(one, nn.Conv2d)]
    assert biases[1] is None
    assert biases[0] is not None
    assert not biases[0].any()


def test_constructing_on_meta_imports_no_compiler(tmp_path: Path) -> None:
    """Drawing a weight there would have torch import its own, in a second."""
    (tmp_path / "net.py").write_text(emit(network_of("option A")))
    program = (
        "import sys, torch, net\n"
        "with torch.device('meta'):\n"
        "    module = net.Net()\n"
        "print({weight.device.type for weight in module.parameters()})\n"
        "print({'torch._dynamo', 'sympy'} & set(sys.modules))\n"
    )
    told = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert told == "{'meta'}\nset()\n"


def test_the_class_needs_no_arguments_and_is_alone_in_all() -> None:
    for structure in STRUCTURES:
        built = module_of(structure)
        module = sys.modules[type(built).__module__]
        assert module.__all__ == [type(built).__name__]
        parameters = inspect.signature(type(built)).parameters.values()
        assert all(one.default is not one.empty for one in parameters)


def test_library_builds_a_module_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text("{name: tiny, input: [3, 4, 4], classes: 7, head: [linear, softmax]}\n")
    assert archc.module(path)(torch.zeros(2, 3, 4, 4)).shape == (2, 7)
    assert "Compiled by archc from tiny.yaml;" in archc.emit(path)


def test_modules_train() -> None:
    """A few steps on one batch: the loss falls."""
    module = module_of("option A").train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    targets = torch.arange(8) % 5
    losses: list[float] = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(images(8)), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_norm_that_is_taken_out_leaves_the_shortcut_alone() -> None:
    """With pre-activation the tensor before the first norm is read again behind it."""
    block = module_of("pre-activation").get_submodule("layer1.1")
    block.bn1 = nn.Identity()
    x = torch.randn(2, 16, 6, 6)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_threads_may_ask_for_one_module_at_the_same_time() -> None:
    """None of them sees it half imported."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for width in range(40, 46):
            spec = {"name": f"net{width}", "input": [3, 8, 8], "head": [{"linear": width}]}
            source = emit(compile_data(spec))
            with ThreadPoolExecutor(6) as pool:
                found = list(pool.map(lambda text: load_source("net", text), [source] * 12))
            assert all(module is found[0] and module.__all__ for module in found)
    finally:
        sys.setswitchinterval(interval)
