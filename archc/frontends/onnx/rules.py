"""The rules for ONNX's operations: what they are called in torch, and which shapes they put out."""

from __future__ import annotations

from archc.frontends.onnx import constants, elements, layouts, products, windows
from archc.frontends.onnx.reading import Rule

RULES: dict[str, Rule] = {
    **windows.RULES,
    **elements.RULES,
    **products.RULES,
    **layouts.RULES,
    **constants.RULES,
}
"""The operations by their domain and name; those of ONNX itself have no domain."""
