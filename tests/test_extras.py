"""What archc says of packages that are not installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from archc.extras import EXTRAS, require

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def packages_of(extra: str) -> set[str]:
    """The packages that an extra of the distribution installs, through other extras, too."""
    found: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        name, extras = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?.*", requirement).groups()  # type: ignore[union-attr]
        if name == PROJECT["name"]:
            found |= {package for inner in extras.split(",") for package in packages_of(inner)}
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_hint_names_what_the_extra_installs(extra: str) -> None:
    assert set(EXTRAS[extra]) == packages_of(extra)


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"^a plot needs missing: pip install matplotlib$"
    ) as caught:
        require("missing", "a plot", "plot")
    assert caught.value.name == "missing"


def test_no_hint_sends_anybody_to_the_index_for_archc() -> None:
    root = Path(__file__).parents[1]
    pages = [root / "README.md", *root.glob("docs/*.md"), *root.glob("archc/**/*.py")]
    assert not [
        page.name for page in pages if re.search(r"pip install ['\"]?archc", page.read_text())
    ]
