"""What was timed in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.shown import Shown
from archc.timing.run import BenchResult


class Timings(Shown, list[BenchResult]):
    """The results of a benchmark, one for each network and batch size."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The results as plain data, times in seconds and memory in bytes; what a result has in
        parts has keys such as ``latency_median``, as in the command's CSV."""
        return [_flat(one.as_dict()) for one in self]


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in record.items() if not isinstance(value, dict)}
    parts = {key: value for key, value in record.items() if isinstance(value, dict)}
    return plain | {
        f"{key}_{name}": one for key, part in parts.items() for name, one in part.items()
    }
