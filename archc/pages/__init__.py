"""A report on networks: one HTML file with figure, tables and source, that needs nothing else."""

from archc.pages.page import report

__all__ = ["report"]
