"""Proof that what was emitted is the graph: translation validation."""

from archc.choices import BACKENDS
from archc.verification.check import CHECKS, Options, verify
from archc.verification.report import Fault, Report, Row

__all__ = ["BACKENDS", "CHECKS", "Fault", "Options", "Report", "Row", "verify"]
