"""A dry run: would this step fit, and what would it cause? Counts blocks, and touches nothing.

The scheduler plans with it, so that a step whose plan stands cannot run out of blocks half way; what a plan will do
to memory is foretold with it. Counts are exact: content that several sequences of one plan bring up from the host
tier comes up once. Which blocks a policy would evict is not asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from typing import TYPE_CHECKING

from pagedviz.memory.eviction import Key
from pagedviz.memory.prefix import Prefix

if TYPE_CHECKING:
    from pagedviz.memory.block_manager import BlockManager


Entry = tuple[int, int, int]
"""(sequence, layer group, logical block): a place in a block table."""


class DryRun:
    """What the tiers would look like after some writes, releases, hits and swaps.

    Attributes:
        free: tier -> blocks that would be free. Below 0: as many are missing, and must be evicted.
        idle: tier -> cached blocks that would have no owner, and could be evicted.
        num_taken: free device blocks that would be handed out on the way.
        num_brought: device blocks among them whose content would come up from the host tier.
        let_go: named device blocks that would lose their last owner, in this order, and stay cached.
        sent_down: named device blocks whose content, with its name, would go to the host tier with its last owner.
        revived: cached device blocks that would have an owner again, in this order.
    """

    def __init__(self, manager: BlockManager) -> None:
        self._manager = manager
        self._dropped: Counter[tuple[str, int]] = Counter()
        self._brought: set[Key] = set()
        self.free = {name: tier.pool.num_free for name, tier in manager.tiers.items()}
        self.idle = {name: tier.num_idle for name, tier in manager.tiers.items()}
        self.num_taken = self.num_brought = 0
        self.let_go: list[int] = []
        self.sent_down: list[int] = []
        self.revived: dict[int, None] = {}

    @property
    def num_free(self) -> int:
        """Device blocks that would be free, or idle and so could be evicted. Below 0: it does not fit."""
        return self.free["device"] + self.idle["device"]

    @property
    def num_host_free(self) -> int:
        """The same of the host tier."""
        return self.free["host"] + self.idle["host"]

    def copy(self) -> DryRun:
        """A dry run that goes on from here on its own."""
        other = copy(self)
        for name in ("_dropped", "_brought", "free", "idle", "let_go", "sent_down", "revived"):
            setattr(other, name, copy(getattr(self, name)))
        return other

    def write(self, sequence: int, start: int, count: int, have: int | None = None) -> list[Entry]:
        """Count the writing of positions ``start`` to ``start + count - 1`` as done.

        Returns the table entries that copy-on-write would replace.

        Args:
            sequence: whose positions.
            start: the first position.
            count: how many.
            have: blocks that each table will have by then, if not those that it has.
        """
        copied = self._copied(sequence, start) if have is None else []
        blocks = -(-(start + count) // self._manager.block_size)
        lengths = [len(t) for t in self._manager.tables(sequence)] if have is None else [have] * self._groups
        self.take(len(copied) + sum(max(0, blocks - length) for length in lengths))
        return copied

    def release(self, sequences: Iterable[int]) -> None:
        """Count the release of sequences that have not been written to in this dry run as done."""
        for block in self._ownerless(sequences):
            if self._named(block):
                self.let_go.append(block)
                self.idle["device"] += 1
            else:
                self.free["device"] += 1

    def swap_out(self, sequences: Iterable[int]) -> None:
        """Count the move of these sequences' blocks to the host tier as done."""
        sequences = list(sequences)
        self.free["host"] -= len({block for s in sequences for table in self._manager.tables(s) for block in table})
        for block in self._ownerless(sequences):
            self.free["device"] += 1
            if self._named(block):
                self.sent_down.append(block)

    def swap_in(self, sequences: Iterable[int]) -> None:
        """Count the return of these sequences' blocks to the device as done."""
        manager = self._manager
        seen: set[int] = set()
        for sequence in sequences:
            hashes = manager.names.of(sequence)
            for logical, blocks in enumerate(zip(*manager.tables(sequence), strict=True)):
                for group, block in enumerate(blocks):
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
        self.free["device"] -= count
        self.num_taken += count

    def _come_up(self, key: Key | None) -> None:
        """Somebody owns the content on the device; without a name it is nobody else's."""
        device, host = self._manager.device, self._manager.host
        there = device.find(key) if key else None
        if there is not None:
            if there not in self.revived and device.is_idle(there):
                self.revived[there] = None  # it can no longer be evicted
                self.idle["device"] -= 1
        elif key is None or device.cache is None or key not in self._brought:
            self.take(1)
            self.num_brought += 1
            if key is not None:
                self._brought.add(key)
                below = host.find(key)
                if below is not None and host.is_idle(below):
                    self.idle["host"] -= 1  # nor can this one, until it has come up

    @property
    def _groups(self) -> int:
        return self._manager.num_groups

    def _named(self, block: int) -> bool:
        cache = self._manager.device.cache
        return cache is not None and cache.entry(block) is not None

    def _owners(self, tier: str, block: int) -> int:
        return self._manager.tiers[tier].pool.refcount(block) - self._dropped[tier, block]

    def _ownerless(self, sequences: Iterable[int]) -> Iterator[int]:
        """The device blocks that nobody owns once these sequences have none: as they go, the last one first."""
        for sequence in sequences:
            for table in self._manager.tables(sequence):
                for block in reversed(table):
                    self._dropped["device", block] += 1
                    if self._owners("device", block) == 0:
                        yield block

    def _copied(self, sequence: int, start: int) -> list[Entry]:
        """The shared blocks that copy-on-write would copy: writes begin in the middle of them."""
        first = start // self._manager.block_size
        tier = self._manager.tier_of(sequence).name
        copied = []
        for group, table in enumerate(self._manager.tables(sequence)):
            if first < len(table) and self._owners(tier, table[first]) > 1:
                self._dropped[tier, table[first]] += 1
                copied.append((sequence, group, first))
        return copied
