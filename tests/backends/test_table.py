"""Tables as text: as rich lays them out, which is not needed for it."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from archc.backends.table import Cell, Column, Table
from archc.cli.common import print_table

CELLS = st.one_of(
    st.none(),
    st.integers(-(10**9), 10**9),
    st.text(st.sampled_from("abcXYZ 0.,×→é"), max_size=12),
)


def by_rich(table: Table) -> str:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(table.columns):
        justify: Literal["right", "left"] = "right" if table.is_number(index) else "left"
        shown.add_column(Text(column.heading), justify=justify, no_wrap=True)
    for row in table.rows:
        shown.add_row(*[Text(text) for text in table.texts(row)])
    console = Console(highlight=False, width=10_000, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(shown)
    lines = [line.rstrip().removeprefix(" ") for line in captured.get().splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), max_size=5)))
def test_text_is_laid_out_as_by_rich(rows: list[tuple[Cell, ...]]) -> None:
    count = len(rows[0]) if rows else 2
    columns = tuple(Column(f"column {index}" * (index % 2), "") for index in range(count))
    table = Table((*columns, Column("last", "")), tuple((*row, "end") for row in rows))
    assert table.text() == by_rich(table)


def test_wide_characters_take_two_columns() -> None:
    table = Table((Column("name", ""), Column("n", "")), (("网络", 1), ("net", 20)), "two")
    assert table.text() == "two\nname    n\n─────────\n网络    1\nnet    20\n"


def test_a_table_without_columns_is_its_title() -> None:
    assert Table((), (), "nothing").text() == "nothing\n\n"


def test_a_terminal_gets_the_same_rows_under_a_bold_heading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(Table((Column("name", ""), Column("n", "")), (("a", 1),), "title"))
    assert capsys.readouterr().out == (
        "\x1b[1mtitle\x1b[0m\n\n\x1b[1m name   n\x1b[0m\n ────────\n a      1\n\n"
    )


@pytest.mark.parametrize(
    "command",
    ["count imagenet/resnet18 --by layer", "list", "diff imagenet/resnet18 cifar10/resnet20"],
)
def test_tables_that_go_to_no_terminal_need_no_rich(command: str) -> None:
    code = (
        "import sys; from archc.cli import cli;"
        f"cli.main({command.split()}, standalone_mode=False);"
        "print('rich' in sys.modules, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.stderr, result.stdout.count("─") > 10) == ("False\n", True)
