"""The colours that figures are drawn in."""

from __future__ import annotations

from archc.dataclassing import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours; ``fills`` are those of stage widths, narrowest first, and begin again after all."""

    paper: str
    stripe: str
    ink: str
    outline: str
    fills: tuple[str, ...]


THEMES: dict[str, Theme] = {
    "light": Theme(
        paper="#ffffff",
        stripe="#f3f4f6",
        ink="#1c1c1c",
        outline="#4d4d4d",
        fills=(
            "#ddd3ee",
            "#cfe8c6",
            "#f9d2cd",
            "#cbe0f5",
            "#fde3bd",
            "#c5e8e3",
            "#f6d3e8",
            "#e6e4a9",
            "#dccfc2",
            "#d5dae3",
        ),
    ),
    "dark": Theme(
        paper="#16181d",
        stripe="#1e2128",
        ink="#e8e8ea",
        outline="#9aa0ab",
        fills=(
            "#4a3d6b",
            "#33562c",
            "#6e352e",
            "#2b4d73",
            "#6b4a18",
            "#1f5650",
            "#6a3357",
            "#55521c",
            "#57473a",
            "#424a59",
        ),
    ),
}
"""Backgrounds and colours by name."""
