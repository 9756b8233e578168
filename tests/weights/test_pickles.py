"""Pickles are read with nothing executed, whatever is in them."""

from __future__ import annotations

import io
import json
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import hostile_pickles
import pytest
import torch

from archc.weights import Checkpoint, WeightsError, read_checkpoint
from archc.weights.pickles import Unpickler
from archc.weights.values import KNOWN, Maker, StandIn

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "bn.running_var": torch.ones(2)}


def saved(content: object, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return {part: opened.read(part) for part in opened.namelist()}


def archive(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for part, content in files.items():
            opened.writestr(part, content)
    return file.getvalue()


PARTS = parts(saved(STATE))
NAME = next(part for part in PARTS if part.endswith("data.pkl"))
STATE_OPCODES = PARTS[NAME][2:-1]
"""What makes the state dict, without protocol and stop."""


def beside_state(opcodes: bytes) -> bytes:
    """An archive that holds the state dict, and what opcodes make under `extra`."""
    content = (
        b"\x80\x02}("
        + hostile_pickles.text("model")
        + STATE_OPCODES
        + hostile_pickles.text("extra")
    )
    return archive(PARTS | {NAME: content + opcodes + b"u."})


def old(opcodes: bytes) -> bytes:
    """What opcodes make, in a file as torch wrote it before version 1.6."""
    start = saved(None, _use_new_zipfile_serialization=False)
    end = start.rindex(b"\x80\x02N.")
    return start[:end] + b"\x80\x02" + opcodes + b"." + start[end + 4 :]


def test_hostile_pickles_execute_nothing(tmp_path: Path) -> None:
    """None imports, opens, compiles, connects or starts anything, as an audit hook would see."""
    files = {"warm": beside_state(b"N")}
    for index, opcodes in enumerate(hostile_pickles.INERT.values()):
        files[f"inert-{index}"] = beside_state(opcodes)
        files[f"alone-{index}"] = archive(PARTS | {NAME: b"\x80\x02" + opcodes + b"."})
        files[f"old-{index}"] = old(opcodes)
    for index, opcodes in enumerate(hostile_pickles.BROKEN.values()):
        files[f"broken-{index}"] = beside_state(opcodes)
        files[f"oldbroken-{index}"] = old(opcodes)
    for protocol, content in hostile_pickles.PROTOCOLS.items():
        files[f"plain-{protocol}"] = content
        files[f"zip-{protocol}"] = archive(PARTS | {NAME: content})
    for name, content in files.items():
        (tmp_path / f"{name}.pth").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    script = str(Path(hostile_pickles.__file__))
    result = subprocess.run(
        [sys.executable, script, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told["events"] == []
    assert sorted(tmp_path.iterdir()) == before
    found = told["found"]
    assert len(found) == len(files)
    unread = {
        label: found[f"inert-{index}.pth"]
        for index, label in enumerate(hostile_pickles.INERT)
        if not isinstance(found[f"inert-{index}.pth"], list)
    }
    assert unread == {}
    rest = {name: what for name, what in found.items() if not name.startswith(("inert-", "warm"))}
    # What stands alone is no state dict, or an empty one.
    assert {what[0] for what in rest.values() if isinstance(what, list)} == {0}


def test_what_is_made_is_left_out_by_its_name(tmp_path: Path) -> None:
    for opcodes, expected in {
        hostile_pickles.RUN: "an os.system under `extra`",
        hostile_pickles.SYSTEM: "a reference to os.system under `extra`",
        hostile_pickles.CALLS["copyreg._reconstructor"]: "a subprocess.Popen under `extra`",
        hostile_pickles.INERT["call of a call"]: "an object under `extra`",
        hostile_pickles.INERT["extension 1"]: "an extension 1 under `extra`",
        b"](" + hostile_pickles.RUN * 3 + b"e": "3 os.system objects, the first under `extra.0`",
        b"\x8f(K\x01K\x02\x90": None,
    }.items():
        path = tmp_path / "net.pth"
        path.write_bytes(beside_state(opcodes))
        assert read_checkpoint(path).left_out == expected


def test_names_are_resolved_by_a_fixed_list_of_exact_pairs() -> None:
    unpickler = Unpickler(b"")
    for module, name in KNOWN:
        assert unpickler.find_class(module, name) is KNOWN[module, name]
        for pair in ((module, f"{name}.mro"), (f"{module}.{name}", ""), (name, module)):
            assert pair not in KNOWN
            found = unpickler.find_class(*pair)
            assert not isinstance(found, Maker)
            assert (found.module, found.name) == pair
    unlisted = {"_rebuild_from_type_v2", "getattr", "partial", "_reconstructor", "eval"}
    assert unlisted.isdisjoint(name for _, name in KNOWN)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_those_of_pythons_unpickler(protocol: int) -> None:
    shared = [1.5, None, True, False, "\u00e9\ud800", b"\xff", -1, 255, 65_535, 2**40, -(2**70)]
    values = {
        "list": shared,
        "again": shared,
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, (2, (3, (4,))))),
        "dict": {1: {}, (1, "a"): [], 2.5: "x" * 300, None: b"y" * 300},
        "empty": [[], {}, (), "", b""],
        -1: float("inf"),
    }
    found = Unpickler(pickle.dumps(values, protocol)).load()
    assert found == values
    assert isinstance(found, dict)
    assert found["list"] is found["again"]


def test_pythons_own_test_objects_are_stand_ins() -> None:
    class Local(dict[str, int]):
        pass

    Local.__qualname__ = "Local"
    globals()["Local"] = Local
    try:
        for protocol in range(6):
            found = Unpickler(pickle.dumps(Local(a=1), protocol)).load()
            assert isinstance(found, StandIn)
            assert found.path == f"{__name__}.Local"
    finally:
        del globals()["Local"]


def read(path: Path, content: bytes) -> bool:
    """Whether a file is read; fails unless it is, or is refused in our own words."""
    path.write_bytes(content)
    try:
        checkpoint: Checkpoint = read_checkpoint(path)
        others = list(checkpoint.others.values())
    except WeightsError as error:
        message = str(error)
    else:
        assert all(others)
        return True
    assert message.isprintable()
    return False


FRAGMENTS = [
    *(opcodes for opcodes in hostile_pickles.INERT.values() if len(opcodes) < 1000),
    *hostile_pickles.BROKEN.values(),
    STATE_OPCODES,
    *(bytes([opcode]) for opcode in range(256)),
    *(bytes([opcode]) for opcode in b"(tRbaeusd.0123hqj]})N" * 6),
    *(
        hostile_pickles.text(key)
        for key in ("_modules", "_parameters", "state_dict", "storage", "a")
    ),
    *(hostile_pickles.name(*pair) for pair in KNOWN),
]


def test_opcodes_at_random_are_read_or_refused(tmp_path: Path) -> None:
    """Never another exception, and nothing that takes long."""
    chance = random.Random(0)
    outcomes = set()
    for index in range(600):
        opcodes = b"".join(chance.choices(FRAGMENTS, k=chance.choice((2, 5, 20))))
        wrap = (beside_state, old, lambda it: archive(PARTS | {NAME: b"\x80\x02" + it + b"."}))
        outcomes.add(read(tmp_path / "net.pth", wrap[index % 3](opcodes)))
    assert outcomes == {True, False}


def test_changed_opcodes_are_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(1)
    module = saved(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)))
    old_state = saved(STATE, _use_new_zipfile_serialization=False)
    outcomes = set()
    for files in (PARTS, parts(module)):
        name = next(part for part in files if part.endswith("data.pkl"))
        for _ in range(200):
            outcomes.add(
                read(tmp_path / "net.pth", archive(files | {name: spoilt(files[name], chance)}))
            )
    for _ in range(200):
        outcomes.add(read(tmp_path / "net.pth", spoilt(old_state, chance)))
    assert outcomes == {True, False}


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, left out or put in."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(2, len(found))
        found[at : at + chance.choice((0, 1, 1, 3))] = chance.choice(FRAGMENTS)[:40] or b"\xff"
    return bytes(found)
