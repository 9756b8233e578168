"""The Python sessions of pages and the cells of notebooks: run here, their outputs written down.

    python tools/sessions.py docs/python.md docs/python.ipynb

A notebook needs no Jupyter for that. Tests run both and compare.
"""

from __future__ import annotations

import ast
import doctest
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SESSIONS = re.compile(r"(?<=^```pycon\n).*?(?=^```$)", re.M | re.S)


def page_with_outputs(page: str) -> str:
    """A page with the outputs that its sessions have now.

    They share their names, and run in a folder that is empty at first.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    with _elsewhere():
        return SESSIONS.sub(lambda found: _session(found[0], names), page)


def _session(session: str, names: dict[str, Any]) -> str:
    written: list[str] = []
    for example in doctest.DocTestParser().get_examples(session):
        first, *more = example.source.rstrip("\n").split("\n")
        written += [f">>> {first}", *[f"... {line}".rstrip() for line in more]]
        printed = io.StringIO()
        with redirect_stdout(printed), _shown_by(_print_repr):
            try:
                exec(compile(example.source, "<session>", "single"), names)
            except Exception as error:
                print("Traceback (most recent call last):", "  ...", sep="\n")
                print(f"{type(error).__name__}: {error}")
        text = printed.getvalue().rstrip("\n")
        written += [line.rstrip() for line in text.split("\n")] if text else []
    return "\n".join(written) + "\n"


def notebook_with_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook (nbformat 4) with the outputs that its cells of code have now, run in order.

    Raises what a cell raises.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    with _elsewhere():
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                cell = {**cell, "execution_count": count}
                cell["outputs"] = _outputs("".join(cell["source"]), names, count)
            cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What a cell prints, and what its last line is if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, f"<cell {count}>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"<cell {count}>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(text)})
    if value is not None:
        shown = {"text/plain": _lines(repr(value))}
        if html := getattr(value, "_repr_html_", lambda: None)():
            shown = {"text/html": _lines(html), **shown}
        result = {"data": shown, "execution_count": count, "metadata": {}}
        outputs.append({**result, "output_type": "execute_result"})
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _print_repr(value: object) -> None:
    if value is not None:
        print(repr(value))


@contextmanager
def _shown_by(hook: Callable[[object], None]) -> Iterator[None]:
    before, sys.displayhook = sys.displayhook, hook
    try:
        yield
    finally:
        sys.displayhook = before


@contextmanager
def _elsewhere() -> Iterator[None]:
    """A folder of its own to run in; all is as it was afterwards."""
    here, path, modules = os.getcwd(), list(sys.path), set(sys.modules)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == Path(folder):
                    del sys.modules[name]


def written(path: Path) -> str:
    """A page or a notebook as it is with the outputs that it has now."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return page_with_outputs(text)
    made = notebook_with_outputs(json.loads(text))
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written(Path(name)), encoding="utf-8")
