"""First in, first out: age since a content was first cached, whatever was found since."""

from __future__ import annotations

from pagedviz.memory.eviction.base import Ranked
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates


class FIFO(Ranked):
    """Evicts the content that was cached first. It keeps its age while in use and when it is found."""

    name = "fifo"
    summary = "first cached goes first, however often it was found"

    def rank(self, block: CachedBlock) -> float:
        """Its number among all contents ever cached."""
        return block.serial

    def explain(self, block: int) -> str:
        """When it was cached."""
        born = self._ranking.block(block).born
        return f"first in, first out: cached since step {born}, {of_candidates(len(self._ranking))}"
