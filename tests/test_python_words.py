"""Errors that Python raises name options as Python writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archc
from archc.source.caller import on_command_line

SPEC = "cifar10/resnet20"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: archc.load(SPEC, input=(3, 0, 32)),
            "input:1:5: error: the height of `input` must be an integer from 1 to 32,768",
        ),
        (
            lambda: archc.load(SPEC, with_={"depth": [1, 2]}),
            "with_:1:7: error: `depth` has 2 values for 3 stages",
        ),
        (
            lambda: archc.load(SPEC, with_=["depth"]),
            "with_:1:1: error: `with_` takes NAME=VALUE, not `depth`",
        ),
        (
            lambda: archc.load(SPEC, with_={"input": [3, 32, 32]}),
            "hint: use `input=(3, 224, 224)`",
        ),
        (lambda: archc.load(SPEC, with_={"classes": 10}), "`with_` sets only stage attributes"),
        (lambda: archc.sweep(SPEC, ["depth"]), "vary:1:1: error: `vary` takes NAME=VALUES"),
        (
            lambda: archc.sweep(SPEC, ["depth=1", "depth=2"]),
            "`depth` is already varied by `depth=1`",
        ),
        (lambda: archc.roofline(SPEC, "h2"), "device:1:1: error: there is no device `h2`"),
        (
            lambda: archc.train(SPEC, "cifar", "data", "run"),
            "recipe:1:1: error: there is no file or shipped recipe `cifar`",
        ),
        (
            lambda: archc.train(SPEC, "cifar10", "data", "run", settings=["batch"]),
            "settings:1:1: error: `settings` needs KEY=VALUE",
        ),
        (
            lambda: archc.evaluate(archc.load(SPEC), "data"),
            "a spec has no weights of its own",
        ),
    ],
)
def test_options_are_called_as_in_python(call: Any, words: str) -> None:
    with pytest.raises(archc.ArchcError) as caught:
        call()
    said = f"{caught.value}\nhint: {caught.value.hint}"
    assert words in said
    assert "--" not in said
    with on_command_line(), pytest.raises(archc.ArchcError):
        call()


def test_what_is_probably_not_meant_is_a_warning() -> None:
    with pytest.warns(archc.SpecWarning, match=r"^input:1:1: \(64, 64, 3\) looks like height"):
        archc.load("cifar10/resnet20", input=(64, 64, 3))


@pytest.mark.parametrize("size", [5, object()])
def test_a_size_of_another_type_is_a_wrong_call(size: Any) -> None:
    with pytest.raises(TypeError, match="`input` must be"):
        archc.load(SPEC, input=size)


def test_a_checkpoint_for_a_spec_says_where_weights_go(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 40)
    with pytest.raises(archc.SpecError, match=r"as `weights=\.\.\.`"):
        archc.load(path)


def test_every_error_is_of_one_kind_with_message_and_hint() -> None:
    errors = [getattr(archc, name) for name in archc.__all__ if name.endswith("Error")]
    assert len(errors) >= 10
    assert all(issubclass(one, archc.ArchcError) for one in errors)
    with pytest.raises(archc.ArchcError) as caught:
        archc.draw(SPEC, format="gif")
    assert caught.value.message == str(caught.value)
    assert caught.value.hint is None
