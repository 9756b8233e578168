"""Facts about a network: functions from a `Network` to typed results."""

from archc.analysis.count import CONVENTIONS, LEVELS, Count, Level, Row, count

__all__ = ["CONVENTIONS", "LEVELS", "Count", "Level", "Row", "count"]
