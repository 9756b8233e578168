"""A network as PyTorch source that reads as if written by hand."""

from archc.backends.pytorch.source import CLASSES, EmitError, emit, writable

__all__ = ["CLASSES", "EmitError", "emit", "writable"]
