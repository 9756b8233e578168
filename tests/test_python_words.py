"""Errors that Python raises name options as Python writes them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archc
from archc.source.caller import on_command_line

SPEC = "cifar10/resnet20"

api: Any = archc  # which is called with arguments of types that it does not take


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: api.load(SPEC, input=(3, 0, 32)),
            "input:1:5: error: the height of `input` must be an integer from 1 to 32,768",
        ),
        (
            lambda: api.load(SPEC, with_={"depth": [1, 2]}),
            "with_:1:7: error: `depth` has 2 values for 3 stages",
        ),
        (
            lambda: api.load(SPEC, with_=["depth"]),
            "with_:1:1: error: `with_` takes NAME=VALUE, not `depth`",
        ),
        (
            lambda: api.load(SPEC, with_={"input": [3, 32, 32]}),
            "hint: use `input=(3, 224, 224)`",
        ),
        (lambda: api.load(SPEC, with_={"classes": 10}), "`with_` sets only stage attributes"),
        (lambda: api.sweep(SPEC, ["depth"]), "vary:1:1: error: `vary` takes NAME=VALUES"),
        (
            lambda: api.sweep(SPEC, ["depth=1", "depth=2"]),
            "`depth` is already varied by `depth=1`",
        ),
        (lambda: api.roofline(SPEC, "h2"), "device:1:1: error: there is no device `h2`"),
        (
            lambda: api.train(SPEC, "cifar", "data", "run"),
            "recipe:1:1: error: there is no file or shipped recipe `cifar`",
        ),
        (
            lambda: api.train(SPEC, "cifar10", "data", "run", settings=["batch"]),
            "settings:1:1: error: `settings` needs KEY=VALUE",
        ),
        (
            lambda: api.evaluate(archc.load(SPEC), "data"),
            "a spec has no weights of its own",
        ),
        (lambda: api.evaluate("nowhere", "data"), "there is no file or shipped spec `nowhere`"),
        (lambda: api.load(SPEC, input="3,32"), "input:1:1: error: `input` takes channels"),
        (lambda: api.load("nowhere"), "hint: `archc.specs()` shows the shipped specs"),
        (lambda: api.load("imagenet"), "`archc.specs('imagenet')` shows them"),
        (lambda: api.load(SPEC, with_={"depth": None}), "not `None`"),
        (
            lambda: api.load(SPEC, with_={"depth": [1, None]}),
            "(None leaves a stage unchanged)",
        ),
    ],
)
def test_options_are_called_as_in_python(call: Any, words: str) -> None:
    with pytest.raises(archc.ArchcError) as caught:
        call()
    said = f"{caught.value}\nhint: {caught.value.hint}"
    assert "`archc " not in said
    assert words in said
    assert "--" not in said
    with on_command_line(), pytest.raises(archc.ArchcError):
        call()


def test_what_is_probably_not_meant_is_a_warning() -> None:
    with pytest.warns(archc.SpecWarning, match=r"^input:1:1: \(64, 64, 3\) looks like height"):
        network = archc.load("cifar10/resnet20", input=(64, 64, 3))
    assert network.input_shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: api.load(SPEC, input=0.5), "`input` must be"),
        (lambda: api.load(SPEC, with_=5), "`with_` must be a mapping or a list"),
        (lambda: api.load(SPEC, with_={1: 2}), "`with_` must be a mapping or a list"),
        (
            lambda: api.show(archc.load(SPEC)),
            "`spec` must be a path, a shipped name or a mapping, not a Network",
        ),
        (lambda: api.sweep(SPEC, "depth=1"), "`vary` must be a list"),
        (
            lambda: api.train(SPEC, "cifar10", "d", settings="batch=1"),
            "`settings` must be a list",
        ),
        (lambda: api.train(archc.read(SPEC), "cifar10", "d", with_={"depth": 1}), "to be read"),
    ],
)
def test_arguments_of_another_type_are_wrong_calls(call: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_too_few_names_are_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="there are 2 `names` for 1 networks"):
        archc.report(SPEC, names=["a", "b"])


def test_numbers_of_numpy_are_numbers() -> None:
    size: Any = tuple(np.array([3, 16, 16]))
    network = archc.load(SPEC, input=size, with_={"depth": np.int64(1)})
    assert (network.input_shape, network.layers) == ((3, 16, 16), 8)


def test_errors_are_the_same_in_another_process() -> None:
    errors = [
        archc.WeightsError("net.pth", "is empty", "save it again"),
        archc.OutputError(Path("a"), "no"),
    ]
    with pytest.raises(archc.SpecError) as caught:
        archc.load("nowhere")
    for error in (*errors, caught.value):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.message, again.hint) == (str(error), error.message, error.hint)


def test_a_single_mistake_of_a_spec_has_its_own_message_and_hint() -> None:
    with pytest.raises(archc.SpecError) as caught:
        archc.load("nowhere")
    assert caught.value.message == "there is no file or shipped spec `nowhere`"
    assert caught.value.hint == "`archc.specs()` shows the shipped specs"
    (fault,) = archc.check("nowhere")
    assert str(fault) == str(caught.value)
    assert repr(archc.read(SPEC)) == "Design('resnet20')"


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
        api.draw(SPEC, format="gif")
    assert caught.value.message == str(caught.value)
    assert caught.value.hint is None
