"""Facts about a network: functions from a `Network` to typed results."""

from typing import TYPE_CHECKING

from archc.choices import BYTES as DTYPES
from archc.choices import LEVELS, Level
from archc.lazy import exports

if TYPE_CHECKING:
    from archc.analysis.comparison import Comparison, compare, compare_as_exported
    from archc.analysis.conventions import CONVENTIONS, Convention, Explanation, explain
    from archc.analysis.counting import Count, Row, count
    from archc.analysis.fitting import Fit, FitRow, fit
    from archc.analysis.footprint import Memory, memory
    from archc.analysis.receptive import Field, Fields, receptive_fields
    from archc.analysis.rooflines import Device, Roofline, roofline
    from archc.analysis.workload import Work, work

__all__ = [
    "CONVENTIONS",
    "DTYPES",
    "LEVELS",
    "Comparison",
    "Convention",
    "Count",
    "Device",
    "Explanation",
    "Field",
    "Fields",
    "Fit",
    "FitRow",
    "Level",
    "Memory",
    "Roofline",
    "Row",
    "Work",
    "compare",
    "compare_as_exported",
    "count",
    "explain",
    "fit",
    "memory",
    "receptive_fields",
    "roofline",
    "work",
]

__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("Comparison", "compare", "compare_as_exported"), ".comparison"),
        **dict.fromkeys(("CONVENTIONS", "Convention", "Explanation", "explain"), ".conventions"),
        **dict.fromkeys(("Count", "Row", "count"), ".counting"),
        **dict.fromkeys(("Fit", "FitRow", "fit"), ".fitting"),
        **dict.fromkeys(("Memory", "memory"), ".footprint"),
        **dict.fromkeys(("Field", "Fields", "receptive_fields"), ".receptive"),
        **dict.fromkeys(("Device", "Roofline", "roofline"), ".rooflines"),
        **dict.fromkeys(("Work", "work"), ".workload"),
    },
)
