"""What takes weights or writes them, as a shell sees it: files, exit codes, and no traceback."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import onnx
import pytest
import shell
import torch
from safetensors.torch import load_file, save_file
from trained import images_for, trained

import archc
from archc.live import instance

SPEC = """\
name: tiny
input: [3, 8, 6]
classes: 5
stem: [{conv: {width: 4, kernel: 3}}]
defaults: {block: basic, depth: 1, shortcut: B}
stages: [{width: 4}, {width: 8, stride: 2}]
head: [global_avg_pool, linear, softmax]
"""
FITS = "archc: tiny.pth: all 38 tensors fit, found under `model`\n"
FOLDED = "archc: all 6 batch norms are folded into convolutions\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a spec and a checkpoint of it."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    module = trained(archc.load(tmp_path / "tiny.yaml"))
    torch.save({"model": module.state_dict(), "epoch": 3}, tmp_path / "tiny.pth")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a folder; it never shows a traceback."""
    result = shell.archc(*arguments, cwd=folder)
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert "Warning" not in result.stderr
    return result


def assert_refused(folder: Path, arguments: list[str], message: str, code: int = 1) -> None:
    """Fail unless a command says just this and leaves everything as it was."""
    before = contents(folder)
    result = run(folder, *arguments)
    assert result.stderr == message
    assert (result.returncode, result.stdout) == (code, "")
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What works


def test_fold_writes_weights_for_the_module_of_emit_deploy(folder: Path) -> None:
    result = run(folder, "fold", "tiny.yaml", "tiny.pth", "-o", "out/deploy.safetensors")
    told = f"{FITS}{FOLDED}archc: wrote out/deploy.safetensors\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, "", told)
    result = run(folder, "emit", "tiny.yaml", "--deploy", "-o", "out/tiny_deploy.py")
    told = f"{FOLDED}archc: wrote out/tiny_deploy.py\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, "", told)
    source = (folder / "out/tiny_deploy.py").read_text()
    assert "BatchNorm" not in source
    module = instance("tiny", source).eval()
    module.load_state_dict(load_file(folder / "out/deploy.safetensors"))
    expected = trained(archc.load(folder / "tiny.yaml"))
    images = images_for(archc.load(folder / "tiny.yaml"))
    torch.testing.assert_close(module(images), expected(images))
    assert sorted(os.listdir(folder / "out")) == ["deploy.safetensors", "tiny_deploy.py"]


def test_weights_that_were_folded_already_are_told(folder: Path) -> None:
    run(folder, "fold", "tiny.yaml", "tiny.pth", "-o", "once.safetensors")
    result = run(folder, "fold", "tiny.yaml", "once.safetensors", "-o", "twice.safetensors")
    fits = "archc: once.safetensors: all 14 tensors fit\n"
    told = f"{fits}archc: the weights are already folded\n"
    assert result.stderr == f"{told}archc: wrote twice.safetensors\n"
    command = ["--weights", "once.safetensors", "--deploy", "-o", "tiny.onnx", "-q"]
    assert run(folder, "export", "tiny.yaml", *command).stderr == told
    once, twice = (load_file(folder / f"{name}.safetensors") for name in ("once", "twice"))
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[key], twice[key]) for key in once)


def test_a_pipe_is_read_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "net.py").write_text("")
    with subprocess.Popen(["cp", "tiny.yaml", "pipe"], cwd=folder):
        assert run(folder, "emit", "pipe", "-o", "net.py").returncode == 0
    assert "class Tiny" in (folder / "net.py").read_text()


def test_weights_beyond_float32_are_folded_but_not_loaded(folder: Path) -> None:
    state = trained(archc.load(folder / "tiny.yaml")).double().state_dict()
    state["fc.bias"][0] = 1e39
    save_file(state, folder / "huge.safetensors")
    message = (
        "archc: error: huge.safetensors: `fc.bias` has values that are too large for float32\n"
    )
    for command in (
        ["export", "tiny.yaml", "--weights", "huge.safetensors", "-o", "tiny.onnx"],
        ["export", "tiny.yaml", "--weights", "huge.safetensors", "--deploy", "-o", "tiny.pt2"],
        ["verify", "tiny.yaml", "--weights", "huge.safetensors"],
    ):
        assert_refused(folder, command, message)
    result = run(folder, "fold", "tiny.yaml", "huge.safetensors", "-o", "folded.safetensors")
    assert result.returncode == 0
    assert load_file(folder / "folded.safetensors")["fc.bias"][0] == 1e39


