"""What ``archc count`` shows: for each view its JSON, its tables and its CSV."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archc import api
from archc.backends.table import Table
from archc.choices import CONVENTIONS, ConventionName, Level
from archc.cli.common import put_out, put_out_tables
from archc.cli.terminal import say
from archc.dataclassing import dataclass
from archc.graph import Network
from archc.tables import counts as count_tables

if TYPE_CHECKING:
    from pathlib import Path


class View(ABC):
    """The results for several networks, in every format."""

    @abstractmethod
    def records(self) -> list[dict[str, Any]]:
        """The results as plain data, one for each network."""

    @abstractmethod
    def tables(self, names: Sequence[str]) -> list[Table]:
        """The tables that people read."""

    @abstractmethod
    def csv(self, names: Sequence[str]) -> Table:
        """Everything in one table."""

    def notes(self, names: Sequence[str]) -> list[str]:
        """Lines that stand below the tables."""
        return []

    def warnings(self, names: Sequence[str], *, is_data: bool) -> list[str]:
        """Lines for stderr; with ``is_data`` the rest is for programs."""
        return []


def put_out_view(view: View, specs: Sequence[str], format_: str, output: Path | None) -> None:
    """Print a view, or write it to a file."""
    for line in view.warnings(specs, is_data=format_ in ("json", "csv")):
        say(f"archc: {line}", err=True)
    if format_ == "json":
        records = [
            {"name": record["name"], "spec": spec, **record}
            for spec, record in zip(specs, view.records(), strict=True)
        ]
        from archc.backends.jsontext import to_text

        put_out(to_text(records), output)
    elif format_ == "csv":
        put_out(view.csv(specs).csv(), output)
    else:
        put_out_tables(view.tables(specs), format_, output, view.notes(specs))


@dataclass
class Counts(View):
    """Parameters and FLOPs."""

    networks: Sequence[Network]
    by: Level
    convention: ConventionName

    def __post_init__(self) -> None:
        self.found = [api.count(one, self.by, self.convention) for one in self.networks]

    def records(self) -> list[dict[str, Any]]:
        """The counts."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One table by network; otherwise one for each network."""
        if self.by == "network":
            return [count_tables.compared(names, self.found)]
        return [count_tables.parts(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """A row for each network or part."""
        if self.by == "network":
            return count_tables.networks(names, self.found)
        return count_tables.all_parts(names, self.found)

    def warnings(self, names: Sequence[str], *, is_data: bool) -> list[str]:
        """The ops that the convention has no formula for, where its own table leaves them out."""
        told = is_data or self.convention != CONVENTIONS[0]
        return count_tables.silences(names, self.found) if told else []


@dataclass
class Explained(View):
    """All conventions side by side."""

    networks: Sequence[Network]

    def __post_init__(self) -> None:
        self.found = [api.explain(one) for one in self.networks]

    def records(self) -> list[dict[str, Any]]:
        """The explanations."""
        return [one.as_dict() for one in self.found]

    def tables(self, names: Sequence[str]) -> list[Table]:
        """One for each network."""
        return [count_tables.explained(one) for one in self.found]

    def csv(self, names: Sequence[str]) -> Table:
        """A row for each addition."""
        return count_tables.all_explained(names, self.found)

    def notes(self, names: Sequence[str]) -> list[str]:
        """The tools and how they count; of several networks, once."""
        return count_tables.notes(self.found)
