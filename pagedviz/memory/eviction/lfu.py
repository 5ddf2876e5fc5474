"""Least frequently used: counts since a content was cached. Forgets nothing while it is cached."""

from __future__ import annotations

from pagedviz.memory.eviction.base import Ranked
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates


class LFU(Ranked):
    """Evicts the block that requests found least often; among equals the least recently used."""

    name = "lfu"
    summary = "least often found goes first"

    def rank(self, block: CachedBlock) -> float:
        """How often it was found."""
        return block.hits

    def explain(self, block: int) -> str:
        """How often it was found, and when it was last used."""
        cached = self._ranking.block(block)
        return (
            f"least frequently used: found {cached.hits} times, last used in step {cached.used}, "
            f"{of_candidates(len(self._ranking))}"
        )