@pytest.mark.parametrize("command", ["bench", "verify", "export"])
def test_more_images_than_there_can_be_are_refused(folder: Path, command: str) -> None:
    output = ["-o", "tiny.onnx"] if command == "export" else []
    result = run(folder, command, "tiny.yaml", "--batch", "99999999999999999999", *output)
    assert result.returncode == 2
    least = 2 if command == "verify" else 1
    assert result.stderr.endswith(f" is not in the range {least}<=x<=2147483647.\n")


def test_which_of_several_state_dicts_is_taken_is_told(folder: Path) -> None:
    state = trained(archc.load(folder / "tiny.yaml")).state_dict()
    torch.save({"model": state, "model_ema": state}, folder / "two.pth")
    command = ["export", "tiny.yaml", "--weights", "two.pth", "-o", "tiny.onnx"]
    fits = "all 38 tensors fit, found under `model` (`model_ema` left out)"
    assert run(folder, *command).stderr == f"archc: two.pth: {fits}\narchc: wrote tiny.onnx\n"


def test_fold_says_which_norms_stay_and_that_there_are_none(folder: Path) -> None:
    bare = "norm: none, activation: none}}]"
    text = SPEC.replace("}}]", f", {bare}") + "pre_activation: true\n"
    (folder / "pre.yaml").write_text(text)
    assert run(folder, "emit", "pre.yaml", "--deploy", "-o", "pre.py").stderr == (
        "archc: 2 batch norms are folded into convolutions; "
        "3 do not follow a convolution and stay: layer1.0.bn1, layer2.0.bn1, bn\n"
        "archc: wrote pre.py\n"
    )
    (folder / "none.yaml").write_text(SPEC + "norm: none\n")
    result = run(folder, "emit", "none.yaml", "--deploy", "-o", "none.py")
    told = "archc: the network has no batch norm to fold\narchc: wrote none.py\n"
    assert (result.returncode, result.stderr) == (0, told)


def test_export_writes_an_onnx_file_of_trained_weights(folder: Path) -> None:
    result = run(
        folder, "export", "tiny.yaml", "--weights", "tiny.pth", "--deploy", "-o", "tiny.onnx"
    )
    told = f"{FITS}{FOLDED}archc: wrote tiny.onnx\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, "", told)
    content = archc.export(folder / "tiny.yaml", weights=folder / "tiny.pth", deploy=True)
    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert "BatchNormalization" not in kinds
    written = onnx.load(folder / "tiny.onnx")
    assert [node.op_type for node in written.graph.node] == kinds
    assert list(written.graph.initializer) == list(onnx.load_from_string(content).graph.initializer)


def test_export_writes_a_program_of_fresh_weights_and_says_so(folder: Path) -> None:
    result = run(folder, "export", "tiny.yaml", "--batch", "2", "-o", "tiny.PT2")
    fresh = "archc: the weights are random; use --weights for trained ones\n"
    told = f"{fresh}archc: wrote tiny.PT2\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, "", told)
    program = torch.export.load(folder / "tiny.PT2")
    assert program.module()(torch.zeros(2, 3, 8, 6)).shape == (2, 5)


@pytest.mark.parametrize("deploy", [[], ["--deploy"]], ids=["as it is", "deploy"])
def test_verify_checks_a_checkpoint_that_fits(folder: Path, deploy: list[str]) -> None:
    command = ["verify", "tiny.yaml", "--weights", "tiny.pth", "--backend", "eager", *deploy]
    result = run(folder, *command)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("tiny.yaml on cpu", "tiny.yaml: verified on cpu")
    (fit,) = [line for line in lines if "weights" in line]
    found = "all 38 tensors fit, found under `model`"
    assert fit.split(maxsplit=2) == ["✓", "weights", found]
    assert "✗" not in result.stdout


