"""Lengths that the layout of figures uses: wide ones for screens, tight ones for print."""

from __future__ import annotations

from archc.dataclassing import dataclass


@dataclass(frozen=True, slots=True)
class Metrics:
    """Lengths in points, for labels of 11 points; figures for print are scaled afterwards.

    ``title`` to ``small`` are font sizes; names that end in ``line`` are line heights. A row is one
    ``box`` high, with a ``gap`` for the arrow above it and a ``band_gap`` between bands. Curves
    meet an arrow at least ``below`` under the upper box, ``above`` over the lower one (where the
    arrowhead is) and ``apart`` from each other. They ``reach`` past the boxes, and one ``lane``
    further around other curves. ``glyph`` is the diameter of circles, ``head`` the length of
    arrowheads, ``bus`` the distance of a bus from the boxes, ``beside`` that of words from lines.
    """

    title: float = 14.5
    totals: float = 10.0
    label: float = 11.0
    gutter: float = 10.5
    legend: float = 10.0
    mark: float = 8.5
    small: float = 9.0
    glyph: float = 11.0
    word_line: float = 11.0
    beside: float = 4.0
    head: float = 3.5
    title_line: float = 19.0
    totals_line: float = 12.0
    legend_line: float = 16.0
    margin: float = 16.0
    box: float = 14.0
    gap: float = 12.0
    band_gap: float = 5.0
    least_width: float = 118.0
    padding: float = 9.0
    lane_padding: float = 5.0
    lane_gap: float = 6.0
    gutter_gap: float = 18.0
    column_gap: float = 30.0
    overhang: float = 11.0
    most_title: float = 180.0
    reach: float = 17.0
    lane: float = 8.0
    below: float = 2.9
    above: float = 6.0
    apart: float = 3.1
    bus: float = 22.0
    has_long_bands: bool = True
    """Whether each band says ``output size: 56``, or ``56`` alone."""

    def glyph_height(self, arriving: int) -> float:
        """How high the circle is at which so many curves end: a tall one from three curves on."""
        return max(self.glyph, (arriving + 1) * self.apart) if arriving > 2 else self.glyph


WIDE = Metrics()
DIFFERENCE_GAP = 22.0
"""The gap between lanes where differences are marked: room for a sign and a bar."""
TIGHT = Metrics(
    title=12.5,
    totals=9.5,
    gutter=10.5,
    mark=9.0,
    title_line=15.5,
    totals_line=11.5,
    legend_line=13.0,
    margin=3.0,
    box=13.0,
    gap=10.0,
    band_gap=2.0,
    least_width=82.0,
    padding=4.0,
    gutter_gap=9.0,
    column_gap=14.0,
    overhang=6.0,
    reach=13.0,
    below=2.6,
    above=4.8,
    apart=2.6,
    bus=16.0,
    has_long_bands=False,
)

LARGE = Metrics(
    title=15.0,
    totals=11.0,
    label=15.0,
    mark=13.0,
    small=13.0,
    glyph=20.0,
    word_line=17.0,
    beside=6.0,
    head=4.5,
    margin=22.0,
    box=27.0,
    gap=26.0,
    band_gap=0.0,
    least_width=132.0,
    padding=12.0,
    lane_padding=9.0,
    lane_gap=12.0,
    column_gap=46.0,
    most_title=240.0,
    reach=30.0,
    lane=26.0,
    below=7.0,
    above=11.5,
    apart=5.0,
    bus=34.0,
)
"""Of blocks drawn large, where labels have 15 points."""
