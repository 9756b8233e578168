"""Proof that what was emitted is the graph: translation validation."""

from archc.running import BACKENDS
from archc.verify.check import CHECKS, Options, verify
from archc.verify.report import Fault, Report, Row

__all__ = ["BACKENDS", "CHECKS", "Fault", "Options", "Report", "Row", "verify"]
