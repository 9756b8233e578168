"""The report as a file: complete, the same every time, and in need of nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shell import archc as run

import archc
from archc.backends.figure import FORMATS, DrawOptions, FigureError
from archc.backends.figure import draw as draw_file
from archc.errors import ArchcWarning
from archc.graph import Network
from archc.pages import report
from archc.pages.figures import MAX_NAME, SAVED, draw_figure, elements, file_name


@cache
def page(*names: str, fold: bool | None = None) -> str:
    return report([archc.load(name) for name in names], names, fold=fold)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))


def test_it_is_the_same_every_time() -> None:
    again = report([archc.load("imagenet/resnet18")], ["imagenet/resnet18"])
    assert page("imagenet/resnet18") == again


@pytest.mark.parametrize(
    "names", [("imagenet/resnet50",), ("imagenet/vgg19", "imagenet/plain34", "cifar10/resnet110")]
)
def test_it_refers_to_nothing_outside(names: tuple[str, ...]) -> None:
    text = page(*names)
    folded = '<button type="button" id="fold" aria-pressed="true"' in text
    elements = Elements(text).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form", "image", "use"}
        assert "style" not in attributes  # the policy would not let it count
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "data", "action"):
            target = attributes.get(name)
            assert target is None or target == "data:," or target.removeprefix("#") in ids
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name) is None or attributes[name] in ids
        if tag == "tr":
            shown = attributes.get("data-folded" if folded else "data-box")
            assert shown is None or shown in ids
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_its_policy_lets_just_its_own_style_and_script_count() -> None:
    text = page("imagenet/resnet18")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy.replace("'", "&#39;")
    assert policy.startswith("default-src 'none'; ")


def test_its_numbers_are_the_library_s() -> None:
    text = page("torchvision/resnet50")
    for number in ("25.56 M parameters", "102,228,128", "427x427", "4.09 G multiply-adds"):
        assert number in text
    assert text.count("<tr id=") == len(archc.load("torchvision/resnet50").nodes) - 1
    assert '<span class="nc">ResNet50</span>' in text


def test_several_networks_are_compared_with_the_first() -> None:
    text = page("imagenet/plain34", "imagenet/resnet34", "imagenet/plain34")
    assert "imagenet/plain34 and imagenet/resnet34: different" in text
    assert "imagenet/plain34 and imagenet/plain34: the same graph" in text
    assert 'id="comparison"' not in page("imagenet/plain34")


def test_deep_networks_are_folded_unless_told_otherwise() -> None:
    assert "× 199" in page("cifar10/resnet1202")
    assert "× 35" not in page("imagenet/resnet152", fold=False)
    assert "× 3" in page("imagenet/resnet34", fold=True)
    assert "× " not in page("imagenet/resnet34")


def test_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="no network to report on"):
        report([], [])


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    result = run("report", "imagenet/resnet18", "-o", "out/r.html", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "archc: wrote out/r.html\n"
    assert (tmp_path / "out/r.html").read_text() == page("imagenet/resnet18")


def test_the_command_s_mistakes(tmp_path: Path) -> None:
    result = run("report", "imagenet/resnet18", "-o", "r.txt", cwd=tmp_path)
    assert result.returncode == 2
    assert "'r.txt' does not end in .html" in result.stderr
    result = run("report", "nope", "-o", "r.html", cwd=tmp_path)
    assert result.returncode == 1
    assert "there is no file or shipped spec `nope`" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_source_too_long_to_be_read_is_not_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    network = archc.load("cifar10/resnet20")
    coloured = report([network], ["cifar10/resnet20"])
    monkeypatch.setattr("archc.pages.page.MAX_HIGHLIGHTED", 10)
    plain = report([network], ["cifar10/resnet20"])
    assert '<span class="k">class</span>' in coloured
    assert '<span class="k">class</span>' not in plain
    assert "class ResNet20(nn.Module):" in plain


@pytest.mark.parametrize(
    "name",
    [
        "imagenet/resnet34",
        "cifar10/preresnet110",
        "torchvision/densenet121",
        "torchvision/googlenet",
        "torchvision/mobilenet_v2",
        "torchvision/shufflenet_v2_x1_0",
        "timm/res2net50_26w_4s",
    ],
)
def test_every_layer_is_found_in_the_figure_folded_or_not(name: str) -> None:
    network = archc.load(name)
    figure = draw_figure([network], folded=False)
    for folded in figure.ids:
        shown = elements(figure, "c1", network, folded=folded)
        layers = {id for id, node in network.nodes.items() if node.multiply_adds}
        assert layers <= shown.keys()
        assert set(shown.values()) <= figure.ids[folded]


def test_a_network_without_equal_blocks_cannot_be_folded() -> None:
    text = page("torchvision/googlenet", fold=True)
    assert 'id="fold" aria-pressed="false" hidden>' in text
    assert "data-folded=" not in re.sub(r'<script type="text/plain"[^>]*>', "", text)
    assert text.count('class="file"') == len([one for one in SAVED if one in FORMATS])


def test_networks_of_thousands_of_layers_are_drawn_in_one_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("archc.pages.figures.MAX_BOTH", 33)
    network = archc.load("imagenet/resnet34")
    for folded in (False, True):
        figure = draw_figure([network], folded)
        assert (figure.folds, figure.folded, [*figure.ids]) == (False, folded, [folded])
        text = report([network], ["imagenet/resnet34"], fold=folded)
        assert f'id="fold" aria-pressed="{str(folded).lower()}" hidden>' in text
        assert ("data-folded=" in text.partition("<script")[0]) == folded


def test_the_file_stays_small() -> None:
    text = page("cifar10/resnet1202")
    figure = archc.draw("cifar10/resnet1202", fold=False)
    files = re.findall(r'<script type="text/plain"[^>]*>([^<]*)</script>', text)
    assert sum(map(len, files)) < len(figure) / 5


def test_what_a_format_cannot_carry_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(networks: Sequence[Network], format: str, options: DrawOptions) -> bytes:
        if format == "pdf" and not options.fold:
            raise FigureError("the figure is too large")
        if format == "pdf":
            warnings.warn("no glyphs for U+4E2D", ArchcWarning, stacklevel=2)
        return draw_file(networks, format, options)

    network = archc.load("imagenet/resnet34")
    monkeypatch.setattr("archc.pages.figures.draw", draw)
    figure = draw_figure([network], folded=True)
    faults = {(file.format, file.folded): file.fault for file in figure.files if file.fault}
    assert faults == {("pdf", False): "PDF: the figure is too large"}
    assert figure.notes == ("no glyphs for U+4E2D",)


def test_files_are_called_after_the_networks() -> None:
    networks = [archc.load(f"imagenet/{name}") for name in ("plain34", "resnet34", "plain34")]
    assert file_name(networks) == "plain34-resnet34"
    many = [replace(networks[0], name=f"network-number-{number}") for number in range(40)]
    assert len(file_name(many)) <= MAX_NAME + len("-etc")
    assert file_name(many).endswith("-etc")


def test_what_differs_between_two_networks_is_marked() -> None:
    page = archc.report("imagenet/plain34", "imagenet/resnet34", diff=True)
    assert "unmarked: the same in both" in page
    assert "-diff.svg" in page
    assert "unmarked" not in archc.report("imagenet/plain34", "imagenet/resnet34")
    with pytest.raises(ValueError, match=r"^`diff` needs exactly two specs, not 1$"):
        archc.report("imagenet/plain34", diff=True)
