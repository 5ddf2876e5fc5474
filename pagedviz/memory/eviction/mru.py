"""Most recently used: right for loops that are longer than the cache, and wrong for nearly all else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pagedviz.memory.eviction.base import Queued
from pagedviz.memory.eviction.protocol import of_candidates


class MRU(Queued):
    """Evicts the block that was let go of last."""

    name = "mru"
    summary = "most recently used goes first: for loops longer than the cache"

    def victims(self, count: int) -> Sequence[int]:
        """The end of the queue, the last first."""
        return list(islice(reversed(self._queue), count))

    def explain(self, block: int) -> str:
        """When it was last used."""
        used = self._queue[block].used
        return f"most recently used: last used in step {used}, {of_candidates(len(self._queue))}"
