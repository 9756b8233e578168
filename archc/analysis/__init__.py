"""Facts about a network: functions from a `Network` to typed results."""

from archc.analysis.compare import Comparison, compare
from archc.analysis.conventions import CONVENTIONS, Convention, Explanation, explain
from archc.analysis.count import LEVELS, Count, Level, Row, count
from archc.analysis.memory import DTYPES, Memory, memory
from archc.analysis.receptive import Field, Fields, receptive_fields
from archc.analysis.roofline import Device, Roofline, roofline
from archc.analysis.work import Work, work

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
    "Level",
    "Memory",
    "Roofline",
    "Row",
    "Work",
    "compare",
    "count",
    "explain",
    "memory",
    "receptive_fields",
    "roofline",
    "work",
]
