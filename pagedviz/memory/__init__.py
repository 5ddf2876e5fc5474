"""The operating-system part: who owns which block. No torch, no model; see ``block_manager``."""

from pagedviz.memory.block_manager import BlockManager
from pagedviz.memory.dry_run import DryRun
from pagedviz.memory.eviction import POLICIES, CachedBlock, EvictionPolicy
from pagedviz.memory.moving import Moved
from pagedviz.memory.placement import PLACEMENTS, Placement
from pagedviz.memory.prefix import Prefix
from pagedviz.memory.swapping import Swapper

__all__ = [
    "PLACEMENTS",
    "POLICIES",
    "BlockManager",
    "CachedBlock",
    "DryRun",
    "EvictionPolicy",
    "Moved",
    "Placement",
    "Prefix",
    "Swapper",
]
