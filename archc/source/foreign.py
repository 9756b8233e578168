"""Names of models that are no specs: what a user may call one."""

from __future__ import annotations

import os
import re
from typing import Literal, TypeAlias

from archc.source.caller import said
from archc.text import quote, quote_name

Kind: TypeAlias = Literal["onnx", "pt2", "module"]

SUFFIXES = (".onnx", ".pt2")
"""How files of models end."""

_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_IN_FILE = re.compile(r".+\.py:[A-Za-z_][\w.]*", re.DOTALL)


def kind_of(name: str) -> Kind | None:
    """What kind of model a user means: by how a file is called, or as the name of a callable; None
    for a spec.

    >>> kind_of("net.pt2"), kind_of("torchvision.models:resnet50"), kind_of("imagenet/resnet34")
    ('pt2', 'module', None)
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix == ".onnx":
        return "onnx"
    if suffix == ".pt2":
        return "pt2"
    if ":" not in name or os.path.lexists(name):
        return None
    return "module" if _CALLABLE.fullmatch(name) or _IN_FILE.fullmatch(name) else None


def file_of(name: str) -> str:
    """The file of a model; empty for a callable that is imported, which has no file of its own."""
    if kind_of(name) != "module":
        return name
    where = name.rpartition(":")[0]
    return where if where.endswith(".py") else ""


def not_a_spec(name: str) -> tuple[str, str] | None:
    """What to say of a name that must be a spec's and is a model's, and what to do; None for any
    other name."""
    if kind_of(name) is not None:
        lifted = f"`archc lift {quote_name(name)} -o net.yaml` makes a spec of it" + said(
            "", "; `archc.from_onnx`, `archc.from_export` and `archc.from_module` read models"
        )
        return f"{quote(name)} is a model, not a spec", lifted
    if name.lower().endswith(".py"):
        called = f"`{quote_name(name)}:NAME` is the module that NAME in it gives"
        return f"{quote(name)} is a Python file, not a spec", called
    return None
