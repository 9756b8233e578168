"""How quick a network's module is, beside what the hardware allows."""

from archc.choices import TIMED_DTYPES as DTYPES
from archc.timing.run import BenchOptions, BenchResult, at_best, bench
from archc.timing.timing import Rates
from archc.timing.timings import Timings

__all__ = ["DTYPES", "BenchOptions", "BenchResult", "Rates", "Timings", "at_best", "bench"]
