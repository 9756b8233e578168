"""What is done to the names of a checkpoint: prefixes, copies, what a user renames, the order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import archc
from archc.graph import Shape
from archc.weights import MatchOptions, MisfitError, WeightsError, fit, parse_renames
from archc.weights.order import by_order

pytestmark = [
    pytest.mark.usefixtures("speaking_command_line"),
    pytest.mark.filterwarnings("ignore:.*also fits:archc.WeightsWarning"),  # plain20
]

RESNET20 = archc.load("cifar10/resnet20")
STATE = archc.module(RESNET20).state_dict()
MEAN = {
    key: tensor + 0.5 if tensor.is_floating_point() else tensor for key, tensor in STATE.items()
}
BODY = {key: tensor for key, tensor in STATE.items() if key[:3] != "fc."}


def loads(weights: Any, **options: Any) -> dict[str, Tensor]:
    return archc.module(RESNET20, weights=weights, **options).state_dict()


def under(prefix: str, state: Mapping[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


def is_equal(found: Mapping[str, Tensor], state: Mapping[str, Tensor] = STATE) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], t) for k, t in state.items())


def refusal(weights: Any, **options: Any) -> tuple[str, str | None]:
    with pytest.raises(WeightsError) as caught:
        loads(weights, **options)
    return caught.value.message, caught.value.hint


# Checkpoints as tools save them

HEAD = {"fc.weight": torch.randn(100, 64), "fc.bias": torch.randn(100)}
FILES: dict[str, Any] = {
    "linear": under("module.", {k.replace("fc.", "linear."): v for k, v in STATE.items()}),
    "mmpretrain": {"state_dict": under("backbone.", BODY) | under("head.", {
        key: STATE[key] for key in ("fc.weight", "fc.bias")
    })},
    "moco": {"state_dict": under("module.encoder_q.") | under("module.encoder_k.", MEAN)},
    "moco, the other first": under("encoder_k.", MEAN) | under("encoder_q."),
    "dino": under("teacher.backbone.", MEAN) | under("student.backbone."),
    "pycls": {"epoch": 1, "model_state": STATE, "ema_state": MEAN, "cfg": "MODEL:"},
    "basicsr": {"params": STATE, "params_ema": MEAN},
    "lightning": {"state_dict": under("net."), "hyper_parameters": {"lr": 0.1}},
    "averages in one state dict": STATE | under("model_ema.module.", MEAN),
    "averages with a head": under("backbone.", BODY) | under("ema_backbone.", BODY) | {
        "head.fc.weight": STATE["fc.weight"], "head.fc.bias": STATE["fc.bias"],
        "ema_head.fc.weight": MEAN["fc.weight"], "ema_head.fc.bias": MEAN["fc.bias"],
    },
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_the_model_is_found_wherever_it_is(file: str, tmp_path: Path) -> None:
    torch.save(FILES[file], tmp_path / "net.pth")
    assert is_equal(loads(tmp_path / "net.pth"))


@pytest.mark.parametrize("file", ["moco", "dino", "pycls", "basicsr", "averages in one state dict"])
def test_averages_are_taken_where_they_are_asked_for(file: str, tmp_path: Path) -> None:
    torch.save(FILES[file], tmp_path / "net.pth")
    assert is_equal(loads(tmp_path / "net.pth", ema=True), MEAN)


def test_the_other_copy_is_told_of() -> None:
    found = archc.match_weights(RESNET20, FILES["moco"])
    assert found.summary() == (
        "all 116 tensors fit, `module.` and `encoder_q.` removed from their names, "
        "116 under `encoder_k.` left out"
    )


def test_averages_that_are_not_there() -> None:
    assert refusal(STATE, ema=True) == (
        "holds no averaged weights",
        "leave out `--ema` to use the weights that are there",
    )


def test_a_file_of_nothing_but_averages_is_warned_of() -> None:
    with pytest.warns(archc.WeightsWarning, match=r"no weights but those under `ema\.`, which may"):
        loads(under("ema.", MEAN))
    assert is_equal(loads(under("ema.", MEAN), ema=True), MEAN)


def test_averaged_models_of_torch_are_averages() -> None:
    module = torch.optim.swa_utils.AveragedModel(archc.module(RESNET20))
    assert loads(module.state_dict(), ema=True).keys() == STATE.keys()


def test_an_average_that_fits_better_than_its_model_is_not_taken() -> None:
    shapes = {
        key: tuple(tensor.shape)
        for key, tensor in (under("encoder_q.", STATE | HEAD) | under("encoder_k.")).items()
    }
    found = fit(RESNET20, shapes)
    assert found.prefixes == ("encoder_q.",)
    assert set(found.misshapen) == {"fc.weight", "fc.bias"}


def test_two_unknown_copies_are_refused_with_the_keys_to_choose(tmp_path: Path) -> None:
    file = tmp_path / "two.pth"
    torch.save(under("net_a.") | under("net_b.", MEAN), file)
    assert refusal(file) == (
        "holds several copies of the network: `net_a` and `net_b`",
        f"choose one by its key: `{file}#net_a` or `{file}#net_b`",
    )
    assert is_equal(loads(f"{file}#net_b"), MEAN)
    assert is_equal(loads(file, rename=["net_a="]))
    assert refusal(under("net_a.") | under("net_b."))[1] == "choose one: --rename `net_a=`"


def test_two_state_dicts_that_fit_are_refused_and_the_only_one_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "two.pth"
    torch.save({"left": STATE, "right": MEAN}, file)
    message, hint = refusal(file)
    assert message == "holds several state dicts that fit: `left` and `right`"
    assert hint == f"choose one by its key: `{file}#left` or `{file}#right`"
    assert is_equal(loads(f"{file}#right"), MEAN)
    torch.save({"critic": {"a.weight": torch.ones(2)}, "actor": STATE}, file)
    assert is_equal(loads(file))


def test_the_part_of_another_model_is_no_head_of_this_one() -> None:
    """A head is taken from beside the body only where no other body is with it."""
    shapes = {key: tuple(tensor.shape) for key, tensor in BODY.items()}
    other = {f"other.{key}": tuple(STATE[key].shape) for key in ("conv1.weight", "fc.weight")}
    assert fit(RESNET20, {**shapes, **other}).missing == ("fc.weight", "fc.bias")
    ema = {f"ema.{key}": tuple(STATE[key].shape) for key in ("fc.weight", "fc.bias")}
    assert fit(RESNET20, {**shapes, **ema}).missing == ("fc.weight", "fc.bias")


# What a user renames


def test_keys_are_renamed_before_prefixes_are_taken_off() -> None:
    strange = {k.replace("layer1.", "blocks.one."): v for k, v in under("net.").items()}
    assert is_equal(loads(strange, rename=["net.blocks.one=net.layer1"]))
    assert is_equal(loads(strange, rename={"net.blocks.one": "net.layer1."}))
    assert is_equal(loads(strange, rename=["net.blocks=x", "x.one=layer1", "net="]))
    whole = {("w" if k == "fc.weight" else k): v for k, v in STATE.items()}
    assert is_equal(loads(whole, rename=["w=fc.weight"]))


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (["conv=conv1"], "`--rename` does not apply: no key is `conv` or begins with `conv.`"),
        (
            ["conv1=bn1"],
            "`--rename` does not apply: renaming `conv1` gives two tensors the name `bn1.weight`",
        ),
    ],
)
def test_renames_that_cannot_be(rename: list[str], message: str) -> None:
    assert refusal(STATE, rename=rename) == (message, None)


def test_renames_are_pairs() -> None:
    assert parse_renames(["a=b", "c.="]) == (("a", "b"), ("c.", ""))
    for wrong in (["a"], ["=b"], [".=b"]):
        with pytest.raises(ValueError, match=r"is not OLD=NEW|is not what keys begin with"):
            parse_renames(wrong)
    with pytest.raises(TypeError, match="`rename` must be a mapping or a list"):
        parse_renames("a=b")
    with pytest.raises(TypeError, match="need `weights`"):
        archc.module(RESNET20, rename=["a=b"])
    with pytest.raises(ValueError, match="`match` must be one of names, order, not 'shape'"):
        loads(STATE, match="shape")


# Order


def strange(
    state: Mapping[str, Tensor], norms: str = "weight bias running_mean running_var"
) -> dict[str, Tensor]:
    """The tensors in order, each module called by a number."""
    paths = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    names = dict(zip(["weight", "bias", "running_mean", "running_var"], norms.split(), strict=True))
    found = {}
    for key, tensor in state.items():
        path, _, name = key.rpartition(".")
        if name in names:
            number = paths.index(path)
            found[f"op{number}.{names[name] if path[-2] == 'n' else name}"] = tensor
    return found


def test_strange_names_are_offered_by_their_order_and_taken() -> None:
    message, hint = refusal(strange(STATE))
    first, *lines = message.splitlines()
    assert first == (
        "does not fit cifar10/resnet20: its tensors have other names, but the same shapes in the "
        "same order"
    )
    assert lines[0].split() == ["op0", "→", "conv1"]
    assert lines[-1].split() == ["op38", "→", "fc"]
    assert len(lines) == 39
    assert hint == "if these are the same layers, take them with `--match order`"
    found = loads(strange(STATE), match="order")
    assert all(torch.equal(found[key], STATE[key]) for key in STATE if "tracked" not in key)
    told = archc.match_weights(RESNET20, strange(STATE), match="order").summary()
    assert told == "all 97 tensors fit, matched by their order"


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def test_in_a_norm_names_say_more_than_the_order() -> None:
    keras = strange(STATE, "gamma beta moving_mean moving_variance")
    mixed = {key: keras[key] for key in sorted(keras, key=lambda key: (int(key[2:].split(".")[0]),
                                                                      key[::-1]))}  # fmt: skip
    found = by_order(RESNET20, shapes_of(mixed))
    assert found is not None
    assert found["bn1.weight"].endswith(".gamma")
    assert found["bn1.bias"].endswith(".beta")
    assert found["bn1.running_mean"].endswith(".moving_mean")
    assert found["bn1.running_var"].endswith(".moving_variance")
    unknown = by_order(RESNET20, shapes_of(strange(STATE, "p q r s2")))
    assert unknown is not None
    assert unknown["bn1.running_var"].endswith(".s2")
    # Two names that are known, and two that are not, in which order may be anything.
    assert by_order(RESNET20, shapes_of(strange(STATE, "m scale v bias"))) is None


def test_sorted_keys_are_in_the_order_of_their_numbers() -> None:
    """As safetensors files have them: `op10` before `op2`."""
    given = dict(sorted(shapes_of(strange(STATE)).items()))
    found = by_order(RESNET20, given)
    assert found is not None
    assert found["fc.weight"] == "op38.weight"
    assert found["layer1.0.conv1.weight"] == "op2.weight"


def test_an_order_is_offered_where_some_names_fit() -> None:
    """`conv1` and `fc` are called alike, the stages are not."""
    given = {key.replace("layer", "stage"): tensor for key, tensor in STATE.items()}
    message, hint = refusal(given)
    assert "its tensors have other names" in message
    assert ["stage1.0.conv1", "→", "layer1.0.conv1"] in [
        line.split() for line in message.splitlines()
    ]
    assert hint == "if these are the same layers, take them with `--match order`"
    assert is_equal(loads(given, match="order"))


def test_no_order_is_offered_that_names_contradict() -> None:
    other = {"layer1.0.conv1.weight": "layer1.0.conv2.weight"}
    other |= {new: old for old, new in other.items()}
    given = {other.get(key, key.replace("layer", "stage")): STATE[key] for key in STATE}
    assert by_order(RESNET20, shapes_of(given)) is not None
    assert "its tensors have other names" not in refusal(given)[0]


@pytest.mark.parametrize("name", ["arr_{}", "{}", "params.{}"])
def test_numbered_tensors_are_taken_one_after_the_other(name: str) -> None:
    """As `numpy.savez(FILE, *arrays)` has them, and sorted as text."""
    needed = [key for key in STATE if "tracked" not in key]
    given = {name.format(index): STATE[key] for index, key in enumerate(needed)}
    message, _ = refusal(given)
    lines = [line.split() for line in message.splitlines()[1:]]
    assert lines[:2] == [
        [name.format(0), "→", "conv1.weight"],
        [name.format(1), "→", "bn1.weight"],
    ]
    assert len(lines) == 97
    assert is_equal(loads(dict(sorted(given.items())), match="order"))


def test_slashes_part_the_names_of_modules_too() -> None:
    given = {"net/" + key.replace(".", "/"): tensor for key, tensor in STATE.items()}
    assert ["net.bn1", "→", "bn1"] in [line.split() for line in refusal(given)[0].splitlines()]
    assert is_equal(loads(given, match="order"))


def test_names_that_fit_come_before_the_order() -> None:
    assert is_equal(loads(dict(reversed(STATE.items())), match="order"))


def test_other_shapes_in_order_are_not_offered() -> None:
    given = strange(STATE)
    del given["op4.weight"]
    with pytest.raises(MisfitError) as caught:
        loads(given)
    assert caught.value.hint is None
    with pytest.raises(MisfitError):
        loads(given, match="order")


# A part


def test_a_part_is_loaded_and_the_rest_stays_as_initialised() -> None:
    torch.manual_seed(3)
    own = archc.module(RESNET20).state_dict()
    torch.manual_seed(3)
    found = loads(STATE | HEAD | {"loss.weight": torch.ones(3)}, partial=True)
    assert all(torch.equal(found[key], BODY[key]) for key in BODY)
    assert torch.equal(found["fc.weight"], own["fc.weight"])
    part = archc.match_weights(RESNET20, STATE | HEAD | {"x.y": torch.ones(3)}, partial=True)
    assert part.partial_summary() == "95 of 97 tensors taken"
    assert part.kept() == ["fc"]
    assert part.stray() == ["fc.weight (100x64)", "fc.bias (100)", "x.y"]


def test_a_head_of_other_classes_has_its_hint() -> None:
    assert refusal(STATE | HEAD)[1] == (
        "the weights are for 100 classes: use `--set classes=100`, or `--partial` to keep `fc` as "
        "initialised"
    )
    kept = "`--partial` keeps `fc` as initialised"
    assert refusal(BODY)[1] == kept
    assert refusal(STATE | {"loss.weight": torch.ones(3)})[1] == (
        "`--partial` leaves out what is unexpected"
    )
    assert refusal({k: v for k, v in STATE.items() if "layer1.0." not in k})[1] is None


def test_a_part_is_folded_with_what_is_initialised() -> None:
    torch.manual_seed(3)
    whole = archc.module(RESNET20, weights=BODY, partial=True)
    torch.manual_seed(3)
    folded = archc.module(RESNET20, weights=BODY, partial=True, deploy=True)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(whole.eval()(images), folded.eval()(images), atol=1e-4)


def test_no_part_is_taken_of_what_does_not_fit_at_all() -> None:
    for state in ({"a.weight": torch.ones(3)}, {"bn1.weight": torch.ones(16)}):
        with pytest.raises(MisfitError):
            loads(state, partial=True)
    with pytest.raises(MisfitError) as caught:
        loads(archc.fold(RESNET20, STATE), partial=True)
    assert "it fits the network's deploy form" in (caught.value.hint or "")


def test_side_heads_that_are_missing_have_a_hint() -> None:
    network = archc.load("torchvision/inception_v3")
    shapes = {key: shape for key, shape in network.state.items() if "AuxLogits" not in key}
    state = {key: torch.empty(shape) for key, shape in shapes.items()}
    with pytest.raises(MisfitError) as caught:
        archc.match_weights(network, state)
    assert caught.value.hint == "`--partial` keeps the side heads as initialised"


def test_options_stand_in_the_checkpoint(tmp_path: Path) -> None:
    torch.save(under("q.", BODY), tmp_path / "net.pth")
    read = archc.read_weights(tmp_path / "net.pth", partial=True, rename=["q=body"])
    assert read.options == MatchOptions(rename=(("q", "body"),), partial=True)
    assert loads(read).keys() == STATE.keys()
