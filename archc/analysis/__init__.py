"""Facts about a network: functions from a `Network` to typed results."""

from archc.analysis.count import CONVENTIONS, LEVELS, Count, Level, Row, count
from archc.analysis.work import Work, work

__all__ = ["CONVENTIONS", "LEVELS", "Count", "Level", "Row", "Work", "count", "work"]
