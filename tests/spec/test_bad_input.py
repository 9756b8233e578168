"""Whatever comes from outside ends in a `SpecError`, soon and in little memory."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from archc.recipes import load_recipe
from archc.spec import SpecError, load_spec

pytestmark = pytest.mark.usefixtures("speaking_command_line")

HEAD = "name: net\ndefaults: {block: basic, depth: 1, width: 8, shortcut: A}\n"

HUGE: dict[str, str | bytes] = {
    "10 MB of brackets": "[]" * 5_000_000,
    "a megabyte of opening brackets": "[" * 1_000_000,
    "a megabyte of opening mappings": "{a: " * 250_000,
    "a megabyte of dashes": "- " * 500_000,
    "a megabyte of question marks": "? " * 500_000,
    "a megabyte of colons": ": " * 500_000,
    "a megabyte of commas": "," * 1_000_000,
    "a megabyte of quotes": '"' * 1_000_000,
    "a megabyte of exclamation marks": "!" * 1_000_000,
    "a megabyte of anchors": "&a " * 330_000,
    "a megabyte of blank lines": "\n" * 1_000_000,
    "a megabyte of NUL": bytes(1_000_000),
    "a megabyte of random bytes": bytes(range(128, 256)) * 7_800,
    "300,000 keys": "".join(f"{number:x}:\n" for number in range(150_000)),
    "25,000 unknown keys": "name: net\n" + "".join(f"{n:x}:\n" for n in range(24_000)),
    "a stage of 25,000 attributes": f"{HEAD}stages: [{{"
    + "".join(f"k{number:x}: ," for number in range(24_000))
    + "}]",
    "15,000 unknown defaults for 10,000 stages": HEAD.replace(
        "depth: 1", ",".join(f"k{number:x}: 1" for number in range(15_000))
    )
    + f"stages: [{'{},' * 10_000}]",
    "10,000 broken stages": f"{HEAD}stages: [{'{depth: 0, widht: 3},' * 9_000}]",
    "10,000 stages that with does not fit": f"{HEAD}stages: [{'{},' * 10_000}]\n"
    "with: {expansion: 2, kernel: 3}",
    "50,000 wrong layers": f"name: net\nhead: [{'rel,' * 49_000}]",
    "200,000 right layers": f"name: net\nhead: [{'relu,' * 190_000}]",
    "300,000 stages": f"{HEAD}stages: [{'{},' * 300_000}]",
    "a list of 500,000 for a number": f"name: net\nclasses: [{'1,' * 490_000}]",
    "a name of a megabyte": f"name: {'a' * 999_000}",
    "a quoted name of a megabyte": f'name: "{"a" * 999_000}"',
    "a key of a megabyte": f"{'a' * 999_000}: 1",
    "a quoted key of a megabyte": f'"{"a" * 999_000}": 1',
    "a comment of a megabyte": f"name: net #{'#' * 999_000}",
    "a number of a megabyte": f"name: net\nhead: [linear]\nclasses: {'1' * 990_000}",
    "a fraction of a megabyte": f"name: net\nhead: [linear]\nclasses: 1.{'1' * 990_000}e-5",
    "a path of a megabyte": f"name: net\nextends: {'a' * 990_000}",
    "a shipped name of a megabyte": f"name: net\nextends: imagenet/{'a' * 990_000}",
    "an alias bomb": "a: &a [x,x,x]\n"
    + "\n".join(f"b{n}: &b{n} [*b{n - 1},*b{n - 1},*b{n - 1}]" for n in range(20_000)),
    "a tag that would run a program": "name: !!python/object/apply:os.system [exit 3]",
    "a tag that would import a module": "name: !!python/module:antigravity ''",
    "45,000 tags": f"name: net\nhead: [{'!x y,' * 45_000}]",
    "300,000 wide characters": f"name: net\ntitle: [{'残' * 300_000}]",
    "300,000 combining characters": "name: net\ntitle: [" + "e\u0301" * 300_000 + "]",
    "not a number": "name: net\nclasses: .nan\nhead: [linear]",
    "10**30": f"name: net\nclasses: {10**30}\nhead: [linear]",
    "a depth of 10**9": f"{HEAD}stages: [{{depth: {10**9}}}]",
    "channels beyond counting": "name: net\nstages: [{block: bottleneck, depth: 1, width: 65536, "
    "expansion: 65536, groups: 65536, base_width: 65536, shortcut: A}]",
}

WORKER = """
import json, re, resource, sys
from archc.compile import compile_spec
from archc.recipes import load_recipe
from archc.spec import SpecError, load_spec

