"""How quick a network's module is, beside what the hardware allows."""

from archc.choices import TIMED_DTYPES as DTYPES
from archc.timing.run import BenchOptions, BenchResult, at_best, bench
from archc.timing.timing import Rates

__all__ = ["DTYPES", "BenchOptions", "BenchResult", "Rates", "at_best", "bench"]
