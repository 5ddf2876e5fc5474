"""Least recently used: what was not needed for longest will not be needed soon."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pagedviz.memory.eviction.base import Queued
from pagedviz.memory.eviction.protocol import of_candidates


class LRU(Queued):
    """Evicts the block whose last owner let go of it longest ago. The default, as in vLLM."""

    name = "lru"
    summary = "least recently used goes first"

    def victims(self, count: int) -> Sequence[int]:
        """The front of the queue."""
        return list(islice(self._queue, count))

    def explain(self, block: int) -> str:
        """When it was last used."""
        used = self._queue[block].used
        return f"least recently used: last used in step {used}, {of_candidates(len(self._queue))}"
