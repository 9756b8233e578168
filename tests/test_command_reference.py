"""docs/commands.md says what the commands say of themselves."""

from __future__ import annotations

import importlib
import re

import click
import code_list
import pytest
from command_reference import PAGE, render

from archc.cli import COMMANDS


def test_the_page_is_up_to_date() -> None:
    """`make commands` writes it."""
    assert PAGE.read_text() == render()


def test_the_list_of_codes_is_up_to_date() -> None:
    """`make commands` writes it, too."""
    assert code_list.PAGE.read_text(encoding="utf-8") == code_list.render()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_section(name: str) -> None:
    """With every option of its help, all examples, and a line that says what it does."""
    command: click.Command = importlib.import_module(f"archc.cli.{name}_command").command
    section = re.split(
        r"^###? ", PAGE.read_text().partition(f"\n### archc {name}\n")[2], flags=re.M
    )
    shown = [option for option in command.params if not getattr(option, "hidden", False)]
    options = {name for option in shown for name in (*option.opts, *option.secondary_opts)}
    options = {name for name in options if name.startswith("--") and name != "--help"}
    assert {
        name for name in options if not re.search(rf"\| (?:`|<code>)[^`<]*{name}\b", section[0])
    } == set()
    examples = re.findall(r"^ +(archc .*)$", command.help or "", re.M)
    assert examples
    assert [line for line in examples if line not in section[0]] == []
    assert f"[`archc {name}`](#archc-{name}) | {COMMANDS[name]} |" in PAGE.read_text()
