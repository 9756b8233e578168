"""Names in models that would be code elsewhere: in source, pages, figures and graphs."""

from __future__ import annotations

import ast
import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor, nn

import archc

HOSTILE = (
    '"); raise SystemExit("x',
    '"""\nraise SystemExit\n"""',
    "'''\nimport os\n'''",
    "a\nimport os\nos.abort()",
    "# evil\r\nexit()",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\\input{/etc/passwd}",
    "\\write18{id}",
    "${HOME}$(id)`id`",
    "{{ 7 * 7 }}{% raw %}",
    "%s%n%(x)s{0.__class__}",
    "]]><!-- &evil; -->",
    "__import__('os').abort()",
    "class",
    "self",
    "forward",
    "\u202eevil\u2066\x00\x1b[31m",
    "../../../etc/passwd",
    "x" * 500,
)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.norm(self.first(x)).relu())
        return x + y


class Net(nn.Module):
    """Two blocks, and a part that archc does not know where it is asked for."""

    def __init__(self, *, is_known: bool) -> None:
        super().__init__()
        self.is_known = is_known
        self.stem = nn.Conv2d(3, 4, 1)
        self.blocks = nn.Sequential(Block(), Block())
        self.strange = nn.Conv3d(4, 4, (1, 2, 2))
        self.last = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.stem(x))
        y = y if self.is_known else self.strange(y.unsqueeze(2)).squeeze(2)
        result: Tensor = self.last(y.mean((2, 3)))
        return result


class Calls(nn.Module):
    """A part that is written call by call, with tensors of its own."""

    index: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(1, 3, 8, 8))
        self.register_buffer("index", torch.arange(8))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("bchw,bcvw->bhv", x + self.table[:, :, self.index], x)
        x = nn.functional.pad(x, (1, 0), mode="reflect").softmax(2)
        return x.reshape(len(x), -1)


class CallByCall(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = Calls()

    def forward(self, x: Tensor, more: Tensor) -> tuple[Tensor, Tensor]:
        return self.calls(x), more + 1


@cache
def exported(is_known: bool | None) -> dict[str, str]:
    """The JSON members of a program, by their names under the archive's root."""
    if is_known is None:
        given = (torch.zeros(1, 3, 8, 8), torch.zeros(1, 4))
        program = torch.export.export(CallByCall().eval(), given)
    else:
        program = torch.export.export(Net(is_known=is_known).eval(), (torch.zeros(1, 3, 8, 8),))
    stream = io.BytesIO()
    torch.export.save(program, stream)
    with zipfile.ZipFile(stream) as archive:
        return {
            name.partition("/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if name.endswith(".json")
        }


PLACES = ("blocks", "first", "norm", "stem", "Block", "Net", "relu", "conv3d", "last")
"""Words of the program that names are made of: of modules, classes, values, calls."""


CALLED = (
    "table",
    "index",
    "calls",
    "Calls",
    "more",
    "reshape",
    "softmax",
    "bchw,bcvw->bhv",
    "reflect",
)
"""Words of one that is written call by call: of tensors, modules, inputs, functions, arguments."""


def hostile_file(path: Path, evil: str, places: tuple[str, ...], *, is_known: bool | None) -> None:
    """A program in which something hostile stands in place of words."""
    known = {"relu", "conv3d"} if is_known else {"relu"}
    members = {}
    for name, text in exported(is_known).items():
        document = json.loads(text)
        members[name] = json.dumps(_spoiled(document, evil, {*places} - known))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"net/{name}", text)


def _spoiled(value: Any, evil: str, places: set[str]) -> Any:
    if isinstance(value, dict):
        return {_word(key, evil, places): _spoiled(one, evil, places) for key, one in value.items()}
    if isinstance(value, list):
        return [_spoiled(one, evil, places) for one in value]
    return _word(value, evil, places) if isinstance(value, str) else value


def _word(text: str, evil: str, places: set[str]) -> str:
    for place in places:
        text = text.replace(place, evil)
    return text


class Page(HTMLParser):
    """The tags of a page, the scripts that run, and attributes that run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.events: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.scripts += tag == "script" and dict(attrs).get("type") != "text/plain"
        self.events += [name for name, _ in attrs if name.startswith("on")]


def check_message(error: archc.ArchcError) -> None:
    assert error.message.isprintable()


def check_outputs(network: archc.Network, evil: str) -> None:
    """What is made of a network holds nothing that its names could do."""
    source = ""
    try:
        source = archc.emit(network)
    except archc.EmitError as error:
        check_message(error)
    tree = ast.parse(source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not any("system" in call or "import" in call or "abort" in call for call in calls)
    imports = [one for one in ast.walk(tree) if isinstance(one, (ast.Import, ast.ImportFrom))]
    assert all("torch" in ast.unparse(one) or "__future__" in ast.unparse(one) for one in imports)

    page = Page()
    page.feed(archc.report(network))
    assert page.scripts == 1, "the page's own, beside the files that it saves"
    assert page.tags.count("img") == 0
    assert page.events == []

    for format in ("svg", "tex", "dot"):
        figure = archc.draw(network, format=format).decode()
        if format == "svg":
            ElementTree.fromstring(figure)
            assert "<script" not in figure
        if format == "tex":
            assert "\\input{/" not in figure
            assert "\\write18{" not in figure
    ElementTree.fromstring(archc.to_graphml(network))
    json.loads(archc.to_json(network))
    shown = archc.count(network, by="layer").__str__()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 3 + len(archc.count(network, by="layer").rows), shown


def cases() -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Each hostile name in all places at once, in models that can be emitted and that cannot."""
    for evil, is_known in itertools.product(HOSTILE, (True, False)):
        yield evil, PLACES, is_known


def single_cases() -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Each hostile name in each place by itself; too many for every run of the tests."""
    for evil, place in itertools.product(HOSTILE, PLACES):
        yield evil, (place,), place != "conv3d"


@pytest.mark.filterwarnings("ignore::archc.ArchcWarning")  # TeX's fonts lack some characters
@pytest.mark.parametrize(("evil", "places", "is_known"), list(cases())[::3])
def test_names_do_nothing(
    evil: str, places: tuple[str, ...], is_known: bool, tmp_path: Path
) -> None:
    file = tmp_path / "net.pt2"
    hostile_file(file, evil, places, is_known=is_known)
    try:
        network = archc.from_export(file)
    except archc.ForeignError as error:
        check_message(error)
        return
    check_outputs(network, evil)


@pytest.mark.filterwarnings("ignore::archc.ArchcWarning")
@pytest.mark.parametrize("place", CALLED)
def test_names_of_what_is_written_call_by_call_do_nothing(place: str, tmp_path: Path) -> None:
    for evil in (HOSTILE[0], HOSTILE[3], HOSTILE[14]):
        file = tmp_path / "net.pt2"
        hostile_file(file, evil, (place,), is_known=None)
        try:
            network = archc.from_export(file)
        except archc.ForeignError as error:
            check_message(error)
            continue
        check_outputs(network, evil)


@pytest.mark.parametrize("evil", HOSTILE[:6])
def test_file_names_do_nothing(evil: str, tmp_path: Path) -> None:
    file = tmp_path / (evil.replace("/", "_")[:100] + ".pt2")
    hostile_file(file, "x", (), is_known=True)
    check_outputs(archc.from_export(file), evil)
