"""A network as PyTorch source that reads as if written by hand."""

from archc.backends.pytorch.source import CLASSES, emit

__all__ = ["CLASSES", "emit"]
