"""Checkpoints as training scripts and tools leave them: what is read of each, what is left out."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import json
import pathlib
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archc
from archc.weights import WeightsError, checkpoint_of, read_checkpoint
from archc.weights.errors import SAVE_HINT

STATE = archc.module("cifar10/resnet20").state_dict()
EMA = {key: one + 1 if one.is_floating_point() else one.clone() for key, one in STATE.items()}
SMALL = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.tensor([1, -2.5])}
OTHER = {key: tensor + 1 for key, tensor in SMALL.items()}

Preset = collections.namedtuple("Preset", "lr epochs")  # as scripts have it


class Phase(enum.Enum):
    TRAIN = "train"


class Node:
    """As a configuration of OmegaConf: it knows its parent, and has a state of its own."""

    def __init__(self, parent: Node | None = None):
        self.parent, self.content = parent, {"type": int, "phase": Phase.TRAIN}

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__

    def __setstate__(self, state: dict[str, object]) -> None:
        raise AssertionError("nothing is executed")


class Config(dict[str, object]):
    """As mmengine's and others': a dictionary of a class of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Config, (), {"_filename": "a.py"}, None, iter(self.items())


class Slots:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a, self.b = 1, [2]


def saved(content: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def legacy(content: object) -> bytes:
    """As torch wrote it before version 1.6."""
    return saved(content, _use_new_zipfile_serialization=False)


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts have the same keys in the same order, types, shapes and bits."""
    return list(found) == list(expected) and all(
        found[key].dtype == one.dtype and torch.equal(found[key], one)
        for key, one in expected.items()
    )


def refused(path: Path | str, key: str | None = None) -> tuple[str, str | None]:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path, key)
    return caught.value.message, caught.value.hint


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


# What training scripts write

CASES: dict[str, tuple[object, Mapping[str, Tensor], str | None, str | None]] = {
    "namespace.pth.tar": (
        {"epoch": 3, "state_dict": STATE, "args": argparse.Namespace(lr=0.1, opt="sgd")},
        STATE,
        "state_dict",
        "an argparse.Namespace under `args`",
    ),
    "numpy-scalar.pth": (
        {"state_dict": STATE, "best_acc1": np.float64(91.2), "epoch": 5},
        STATE,
        "state_dict",
        "a NumPy number under `best_acc1`",
    ),
    "numpy-array.pth": (
        {
            "model": STATE,
            "history": np.arange(5.0),
            "words": np.array(["a"]),
            "best": [np.int64(1)],
        },
        STATE,
        "model",
        "2 NumPy arrays, the first under `history` and a NumPy number under `best.0`",
    ),
    "path-inside.pth": (
        {"model": STATE, "out": pathlib.PurePosixPath("runs/1")},
        STATE,
        "model",
        "a pathlib.PurePosixPath under `out`",
    ),
    "namedtuple.pth": (
        {"model": STATE, "preset": Preset(0.1, 200)},
        STATE,
        "model",
        f"a {__name__}.Preset under `preset`",
    ),
    "class-101.pth": (
        {**STATE, "fc.weight": torch.ones(100, 64), "fc.bias": torch.ones(100)},
        {**STATE, "fc.weight": torch.ones(100, 64), "fc.bias": torch.ones(100)},
        None,
        None,
    ),
    "mm.pth": (
        {"meta": {"epoch": 1, "config": Config(a=1)}, "state_dict": prefixed("backbone.", STATE)},
        prefixed("backbone.", STATE),
        "state_dict",
        f"a {__name__}.Config under `meta.config`",
    ),
    "moco.pth.tar": (
        {"state_dict": prefixed("encoder_q.", STATE) | prefixed("encoder_k.", EMA)},
        prefixed("encoder_q.", STATE) | prefixed("encoder_k.", EMA),
        "state_dict",
        None,
    ),
    "pycls.pyth": (
        {"epoch": 1, "model_state": STATE, "ema_state": EMA, "cfg": "MODEL:"},
        STATE,
        "model_state",
        None,
    ),
    "basicsr.pth": ({"params_ema": EMA, "params": STATE}, STATE, "params", None),
    "lightning.ckpt": (
        {
            "state_dict": prefixed("net.", STATE),
            "hyper_parameters": {"lr": 0.1, "node": Node(Node())},
            "callbacks": {"best": {"score": torch.ones(()), "path": "a"}},
            "optimizer_states": [{"state": {0: {"step": torch.ones(())}}, "param_groups": []}],
        },
        prefixed("net.", STATE),
        "state_dict",
        f"a {__name__}.Node under `hyper_parameters.node`",
    ),
    "objects.pth": (
        {
            "model": STATE,
            "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            "phase": Phase.TRAIN,
            "slots": Slots(),
            "class": nn.Linear,
            "counts": collections.Counter("aab"),
            "table": collections.defaultdict(list, a=[1]),
            "sets": [{1, 2}, frozenset("a"), bytearray(b"a"), 1j, b"", range(3)],
            "size": torch.Size([1, 2]),
            "dtype": torch.float16,
            "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
        },
        STATE,
        "model",
        f"a datetime.datetime under `when`, a {__name__}.Phase under `phase`, a {__name__}.Slots "
        "under `slots` and a reference to torch.nn.modules.linear.Linear under `class`",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_is_read_whatever_is_beside_its_tensors(name: str, tmp_path: Path) -> None:
    content, expected, inside, left_out = CASES[name]
    for write in (saved, legacy, lambda it: saved(it, pickle_protocol=5)):
        checkpoint = read_checkpoint(put(tmp_path, name, write(content)))
        assert same(checkpoint.tensors, expected)
        assert (checkpoint.inside, checkpoint.left_out) == (inside, left_out)
        assert not checkpoint.is_ambiguous


def test_objects_of_packages_that_are_not_installed_are_left_out(tmp_path: Path) -> None:
    """As omegaconf's, if it is not there."""
    package = types.ModuleType("no_such_package")
    package.Config = type("Config", (), {"__module__": "no_such_package"})  # type: ignore[attr-defined]
    sys.modules["no_such_package"] = package
    try:
        content = saved({"model": SMALL, "cfg": package.Config()})
    finally:
        del sys.modules["no_such_package"]
    checkpoint = read_checkpoint(put(tmp_path, "net.pth", content))
    assert same(checkpoint.tensors, SMALL)
    assert checkpoint.left_out == "a no_such_package.Config under `cfg`"


def test_of_many_kinds_of_objects_some_are_told(tmp_path: Path) -> None:
    kinds = {f"k{i}": type(f"K{i}", (), {"__module__": __name__}) for i in range(8)}
    for kind in kinds.values():
        globals()[kind.__name__] = kind
    content = {"model": SMALL, **{key: kind() for key, kind in kinds.items()}}
    left_out = read_checkpoint(put(tmp_path, "net.pth", saved(content))).left_out
    assert left_out is not None
    assert left_out.startswith(f"a {__name__}.K0 under `k0`, a {__name__}.K1")
    assert left_out.endswith(" and 3 more kinds of objects")


# Which state dict


@pytest.mark.parametrize("write", [saved, legacy])
def test_a_state_dict_is_found_however_deep_it_is(
    write: Callable[[object], bytes], tmp_path: Path
) -> None:
    content = {
        "state": {"model": SMALL, "model_ema": OTHER, "optimizer": {"a": torch.ones(1)}},
        "epoch": 1,
        "rng": {"torch": [torch.ones(3)]},
    }
    path = put(tmp_path, "run.pth", write(content))
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.tensors, SMALL)
    assert checkpoint.keys == ("state.model", "state.model_ema")
    assert same(checkpoint.others["state.model_ema"], OTHER)
    for chosen in (
        read_checkpoint(f"{path}#state.model_ema"),
        checkpoint.select("state.model_ema"),
    ):
        assert same(chosen.tensors, OTHER)
        assert same(chosen.others["state.model"], SMALL)
    several = "holds several state dicts under `state`: `state.model` and `state.model_ema`"
    assert refused(f"{path}#state") == (several, None)
    message = "has no state dict under `state.mdl`"
    hint = "it has state dicts under `state.model` and `state.model_ema`"
    assert refused(path, "state.mdl") == (message, hint)


