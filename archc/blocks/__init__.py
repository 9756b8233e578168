"""Block types and layers: what may be written of each, and what it computes."""

from archc.blocks.base import (
    MAX_BLOCKS,
    Stage,
    StageAttributes,
    block_types,
    register,
    unregister,
)
from archc.blocks.lowering import Style

__all__ = [
    "MAX_BLOCKS",
    "Stage",
    "StageAttributes",
    "Style",
    "block_types",
    "register",
    "unregister",
]
