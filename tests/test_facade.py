"""What Python programs use, by the commands' names."""

from __future__ import annotations

import subprocess
import sys

import archc


def test_functions_are_functions_whatever_was_imported() -> None:
    code = (
        "import importlib, pkgutil, archc\n"
        "for found in pkgutil.walk_packages(archc.__path__, 'archc.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "print([name for name in archc.__all__ if not callable(getattr(archc, name))])\n"
        "print(sorted(archc.__all__) == sorted(set(dir(archc)) - {'__version__'}))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "[]\nTrue\n"


def test_specs_and_their_groups() -> None:
    assert archc.specs("imagenet") == [name for name in archc.specs() if "imagenet/" in name]
    assert len(archc.specs()) == 99
    assert archc.specs("none") == []


def test_mistakes_are_returned() -> None:
    assert archc.check("cifar10/resnet20") == ()
    (fault,) = archc.check("cifar10/resnet20", with_={"depth": 0})
    assert fault.message == "`depth` must be an integer from 1 to 10,000, not `0`"


def test_a_spec_is_shown_as_by_the_command() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "archc", "show", "cifar10/resnet20"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert archc.show("cifar10/resnet20") == told.stdout


def test_a_report_and_a_difference() -> None:
    page = archc.report("cifar10/resnet20", archc.load("cifar10/plain20"))
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert archc.diff("cifar10/resnet20", "cifar10/plain20") == archc.compare(
        "cifar10/resnet20", "cifar10/plain20"
    )
