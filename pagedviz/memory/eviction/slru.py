"""Segmented LRU: blocks that were found are protected from those that nobody has asked for twice.

Karedla, Love and Wherry, "Caching strategies to improve disk system performance" (IEEE Computer, 1994).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain, islice

from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates

PROTECTED = 0.8
"""Share of the tier's blocks that may be protected, as in Caffeine."""


class SLRU(Policy):
    """Two LRU queues. New blocks go to probation, found ones to the protected segment.

    When that is full, its least recently used goes back to probation, as the most recently used there.
    """

    name = "slru"
    summary = "segmented LRU: blocks never found go before those that were"

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._room = int(capacity * PROTECTED)
        self._probation: OrderedDict[int, CachedBlock] = OrderedDict()
        self._protected: OrderedDict[int, CachedBlock] = OrderedDict()

    def add(self, block: CachedBlock) -> None:
        """Put it at the end of its segment."""
        if not block.hits:
            self._probation[block.block] = block
            return
        self._protected[block.block] = block
        if len(self._protected) > self._room:
            demoted, cached = self._protected.popitem(last=False)
            self._probation[demoted] = cached

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: ARG002, FBT001 - the protocol's
        """Take it out of its segment."""
        segment = self._probation if block.block in self._probation else self._protected
        del segment[block.block]

    def victims(self, count: int) -> Sequence[int]:
        """Probation first, each segment from its least recently used."""
        return list(islice(chain(self._probation, self._protected), count))

    def explain(self, block: int) -> str:
        """Its segment, and when it was last used."""
        on_probation = block in self._probation
        segment = self._probation if on_probation else self._protected
        where = "on probation" if on_probation else "protected, and nobody is on probation"
        total = len(self._probation) + len(self._protected)
        return (
            f"least recently used of {len(segment)} {where}: last used in step {segment[block].used}, "
            f"{of_candidates(total)}"
        )
