"""The report as a file: complete, the same every time, and in need of nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shell import archc as run

import archc
from archc.pages import report


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
    assert page("imagenet/resnet18") == page("imagenet/resnet18")


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