def peak():
    try:  # resource's peak is that of the process that started this one, if that was higher
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) >> 10
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
for path in sys.argv[1:]:
    try:
        compile_spec(load_spec(path))
        rendered = []
    except SpecError as error:
        rendered = [diagnostic.render() for diagnostic in error.diagnostics]
    print(json.dumps([path, rendered, peak()]), flush=True)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], int]]:
    """For each huge input what archc says, and the peak of memory until then in MB."""
    folder = tmp_path_factory.mktemp("huge")
    names = {}
    for number, (name, content) in enumerate(HUGE.items()):
        path = folder / f"{number}.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        names[str(path)] = name
    done = subprocess.run(
        [sys.executable, "-c", WORKER, *names], capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {names[path]: (rendered, peak) for path, rendered, peak in rows}


@pytest.mark.parametrize("name", HUGE)
def test_huge_input_ends_in_few_words_and_little_memory(
    name: str, outcomes: dict[str, tuple[list[str], int]]
) -> None:
    rendered, peak = outcomes[name]
    assert 1 <= len(rendered) <= 51
    assert max(map(len, rendered)) < 1000
    assert peak < 200


def message(spec: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(spec)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.render()


def test_a_missing_file() -> None:
    assert message("no/such.yaml") == (
        "no/such.yaml:1:1: error: there is no file or shipped spec `no/such.yaml`\n"
        "hint: `archc list` shows the shipped specs"
    )


def test_a_shipped_name_that_is_misspelt() -> None:
    assert message("imagenet/resnt50").endswith("hint: did you mean `imagenet/resnet50`?")
    assert message("resnext50").endswith("hint: did you mean `torchvision/resnext50_32x4d`?")
    assert message("vgg19").endswith("hint: did you mean `imagenet/vgg19` or `torchvision/vgg19`?")


def test_names_in_other_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet65.yaml").touch()
    two = "hint: did you mean `imagenet/resnet50` or `torchvision/resnet50`?"
    for name in ("ResNet50", "RESNET50.yaml", "resnet-50", "ResNet-50"):
        assert message(name).endswith(two), name
    for name in ("ImageNet/ResNet50", "IMAGENET/resnet-50", "imagenet/ResNet_50"):
        assert message(name).endswith("hint: did you mean `imagenet/resnet50`?"), name
    for name in ("ResNet65", "resnet65.yml", "resnet-65.yaml", "resent65"):
        assert message(name).endswith("hint: did you mean `resnet65.yaml`?"), name


def test_of_names_equally_close_the_shipped_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain21.yaml").touch()
    assert message("plain22").endswith("hint: did you mean `cifar10/plain20`?")


@pytest.mark.parametrize("name", ["imagenet", "imagenet/", "ImageNet"])
def test_a_group_of_shipped_specs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = (
        f"{name}:1:1: error: `{name}` is a group of shipped specs, not a spec\n"
        "hint: name one of them, for example `imagenet/plain18`; it holds plain18, plain34, "
        "resnet18, resnet34, resnet34-b, resnet34-c and 4 more; `archc list imagenet` shows them"
    )
    assert message(name) == said
    Path("imagenet").mkdir()
    folder = "`imagenet` is a folder, not a spec\nhint: `archc list imagenet` shows the shipped"
    assert folder in message("imagenet")


def _safetensors() -> bytes:
    head = b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(head).to_bytes(8, "little") + head + bytes(4)


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"\x80\x02}q\x00.")
    return file.getvalue()


LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("weights.pth", _zip("weights/data.pkl"), "PyTorch"),
        ("net.yaml", _zip("archive/data.pkl"), "PyTorch"),
        ("old.pt", LEGACY, "PyTorch"),
        ("damaged.pth", b"\x00\x01", "PyTorch"),
        ("large.ckpt", bytes(2_000_000), "PyTorch"),
        ("weights.safetensors", _safetensors(), "safetensors"),
        ("net.yml", _safetensors(), "safetensors"),
        ("weights.npz", _zip("a.weight.npy"), "NumPy"),
        ("array", b"\x93NUMPY\x01\x00v\x00", "NumPy"),
        ("weights.h5", b"\x89HDF\r\n\x1a\n\x00", "HDF5"),
    ],
)
def test_a_checkpoint(
    name: str, content: bytes, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    assert message(name) == (
        f"{name}:1:1: error: this is a checkpoint ({kind}), not a spec\n"
        "hint: give the spec of its network, and the weights (.safetensors or .pth) as "
        "`--weights FILE`, for example to `archc verify`"
    )


def test_what_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paper.docx").write_bytes(_zip("word/document.xml"))
    assert "this is a binary file, not a spec" in message("paper.docx")
    Path("odd.bin").write_text("name: net\nhead: [linear]\n")
    assert load_spec("odd.bin").header.name == "net"


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").mkdir()
    assert message("net.yaml") == "net.yaml:1:1: error: `net.yaml` is a folder, not a spec"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "there is no file or shipped spec ``"),
        ("a\0b", "`a\\u0000b` is not a valid file name"),
        ("\ud800", "`\ufffd` is not a valid file name"),
        ("a\nb", "there is no file or shipped spec `a\\nb`"),
        ("a" * 5000, f"`{'a' * 39}…` cannot be read: file name too long"),
        ("imagenet/" + "a" * 300, "there is no file or shipped spec"),
        ("imagenet/../imagenet", "there is no file or shipped spec"),
        ("./..", "`./..` is a folder, not a spec"),
        ("../resnet50", "there is no file or shipped spec"),
        ("~/net.yaml", "there is no file or shipped spec `~/net.yaml`"),
    ],
)
def test_names_that_no_spec_has(name: str, said: str) -> None:
    text = message(name)
    assert said in text
    assert "\n" not in text.partition(" error: ")[0]


