"""Sweeps over the variants of a spec: their numbers, exactly, by the thousand."""

from archc.errors import SweepError
from archc.spec.factor import Factor
from archc.sweeps.axes import Axis, parse_axes
from archc.sweeps.bounds import Bounds, parse_bounds, parse_order
from archc.sweeps.plan import METRICS, Plan, Unbuildable, Variant
from archc.sweeps.rows import RowsFile
from archc.sweeps.run import Outcome, run

__all__ = [
    "METRICS",
    "Axis",
    "Bounds",
    "Factor",
    "Outcome",
    "Plan",
    "RowsFile",
    "SweepError",
    "Unbuildable",
    "Variant",
    "parse_axes",
    "parse_bounds",
    "parse_order",
    "run",
]
