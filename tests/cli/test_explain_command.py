"""`archc explain`: every code has an explanation, whose examples are run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from explained import found
from shell import archc

from archc.cli import cli
from archc.source.codes import CODES, ERRORS, WARNINGS
from archc.source.explaining import explanations

EXPLAINED = explanations()
EXAMPLES = {code: one.example for code, one in EXPLAINED.items() if one.example is not None}


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_gives_its_code_and_what_is_right_checks(code: str, tmp_path: Path) -> None:
    """`tests/explained.py` writes the messages anew."""
    example = EXAMPLES[code]
    told = found(example, example.before, tmp_path)
    assert {one.code for one in told} == {code}
    assert "\n".join(one.render() for one in told) + "\n" == example.message
    if example.after:
        assert example.after != example.before
        if not example.is_command:
            assert found(example, example.after, tmp_path) == ()


def test_every_code_is_explained_nearly_all_with_an_example() -> None:
    assert list(EXPLAINED) == list(CODES)
    assert all(one.text for one in EXPLAINED.values())
    assert CODES.keys() - EXAMPLES.keys() == {"malformed-record", "too-many-mistakes"}
    right = {code for code, example in EXAMPLES.items() if example.after}
    assert right >= WARNINGS.keys()
    assert len(right & ERRORS.keys()) > 50


@pytest.mark.parametrize("text", ["resnet20 --with depth=5", "resnet20 --vary depth[3]=3,5"])
def test_a_command_that_is_right_works(text: str) -> None:
    (line,) = [
        example.after.strip()
        for example in EXAMPLES.values()
        if example.is_command and text in example.after
    ]
    assert archc(*line.split()[1:]).returncode == 0


def test_a_code_is_explained_with_what_is_wrong_and_what_is_right() -> None:
    done = archc("explain", "unused-default")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "unused-default (warning): A value under `defaults` reaches no stage."
    assert "    defaults: {depth: 5}" in lines
    assert "    with: {depth: 5}" in lines
    assert [line for line in lines if line.startswith("    spec.yaml:3:12: warning: ")]
    done = archc("explain", "[Unused_Default]", "too-many-mistakes")
    assert done.stdout.startswith("\n".join(lines) + "\n\ntoo-many-mistakes (error): ")


def test_all_codes_are_listed() -> None:
    lines = archc("explain").stdout.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == list(CODES)


def test_an_unknown_code_has_a_hint() -> None:
    done = archc("explain", "unused-defaults")
    assert done.returncode == 2
    assert "there is no code `unused-defaults`: did you mean `unused-default`?" in done.stderr
    assert "`archc explain` lists the codes" in archc("explain", "E0308").stderr


def test_codes_are_completed() -> None:
    found = ShellComplete(cli, {}, "archc", "_ARCHC_COMPLETE").get_completions(
        ["explain", "unknown-key"], "unused-"
    )
    assert [one.value for one in found] == [
        "unused-classes",
        "unused-default",
        "unused-variable",
        "unused-attribute",
    ]


def test_check_explains_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("name: net\nclases: 10\nhaed: [linear]\n")
    done = archc("check", "net.yaml", "--explain", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("unknown-key (error): ") == 1
