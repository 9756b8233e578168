"""A network as PyTorch source that reads as if written by hand."""

from archc.backends.pytorch.source import emit

__all__ = ["emit"]