@pytest.mark.parametrize("command", ["fold", "export", "verify", "evaluate"])
def test_weights_that_fit_two_networks_are_told(folder: Path, command: str) -> None:
    """Weights of the one spec, given with the other; and what archc made of the one."""
    state = archc.module("cifar10/resnet20").state_dict()
    save_file(state, folder / "net.safetensors")
    commands = {
        "fold": ["fold", "cifar10/plain20", "net.safetensors", "-o", "out.safetensors"],
        "export": [
            *("export", "cifar10/plain20", "--weights", "net.safetensors"),
            *("-o", "out.onnx"),
        ],
        "verify": ["verify", "cifar10/plain20", "--weights", "net.safetensors"],
        "evaluate": [
            *("evaluate", "cifar10/plain20", "--weights", "net.safetensors", "--data", "none"),
        ],
    }
    arguments = commands[command] + ["--backend", "eager"] * (command == "verify")
    result = run(folder, *arguments)
    note = (
        "archc: note: net.safetensors also fits `cifar10/resnet20` (it has shortcuts), which "
        "computes something else: check which network these weights were trained for\n"
    )
    assert result.stderr.count(note) == 1
    assert result.returncode == (1 if command == "evaluate" else 0)


def test_folded_weights_of_another_network_are_refused(folder: Path) -> None:
    save_file(archc.module("cifar10/resnet20").state_dict(), folder / "net.safetensors")
    made = run(folder, "fold", "cifar10/resnet20", "net.safetensors", "-o", "out.safetensors")
    assert made.returncode == 0
    weights = ["--weights", "out.safetensors", "--deploy", "-o", "net.onnx"]
    result = run(folder, "export", "cifar10/resnet20", *weights)
    assert result.returncode == 0
    assert "note:" not in result.stderr
    (folder / "net.onnx").unlink()
    assert_refused(
        folder,
        ["export", "cifar10/plain20", *weights],
        "archc: error: out.safetensors: holds weights of `cifar10/resnet20`, not of "
        "`cifar10/plain20`: the tensors are the same, but `cifar10/resnet20` has shortcuts\n"
        "hint: use `cifar10/resnet20` with these weights\n",
    )


# What is refused


def usage(command: str, arguments: str, message: str) -> str:
    return (
        f"Usage: archc {command} [OPTIONS] {arguments}\n"
        f"Try 'archc {command} --help' for help.\n\narchc: error: {message}\n"
    )


def test_a_wrong_command_line_exits_with_2(folder: Path) -> None:
    for arguments, message in (
        (
            ["fold", "tiny.yaml", "tiny.pth", "-o", "x.pth"],
            "Invalid value for '-o': 'x.pth' does not end in .safetensors",
        ),
        (
            ["export", "tiny.yaml", "-o", "x.tflite"],
            "Invalid value for '-o': 'x.tflite' does not end in .onnx or .pt2",
        ),
        (
            ["export", "tiny.yaml", "-o", "x.onnx", "--batch", "0"],
            "Invalid value for '--batch': 0 is not in the range 1<=x<=2147483647.",
        ),
        (["fold", "tiny.yaml", "-o", "x.safetensors"], "Missing argument 'WEIGHTS'."),
        (
            ["fold", "tiny.yaml", "--weights", "tiny.pth", "-o", "x.safetensors"],
            "fold takes the file by itself: archc fold SPEC WEIGHTS",
        ),
        (
            ["verify", "tiny.yaml", "tiny.yaml", "--weights", "tiny.pth"],
            "--weights takes a single SPEC",
        ),
    ):
        synopsis = {"fold": "SPEC [WEIGHTS]", "export": "SPEC", "verify": "SPEC..."}[arguments[0]]
        assert_refused(folder, arguments, usage(arguments[0], synopsis, message), code=2)


