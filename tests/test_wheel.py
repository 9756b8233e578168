"""The wheel, installed without torch where no checkout is near."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT),
        cwd=folder,
    )
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    pip = (sys.executable, "-m", "pip", "--python", folder / "venv/bin/python")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    # What it needs is here already: of this environment it gets that, and nothing else.
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    for name in needed("archc-nn"):
        here = distribution(name)
        for top in {file.parts[0] for file in here.files or () if ".." not in file.parts}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(here.locate_file(top))))
    return folder


def needed(name: str) -> set[str]:
    """The distributions that one needs without any of its extras, and so on."""
    found: set[str] = set()
    left = [name]
    while left:
        for line in requires(left.pop()) or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if (marker is None or marker.evaluate({"extra": ""})) and requirement.name not in found:
                found.add(requirement.name)
                left.append(requirement.name)
    return found


def test_it_checks_counts_draws_and_emits_without_torch(installed: Path) -> None:
    archc = installed / "venv/bin/archc"
    assert "34 layers" in run(archc, "check", "imagenet/resnet34", cwd=installed)
    assert "3.64 G" in run(archc, "count", "imagenet/resnet34", cwd=installed)
    run(archc, "draw", "imagenet/resnet34", "-o", "resnet34.svg", cwd=installed)
    committed = ROOT / "generated/imagenet/resnet34.svg"
    assert (installed / "resnet34.svg").read_bytes() == committed.read_bytes()
    source = run(archc, "emit", "imagenet/resnet34", cwd=installed)
    assert source == (ROOT / "generated/imagenet/resnet34.py").read_text()
    assert run(archc, "list", "--format", "names", cwd=installed).count("\n") == 99
    code = "from archc.recipes import load_recipe; print(load_recipe('cifar10').header.iterations)"
    assert run(installed / "venv/bin/python", "-c", code, cwd=installed) == "64000\n"


FACADE = """
import importlib, pkgutil, archc
for found in pkgutil.walk_packages(archc.__path__, "archc."):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:  # what needs torch
            assert not error.name.startswith("archc"), error
names = "verify bench diff report show check specs count draw emit load module".split()
print(all(callable(getattr(archc, name)) and not hasattr(getattr(archc, name), "__path__")
          for name in names), len(archc.specs()), set(names) <= set(dir(archc)))
"""


def test_functions_are_functions_whatever_was_imported(installed: Path) -> None:
    found = run(installed / "venv/bin/python", "-c", FACADE, cwd=installed)
    assert found == "True 99 True\n"


def test_a_module_without_torch_is_a_clear_error(installed: Path) -> None:
    python = installed / "venv/bin/python"
    code = (
        "import archc\n"
        "try:\n    archc.module('imagenet/resnet34')\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    assert run(python, "-c", code, cwd=installed) == (
        "a live module needs torch: pip install torch safetensors\n"
    )


def test_the_distribution_is_archc_nn(installed: Path) -> None:
    python = installed / "venv/bin/python"
    code = (
        "from importlib.metadata import metadata, version; import archc\n"
        "assert version('archc-nn') == archc.__version__\n"
        "print(metadata('archc-nn')['Author'])"
    )
    assert run(python, "-c", code, cwd=installed) == "the archc authors\n"


def test_the_page_of_the_index_leads_nowhere_that_is_not_there(installed: Path) -> None:
    code = "from importlib.metadata import metadata; print(metadata('archc-nn').get_payload())"
    page = run(installed / "venv/bin/python", "-c", code, cwd=installed)
    assert page.startswith("# archc\n")
    assert "archc emit" in page
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert all(target.startswith("https://") for target in targets)
    assert not re.search(r"<img|!\[|src=", page)


def test_types_and_font_travel_along(installed: Path) -> None:
    (package,) = (installed / "venv").glob("lib/python*/site-packages/archc")
    assert (package / "py.typed").is_file()
    assert (package / "_shipped/schema.json").is_file()
    assert list((package / "backends/figure").rglob("*LICENSE*"))
