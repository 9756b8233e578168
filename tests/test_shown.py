"""What Python shows of networks and results: a few words, tables, HTML."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import archc
from archc.graph import NetworkBuilder
from archc.timing import BenchOptions
from archc.verification import Options

NETWORK = archc.load("cifar10/resnet20")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            archc.load("imagenet/resnet50"),
            "Network('resnet50', 25.56 M parameters, 3.86 G multiply-adds)",
        ),
        (
            archc.count("imagenet/resnet34"),
            "Count('resnet34', 21.62 M parameters, 3.64 G multiply-adds)",
        ),
        (archc.explain(NETWORK), "Explanation('resnet20', 8 conventions)"),
        (
            archc.memory(NETWORK, batch=32),
            "Memory('resnet20', batch 32, 10.88 MB in a forward, 48.64 MB kept for gradients)",
        ),
        (
            archc.fit(NETWORK, "500MB"),
            "Fit('resnet20', 500.00 MB, 2,938 in inference, 643 in training)",
        ),
        (archc.receptive_fields(NETWORK), "Fields('resnet20', 71 ops)"),
        (
            archc.roofline(NETWORK, "h200-bf16"),
            "Roofline('resnet20', batch 1, at least 0.321 µs on h200-bf16)",
        ),
        (archc.diff(NETWORK, NETWORK), "Comparison('resnet20' and 'resnet20', the same graph)"),
    ],
)
def test_a_result_is_shown_in_a_few_words_a_table_and_html(one: Any, words: str) -> None:
    assert repr(one) == words
    title, *lines = str(one).splitlines()
    assert len(lines) >= 2
    assert not title.startswith(type(one).__name__)
    html = one._repr_html_()
    assert html.startswith("<table><" if not isinstance(one, archc.Network) else "<div id=")
    assert "object at" not in html


def test_a_difference_says_how_many_ops_it_has() -> None:
    found = archc.diff("imagenet/plain18", "imagenet/resnet18")
    assert repr(found) == "Comparison('plain18' and 'resnet18', 11 added, 0 removed, 8 changed)"


def test_a_report_and_a_measurement_are_shown() -> None:
    report = archc.verify(NETWORK, options=Options(backend="eager"))
    assert repr(report) == "Report('resnet20', every check passed on cpu)"
    assert "passed" in str(report)
    assert "<caption>resnet20 on cpu</caption>" in (report._repr_html_() or "")
    (result,) = archc.bench(NETWORK, options=BenchOptions(batches=(1,), seconds=0.01))
    assert repr(result).startswith("BenchResult('resnet20', batch 1, ")
    assert repr(result).endswith(" ms on cpu)")
    assert "images/s" in str(result)


def test_text_of_others_is_no_markup() -> None:
    network = NetworkBuilder((3, 8, 8))
    found = archc.diff(archc.Network("<b>", network.nodes), archc.Network("<i>", network.nodes))
    html = found._repr_html_()
    assert html is not None
    assert "<b>" not in html
    assert "&lt;i&gt;" in html


def test_a_network_is_shown_whatever_was_imported() -> None:
    program = (
        "from archc.graph import Network, NetworkBuilder\n"
        "class Mine(Network): pass\n"
        "print(repr(Mine('net', NetworkBuilder((3, 8, 8)).nodes)), Network('none', {}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    shown = ["Mine('net', 0 parameters, 0 multiply-adds)"]
    shown += ["Network('none', 0 parameters, 0 multiply-adds)"]
    assert done.stdout.split("\n")[0] == " ".join(shown)


def test_a_report_that_fails_says_which_layers_do() -> None:
    faulty = archc.emit(NETWORK).replace("self.bn2(self.conv2(out))", "self.bn2(self.conv2(-out))")
    report = archc.verify(NETWORK, source=faulty, options=Options(quick=True))
    assert "training    layer1.0.conv2: does not read the value" in str(report)


def test_torch_is_not_needed_to_show_a_count() -> None:
    program = (
        "import sys, archc; str(archc.count('cifar10/resnet20')); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
