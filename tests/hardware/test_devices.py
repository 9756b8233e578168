"""Device tables: the shipped one, and files of one's own with every mistake told."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.hardware import device_names, find_device
from archc.spec import SpecError

pytestmark = pytest.mark.usefixtures("speaking_command_line")

MINE = "mine: {title: My GPU, dtype: float16, tflops: 10, gb_per_s: 500, source: measured}\n"


def test_the_shipped_table_has_the_h200() -> None:
    device = find_device("h200-bf16")
    assert (device.dtype, device.operations, device.bandwidth) == ("bfloat16", 989.4e12, 4.8e12)
    assert "datasheet" in device.source


def test_every_shipped_device_is_sound() -> None:
    for name in device_names():
        device = find_device(name)
        assert device.operations > device.bandwidth > 0
        assert device.title
        assert device.source


def test_a_file_adds_devices_and_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE + MINE.replace("mine:", "h200-bf16:"))
    assert find_device("mine", str(path)).bandwidth == 500e9
    assert find_device("h200-bf16", str(path)).title == "My GPU"
    assert find_device("a100-bf16", str(path)).title == "NVIDIA A100 SXM 80 GB, bfloat16"


BROKEN = {
    "typo": (
        MINE.replace("tflops", "tflop"),
        "FILE:1:1: error: `mine` needs `tflops`\n"
        "  mine: {title: My GPU, dtype: float16, tflop: 10, gb_per_s: 500, source: measured}\n"
        "  ^\n"
        "hint: `tflops` is a number from 0.000001 to 1,000,000,000\n"
        "FILE:1:39: error: a device has no key `tflop`\n"
        "  mine: {title: My GPU, dtype: float16, tflop: 10, gb_per_s: 500, source: measured}\n"
        "                                        ^\n"
        "hint: did you mean `tflops`?",
    ),
    "below zero": (
        MINE.replace("500", "-5"),
        "FILE:1:61: error: `gb_per_s` must be a number from 0.000001 to 1,000,000,000, not `-5`\n"
        "  mine: {title: My GPU, dtype: float16, tflops: 10, gb_per_s: -5, source: measured}\n"
        "                                                              ^",
    ),
    "a dtype that there is not": (
        MINE.replace("float16", "float8"),
        "FILE:1:30: error: `dtype` must be float32, bfloat16, float16 or float64, not `float8`\n"
        "  mine: {title: My GPU, dtype: float8, tflops: 10, gb_per_s: 500, source: measured}\n"
        "                               ^\n"
        "hint: did you mean `float16`?",
    ),
    "a list": (
        "- mine\n",
        "FILE:1:1: error: a device table is a mapping, not a list of 1\n"
        "  - mine\n"
        "  ^\n"
        "hint: for example `mine: {title: My GPU, dtype: ...}`",
    ),
    "a number": (
        "mine: 3\n",
        "FILE:1:7: error: a device is a mapping, not `3`\n"
        "  mine: 3\n"
        "        ^\n"
        "hint: it has `title`, `dtype`, `tflops`, `gb_per_s` and `source`",
    ),
    "nothing": ("", "FILE:1:1: error: the device table is empty"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_mistakes_are_told_where_they_are(fault: str, tmp_path: Path) -> None:
    text, message = BROKEN[fault]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        find_device("mine", str(path))
    assert str(caught.value).replace(str(path), "FILE") == message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no file"):
        find_device("mine", str(tmp_path / "none.yaml"))
    with pytest.raises(SpecError, match="is a folder, not a device table"):
        find_device("mine", str(tmp_path))
    (tmp_path / "binary").write_bytes(b"\0\1")
    with pytest.raises(SpecError, match="this is a binary file, not a device table"):
        find_device("mine", str(tmp_path / "binary"))


def test_an_unknown_device_is_answered_with_the_closest() -> None:
    with pytest.raises(SpecError) as caught:
        find_device("h200-bfloat16")
    assert str(caught.value) == (
        "--roofline:1:1: error: there is no device `h200-bfloat16`\n"
        "  h200-bfloat16\n  ^\nhint: did you mean `h200-bf16`?"
    )


def test_the_beginning_of_a_name_is_answered_with_all_that_begin_so() -> None:
    with pytest.raises(SpecError, match="did you mean `h200-bf16`, `h200-tf32` or `h200-fp32`"):
        find_device("h200")


@pytest.mark.parametrize("number", ["1e308", "1e-320", "0"])
def test_figures_beyond_reason_are_refused(number: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("10", number))
    with pytest.raises(SpecError, match="`tflops` must be a number from"):
        find_device("mine", str(path))


def test_titles_reach_terminals_as_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("My GPU", '"a\\e[31m\\nb"'))
    with pytest.raises(SpecError, match="`title` must be text on one line"):
        find_device("mine", str(path))


def test_names_of_devices_disturb_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    row = "{title: T, dtype: float32, tflops: 1, gb_per_s: 1, source: s}"
    path.write_text(f'"mine\\e": {row}\n"\\0": {row}\n')
    for name in ("mine", "unlike"):
        with pytest.raises(SpecError) as told:
            find_device(name, str(path))
        (fault,) = told.value.diagnostics
        assert fault.hint is not None
        assert fault.hint.isprintable()
