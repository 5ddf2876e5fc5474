"""The operating-system part: who owns which block. No torch, no model; see ``block_manager``."""

from pagedviz.memory.block_manager import BlockManager
from pagedviz.memory.trial import Trial

__all__ = ["BlockManager", "Trial"]
