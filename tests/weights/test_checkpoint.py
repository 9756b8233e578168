"""Checkpoints as files: every form they come in, and every way in which they are none."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import random
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from archc.weights import WeightsError, read_checkpoint
from archc.weights.checkpoint import NUMPY_HINT
from archc.weights.errors import SAVE_HINT
from archc.weights.files import to_safetensors

STATE = {
    "conv1.weight": torch.randn(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)),
    "bn1.running_var": torch.ones(2, dtype=torch.float64),
    "bn1.num_batches_tracked": torch.tensor(3),
    "fc.bias": torch.tensor([0.5, -2], dtype=torch.bfloat16),
}
SGD: dict[str, Any] = {
    "state": {0: {"momentum_buffer": torch.ones(2)}},
    "param_groups": [{"lr": 1}],
}
WHOLE = "is a truncated or damaged PyTorch checkpoint"


def pickled(content: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def legacy(content: object) -> bytes:
    """As torch wrote it before version 1.6."""
    return pickled(content, _use_new_zipfile_serialization=False)


WRITERS: dict[str, Callable[[dict[str, Tensor]], bytes]] = {
    "zip.pth": pickled,
    "legacy.pth": legacy,
    "whole.safetensors": to_safetensors,
}
every_format = pytest.mark.parametrize("name", WRITERS)


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path | str) -> tuple[str, str | None]:
    """What is said of a file, without its folder, and the hint."""
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    return str(caught.value).replace(f"{Path(path).parent}/", ""), caught.value.hint


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor] = STATE) -> bool:
    """Whether two state dicts have the same keys, types and numbers."""
    return set(found) == set(expected) and all(
        found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)
        for key, tensor in expected.items()
    )


# What is read


@every_format
def test_a_state_dict_is_read_whatever_the_format(name: str, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(put(tmp_path, name, WRITERS[name](STATE)))
    assert same(checkpoint.tensors)
    assert checkpoint.inside is None
    assert checkpoint.file == str(tmp_path / name)


@every_format
def test_the_format_is_known_by_the_content(name: str, tmp_path: Path) -> None:
    assert same(read_checkpoint(put(tmp_path, "weights.bin", WRITERS[name](STATE))).tensors)


@pytest.mark.parametrize("write", [pickled, legacy])
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net", "ema_of_mine"])
def test_a_state_dict_inside_a_training_checkpoint_is_found(
    write: Callable[[object], bytes], key: str, tmp_path: Path
) -> None:
    content = {"epoch": 3, "best": 0.71, "optimizer": SGD, key: STATE, "scheduler": None}
    checkpoint = read_checkpoint(put(tmp_path, "run.pth", write(content)))
    assert same(checkpoint.tensors)
    assert checkpoint.inside == key


@pytest.mark.parametrize("key", [0, None, ("a", 1)])
def test_a_state_dict_behind_a_key_that_is_no_text_is_found(key: object, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(put(tmp_path, "run.pth", pickled({"epoch": 3, key: STATE})))
    assert same(checkpoint.tensors)
    assert checkpoint.inside == str(key)


def test_of_several_the_one_that_is_called_a_state_dict_is_taken(tmp_path: Path) -> None:
    others = {key: tensor + 1 for key, tensor in STATE.items()}
    content = {"model_ema": others, "model": others, "state_dict": STATE}
    checkpoint = read_checkpoint(put(tmp_path, "run.pth", pickled(content)))
    assert same(checkpoint.tensors)
    assert checkpoint.inside == "state_dict"


@pytest.mark.parametrize(
    ("model", "average"),
    [
        ("model_state", "ema_state"),
        ("params", "params_ema"),
        ("net_state_dict", "swa_state_dict"),
        ("parameters", "avg_parameters"),
        ("classifier", "classifierEMA"),
        ("weights", "shadow"),
    ],
)
def test_an_average_beside_the_weights_is_left_out(
    model: str, average: str, tmp_path: Path
) -> None:
    others = {key: tensor + 1 for key, tensor in STATE.items()}
    for content in ({model: STATE, average: others}, {average: others, model: STATE}):
        checkpoint = read_checkpoint(put(tmp_path, "run.pth", pickled(content)))
        assert same(checkpoint.tensors)
        assert (checkpoint.inside, checkpoint.beside) == (model, (average,))


def test_an_average_alone_is_read(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(put(tmp_path, "run.pth", pickled({"params_ema": STATE})))
    assert same(checkpoint.tensors)
    assert checkpoint.inside == "params_ema"


def test_of_several_that_no_name_tells_apart_the_first_is_given_and_may_be_chosen(
    tmp_path: Path,
) -> None:
    others = {key: tensor + 1 for key, tensor in STATE.items()}
    content = {"generator": STATE, "discriminator": others, "epoch": 1}
    path = put(tmp_path, "two.pth", pickled(content))
    checkpoint = read_checkpoint(path)
    assert checkpoint.is_ambiguous
    assert same(checkpoint.tensors)
    assert same(checkpoint.others["discriminator"], others)
    with pytest.raises(WeightsError) as caught:
        checkpoint.check_unambiguous()
    assert caught.value.message == "holds several state dicts, `generator` and `discriminator`"
    assert caught.value.hint == (
        f"choose one by its key: `{path}#generator` or `{path}#discriminator`"
    )
    for chosen in (
        read_checkpoint(f"{path}#discriminator"),
        read_checkpoint(path, "discriminator"),
    ):
        assert not chosen.is_ambiguous
        assert same(chosen.tensors, others)
        assert (chosen.inside, chosen.beside) == ("discriminator", ("generator",))
    expected = "has no state dict under `critic`"
    with pytest.raises(WeightsError, match=expected) as caught:
        read_checkpoint(f"{path}#critic")
    assert caught.value.hint == "it has state dicts under `generator` and `discriminator`"


def test_a_file_with_a_number_sign_in_its_name_is_that_file(tmp_path: Path) -> None:
    path = put(tmp_path, "net.pth#model", pickled(STATE))
    put(tmp_path, "net.pth", pickled({"model": STATE, "ema": STATE}))
    assert read_checkpoint(path).inside is None
    assert read_checkpoint(f"{tmp_path}/net.pth#ema").inside == "ema"
    assert (
        refusal(f"{path}#ema")[0] == f"{path.name}: error: is a single state dict: it has no `ema`"
    )
    missing = "gone.pth: error: cannot be read: no such file or directory"
    assert refusal(f"{tmp_path}/gone.pth#ema") == (missing, None)


def test_parameters_and_views_are_read_as_plain_tensors(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = OrderedDict(
        {"weight": nn.Parameter(whole), "view": whole.t()[1:3], "none": torch.ones(0, 3)}
    )
    for write in (pickled, legacy):
        found = read_checkpoint(put(tmp_path, "views.pth", write(state))).tensors
        assert same(found, {"weight": whole, "view": whole.t()[1:3], "none": torch.ones(0, 3)})
        assert not found["weight"].requires_grad
        assert type(found["weight"]) is Tensor


def test_a_checkpoint_without_checksums_is_read(tmp_path: Path) -> None:
    """torch can be told to compute none; it writes zeros then."""
    torch.serialization.set_crc32_options(False)
    try:
        content = pickled(STATE)
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(read_checkpoint(put(tmp_path, "fast.pth", content)).tensors)


# What is refused


def complaint_of_program(folder: Path, save: Callable[[Path], None]) -> tuple[str, str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        save(folder / "net.pth")
    return refusal(folder / "net.pth")


def test_programs_are_refused(tmp_path: Path) -> None:
    expected = "net.pth: error: is a TorchScript or exported program, not weights", SAVE_HINT
    net, images = nn.Linear(2, 2), (torch.zeros(1, 2),)
    assert expected == complaint_of_program(
        tmp_path,
        lambda path: torch.jit.save(torch.jit.script(net), path),
    )
    assert expected == complaint_of_program(
        tmp_path, lambda path: torch.export.save(torch.export.export(net, images), path)
    )


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    missing = "missing.pth: error: cannot be read: no such file or directory"
    assert refusal(tmp_path / "missing.pth") == (missing, None)
    (tmp_path / "folder.pth").mkdir()
    folder = "folder.pth: error: is a folder, not a checkpoint"
    assert refusal(tmp_path / "folder.pth") == (folder, None)
    assert refusal("a\0b.pth") == ("a\ufffdb.pth: error: cannot be read: embedded null byte", None)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22ea\n"

ATTRIBUTES_HINT = "save plain tensors: {key: tensor.detach().clone() for ...}"


def with_attribute(tensor: Tensor) -> Tensor:
    tensor.scale = 1  # type: ignore[attr-defined]
    return tensor


REFUSED: dict[str, tuple[bytes, str, str | None]] = {
    "empty.pth": (b"", "is empty", None),
    "text.pth": (
        b"import torch\n",
        "is neither a PyTorch checkpoint nor a safetensors file",
        None,
    ),
    "page.pth": (
        b"<!DOCTYPE html><title>404</title>",
        "is neither a PyTorch checkpoint nor a safetensors file",
        None,
    ),
    "lfs.pth": (LFS, "is a Git LFS pointer, not the checkpoint itself", "run `git lfs pull`"),
    "lfs.safetensors": (
        LFS,
        "is a Git LFS pointer, not the checkpoint itself",
        "run `git lfs pull`",
    ),
    "empty.safetensors": (b"", "is empty", None),
    "text.safetensors": (b"hello\n", "is a truncated or damaged safetensors file", None),
    "misnamed.safetensors": (
        b"PK\x03\x04 and no more",
        "is a truncated or damaged PyTorch checkpoint",
        None,
    ),
    "tensor.pth": (pickled(torch.ones(2)), "holds a tensor, not a state dict", SAVE_HINT),
    "list.pth": (pickled([STATE]), "holds a Python `list`, not a state dict", SAVE_HINT),
    "none.pth": (legacy(None), "holds a Python `NoneType`, not a state dict", SAVE_HINT),
    "numbers.pth": (pickled({"epoch": 3}), "holds no state dict", SAVE_HINT),
    "and_epoch.pth": (
        pickled({**STATE, "epoch": 3}),
        "holds no state dict: `epoch` is a Python `int`, not a tensor",
        SAVE_HINT,
    ),
    "nested.pth": (
        pickled({"state_dict": {**STATE, "epoch": 3}}),
        "holds no state dict: `epoch` is a Python `int`, not a tensor",
        SAVE_HINT,
    ),
    "lacks_one.pth": (
        pickled({**STATE, "fc.weight": None}),
        "holds no state dict: `fc.weight` is a Python `NoneType`, not a tensor",
        SAVE_HINT,
    ),
    "numbered.pth": (
        pickled({0: torch.ones(1), 1: torch.ones(1)}),
        "holds no state dict: the key `0` is not text",
        SAVE_HINT,
    ),
    "optimizer.pth": (pickled(SGD), "holds no state dict", SAVE_HINT),
    "sparse.pth": (
        pickled({"fc.weight": torch.eye(3).to_sparse()}),
        "`fc.weight` is not a dense tensor of plain numbers",
        None,
    ),
    "meta.pth": (
        pickled({"model": {"fc.weight": torch.ones(3, device="meta")}}),
        "`fc.weight` is not a dense tensor of plain numbers",
        None,
    ),
    "terminal.pth": (
        pickled({"\x1b[2J\nfc.weight": torch.eye(3).to_sparse()}),
        "`\ufffd[2J\ufffdfc.weight` is not a dense tensor of plain numbers",
        None,
    ),
    "module.pth": (
        pickled(nn.ReLU()),
        "holds a torch.nn.modules.activation.ReLU, not a state dict; nothing was executed",
        SAVE_HINT,
    ),
    "plain_pickle.pth": (
        pickle.dumps(STATE["fc.bias"].float().numpy()),
        "holds a NumPy array, not a state dict",
        SAVE_HINT,
    ),
    "dumped.pth": (
        pickle.dumps({"fc.weight": torch.ones(1)}),
        "`fc.weight` was saved by pickle.dump, not by torch.save",
        SAVE_HINT,
    ),
    "expanded.pth": (
        pickled({"fc.weight": torch.ones(1).expand(4)}),
        "`fc.weight` is larger than its storage, as an expanded tensor is",
        SAVE_HINT,
    ),
    "stand_in.pth": (
        pickled({"model": {**STATE, "fc.weight": argparse.Namespace()}, "model_ema": STATE}),
        "holds no state dict: `fc.weight` is an argparse.Namespace, not a tensor; nothing was "
        "executed",
        SAVE_HINT,
    ),
    "attributes.pth": (
        pickled({"fc.weight": with_attribute(torch.ones(1))}),
        "`fc.weight` is a tensor with attributes, or of a class of its own",
        ATTRIBUTES_HINT,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_checkpoint_is_refused(name: str, tmp_path: Path) -> None:
    content, message, hint = REFUSED[name]
    assert refusal(put(tmp_path, name, content)) == (f"{name}: error: {message}", hint)


def test_what_a_pth_file_is_called_makes_no_difference(tmp_path: Path) -> None:
    """torch looks at how a path ends."""
    for name in ("net.safetensors", "net.pt2", "net"):
        assert same(read_checkpoint(put(tmp_path, name, pickled(STATE))).tensors)


def test_what_is_no_regular_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Nobody writes to this pipe: who reads it waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    message = "pipe: error: is not a regular file"
    assert refusal(tmp_path / "pipe") == (message, "write it to one first")


@pytest.mark.parametrize("name", ["large.pth", "large.safetensors"])
def test_a_lack_of_memory_is_told_from_damage(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    state = {"fc.weight": torch.zeros(2**26)}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    result = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    message = f"{path}: error: needs more memory than is available: it is too large or damaged"
    assert result.stdout == f"{message}\n", result.stderr


LITTLE_MEMORY = """
import resource, sys
import torch
from archc.weights import WeightsError, read_checkpoint
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**27, held + 2**27))
try:
    read_checkpoint(sys.argv[1])
