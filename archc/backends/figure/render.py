"""DOT into PNG and PDF, by Graphviz inside this process.

The same DOT gives the same bytes wherever the same Graphviz draws it: no font of the machine has
a part in it, and what says when and by which program a file was made is taken out.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from html import escape
from multiprocessing.util import Finalize
from pathlib import Path
from threading import Lock

from archc.backends.figure.font import FILE

_GRAPHVIZ = Lock()
"""Graphviz keeps state in the process: one drawing at a time."""

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <config><rescan><int>0</int></rescan></config>
  <match target="font">
    <edit name="hinting" mode="assign"><bool>false</bool></edit>
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
  </match>
</fontconfig>
"""
_NO_RECORD = b"<< >>"


def run_graphviz(dot: str, format: str) -> bytes:
    """Draw DOT that has all positions as ``png`` or ``pdf``."""
    with _GRAPHVIZ:
        _load_fonts()
        with _environment(SOURCE_DATE_EPOCH="0"):  # read where Cairo is 1.16 or later
            drawn = _draw(dot, format)
    return _undated(drawn) if format == "pdf" else drawn


def _draw(dot: str, format: str) -> bytes:
    import pygraphviz

    graph = pygraphviz.AGraph(string=dot)
    # With positions known to be there, pygraphviz draws by nop2 and does not warn of large graphs.
    graph.has_layout = True
    try:
        return bytes(graph.draw(path=None, format=format))
    finally:
        graph.close()


@cache
def _load_fonts() -> None:
    """Have fontconfig, which reads its settings once in a process, know the shipped font alone.

    The font is used from a copy, since fontconfig writes beside fonts, and it stays until the
    process ends, since it is read again for every new size.
    """
    folder = Path(tempfile.mkdtemp(prefix="archc-"))
    # Also in a process that multiprocessing forked, where what is registered at exit is not run.
    Finalize(None, shutil.rmtree, (folder, True), exitpriority=0)
    fonts, settings = folder / "fonts", folder / "fonts.conf"
    fonts.mkdir()
    shutil.copyfile(FILE, fonts / FILE.name)
    text = _FONTS.format(fonts=escape(str(fonts)), cache=escape(str(folder / "cache")))
    settings.write_text(text, encoding="utf-8")
    with _environment(FONTCONFIG_FILE=str(settings), PANGOCAIRO_BACKEND="fc"), _quiet():
        _draw('digraph { a [label="a" pos="0,0"] }', "svg")


@contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep C libraries from writing to stderr.

    Fontconfig also parses the settings that the machine has installed, uses none of them, and
    warns of those that are newer than itself.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr, as in a windowed program
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _undated(pdf: bytes) -> bytes:
    """Empty a PDF's record of the program and the time that made it, where it stands in clear.

    The record's length depends on the time zone, so the table of offsets is set right after it.
    """
    record = re.search(rb"<< /Producer \(.*?\n>>", pdf, re.DOTALL)
    if record is None:
        return pdf
    start, gone = record.start(), len(record[0]) - len(_NO_RECORD)
    head, table, tail = (pdf[:start] + _NO_RECORD + pdf[record.end() :]).rpartition(b"\nxref\n")

    def moved(place: re.Match[bytes]) -> bytes:
        offset = int(place[0])
        return b"%0*d" % (len(place[0]), offset - gone * (offset > start))

    return head + table + re.sub(rb"\d{10}(?= \d{5} n)|(?<=startxref\n)\d+", moved, tail)
