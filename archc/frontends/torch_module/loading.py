"""Modules by their names: ``package.module:callable`` or ``FILE.py:Name``. It runs their code."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING

from archc.extras import require
from archc.frontends.program import ForeignError
from archc.text import quote, visible

if TYPE_CHECKING:
    import torch


def load_module(name: str) -> torch.nn.Module:
    """The module that a callable gives which is named so: a class, a function, or the module.

    Raises `ForeignError` where there is none, or its code fails, and ModuleNotFoundError where
    torch is not installed.
    """
    require("torch", "a torch module", "torch")
    where, _, what = name.rpartition(":")
    with redirect_stdout(sys.stderr):  # whatever it prints
        found: object = _run_file(where) if where.endswith(".py") else _imported(where)
        for part in what.split("."):
            found = getattr(found, part, None)
            if found is None:
                raise ForeignError(f"there is no {quote(what)} in {quote(where)}")
        return _made(found, name)


def _made(found: object, name: str) -> torch.nn.Module:
    import torch

    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        kind = type(found).__name__
        raise ForeignError(f"{quote(name)} is a Python `{kind}`, not a module or what makes one")
    try:
        made = found()
    except (Exception, SystemExit) as error:  # whatever its author's code raises
        raise ForeignError(f"{quote(name)} failed: {_first_line(error)}") from error
    if not isinstance(made, torch.nn.Module):
        raise ForeignError(f"{quote(name)} gives a Python `{type(made).__name__}`, not a module")
    return made


def _run_file(path: str) -> ModuleType:
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ForeignError(f"{visible(path)} cannot be run")
    module = importlib.util.module_from_spec(spec)
    held = sys.modules.get(name)
    if held is None or getattr(held, "__file__", None) == module.__file__:
        sys.modules[name] = module  # where classes are looked up; another module of the name stays
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with _First(folder):
            spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if os.path.lexists(path):
            raise ForeignError(f"{visible(path)} failed: {_first_line(error)}") from error
        raise ForeignError(f"there is no file {visible(path)}") from error
    except (Exception, SystemExit) as error:  # whatever its author's code raises
        raise ForeignError(f"{visible(path)} failed: {_first_line(error)}") from error
    return module


def _imported(name: str) -> ModuleType:
    try:
        with _First(os.getcwd()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        hint = "install it, or run archc in its folder" if name.startswith(missing) else None
        raise ForeignError(f"there is no module {quote(missing)}", hint) from error
    except (Exception, SystemExit) as error:  # whatever its author's code raises
        raise ForeignError(f"importing {quote(name)} failed: {_first_line(error)}") from error


class _First:
    """A folder that modules are looked for in first, while it is entered."""

    def __init__(self, folder: str):
        self.folder = folder

    def __enter__(self) -> None:
        sys.path.insert(0, self.folder)

    def __exit__(self, *failure: object) -> None:
        if self.folder in sys.path:
            sys.path.remove(self.folder)


def _first_line(error: BaseException) -> str:
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {visible(line)[:300]}" if line else type(error).__name__
