"""What mkdocs does beyond its own for `make docs`: the docs link into the repository, as on GitHub.

A link that leads out of docs/ takes what it leads to onto the site: a picture as it is, a text file
as a page that shows it, a folder as a page that lists it. Pictures lead to themselves in full size.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from page_links import ROOT, Link, links, resolve, with_targets

DOCS = ROOT / "docs"
PICTURES = {".svg", ".png", ".jpg", ".gif"}
TOP_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages of the repository's top that the navigation has."""

_PICTURE = re.compile(r"^(!\[[^\]\n]*\]\(([^)\s]+\.svg)\))$", re.M)


def on_files(files: Any, config: Any) -> Any:
    """Add what pages link to outside docs/."""
    left = [DOCS / page.src_uri for page in files.documentation_pages()]
    for name in TOP_PAGES:
        files.append(_as_file(config, ROOT / name))
        left.append(ROOT / name)
    while left:
        page = left.pop()
        for link in links(source_of(page)):
            target = resolve(origin_of(page), link)
            if link.is_external or not target.exists() or files.get_file_from_path(place(target)):
                continue
            files.append(_as_file(config, target))
            if target.is_dir():
                left.append(target)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let each link lead to where its target is on the site."""
    here = page.file.src_uri
    origin = _origins.get(here, DOCS / here)

    def moved(link: Link) -> str:
        target = resolve(origin, link)
        if link.is_external or not link.path or not target.exists():
            return link.target
        relative = posixpath.relpath(place(target), posixpath.dirname(here) or ".")
        return relative + (f"#{link.anchor}" if link.anchor else "")

    return _PICTURE.sub(r"[\1](\2)", with_targets(markdown, moved))


def place(path: Path) -> str:
    """Where a file or folder of the repository is among the site's sources."""
    if path == ROOT / "README.md":
        return "index.md"
    if path.is_relative_to(DOCS) and path.is_file():
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        return f"{name}/index.md"
    return name if path.suffix in {".md", *PICTURES} else f"{name}.md"


def origin_of(path: Path) -> Path:
    """The file whose folder the links of a page start from; a folder's page is in the folder."""
    return path / "index.md" if path.is_dir() else path


def source_of(path: Path) -> str:
    """The Markdown of a page: of a folder a list, of any other text the text itself."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        names = [
            one.name + ("/" if one.is_dir() else "")
            for one in sorted(path.iterdir())
            if not one.name.startswith((".", "__"))
        ]
        return f"# {name}/\n\n" + "".join(f"- [{one}]({one})\n" for one in names)
    if path.suffix == ".md":
        return path.read_text()
    if path.suffix in PICTURES:
        return ""
    kind = path.suffix.removeprefix(".") or "text"
    return (
        "---\nsearch:\n  exclude: true\n---\n\n"
        f"# {name}\n\n``````{kind}\n{path.read_text().rstrip()}\n``````\n"
    )


_origins: dict[str, Path] = {}
"""What the links of a page from outside docs/ start from, by the page's place."""


def _as_file(config: Any, path: Path) -> Any:
    from mkdocs.structure.files import File  # which tests of the rest can do without

    if path.suffix in PICTURES:
        return File.generated(config, place(path), abs_src_path=str(path))
    _origins[place(path)] = origin_of(path)
    return File.generated(config, place(path), content=source_of(path))
