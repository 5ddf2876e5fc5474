"""Candidates in the order of a number, lowest first. Knows nothing of what the number means."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from pagedviz.memory.eviction.protocol import CachedBlock

Entry = tuple[float, int, CachedBlock]
"""(rank, the order in which it was added, block): the order decides between equal ranks."""

SLACK = 64
"""So many stale entries are not worth a rebuild."""


class Ranking:
    """A heap of blocks. Among equal ranks the one that was added first is the lowest.

    A removed block leaves its entry in the heap, stale, until that comes to the top. Once stale entries
    outnumber the others the heap is built anew, so that it stays bounded and each call costs O(log n).
    """

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._heap: list[Entry] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, block: int) -> bool:
        return block in self._entries

    def block(self, block: int) -> CachedBlock:
        """The candidate with this block id."""
        return self._entries[block][2]

    def rank(self, block: int) -> float:
        """The rank that it was added with."""
        return self._entries[block][0]

    def add(self, block: CachedBlock, rank: float) -> None:
        """Rank a block that is not in here."""
        entry = (rank, next(self._order), block)
        self._entries[block.block] = entry
        heappush(self._heap, entry)

    def remove(self, block: int) -> None:
        """Forget a block."""
        del self._entries[block]
        if len(self._heap) > 2 * len(self._entries) + SLACK:
            self._heap = list(self._entries.values())
            heapify(self._heap)

    def first(self) -> CachedBlock:
        """The lowest block. There is one."""
        while not self._is_live(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][2]

    def lowest(self, number: int) -> list[int]:
        """The ids of the ``number`` lowest blocks, in order. There are as many."""
        if number == 1:  # by far the most frequent
            return [self.first().block]
        found: list[Entry] = []
        while len(found) < number:
            entry = heappop(self._heap)
            if self._is_live(entry):
                found.append(entry)
        for entry in found:
            heappush(self._heap, entry)
        return [entry[2].block for entry in found]

    def _is_live(self, entry: Entry) -> bool:
        return self._entries.get(entry[2].block) is entry