def test_a_key_may_name_the_dictionary_around_the_only_state_dict(tmp_path: Path) -> None:
    content = {"teacher": {"epoch": 1, "net": {"body": SMALL}}, "student": OTHER}
    path = put(tmp_path, "run.pth", saved(content))
    assert read_checkpoint(path).is_ambiguous
    chosen = read_checkpoint(f"{path}#teacher")
    assert (chosen.inside, chosen.is_ambiguous) == ("teacher.net.body", False)
    assert same(chosen.tensors, SMALL)


def test_one_state_dict_under_two_names_is_one(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(put(tmp_path, "run.pth", saved({"a": SMALL, "b": SMALL})))
    assert (checkpoint.inside, checkpoint.is_ambiguous) == ("a", False)


def test_an_average_that_was_asked_for_by_its_key_gets_no_note(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = put(tmp_path, "run.pth", saved({"params": STATE, "params_ema": EMA}))
    archc.module("cifar10/resnet20", weights=f"{path}#params_ema")
    assert not [one for one in recwarn if "averages" in str(one.message)]


def test_a_key_that_is_no_state_dict_says_why(tmp_path: Path) -> None:
    path = put(tmp_path, "run.pth", saved({"model": SMALL, "ema": {**OTHER, "step": 3}}))
    message = "holds no state dict: `step` is a Python `int`, not a tensor"
    assert refused(f"{path}#ema") == (message, SAVE_HINT)


def test_what_is_in_memory_is_searched_alike() -> None:
    content: Any = {"args": argparse.Namespace(), "nets": {"g": SMALL, "d": OTHER}}
    checkpoint = checkpoint_of(content)
    assert checkpoint.is_ambiguous
    assert checkpoint.keys == ("nets.g", "nets.d")
    assert checkpoint.tensors["conv.bias"].data_ptr() == SMALL["conv.bias"].data_ptr()
    assert same(checkpoint.others["nets.d"], OTHER)
    assert checkpoint.left_out is None


# Modules


class Net(nn.Module):
    """Modules in modules, a shared one, buffers that are saved and that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.again = self.head
        self.scales = nn.ParameterList([torch.ones(2)])
        self.register_buffer("mean", torch.ones(3))
        self.register_buffer("grid", torch.ones(3), persistent=False)
        self.register_parameter("none", None)
        self.config = argparse.Namespace(a=1)
        self.act = torch.relu


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("write", [saved, legacy, lambda it: saved(it, pickle_protocol=4)])
def test_a_pickled_module_gives_what_its_state_dict_has(
    write: Callable[[object], bytes], tmp_path: Path
) -> None:
    net = nn.DataParallel(Net())
    for content, inside in ((net, None), ({"model": net, "epoch": 1}, "model")):
        checkpoint = read_checkpoint(put(tmp_path, "net.pth", write(content)))
        assert same(checkpoint.tensors, net.state_dict())
        assert (checkpoint.inside, checkpoint.left_out) == (inside, None)


def test_a_module_of_torch_fx_gives_its_tensors(tmp_path: Path) -> None:
    net = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    assert same(read_checkpoint(put(tmp_path, "net.pth", saved(net))).tensors, net.state_dict())


# Tensors


def test_tensors_of_all_types_are_read(tmp_path: Path) -> None:
    names = (
        "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128"
    )
    more = "uint16 uint32 uint64 float8_e4m3fn float8_e5m2"
    state = {
        name: torch.arange(6).reshape(2, 3).to(getattr(torch, name))
        for name in f"{names} {more}".split()
    }
    for write in (saved, legacy):
        found = read_checkpoint(put(tmp_path, "net.pth", write(state))).tensors
        for key, tensor in state.items():
            assert found[key].dtype == tensor.dtype
            assert found[key].shape == tensor.shape
            assert found[key].view(torch.uint8).tolist() == tensor.view(torch.uint8).tolist()


def test_views_of_one_storage_are_read_and_are_views_of_the_file(tmp_path: Path) -> None:
    whole = torch.arange(24.0)
    state = {
        "a": whole[3:9].reshape(2, 3),
        "b": whole.reshape(4, 6).t(),
        "c": whole[::2],
        "d": whole,
    }
    state["e"] = torch.zeros(())
    for write in (saved, legacy):
        path = put(tmp_path, "net.pth", write(state))
        before = path.read_bytes()
        found = read_checkpoint(path).tensors
        assert same(found, state)
        assert found["c"].data_ptr() == found["d"].data_ptr()
        found["d"].zero_()  # which changes no file
        assert path.read_bytes() == before


class Stored:
    """What an old file has in place of the numbers of a tensor."""

    def __init__(self, *told: object):
        self.told = told


class Rebuilt:
    """A tensor as a pickle has it."""

    def __init__(self, storage: Stored, *told: object):
        self.call = (
            torch._utils._rebuild_tensor_v2,
            (storage, *told, False, collections.OrderedDict()),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class OldPickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.told if isinstance(value, Stored) else None


def test_parts_of_storages_in_files_before_torch_0_4_are_read(tmp_path: Path) -> None:
    def stored(key: str, count: int, view: object) -> Stored:
        return Stored("storage", torch.FloatStorage, key, "cpu", count, view)

    state = {
        "whole": Rebuilt(stored("7", 6, None), 0, (2, 3), (3, 1)),
        "part": Rebuilt(stored("7", 6, ("8", 2, 3)), 1, (2,), (1,)),
        "of itself": Rebuilt(stored("7", 6, ("7", 0, 6)), 5, (1,), (1,)),
    }
    packed = io.BytesIO()
    numbers = np.arange(6, dtype=np.float32)
    machine = {"little_endian": True, "protocol_version": 1001, "type_sizes": {}}
    for value in (0x1950A86A20F9469CFC6C, 1001, machine, state, ["7"]):
        OldPickler(packed, 2).dump(value)
    packed.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    path = put(tmp_path, "old.pth", packed.getvalue())
    expected = torch.load(path, weights_only=True)
    assert expected["part"].tolist() == [3, 4]
    assert same(read_checkpoint(path).tensors, expected)
    beyond = {"w": Rebuilt(stored("7", 6, ("8", 4, 3)), 0, (2,), (1,))}
    packed = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, machine, beyond, ["7"]):
        OldPickler(packed, 2).dump(value)
    packed.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    path = put(tmp_path, "old.pth", packed.getvalue())
    assert refused(path)[0] == "`w` is not a dense tensor of plain numbers"


class Strided(Tensor):
    """A tensor that is pickled with numbers of our choice."""

    told: tuple[object, ...]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        storage = torch.storage.TypedStorage(  # type: ignore[no-untyped-call]
            wrap_storage=torch.arange(6.0).untyped_storage(), dtype=torch.float32, _internal=True
        )
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (storage, *self.told, False, collections.OrderedDict())


def strided(*told: object) -> Tensor:
    tensor = torch.ones(1).as_subclass(Strided)
    tensor.told = told
    return tensor


REACHES = "`w` reaches outside its storage"
NEGATIVE = "`w` has a negative size, stride or offset"
LARGER = "`w` is larger than its storage, as an expanded tensor is"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ((0, (7,), (1,)), REACHES),
        ((1, (6,), (1,)), REACHES),
        ((0, (2, 3), (4, 1)), REACHES),
        ((2**62 + 1, (1,), (1,)), REACHES),
        ((0, (1, 2**61, 2**61, 2**61), (0, 0, 0, 0)), LARGER),
        ((0, (7,), (0,)), LARGER),
        ((0, (3, 3), (1, 1)), LARGER),
        ((-1, (2,), (1,)), NEGATIVE),
        ((5, (2,), (-1,)), NEGATIVE),
        ((0, (-2,), (1,)), NEGATIVE),
        ((0, (2,), (1, 1)), "`w` has a shape and strides that do not match"),
        ((0, (1,) * 65, (1,) * 65), "`w` has a shape and strides that do not match"),
        ((0, (2.0,), (1,)), "`w` is not a dense tensor of plain numbers"),
        (("a", (2,), (1,)), "`w` is not a dense tensor of plain numbers"),
    ],
)
def test_a_tensor_that_is_no_view_of_its_storage_is_refused(
    told: tuple[object, ...], message: str, tmp_path: Path
) -> None:
    for write in (saved, legacy):
        path = put(tmp_path, "net.pth", write({"a": torch.ones(1), "w": strided(*told)}))
        assert refused(path)[0] == message


def test_strides_that_stay_inside_are_read(tmp_path: Path) -> None:
    state = {
        "w": strided(1, (2, 2), (2, 1)),
        "one": strided(5, (1,), (2**40,)),
        "no": strided(9, (0,), (1,)),
    }
    found = read_checkpoint(put(tmp_path, "net.pth", saved(state))).tensors
    assert found["w"].tolist() == [[1, 2], [3, 4]]
    assert found["one"].tolist() == [5]
    assert found["no"].shape == (0,)


def test_numbers_with_their_first_byte_first_are_read(tmp_path: Path) -> None:
    """As a machine of the other order writes them; `.npy` has both as well."""
    import zipfile

    content = saved(SMALL)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part.endswith("byteorder"):
                data = b"big"
            elif "/data/" in part:
                data = np.frombuffer(data, np.float32).byteswap().tobytes()
            new.writestr(part, data)
    assert same(read_checkpoint(put(tmp_path, "big.pth", packed.getvalue())).tensors, SMALL)


# NumPy


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy_archives_are_read(save: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    save(path, **{key: tensor.numpy() for key, tensor in STATE.items()})
    assert same(read_checkpoint(path).tensors, STATE)
    assert same(read_checkpoint(path.rename(tmp_path / "weights.bin")).tensors, STATE)


def test_arrays_of_all_kinds_are_read_or_left_out(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "big": np.arange(6, dtype=">f4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "number": np.array(3),
        "none": np.zeros((0, 2), np.float16),
        "bool": np.array([True, False]),
        "complex": np.array([1 + 2j]),
    }
    odd: dict[str, Any] = {
        "words": np.array(["a"]),
        "object": np.array([{}], object),
        "time": np.array(1, "M8[s]"),
    }
    odd["record"] = np.zeros(1, [("a", "f4")])
    np.savez(tmp_path / "all.npz", **arrays, **odd)
    checkpoint = read_checkpoint(tmp_path / "all.npz")
    assert list(checkpoint.tensors) == list(arrays)
    for key, array in arrays.items():
        assert np.array_equal(checkpoint.tensors[key].numpy(), array)
    assert checkpoint.left_out == "4 NumPy arrays, the first under `words`"
    np.savez(tmp_path / "odd.npz", **odd)
    assert refused(tmp_path / "odd.npz")[0] == "holds no arrays of numbers"


def test_pickled_arrays_are_read_as_tensors(tmp_path: Path) -> None:
    """As in the files that detectron2 starts from."""
    arrays = {key: tensor.numpy() for key, tensor in SMALL.items()}
    content = {"model": arrays, "__author__": "a", "matching_heuristics": True}
    for protocol in range(6):
        path = put(
            tmp_path, "R-50.pkl", b"\x80\x02" * (protocol < 2) + pickle.dumps(content, protocol)
        )
        checkpoint = read_checkpoint(path)
        assert same(checkpoint.tensors, SMALL)
        assert (checkpoint.inside, checkpoint.left_out) == ("model", None)
    torch.save({"net": arrays}, tmp_path / "net.pth")
    assert same(read_checkpoint(tmp_path / "net.pth").tensors, SMALL)


# Shards


def sharded(folder: Path, suffix: str = "safetensors") -> Path:
    """The state dict in two files, as Hugging Face's libraries save it."""
    keys = list(STATE)
    places = {key: f"model-0000{1 + (i >= 50)}-of-00002.{suffix}" for i, key in enumerate(keys)}
    for shard in set(places.values()):
        part = {key: STATE[key] for key in keys if places[key] == shard}
        (save_file if suffix == "safetensors" else torch.save)(part, folder / shard)
    return index(folder, places)


def index(folder: Path, places: object) -> Path:
    path = folder / "model.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}, indent=2))
    return path


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_in_several_files_are_read(suffix: str, tmp_path: Path) -> None:
    assert same(read_checkpoint(sharded(tmp_path, suffix)).tensors, STATE)


def test_an_index_that_does_not_agree_with_its_files_is_refused(tmp_path: Path) -> None:
    path = sharded(tmp_path)
    places = json.loads(path.read_text())["weight_map"]
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"

    def complaint(**changes: str | None) -> str:
        changed = {k: v for k, v in {**places, **changes}.items() if v is not None}
        return refused(index(tmp_path, changed))[0]

    has_not = f"lists `conv1.weight` in `{second}`, which does not have it"
    assert complaint(**{"conv1.weight": second}) == has_not
    assert complaint(**{"more": first}) == f"lists `more` in `{first}`, which does not have it"
    unlisted = f"does not list `conv1.weight`, which is in `{first}`"
    assert complaint(**{"conv1.weight": None}) == unlisted
    assert complaint(more="gone.bin") == "lists `gone.bin`, which is not in its folder"
    for name in ("../a.bin", "/etc/passwd", "a/b.bin", "..", "", "a\\b", "c:a", "a\0"):
        expected = "lists a file for `more` that is not the plain name of one beside it"
        assert complaint(more=name) == expected
    assert complaint(more=path.name) == "lists `model.index.json`, which is an index itself"
    places |= {"x": "extra.safetensors"}
    save_file({"x": torch.ones(1), "conv1.weight": torch.ones(1)}, tmp_path / "extra.safetensors")
    twice = f"lists `conv1.weight` in `{first}`, but `extra.safetensors` has it, too"
    assert complaint() == twice


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    def complaint(text: str) -> str:
        return refused(put(tmp_path, "model.safetensors.index.json", text.encode()))[0]

    assert complaint("{") == "is a damaged index: it is not valid JSON"
    assert complaint('{"a": ' + "[" * 100_000) == "is a damaged index: it is not valid JSON"
    assert complaint('{"a": ' + "9" * 10_000 + "}") == "is a damaged index: it is not valid JSON"
    no_map = "is a JSON file without `weight_map`, not the index of a checkpoint"
    assert complaint("{}") == no_map
    assert complaint('{"weight_map": []}') == no_map
    twice = '{"weight_map": {"a": "x.bin", "a": "y.bin"}}'
    assert complaint(twice) == "lists `a` twice"
    assert complaint('{"weight_map": {"a": 1}}').startswith("lists a file for `a` that is not")
