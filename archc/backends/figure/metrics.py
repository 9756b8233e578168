"""The measures of columns: wide as on a screen, or tight as for a page that is given."""

from __future__ import annotations

from archc.dataclassing import dataclass


@dataclass(frozen=True, slots=True)
class Metrics:
    """Lengths in points where a label's type has 11; a figure for a page is scaled as a whole.

    ``title`` to ``mark`` are sizes of type, those that end in ``line`` heights of lines. A ``box``
    stands in a row, above it a ``gap`` with an arrow, between bands another ``band_gap``. Curves
    meet an arrow so far ``below`` the box above, so far ``above`` the one below, where its head is,
    and so far ``apart``; they ``reach`` beyond boxes, and one more ``lane`` around others. A
    ``glyph`` is the diameter of a circle where ways meet, ``head`` the length of an arrowhead; a
    ``bus`` is so far beside the boxes, words so far ``beside`` lines.
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