except WeightsError as error:
    print(error)
"""


# What would take too long


def archive(pickle: bytes, **parts: bytes) -> bytes:
    """A packed archive as torch lays it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("archive/data.pkl", pickle)
        for name, content in parts.items():
            opened.writestr(f"archive/data/{name}", content)
    return file.getvalue()


def header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + bytes(4)


def overlapping() -> bytes:
    """An archive that lists its last part a hundred times."""
    content = archive(b"\x80\x02}.", x=random.Random(0).randbytes(2**16))
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    listed = content[start:end] + content[content.rindex(b"PK\x01\x02") : end] * 100
    count, size = (102).to_bytes(2, "little") * 2, len(listed).to_bytes(4, "little")
    return content[:start] + listed + content[end : end + 8] + count + size + content[end + 16 :]


_NESTED_KEY = b"".join(b"q%ch%c\x86" % (i, i) for i in range(60))
_ONE_HASH = b"".join(
    b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(3000)
)

_DEEP = "holds a pickle nested more than 500 levels deep"
_LONG = "holds a pickle of more than 16,777,216 bytes"
_SLOW = "holds a pickle that would take too long to load"
_SETS = b"c__builtin__\nset\nh\0R" * 200
_LONG_HEADER = header('{"__metadata__": {"a": "' + "a" * 2**22 + '"}}')

