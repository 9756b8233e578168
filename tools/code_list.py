"""The list of codes at the end of docs/diagnostics.md.

python tools/code_list.py
"""

from __future__ import annotations

from pathlib import Path

from archc.source.codes import ERRORS, WARNINGS

PAGE = Path(__file__).parents[1] / "docs/diagnostics.md"
HEADING = "## All codes\n"


def render() -> str:
    """The page with the list anew."""
    head, heading, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    parts = [f"{head}{heading}"]
    for name, codes in (("warning", WARNINGS), ("error", ERRORS)):
        rows = [f"| `{code}` | {sentence} |" for code, sentence in codes.items()]
        parts.append("\n".join([f"| {name} | |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
