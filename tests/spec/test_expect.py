"""What a spec expects of its network: what it accepts, and where it is checked."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import archc as run

import archc
from archc.analysis.moments import inference_moments, training_moments
from archc.source.diagnostics import Findings, Source
from archc.source.reader import read
from archc.spec import load_spec
from archc.spec.expect import Expectation, ExpectedCount, ExpectedMemory, expectations_of
from archc.spec.schema import json_schema

SPEC = "extends: cifar10/resnet20\nname: net\n"


def expected(text: str) -> Expectation | None:
    """What an `expect` of one key says; None where it is wrong."""
    findings = Findings()
    value = read(Source("x.yaml", text), findings)
    found = expectations_of(value, findings)
    assert len(found) + len(findings.found) == 1
    return found[0] if found else None


def holds(text: str, number: int) -> bool:
    one = expected(f"params: {text}")
    assert isinstance(one, ExpectedCount)
    return one.holds(number)


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("269722", [269722], [269721, 269723]),
        ("269_722", [269722], [269721]),
        ("0", [0], [1]),
        ("269.7k", [269650, 269722, 269749], [269649, 269750]),
        ("26M", [25_500_000, 26_499_999], [25_499_999, 26_500_000]),
        ("4.10G", [4_095_000_000, 4_104_999_999], [4_094_999_999, 4_105_000_000]),
        ("2.5e6", [2_450_000, 2_549_999], [2_449_999, 2_550_000]),
        ("<= 4.1k", [0, 4100], [4101]),
        ("<4.1k", [4099], [4100]),
        ('">= 4.1 k"', [4100, 10**18], [4099]),
        ('"> 4.1k"', [4101], [4100]),
        ("== 4.1k", [4100], [4099, 4101]),
        ("4k..5k", [4000, 5000], [3999, 5001]),
        ("4k .. 5_000", [4000, 5000], [3999, 5001]),
        ("1.234k", [1234], [1233, 1235]),
    ],
)
def test_numbers_and_comparisons(text: str, yes: list[int], no: list[int]) -> None:
    assert [holds(text, number) for number in yes] == [True] * len(yes)
    assert [holds(text, number) for number in no] == [False] * len(no)


@given(st.integers(1000, 10**12), st.integers(0, 3), st.sampled_from("kMG"))
def test_a_number_is_what_it_is_rounded_to(number: int, decimals: int, unit: str) -> None:
    size = Decimal({"k": 10**3, "M": 10**6, "G": 10**9}[unit])
    step = Decimal(1).scaleb(-decimals)
    shown = (Decimal(number) / size).quantize(step, ROUND_HALF_UP)
    if shown > 10**17:
        return
    assert holds(f"{shown}{unit}", number)
    assert not holds(f"{shown + 2 * step}{unit}", number)


ACCEPTED = ["12", "1_200", "25.6M", "<= 4.1G", '">3"', "4k..5k", "1e6", "==12"]
EXPECT = jsonschema.Draft7Validator(json_schema()["properties"]["expect"])
REFUSED = ["1,200", "-1", "true", "25B", '"=> 3"', "12_00", '""', "4..", "[1]", "3 M 4"]


@pytest.mark.parametrize("text", [*ACCEPTED, *REFUSED])
def test_the_schema_accepts_what_archc_accepts(text: str) -> None:
    value = read(Source("x.yaml", f"params: {text}"), Findings()).plain
    assert (expected(f"params: {text}") is not None) == (text in ACCEPTED)
    assert EXPECT.is_valid(value) == (text in ACCEPTED)


def test_memory_is_that_of_a_batch_a_dtype_and_an_optimizer() -> None:
    assert EXPECT.is_valid({"training_memory": {"batch": 8, "below": "24GiB"}})
    assert not EXPECT.is_valid({"training_memory": {"batch": 8, "below": "24G"}})
    one = expected("training_memory: {batch: 8, below: 24GiB}")
    assert isinstance(one, ExpectedMemory)
    assert (one.below, one.batch, one.dtype, one.optimizer) == (
        24 * 2**30,
        8,
        "float32",
        "momentum",
    )
    text = "training_memory: {batch: 8, below: 1kB, dtype: bfloat16, optimizer: adam}"
    one = expected(text)
    assert isinstance(one, ExpectedMemory)
    assert (one.below, one.dtype, one.optimizer) == (1000, "bfloat16", "adam")


def test_memory_is_what_fit_finds(tmp_path: Path) -> None:
    network = archc.load("cifar10/resnet20")
    (training,) = training_moments(network, "float32", ["momentum"])
    peaks = {
        "inference_memory": inference_moments(network, "float32").peak(16)[0],
        "training_memory": training.peak(16)[0],
    }
    for name, peak in peaks.items():
        for below, faults in ((peak, 1), (peak + 1, 0)):
            path = tmp_path / "net.yaml"
            path.write_text(f"{SPEC}expect:\n  {name}: {{batch: 16, below: {below}B}}\n")
            found = archc.check(path)
            assert len(found) == faults
            if found:
                assert (found[0].code, found[0].place.line) == ("unmet-expectation", 4)
                assert found[0].hint == "the largest batch that fits is 15"


def test_check_and_build_see_whether_a_network_is_as_expected(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(f"{SPEC}expect: {{params: 269_722, layers: 20}}\n")
    (tmp_path / "bad.yaml").write_text(f"{SPEC}expect: {{params: 269_723, layers: 20}}\n")
    result = run("check", "good.yaml", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("multiply-adds, as expected\n")
    for command in (("check",), ("build", "-o", "out", "--no-figures")):
        result = run(*command, "good.yaml", "bad.yaml", cwd=tmp_path)
        assert result.returncode == 1
        assert "bad.yaml:3:18: error: `params` is 269,722, not 269,723: 1 too few" in result.stderr
        assert not (tmp_path / "out").exists()
    result = run("build", "good.yaml", "-o", "out", "--no-figures", cwd=tmp_path)
    assert result.returncode == 0
    result = run("check", "bad.yaml", "--format", "json", cwd=tmp_path)
    (found,) = json.loads(result.stdout)
    assert (found["code"], found["severity"]) == ("unmet-expectation", "error")


def test_expectations_are_of_the_file_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(f"{SPEC}expect: {{params: 1}}\n")
    (tmp_path / "child.yaml").write_text("extends: bad.yaml\nname: child\nwith: {depth: 2}\n")
    assert archc.check(tmp_path / "child.yaml") == ()
    result = run("check", "bad.yaml", "--with", "depth=2", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.endswith(
        "; `expect` is for the spec as it is written, and was not checked\n"
    )
    assert archc.check(tmp_path / "bad.yaml", set={"depth": 2}) == ()
    assert len(archc.check(tmp_path / "bad.yaml")) == 1


def test_other_commands_and_the_digest_know_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPEC)
    digest = load_spec(str(tmp_path / "net.yaml")).digest
    (tmp_path / "net.yaml").write_text(f"{SPEC}expect: {{params: 1}}\n")
    assert load_spec(str(tmp_path / "net.yaml")).digest == digest
    assert run("count", "net.yaml", cwd=tmp_path).returncode == 0
    shown = run("show", "net.yaml", cwd=tmp_path)
    assert shown.returncode == 0
    assert "expect" not in shown.stdout


def test_a_mapping_has_expectations_too() -> None:
    spec = {"extends": "cifar10/resnet20", "name": "net", "expect": {"params": 3, "layers": "<=20"}}
    (found,) = archc.check(spec)
    assert found.message == "`params` is 269,722, not 3: 269,719 too many"
