"""A dry run: would this step fit? Counts blocks, and touches nothing.

The scheduler plans with it, so that a step whose plan stands cannot run out of blocks half way. Counts are
exact: content that several sequences of one plan bring up from the host tier comes up once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pagedviz.memory.eviction import Key
from pagedviz.memory.prefix import Prefix

if TYPE_CHECKING:
    from pagedviz.memory.block_manager import BlockManager


class DryRun:
    """What the tiers would look like after some writes, releases, hits and swaps.

    Attributes:
        num_free: device blocks that would be free, or idle and so could be evicted. Below 0: it does not fit.
        num_host_free: the same of the host tier.
        num_taken: free device blocks that would be handed out on the way.
    """

    def __init__(self, manager: BlockManager) -> None:
        self._manager = manager
        self._dropped: Counter[tuple[str, int]] = Counter()
        self._revived: set[int] = set()
        self._brought: set[Key] = set()
        self.num_free = manager.device.num_available
        self.num_host_free = manager.host.num_available
        self.num_taken = 0

    def copy(self) -> DryRun:
        """A dry run that goes on from here on its own."""
        other = DryRun(self._manager)
        other._dropped, other._revived = Counter(self._dropped), set(self._revived)
        other._brought = set(self._brought)
        other.num_free, other.num_host_free = self.num_free, self.num_host_free
        other.num_taken = self.num_taken
        return other

    def write(self, sequence: int, start: int, count: int, have: int | None = None) -> None:
        """Count the writing of positions ``start`` to ``start + count - 1`` as done.

        ``have``: blocks that each table will have by then, if not those that it has.
        """
        copied = self._copied(sequence, start) if have is None else []
        blocks = -(-(start + count) // self._manager.block_size)
        lengths = [len(t) for t in self._manager.tables(sequence)] if have is None else [have] * self._groups
        self.take(len(copied) + sum(max(0, blocks - length) for length in lengths))
        self._dropped.update(copied)

    def release(self, sequences: Iterable[int]) -> None:
        """Count the release of sequences that have not been written to in this dry run as done."""
        for sequence in sequences:
            for table in self._manager.tables(sequence):
                for block in table:
                    self._dropped["device", block] += 1
                    self.num_free += self._owners("device", block) == 0

    def swap_out(self, sequences: Iterable[int]) -> None:
        """Count the move of these sequences' blocks to the host tier as done."""
        sequences = list(sequences)
        self.num_host_free -= len(self._blocks(sequences))
        self.release(sequences)

    def swap_in(self, sequences: Iterable[int]) -> None:
        """Count the return of these sequences' blocks to the device as done."""
        manager = self._manager
        seen: set[int] = set()
        for sequence in sequences:
            hashes = manager.hashes(sequence)
            for group, table in enumerate(manager.tables(sequence)):
                for logical, block in enumerate(table):
                    if block not in seen:
                        seen.add(block)
                        self._come_up((group, hashes[logical]) if logical < len(hashes) else None)

    def hit(self, prefix: Prefix) -> None:
        """Count the blocks of a prefix as owned: those in the host tier come up to the device."""
        for content in prefix.names[: prefix.found]:
            for group in range(self._groups):
                self._come_up((group, content))

    def take(self, count: int) -> None:
        """Count so many free device blocks as handed out."""
        self.num_free -= count
        self.num_taken += count

    def _come_up(self, key: Key | None) -> None:
        """Somebody owns the content on the device; without a name it is nobody else's."""
        device = self._manager.device
        there = device.find(key) if key else None
        if there is not None:
            if there not in self._revived and device.is_idle(there):
                self._revived.add(there)  # it can no longer be evicted
                self.num_free -= 1
        elif key is None or device.cache is None or key not in self._brought:
            self.take(1)
            if key is not None:
                self._brought.add(key)

    @property
    def _groups(self) -> int:
        return self._manager.num_groups

    def _owners(self, tier: str, block: int) -> int:
        return self._manager.tiers[tier].pool.refcount(block) - self._dropped[tier, block]

    def _blocks(self, sequences: Iterable[int]) -> set[int]:
        return {block for s in sequences for table in self._manager.tables(s) for block in table}

    def _copied(self, sequence: int, start: int) -> list[tuple[str, int]]:
        """The shared blocks that copy-on-write would copy: writes begin in the middle of them."""
        first = start // self._manager.block_size
        tier = self._manager.tier_of(sequence).name
        tables = self._manager.tables(sequence)
        return [(tier, t[first]) for t in tables if first < len(t) and self._owners(tier, t[first]) > 1]