COMMANDS = {
    "fold": ["fold", "tiny.yaml", "net.pth", "-o", "out.safetensors"],
    "export": ["export", "tiny.yaml", "--weights", "net.pth", "--deploy", "-o", "out.onnx"],
    "verify": ["verify", "tiny.yaml", "--weights", "net.pth"],
}


def test_a_truncated_checkpoint_exits_with_1(folder: Path) -> None:
    whole = (folder / "tiny.pth").read_bytes()
    (folder / "net.pth").write_bytes(whole[: len(whole) // 2])
    message = "archc: error: net.pth: is a truncated or damaged PyTorch checkpoint\n"
    assert_refused(folder, COMMANDS["export"], message)


class TouchesAFile:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch executed",)


def test_what_is_left_out_of_a_checkpoint_is_told(folder: Path) -> None:
    content = torch.load(folder / "tiny.pth") | {"args": argparse.Namespace(lr=0.1)}
    torch.save(content, folder / "tiny.pth")
    left_out = "archc: tiny.pth: left out: an argparse.Namespace under `args`\n"
    result = run(folder, "fold", "tiny.yaml", "tiny.pth", "-o", "out.safetensors")
    told = f"{FITS}{left_out}{FOLDED}archc: wrote out.safetensors\n"
    assert (result.returncode, result.stderr) == (0, told)
    command = ["--weights", "tiny.pth#model", "-o", "tiny.onnx", "-q"]
    result = run(folder, "export", "tiny.yaml", *command)
    assert (result.returncode, result.stderr) == (0, f"{FITS}{left_out}")
    result = run(folder, "verify", "tiny.yaml", "--weights", "tiny.pth", "--quick")
    assert (result.returncode, result.stderr) == (0, left_out)


def test_a_key_that_a_checkpoint_has_not_is_an_error(folder: Path) -> None:
    assert_refused(
        folder,
        ["export", "tiny.yaml", "--weights", "tiny.pth#mdl", "-o", "tiny.onnx"],
        "archc: error: tiny.pth: has no state dict under `mdl`\n"
        "hint: it has state dicts under `model`\n",
    )


def test_a_checkpoint_that_runs_code_is_refused_and_not_run(folder: Path) -> None:
    torch.save({"model": TouchesAFile()}, folder / "net.pth")
    assert_refused(
        folder,
        COMMANDS["fold"],
        "archc: error: net.pth: holds no state dict, but "
        f"a {os.system.__module__}.system under `model`; nothing was executed\n"
        "hint: save only the state dict: torch.save(model.state_dict(), FILE), "
        "or use safetensors\n",
    )
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_checkpoint_of_another_network_is_told_by_block(folder: Path, command: str) -> None:
    state = archc.module(folder / "tiny.yaml").state_dict()
    del state["layer2.0.downsample.0.weight"], state["fc.weight"]
    state["head.weight"] = torch.zeros(2, 8)
    torch.save({f"module.{key}": tensor for key, tensor in state.items()}, folder / "net.pth")
    assert_refused(
        folder,
        COMMANDS[command],
        "archc: error: net.pth: does not fit tiny.yaml: 2 tensors missing, 1 unexpected, "
        "`module.` removed from their names\n"
        "  layer2.0  missing: downsample.0.weight\n"
        "  fc        missing: weight\n"
        "  head      unexpected: weight\n",
    )


def test_an_output_that_cannot_be_written_is_told(folder: Path) -> None:
    taken = "archc: error: cannot write 'tiny.pth/x.safetensors': "
    assert_refused(
        folder,
        ["fold", "tiny.yaml", "tiny.pth", "-o", "tiny.pth/x.safetensors"],
        f"{FITS}{FOLDED}{taken}a file is in the place of its folder\n",
    )
    (folder / "folder.py").mkdir()
    assert_refused(
        folder,
        ["emit", "tiny.yaml", "--deploy", "-o", "folder.py"],
        f"{FOLDED}archc: error: cannot write 'folder.py': it is a folder\n",
    )


# Names that differ, and parts


def two_copies(folder: Path) -> None:
    """A body and its average in one state dict, with a head of 7 classes beside the body."""
    state = torch.load(folder / "tiny.pth")["model"]
    body = {key: tensor for key, tensor in state.items() if key[:3] != "fc."}
    copies = {f"{name}.{key}": body[key] for name in ("encoder_q", "encoder_k") for key in body}
    head = {"fc.weight": torch.zeros(7, 8), "fc.bias": torch.zeros(7)}
    torch.save({"state_dict": copies | head}, folder / "two.pth")


PARTIAL = (
    "archc: two.pth: 30 of 32 tensors taken, `encoder_q.` removed from their names, 36 under "
    "`encoder_k.` left out, found under `state_dict`; kept as initialised: fc; left out: "
    "fc.weight (7x8) and fc.bias (7)\n"
)


def test_a_part_is_exported_and_told(folder: Path) -> None:
    two_copies(folder)
    export = ["export", "tiny.yaml", "--weights", "two.pth", "-o", "tiny.onnx"]
    result = run(folder, *export)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "hint: the weights are for 7 classes: use `--set classes=7`, or `--partial` to keep `fc` "
        "as initialised"
    )
    result = run(folder, *export, "--partial")
    assert (result.returncode, result.stderr) == (0, PARTIAL + "archc: wrote tiny.onnx\n")


def test_hints_are_of_the_options_that_a_command_has(folder: Path) -> None:
    two_copies(folder)
    verify = run(folder, "verify", "tiny.yaml", "--weights", "two.pth")
    assert verify.stderr.endswith("\nhint: the weights are for 7 classes: use `--set classes=7`\n")
    state = torch.load(folder / "tiny.pth")["model"]
    save_file({key: state[key] for key in state if key[:2] != "fc"}, folder / "body.safetensors")
    fold = ["fold", "tiny.yaml", "body.safetensors", "-o", "out.safetensors"]
    assert run(folder, *fold).stderr.endswith(
        "\nhint: `--partial` of `archc train`, `export` and `evaluate` keeps `fc` as initialised\n"
    )


def test_strange_names_are_printed_and_taken_in_order(folder: Path) -> None:
    state = torch.load(folder / "tiny.pth")["model"]
    paths = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    strange = {
        f"m{paths.index(path)}.{name}": state[f"{path}.{name}"]
        for path, _, name in (key.rpartition(".") for key in state)
    }
    save_file(strange, folder / "strange.safetensors")
    fold = ["fold", "tiny.yaml", "strange.safetensors", "-o", "out.safetensors"]
    mapping = "".join(f"  m{n:<2}  →  {path}\n" for n, path in enumerate(paths))
    offer = (
        "archc: error: strange.safetensors: does not fit tiny.yaml: its tensors have other names, "
        f"but the same shapes in the same order\n{mapping}"
        "hint: if these are the same layers, take them with `--match order`\n"
    )
    assert_refused(folder, fold, offer)
    result = run(folder, *fold, "--match", "order")
    assert (result.returncode, result.stderr) == (
        0,
        "archc: strange.safetensors: all 32 tensors fit, matched by their order\n"
        f"{mapping}{FOLDED}archc: wrote out.safetensors\n",
    )
    expected = archc.fold(archc.load(folder / "tiny.yaml"), state)
    found = load_file(folder / "out.safetensors")
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rename", "conv1"], "Invalid value for '--rename': `conv1` is not OLD=NEW"),
        (["--match", "shape"], "Invalid value for '--match': 'shape' is not one of"),
        (["--partial"], "No such option"),
    ],
)
def test_wrong_options_of_weights(folder: Path, options: list[str], message: str) -> None:
    result = run(folder, "verify", "tiny.yaml", "--weights", "tiny.pth", *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_options_of_weights_need_weights(folder: Path) -> None:
    result = run(folder, "export", "tiny.yaml", "-o", "tiny.onnx", "--ema")
    assert result.returncode == 2
    assert result.stderr.endswith("archc: error: --ema needs --weights\n")
    result = run(folder, "fold", "tiny.yaml", "tiny.pth", "-o", "x.safetensors", "--ema")
    assert result.returncode == 1
    assert "archc: error: tiny.pth: holds no averaged weights\n" in result.stderr
