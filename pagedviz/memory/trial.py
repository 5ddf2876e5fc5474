"""A dry run: would this step fit? Counts blocks exactly, and touches nothing.

The scheduler plans with it, so that a step whose plan stands cannot run out of blocks half way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.memory.block_manager import BlockManager


class Trial:
    """What the pool would look like after some writes and releases.

    Attributes:
        num_free: blocks that would be free.
    """

    def __init__(self, manager: BlockManager) -> None:
        self._manager = manager
        self._dropped: Counter[int] = Counter()
        self.num_free = manager.pool.num_free

    def copy(self) -> Trial:
        """A trial that goes on from here on its own."""
        other = Trial(self._manager)
        other._dropped, other.num_free = Counter(self._dropped), self.num_free
        return other

    def write(self, sequence: int, start: int, count: int) -> None:
        """Count the writing of positions ``start`` to ``start + count - 1`` as done.

        ``num_free`` goes below 0 when the pool has too few blocks for it.
        """
        copied = self._copied(sequence, start)
        self.num_free -= len(copied) + sum(self._missing(sequence, start + count))
        self._dropped.update(copied)

    def release(self, sequences: Iterable[int]) -> None:
        """Count the release of sequences that have not been written to in this trial as done."""
        for sequence in sequences:
            for table in self._manager.tables(sequence):
                for block in table:
                    self._dropped[block] += 1
                    self.num_free += self._owners(block) == 0

    def _owners(self, block: int) -> int:
        return self._manager.pool.refcount(block) - self._dropped[block]

    def _copied(self, sequence: int, start: int) -> list[int]:
        """The shared blocks that copy-on-write would copy: writes begin in the middle of them."""
        first = start // self._manager.block_size
        tables = self._manager.tables(sequence)
        return [table[first] for table in tables if first < len(table) and self._owners(table[first]) > 1]

    def _missing(self, sequence: int, end: int) -> list[int]:
        blocks = -(-end // self._manager.block_size)
        return [max(0, blocks - len(table)) for table in self._manager.tables(sequence)]
