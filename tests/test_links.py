"""The links of all pages lead somewhere: to a file, to a heading, to a picture with words."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from page_links import Link, anchors, links, resolve, slug, with_targets
from site_hooks import on_page_markdown, place, source_of

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere, with their lines."""
    found = []
    for link in links(page.read_text()):
        target = resolve(page, link)
        if link.is_external:
            wrong = "" if link.target.startswith("https://") else "not https"
        elif not target.is_relative_to(ROOT) or not target.exists():
            wrong = "no such file"
        elif link.anchor and target.suffix == ".md":
            count = anchors(target.read_text()).count(link.anchor)
            wrong = {0: "no such heading", 1: ""}.get(count, "several such headings")
        else:
            wrong = ""
        if wrong:
            found.append(f"{page.name}:{link.line}: {link.target}: {wrong}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_have_words(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"!\[\s*\]\([^)]*\)|<img(?![^>]*\balt=\"\w)[^>]*>", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lists_and_tables_begin_after_an_empty_line(page: Path) -> None:
    """GitHub does without, but the program that makes the site takes them for text."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    assert re.findall(r"^(?![-|#>\s]|<!--|\d+\. ).+\n(?:- |\| |1\. ).*$", prose, re.M) == []


def test_the_site_has_every_page() -> None:
    """The navigation of mkdocs.yml; what else is among the sources, `mkdocs --strict` finds."""
    named = re.findall(r"^ +- [\w ]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted([*pages, "CHANGELOG.md", "CONTRIBUTING.md"])


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(broken.__globals__, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Some `title`, twice\n\n## Once\n\n# Some title twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[good](other.md#once) [wrong](other.md#never) [two](other.md#some-title-twice)\n"
        '![a picture](none.svg) <a href="none.md">x</a> [out](../out.md) [here](#here)\n'
        "```text\n[code](none.md)\n```\n`[code](none.md)` <!-- [comment](none.md) -->\n# Here\n"
    )
    assert broken(page) == [
        "page.md:1: other.md#never: no such heading",
        "page.md:1: other.md#some-title-twice: several such headings",
        "page.md:2: none.svg: no such file",
        "page.md:2: ../out.md: no such file",
        "page.md:2: none.md: no such file",
    ]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("`if` and `let`", "if-and-let"),
        ("Whose FLOPs?", "whose-flops"),
        ("Option A beside option B", "option-a-beside-option-b"),
        ("`squeeze_excitation`", "squeeze_excitation"),
        ("In place, and in order", "in-place-and-in-order"),
        ("A — B", "a--b"),
        ("[Linked](elsewhere.md) words", "linked-words"),
    ],
)
def test_anchors_are_github_s(title: str, expected: str) -> None:
    assert slug(title) == expected


def test_links_are_rewritten_in_place() -> None:
    text = "[a](x.md#y) `[b](x.md)` ![c](z.svg)\n\n    [d](x.md)\n"
    assert with_targets(text, lambda link: f"<{link.path}>") == (
        "[a](<x.md>) `[b](x.md)` ![c](<z.svg>)\n\n    [d](x.md)\n"
    )


def on_site(name: str, text: str) -> str:
    """A page as the site has it, for a place among its sources."""
    return on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=name)))


def test_the_site_takes_along_what_pages_link_to() -> None:
    assert on_site(
        "language.md",
        "![x](../generated/figure3.svg)\n\n[a](blocks.md#conv) [b](../specs/schema.json) "
        "[c](../README.md) [d](../specs/timm/blocks) [e](https://example.org) [f](#g)\n",
    ) == (
        "[![x](generated/figure3.svg)](generated/figure3.svg)\n\n[a](blocks.md#conv) "
        "[b](specs/schema.json.md) [c](index.md) [d](specs/timm/blocks/index.md) "
        "[e](https://example.org) [f](#g)\n"
    )
    assert place(ROOT / "docs/tutorial") == "docs/tutorial/index.md"
    listed = [link.target for link in links(source_of(ROOT / "specs/timm/blocks"))]
    assert "res2net.yaml" in listed
    assert "depth: [3, 4, 11, 3]" in source_of(ROOT / "docs/tutorial/resnet65.yaml")


def test_a_link_knows_its_parts() -> None:
    link = Link("a%20b.md#c", 1)
    assert (link.path, link.anchor, link.is_external) == ("a b.md", "c", False)
    assert Link("https://example.org", 1).is_external