HOSTILE: dict[str, tuple[bytes, str]] = {
    "bomb.pth": (archive(b"\x80\x02}.", x=bytes(2**27)), "would unpack to 134,217,732 bytes from "),
    "parts.pth": (
        archive(b"\x80\x02}.", **{str(i): b"" for i in range(50_001)}),
        "has more than 50,000 parts",
    ),
    "marks.pth": (archive(b"\x80\x02" + b"(" * 600), _DEEP),
    "legacy.pth": (b"\x80\x02" + b"(" * 600, _DEEP),
    "tuples.pth": (archive(b"\x80\x02)" + b"\x85" * 600), _DEEP),
    "opcodes.pth": (
        archive(b"\x80\x02" + b"N" * 1_000_000),
        "holds a pickle of more than 1,000,000 opcodes",
    ),
    "lists.pth": (archive(b"\x80\x02" + b"]" * 100_001), "holds more than 100,000 objects"),
    "long.pth": (archive(b"\x80\x02" + b"N" * 2**24), _LONG),
    "key.pth": (archive(b"\x80\x02})" + _NESTED_KEY + b"Ns."), _SLOW),
    "hash.pth": (archive(b"\x80\x02}(" + _ONE_HASH + b"u."), _SLOW),
    "copies.pth": (
        archive(b"\x80\x02](" + b"K\x01" * 10_000 + b"e\x85q\0" + _SETS + b"."),
        _SLOW,
    ),
    "header.safetensors": (_LONG_HEADER, "has a header of 4,194,331 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_take_long_is_refused_before_it_does(name: str, tmp_path: Path) -> None:
    content, expected = HOSTILE[name]
    message, hint = refusal(put(tmp_path, name, content))
    assert message.startswith(f"{name}: error: {expected}")
    assert message.endswith(", far more than a checkpoint needs")
    assert hint == SAVE_HINT


def test_a_text_of_4_gb_that_is_not_there_is_damage(tmp_path: Path) -> None:
    content = archive(b"\x80\x02X\xff\xff\xff\xffa.")
    message, _ = refusal(put(tmp_path, "text.pth", content))
    assert message == "text.pth: error: is a truncated or damaged PyTorch checkpoint"


def test_a_call_that_takes_as_much_memory_as_it_is_told_is_refused(tmp_path: Path) -> None:
    content = archive(b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\xe4\x0b\x54\x02\x85R.")
    assert refusal(put(tmp_path, "bytes.pth", content)) == (
        "bytes.pth: error: holds a bytearray, not a state dict; nothing was executed",
        SAVE_HINT,
    )


def test_parts_that_overlap_are_damaged(tmp_path: Path) -> None:
    assert refusal(put(tmp_path, "net.pth", overlapping()))[0] == f"net.pth: error: {WHOLE}"


def test_a_list_of_parts_that_can_be_found_in_two_ways_is_damaged(tmp_path: Path) -> None:
    content = pickled(STATE)
    for ending in (b"a", content[content.rindex(b"PK\x05\x06") :]):
        broken = content[:-2] + len(ending).to_bytes(2, "little") + ending
        assert refusal(put(tmp_path, "net.pth", broken))[0] == f"net.pth: error: {WHOLE}"


def test_a_key_that_no_network_has_is_refused(tmp_path: Path) -> None:
    message = "has a key of 103 characters and 52 parts, more than any network needs"
    for name, write in WRITERS.items():
        content = write({"a." * 51 + "a": torch.ones(1)})
        assert refusal(put(tmp_path, name, content))[0] == f"{name}: error: {message}"


def test_the_checkpoint_of_a_very_deep_network_is_read(tmp_path: Path) -> None:
    """4,000 tensors, with what an optimizer keeps, numbers of every kind, and what they share."""
    state = {f"layer{i}.weight": torch.ones(1) for i in range(4000)}
    momentum: dict[int, dict[str, object]] = {
        i: {"momentum_buffer": one, "step": i} for i, one in enumerate(state.values())
    }
    content = {
        "model": state,
        "optimizer": {"state": momentum, "param_groups": [{"params": list(range(4000))}]},
        "seed": 2**63,
        "history": [0.5] * 20_000,
        ("a", 1): {1.5, None},
        "size": torch.Size([1, 2]),
        "raw": b"\xff\0",
    }
    for write in (pickled, legacy):
        assert same(read_checkpoint(put(tmp_path, "deep.pth", write(content))).tensors, state)


def test_a_single_numpy_array_is_called_that(tmp_path: Path) -> None:
    single = io.BytesIO()
    np.save(single, np.ones(3))
    for name in ("net.npy", "net.pth", "net.safetensors"):
        assert refusal(put(tmp_path, name, single.getvalue())) == (
            f"{name}: error: is a single NumPy array, not a checkpoint",
            NUMPY_HINT,
        )


class RunsCode:
    """An object that creates a file when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: str):
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return self.call


@pytest.mark.parametrize("write", [pickled, legacy])
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    write: Callable[[object], bytes], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    for function, arguments, name in (
        (os.system, (f"touch {trace}",), f"{os.system.__module__}.system"),
        (eval, (f"__import__('os').mkdir({str(trace)!r})",), "eval"),
        (os.mkdir, (str(trace),), f"{os.mkdir.__module__}.mkdir"),
    ):
        content = write({**STATE, "extra": RunsCode(function, *arguments)})
        assert refusal(put(tmp_path, "evil.pth", content)) == (
            f"evil.pth: error: holds no state dict: `extra` is a{'n' * (name == 'eval')} {name}, "
            "not a tensor; nothing was executed",
            SAVE_HINT,
        )
        assert not trace.exists()
        torch.load(tmp_path / "evil.pth", weights_only=False)  # it is as evil as it should be
        assert trace.exists()
        trace.rmdir() if trace.is_dir() else trace.unlink()


def test_a_pickle_that_runs_code_in_a_protocol_of_its_own_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for protocol in range(6):
        content = pickle.dumps(RunsCode(os.system, f"touch {trace}"), protocol)
        refusal(put(tmp_path, "evil.pth", content))
        assert not trace.exists()


# What is broken


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_no_weights(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    message, _ = refusal(put(tmp_path, "nested.pth", pickled({"fc.weight": nested})))
    assert message == "nested.pth: error: `fc.weight` is not a dense tensor of plain numbers"


def test_a_part_that_is_called_a_folder_is_damaged(tmp_path: Path) -> None:
    content = bytearray(pickled(STATE))
    entry = content.index(b"PK\x01\x02")
    while entry >= 0:
        one = bytearray(content)
        one[entry + 38] |= 0x10
        message, _ = refusal(put(tmp_path, "folder.pth", bytes(one)))
        assert message == f"folder.pth: error: {WHOLE}"
        entry = content.find(b"PK\x01\x02", entry + 1)


def test_an_archive_may_have_folders(tmp_path: Path) -> None:
    """As one that was unpacked and packed again has."""
    packed = io.BytesIO(pickled(STATE))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.mkdir(f"{archive.namelist()[0].partition('/')[0]}/data")
    assert same(read_checkpoint(put(tmp_path, "again.pth", packed.getvalue())).tensors)


@every_format
def test_a_truncated_file_is_refused_wherever_it_ends(name: str, tmp_path: Path) -> None:
    content = WRITERS[name](STATE)
    kind = "safetensors file" if "safetensors" in name else "PyTorch checkpoint"
    step = 1 if len(content) < 1000 else 7
    messages: set[str] = set()
    for end in range(8, len(content), step):
        message, _ = refusal(put(tmp_path, name, content[:end]))
        if name != "legacy.pth" or end > 600:
            assert message == f"{name}: error: is a truncated or damaged {kind}"
        messages.add(message)
    assert all(message.startswith(f"{name}: error: ") for message in messages)


@every_format
def test_flipped_bytes_are_refused_or_change_numbers_only(name: str, tmp_path: Path) -> None:
    """Never another exception. An archive has checksums: what is read of one is all right."""
    content = WRITERS[name](STATE)
    flips = random.Random(0)
    messages: list[str] = []
    for _ in range(700):
        broken = bytearray(content)
        for _ in range(flips.choice((1, 1, 2, 5))):
            broken[flips.randrange(len(broken))] ^= flips.randrange(1, 256)
        path = put(tmp_path, name, bytes(broken))
        try:
            found = read_checkpoint(path).tensors
        except WeightsError as error:
            messages.append(str(error))
        else:
            assert name != "zip.pth" or same(found)
    assert len(messages) > 300
    for message in messages:
        assert message.startswith(f"{path}: error: ")
        assert message.isprintable()


def test_a_flipped_bit_in_the_weights_of_an_archive_is_found(tmp_path: Path) -> None:
    """torch.load takes no notice of it."""
    content = pickled(STATE)
    at = content.index(STATE["conv1.weight"].numpy().tobytes())
    broken = bytearray(content)
    broken[at] ^= 1
    path = put(tmp_path, "flipped.pth", bytes(broken))
    assert not torch.equal(torch.load(path)["conv1.weight"], STATE["conv1.weight"])
    assert refusal(path) == (f"flipped.pth: error: {WHOLE}", None)


def test_a_file_that_is_refused_is_told_in_our_words_alone(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """torch warns of protocols, storages and options of its own."""
    for name, (content, _, _) in REFUSED.items():
        refusal(put(tmp_path, name, content))
    assert not recwarn.list
