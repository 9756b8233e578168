"""What the author wrote: reading YAML with positions, extends and with, diagnostics."""

from archc.source.diagnostics import Diagnostic, Note, Place, Source, SpecError
from archc.spec.models import Spec
from archc.spec.resolve import load_spec, resolve

__all__ = ["Diagnostic", "Note", "Place", "Source", "Spec", "SpecError", "load_spec", "resolve"]
