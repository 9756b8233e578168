"""Block types and layers: what may be written of each, and what it computes."""

from archc.blocks.around import Around, Norm
from archc.blocks.definition import MAX_BLOCKS, Definition, Stage, StageAttributes
from archc.blocks.library import STANDARD, Library

__all__ = [
    "MAX_BLOCKS",
    "STANDARD",
    "Around",
    "Definition",
    "Library",
    "Norm",
    "Stage",
    "StageAttributes",
]