@pytest.mark.parametrize(
    "name", ["a\nb.yaml", "a'b\".yaml", "a\x1b[31m.yaml", "`a`.yaml", "残.yaml"]
)
def test_files_with_odd_names_are_told_on_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("name: net\nclases: 10\nhead: [linear]\n")
    first, *rest = message(name).splitlines()
    assert first.endswith(":2:1: error: a spec has no key `clases`")
    assert "\x1b" not in first
    assert rest == ["  clases: 10", "  ^", "hint: did you mean `classes`?"]


def test_a_file_whose_name_is_not_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"net\xff.yaml")
    try:
        Path(name).write_text("nmae: net\nhead: [linear]\n")
    except OSError:
        pytest.skip("this file system has no such names")
    assert message(name).encode().startswith(b"net")


def test_devices(tmp_path: Path) -> None:
    assert message("/dev/null").startswith("/dev/null:1:1: error: the spec is empty")
    assert "at most 1,000,000 bytes" in message("/dev/zero")


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert message("pipe") == "pipe:1:1: error: `pipe` is a pipe without a writer"


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_a_pipe_with_a_writer_is_read(
    pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")

    def work() -> None:
        with open("pipe", "w") as pipe:
            pipe.write("name: net\n")
            pipe.flush()
            threading.Event().wait(pause)
            pipe.write("head: [linear]\n")

    writer = threading.Thread(target=work)
    writer.start()
    spec = load_spec("pipe")
    writer.join()
    assert spec.head[0].word == "linear"


def test_a_pipe_of_the_shell_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"name: net\nhead: [linear]\n")
    os.close(write)
    try:
        assert load_spec(f"/dev/fd/{read}").header.name == "net"
    finally:
        os.close(read)


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert "`socket` cannot be read: " in message("socket")


def test_links_in_a_circle_and_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    Path("c").symlink_to("nothing")
    assert message("a") == "a:1:1: error: `a` cannot be read: too many levels of symbolic links"
    assert message("c") == "c:1:1: error: `c` is a link to a file that does not exist"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text("name: net\n")
    monkeypatch.setattr(os, "open", refuse)
    assert (
        message("net.yaml") == "net.yaml:1:1: error: `net.yaml` cannot be read: permission denied"
    )


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    memory = Path("/proc/self/mem")
    if not memory.exists():
        pytest.skip("there is no such file here")
    assert "cannot be read: input/output error" in message(str(memory))


def test_standard_input_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    assert message("-") == ("<stdin>:1:1: error: standard input cannot be read: input/output error")


SECRET = "root:$6$secret:19000:0:99999:7:::\n"
LEADS = ["../outside/shadow", "{outside}/shadow", "link.yaml", "../outside/twice.yaml"]


@pytest.mark.parametrize("extends", LEADS)
@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        b"- " + SECRET.encode(),
        b"password: secret\n",
        b"metadata:\n  name: secret\n",
        b"\tsecret",
        b"'secret",
        b"secret\0secret",
        b"secret\xff",
        b"secret\x07",
        b'{"password": "secret",',
    ],
)
def test_no_content_is_shown_of_what_is_outside_and_not_a_spec(
    extends: str, content: bytes, tmp_path: Path
) -> None:
    """A spec may come from somebody who may not read what archc may."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "shadow").write_bytes(content)
    (outside / "twice.yaml").write_text("name: twice\nextends: shadow\n")
    (inside / "link.yaml").symlink_to(outside / "shadow")
    path = inside / "spec.yaml"
    path.write_text(f"name: net\nextends: {extends.format(outside=outside)}\n")
    with pytest.raises(SpecError) as told:
        load_spec(str(path))
    text = str(told.value) + json.dumps([fault.as_dict() for fault in told.value.diagnostics])
    assert "secret" not in text
    (fault,) = told.value.diagnostics
    assert fault.message.endswith(" is not a spec")
    assert fault.hint == "a spec has `name`, `extends` or `stages` at the top"
    assert fault.place.column == 10


@pytest.mark.parametrize("content", ["name: x\nstages: [\n", "{name: x, stages: 1", "extends: 3"])
def test_a_broken_spec_outside_is_shown_as_any(content: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "base.yaml").write_text(content)
    path = tmp_path / "inside/spec.yaml"
    path.write_text("name: net\nextends: ../base.yaml\n")
    with pytest.raises(SpecError) as told:
        load_spec(str(path))
    assert told.value.diagnostics[0].place.source.path == str(tmp_path / "base.yaml")


def test_no_content_is_shown_of_what_a_recipe_extends_either(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "shadow").write_text(SECRET)
    path = tmp_path / "inside/recipe.yaml"
    path.write_text("recipe: mine\nextends: ../shadow\n")
    with pytest.raises(SpecError) as told:
        load_recipe(str(path))
    assert str(told.value) == (
        f"{path}:2:10: error: `../shadow` is not a recipe\n  extends: ../shadow\n"
        "           ^\nhint: a recipe has `recipe` or `extends` at the top"
    )
