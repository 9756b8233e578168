"""How quick a network's module is, beside what the hardware allows."""

from archc.bench.run import DTYPES, BenchOptions, BenchResult, bench
from archc.bench.timing import Rates

__all__ = ["DTYPES", "BenchOptions", "BenchResult", "Rates", "bench"]
