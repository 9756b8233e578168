"""Widths on paper, and what is said of those that are none."""

from __future__ import annotations

import re

import pytest

from archc.widths import COLUMN, EXAMPLE, PAGE, PLOT_MAX, PLOT_MIN, check_plot_width, parse_width


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("column", COLUMN),
        ("page", PAGE),
        (" Column ", COLUMN),
        ("8.25cm", COLUMN),
        ("82.5mm", COLUMN),
        ("17 cm", PAGE),
        ("3.25in", 234.0),
        ("3.25IN", 234.0),
        ("1.in", 72),
        ("240pt", 240),
    ],
)
def test_widths_in_points(text: str, points: float) -> None:
    assert parse_width(text) == pytest.approx(points)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wide", f"`wide` is not a width: {EXAMPLE}"),
        ("", f"an empty text is not a width: {EXAMPLE}"),
        ("-3in", f"`-3in` is not a width: {EXAMPLE}"),
        ("nan", f"`nan` is not a width: {EXAMPLE}"),
        ("1e3pt", f"`1e3pt` is not a width: {EXAMPLE}"),
        ("３in", f"`３in` is not a width: {EXAMPLE}"),
        ("8.25", "`8.25` has no unit: write 8.25cm, 8.25in or 8.25pt"),
        ("8,25cm", "`8,25cm` is not a width: use a decimal point, 8.25cm"),
        ("300px", f"`px` in `300px` is not a unit: {EXAMPLE}"),
        (".5in", "`.5in` is too narrow: the minimum is 2cm"),
        ("1cm", "`1cm` is too narrow: the minimum is 2cm"),
        ("0in", "`0in` is too narrow: the minimum is 2cm"),
        ("201in", "`201in` is too wide: the maximum is 508cm"),
    ],
)
def test_what_is_not_a_width_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_width(text)


@pytest.mark.parametrize("width", [float("nan"), 0.0, -1.0, float("inf")])
def test_numbers_of_programs_are_checked(width: float) -> None:
    with pytest.raises(ValueError, match=r"pt is too (narrow|wide): the m\w+ is "):
        check_plot_width(width)


def test_plots_have_bounds_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"^`4cm` is too narrow: the minimum is 5cm$"):
        parse_width("4cm", PLOT_MIN, PLOT_MAX)
    with pytest.raises(ValueError, match=r"^`2000mm` is too wide: the maximum is 100cm$"):
        parse_width("2000mm", PLOT_MIN, PLOT_MAX)
