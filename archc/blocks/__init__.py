"""Block types and layers: what may be written of each, and what it computes."""

from archc.blocks.base import MAX_BLOCKS, Stage, StageAttributes
from archc.blocks.library import STANDARD, BlockType, Library
from archc.blocks.lowering import Style

__all__ = [
    "MAX_BLOCKS",
    "STANDARD",
    "BlockType",
    "Library",
    "Stage",
    "StageAttributes",
    "Style",
]
