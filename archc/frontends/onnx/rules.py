"""The rules for ONNX's operations: what they are called in torch, and which shapes they put out.

Which op an operation is stands in the op's record (`Op.onnx_names`); a rule says what its inputs
and attributes are in torch's terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from archc.frontends.onnx import constants, elements, fused, layouts, products, windows
from archc.frontends.onnx.reading import Rule
from archc.ops.foreign import EVERY_OP

BY_KIND: Mapping[str, tuple[Rule, ...]] = {
    **windows.BY_KIND,
    **elements.BY_KIND,
    **products.BY_KIND,
    **layouts.BY_KIND,
}
"""By the kinds of ops: a rule for each of the names in an op's record."""

OTHERS: Mapping[str, Rule] = {
    **windows.OTHERS,
    **elements.OTHERS,
    **products.OTHERS,
    **layouts.OTHERS,
    **constants.OTHERS,
    **fused.OTHERS,
}
"""For operations that are no op of archc by themselves, by domain and name; those of ONNX itself
have no domain."""


@cache
def rules() -> Mapping[str, Rule]:
    """The rules by the operations' domains and names.

    An operation that several ops go by has the rule of the first that has one; one of which no op
    has a rule acts on each element, and has no numbers.
    """
    found: dict[str, Rule] = dict(OTHERS)
    for op in EVERY_OP.values():
        for name, rule in zip(op.onnx_names, BY_KIND.get(op.kind, ()), strict=False):
            found.setdefault(name, rule)
    for op in EVERY_OP.values():
        for name in op.onnx_names:
            if name not in found and op.torch.exported:
                found[name] = elements.named(op.torch.exported[0])
    return found
