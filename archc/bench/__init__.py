"""How quick a network's module is, beside what the hardware allows."""

from archc.bench.run import BenchOptions, BenchResult, at_best, bench
from archc.bench.timing import Rates
from archc.running import DTYPES

__all__ = ["DTYPES", "BenchOptions", "BenchResult", "Rates", "at_best", "bench"]
