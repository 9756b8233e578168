"""`archc check --fix` and `--strict`: what is changed, what is left alone, and the exit code."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from random import Random

import pytest
from broken.catalogue import SPEC, entries
from shell import archc

import archc as library
from archc.shipped import shipped_folder

BROKEN = "name: net\ninput: [3, 8, 8]\nclases: 10  # of CIFAR-10\nhead: [global_avg_pool, linaer]\n"
MENDED = BROKEN.replace("clases", "classes").replace("linaer", "linear")
OK = "ok, 1 layer, 40 parameters, 30 multiply-adds"


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_certain_hints_are_applied_and_told(tmp_path: Path) -> None:
    path = put(tmp_path / "net.yaml", BROKEN)
    path.chmod(0o640)
    done = archc("check", "net.yaml", "--fix", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "net.yaml:3:1: fixed: `clases` is now `classes`\n"
        "net.yaml:4:25: fixed: `linaer` is now `linear`\n"
        f"net.yaml: {OK}\n"
    )
    assert path.read_text() == MENDED
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["net.yaml"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_else_stays_byte_for_byte(mark: bytes, end: bytes, tmp_path: Path) -> None:
    before, after = (
        mark + text.replace("of CIFAR-10", "für 図 \t ").encode().replace(b"\n", end)
        for text in (BROKEN, MENDED)
    )
    path = put(tmp_path / "net.yaml", before)
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("classes: '10'", "classes: 10"),
        ("classes: 10.0", "classes: 10"),
        ("input: 3, 8, 8", "input: [3, 8, 8]"),
        ("input: 3x8x8", "input: [3, 8, 8]"),
        ("pre_activation: yes", "pre_activation: true"),
        ("title: 34", 'title: "34"'),
        ("norm: null", "norm: none"),
        ("norm: 'batchnorm'", "norm: 'batch_norm'"),
        ('"clases": 10', '"classes": 10'),
        ("stem: relu, dropout", "stem: [relu, dropout]"),
        ("stem: conv, relu", None),
        ("classes: ten", None),
        ("clases: ten", None),
        ("clases: 10\nclasses: 10", None),
    ],
)
def test_what_is_certain(before: str, after: str | None, tmp_path: Path) -> None:
    text = "name: net\n{}\nhead: [global_avg_pool, linear]\n"
    path = put(tmp_path / "net.yaml", text.format(before))
    done = archc("check", "net.yaml", "--fix", cwd=tmp_path)
    assert path.read_text() == text.format(after or before)
    assert done.returncode == (after is None)


def test_lists_without_brackets(tmp_path: Path) -> None:
    text = "extends: cifar10/resnet20\nname: net\nwith:\n  depth: 3, 4, null  # deep\n"
    path = put(tmp_path / "net.yaml", text)
    done = archc("check", "net.yaml", cwd=tmp_path)
    assert done.stderr == (
        "net.yaml:4:10: error: `depth` must be one value or a list of one per stage, "
        "not `3, 4, null`\n"
        "    depth: 3, 4, null  # deep\n"
        "           ^\n"
        "hint: write [3, 4, null]\n"
        "1 mistake\n"
    )
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert path.read_text() == text.replace("3, 4, null", "[3, 4, null]")
    path.write_text(text.replace("3, 4, null", "3, 4"))  # which of three stages, nobody knows
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 1
    assert "depth: 3, 4  # deep" in path.read_text()


def test_mistakes_that_an_edit_brings_to_light_are_mended_or_it_is_not_made(
    tmp_path: Path,
) -> None:
    path = put(tmp_path / "net.yaml", "name: net\nhaed: [global_avg_pool, linaer]\n")
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert path.read_text() == "name: net\nhead: [global_avg_pool, linear]\n"
    text = "name: net\nhaed: [global_avg_pool, hyperbolic]\nclases: 10\n"
    path.write_text(text)
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 1
    assert path.read_text() == text.replace("clases", "classes")
    # What the first edit brings to light is mended beside a mistake that cannot be.
    path.write_text("name: net\nnum_classes: '10'\nhead: [globl_avg_pool: 3, linear]\n")
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 1
    assert path.read_text() == "name: net\nclasses: 10\nhead: [globl_avg_pool: 3, linear]\n"


def test_shapes_are_looked_at_once_the_rest_is_right(tmp_path: Path) -> None:
    path = put(tmp_path / "net.yaml", "name: net\nclases: 10\nhead: [linear, global_avg_pool]\n")
    done = archc("check", "net.yaml", "--fix", cwd=tmp_path)
    assert done.returncode == 1
    assert "pooling needs a feature map" in done.stderr
    assert "classes: 10" in path.read_text()


def test_only_files_that_are_named_are_changed(tmp_path: Path) -> None:
    base = put(tmp_path / "base.yaml", BROKEN)
    child = put(tmp_path / "net.yaml", "extends: base.yaml\nname: net\ntitel: Net\n")
    assert archc("check", "net.yaml", "--fix", cwd=tmp_path).returncode == 1
    assert base.read_text() == BROKEN
    assert "\ntitle: Net\n" in child.read_text()
    assert archc("check", "net.yaml", "base.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert base.read_text() == MENDED


def test_a_folder_s_files_and_links_of_the_user_are_changed(tmp_path: Path) -> None:
    put(tmp_path / "specs/a.yaml", BROKEN)
    (tmp_path / "link.yaml").symlink_to("specs/a.yaml")
    assert archc("check", "link.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert (tmp_path / "link.yaml").is_symlink()
    put(tmp_path / "specs/b.yaml", BROKEN)
    assert archc("check", "specs", "--fix", cwd=tmp_path).returncode == 0
    assert (tmp_path / "specs/a.yaml").read_text() == MENDED
    assert (tmp_path / "specs/b.yaml").read_text() == MENDED


def test_recipes_and_files_of_blocks(tmp_path: Path) -> None:
    recipe = put(tmp_path / "mine.yaml", "recipe: mine\nextends: cifar10\niteration: 70000\n")
    blocks = "blocks:\n  b:\n    atributes: {width: int}\n    layers: [conv: {width: width}]\n"
    file = put(tmp_path / "blocks.yaml", blocks.replace("width}]", "width, kernel: 3}]"))
    assert archc("check", "mine.yaml", "blocks.yaml", "--fix", cwd=tmp_path).returncode == 0
    assert "\niterations: 70000\n" in recipe.read_text()
    assert "    attributes:" in file.read_text()


def test_standard_input_and_shipped_specs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = archc("check", "-", "--fix", stdin=BROKEN)
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean `classes`?" in done.stderr
    put(tmp_path / "shipped/lab/net.yaml", BROKEN)
    (tmp_path / "link.yaml").symlink_to("shipped/lab/net.yaml")
    monkeypatch.setattr("archc.api.checking.shipped_folder", lambda: tmp_path / "shipped")
    for name in ("shipped/lab/net.yaml", "link.yaml"):
        assert archc("check", name, "--fix", cwd=tmp_path).returncode == 1
    assert (tmp_path / "shipped/lab/net.yaml").read_text() == BROKEN
    path = shipped_folder() / "cifar10/resnet20.yaml"
    before = path.read_bytes()
    assert archc("check", "cifar10/resnet20", "--with", "dpeth=3", "--fix").returncode == 1
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "net.yaml", BROKEN)
    monkeypatch.setattr("os.access", lambda *_: False)
    done = archc("check", "net.yaml", "--fix", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "archc: error: cannot write 'net.yaml': permission denied\n"
    assert path.read_text() == BROKEN


def test_more_mistakes_than_are_told(tmp_path: Path) -> None:
    layers = ", ".join(["relo"] * 120)
    path = put(tmp_path / "net.yaml", f"name: net\nhead: [{layers}, global_avg_pool]\n")
    done = archc("check", "net.yaml", "--fix", cwd=tmp_path)
    assert done.returncode == 0
    assert path.read_text().count("relu") == done.stdout.count("fixed: ") == 120


def test_json_has_the_edits_and_what_is_left(tmp_path: Path) -> None:
    put(tmp_path / "net.yaml", BROKEN.replace("[3, 8, 8]", "[3, 8, high]"))
    done = archc("check", "net.yaml", "--format", "json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert [one["code"] for one in found] == ["wrong-type", "unknown-key", "unknown-layer"]
    assert found[1]["fix"] == {
        "file": "net.yaml",
        "line": 3,
        "column": 1,
        "end_line": 3,
        "end_column": 7,
        "replacement": "classes",
        "certain": True,
    }
    assert (found[0]["end_line"], found[0]["end_column"], found[0]["fix"]) == (2, 19, None)
    done = archc("check", "net.yaml", "--format", "json", "--fix", cwd=tmp_path)
    assert [one["code"] for one in json.loads(done.stdout)] == ["wrong-type"]
    assert done.stderr.count("fixed: ") == 2


def test_the_function_returns_the_edits(tmp_path: Path) -> None:
    path = put(tmp_path / "net.yaml", BROKEN)
    assert [edit.replacement for edit in library.fix(path)] == ["classes", "linear"]
    assert library.fix(path) == ()
    assert library.fix("cifar10/resnet20") == ()
    with pytest.raises(library.SpecError, match="there is no file or shipped spec"):
        library.fix(tmp_path / "none.yaml")


# Warnings

WARNED = "name: net\ninput: [3, 8, 8]\nclasses: 10\nhead: [global_avg_pool, linear: 7]\n"
SAYS = (
    "net.yaml:3:1: warning: nothing in the network reads `classes`: it has no `linear` without a "
    "number [unused-classes]\n"
)


def test_warnings_are_printed_and_strict_makes_them_count(tmp_path: Path) -> None:
    put(tmp_path / "net.yaml", WARNED)
    done = archc("check", "net.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("net.yaml: ok, 1 layer, ")
    assert done.stderr.startswith(SAYS + "  classes: 10\n  ^\nhint: ")
    assert done.stderr.endswith("\n1 warning\n")
    assert archc("check", "net.yaml", "--strict", cwd=tmp_path).returncode == 1
    done = archc("count", "net.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, SAYS)
    put(tmp_path / "bad.yaml", BROKEN)
    done = archc("check", "net.yaml", "bad.yaml", cwd=tmp_path)
    assert done.stderr.endswith("\n2 mistakes and 1 warning\n")
    done = archc("check", "net.yaml", "--format", "github", cwd=tmp_path)
    assert done.stdout.startswith(
        "::warning file=net.yaml,line=3,col=1,title=unused-classes::nothing in the network reads"
    )
    (found,) = json.loads(archc("check", "net.yaml", "--format", "json", cwd=tmp_path).stdout)
    assert (found["severity"], found["code"]) == ("warning", "unused-classes")
    with pytest.warns(library.SpecWarning, match=r"net.yaml:3:1: .* \[unused-classes\]$"):
        library.load(tmp_path / "net.yaml")


def test_a_comment_allows_a_warning(tmp_path: Path) -> None:
    for comment in (
        "classes: 10  # archc: allow unused-classes",
        "# archc: allow unused-classes\nclasses: 10",
    ):
        put(tmp_path / "net.yaml", WARNED.replace("classes: 10", comment))
        done = archc("check", "net.yaml", "--strict", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_shipped_specs_do_not_warn() -> None:
    """Those that extend others differ in what their authors would change, too."""
    texts = {name: (shipped_folder() / f"{name}.yaml").read_text() for name in library.specs()}
    names = [name for name, text in texts.items() if "\nextends:" not in text]
    assert len(names) > 20
    done = archc("check", *names, "imagenet/resnet34-b", "torchvision/vgg16_bn", "--strict")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_inherited_or_given_by_options_is_not_warned_of(tmp_path: Path) -> None:
    put(tmp_path / "base.yaml", WARNED)
    put(tmp_path / "net.yaml", "extends: base.yaml\nname: net\n")
    assert archc("check", "net.yaml", "--strict", cwd=tmp_path).returncode == 0
    text = "name: net\ninput: [3, 8, 8]\ndefaults: {block: basic, depth: 1, shortcut: A}\n"
    put(tmp_path / "net.yaml", text + "stages: [{width: 8}, {width: 8, depth: 2}]\n")
    done = archc("check", "net.yaml", "--with", "depth=3", "--strict", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# The catalogue

HINTED = [
    entry
    for entry in entries()
    if entry.is_check and not entry.command[3:] and "did you mean" in entry.expected
]


def messages(text: str) -> list[str]:
    return re.findall(
        r"^spec\.yaml:\d+:\d+: error: (.*)\n(?:  .*\n)*hint: did you mean `", text, re.M
    )


def test_four_in_five_hints_of_the_catalogue_mend_their_mistake(tmp_path: Path) -> None:
    """And most specs check where hints are all that is said of them: in some, what was misspelt
    hides a mistake of shapes."""
    hints = gone = alone = checks = 0
    for index, entry in enumerate(HINTED):
        folder = tmp_path / str(index)
        folder.mkdir()
        wanted = messages(entry.said(folder) + "\n")
        library.fix(folder / SPEC)
        left = [one.message for one in library.check(folder / SPEC)]
        hints += len(wanted)
        gone += sum(message not in left for message in wanted)
        if entry.expected.count("error: ") == len(wanted):
            alone += len(wanted)
            checks += 0 if left else len(wanted)
    assert hints > 100
    assert gone >= 0.9 * hints
    assert alone > 50
    assert checks >= 0.7 * alone


def misspelt(text: str, choose: Random) -> str:
    """A spec with one word of its own, no text of its author's, misspelt in one letter."""
    lines = [
        line for line in text.splitlines() if not re.match(r"(description|title|name|#)", line)
    ]
    words = sorted(set(re.findall(r"(?<![\w/.#])[a-z_]{4,}(?=[:,\]}])", "\n".join(lines))))
    word = choose.choice(words)
    at = choose.randrange(len(word) - 1)
    typo = choose.choice(
        [word[:at] + word[at + 1 :], word[:at] + word[at + 1] + word[at] + word[at + 2 :]]
    )
    return re.sub(rf"(?<![\w/.#]){word}(?=[:,\]}}])", typo, text, count=1)


def test_four_in_five_hints_for_a_misspelt_word_apply_and_the_spec_checks(tmp_path: Path) -> None:
    choose, hints, checks = Random(3), 0, 0
    for name in library.specs("torchvision")[::2]:
        text = (shipped_folder() / f"{name}.yaml").read_text()
        text = text.replace("extends: ", "extends: torchvision/").replace(".yaml\n", "\n")
        text = text.replace("blocks/", "torchvision/blocks/")
        file = put(tmp_path / SPEC, misspelt(text, choose))
        if any("did you mean" in (one.hint or "") for one in library.check(file)):
            hints += 1
            library.fix(file)
            checks += not library.check(file)
    assert hints > 20
    assert checks >= 0.8 * hints
