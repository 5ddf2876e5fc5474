"""One tier: its pool and the names of its full blocks. Decides what becomes of a block that nobody owns.

Emits what happens to blocks without an owner: freed, cached, evicted. Knows nothing of sequences or tables.
"""

from __future__ import annotations

from itertools import islice

from pagedviz.events import BlockCached, BlockEvicted, BlockFreed, Emit
from pagedviz.memory.eviction import CachedBlock, Key, make_policy
from pagedviz.memory.eviction.protocol import EvictionPolicy
from pagedviz.memory.pool import BlockPool
from pagedviz.memory.prefix_cache import PrefixCache


class Tier:
    """Blocks of one tier: free, owned, or idle (named, without an owner).

    Attributes:
        name: ``"device"`` or ``"host"``.
        cache: None when no block is kept after its last owner is gone.
        step: number of the step that happens now.
    """

    def __init__(
        self, name: str, num_blocks: int, emit: Emit, eviction: str | EvictionPolicy | None, seed: int = 0
    ) -> None:
        self.name = name
        self.pool = BlockPool(num_blocks)
        self.cache = None if eviction is None else PrefixCache(make_policy(eviction, num_blocks, seed))
        self.step = 0
        self._pinned: list[CachedBlock] = []
        self._emit = emit
        self._lost: dict[Key, tuple[int, str]] = {}

    @property
    def num_idle(self) -> int:
        """Blocks that are kept for their content only."""
        return self.cache.num_idle if self.cache else 0

    @property
    def num_available(self) -> int:
        """Blocks that are free, or idle and so could be evicted."""
        return self.pool.num_free + self.num_idle

    def set_step(self, step: int) -> None:
        """Note whatever is cached, used, evicted or lost from here on with this step's number.

        A step that failed gives its number back, and the next one has it again. What it evicted and cached before
        it failed stays so, and is counted to ``step``, the last one that did not fail.
        """
        if step < self.step:
            self._lost = {key: (min(when, step), policy) for key, (when, policy) in self._lost.items()}
            if self.cache is not None:
                self.cache.set_back(step)
        self.step = step

    def find(self, key: Key) -> int | None:
        """The block with this content."""
        entry = self.cache.find(key) if self.cache else None
        return entry.block if entry else None

    def names(self) -> set[Key]:
        """The content that the tier has under a name."""
        return self.cache.names if self.cache else set()

    def is_idle(self, block: int) -> bool:
        """True if only the cache has the block."""
        return self.cache is not None and self.cache.is_idle(block)

    def own(self, block: int) -> int:
        """Add an owner to a block that is owned or idle; returns how many there are now."""
        entry = self.cache.entry(block) if self.cache else None
        if entry is not None and self.cache is not None and self.cache.is_idle(block):
            self.cache.revive(entry)
        return self.pool.share(block)

    def keep(self, block: int, used: int) -> None:
        """Let the cache keep a block that has a name and no owner; its last use was in step ``used``."""
        entry = self.cache.entry(block) if self.cache else None
        if entry is not None and self.cache is not None:
            self.cache.retire(entry, used)

    def count_hit(self, key: Key) -> None:
        """A request found this content; policies go by how often."""
        entry = self.cache.find(key) if self.cache else None
        if entry is not None:
            entry.hits += 1

    def pin(self, key: Key) -> None:
        """Keep the idle block with this content, if there is one, from being evicted until ``unpin``."""
        entry = self.cache.find(key) if self.cache else None
        if entry is not None and self.cache is not None and self.cache.is_idle(entry.block):
            self.cache.revive(entry)
            self._pinned.append(entry)

    def unpin(self) -> None:
        """Give back to the policy what was pinned and has found no owner."""
        for entry in self._pinned:
            assert self.cache is not None
            if self.cache.entry(entry.block) is entry and self.pool.refcount(entry.block) == 0:
                self.cache.retire(entry, entry.used)
        self._pinned.clear()

    def let_go(self, group: int, block: int) -> bool:
        """The block's last owner is gone: keep it if it has a name; returns whether it was kept."""
        cache = self.cache
        entry = cache.entry(block) if cache else None
        if entry is None or cache is None:
            self.give_up(group, block)
            return False
        cache.retire(entry, self.step)
        self._emit(BlockCached(self.name, group, block, entry.key[1]))
        return True

    def give_up(self, group: int, block: int) -> None:
        """Free a block that has neither owner nor name."""
        self.pool.free(block)
        self._emit(BlockFreed(self.name, group, block))

    def forget(self, key: Key) -> None:
        """Let nobody find this content any more; who owns its block keeps that."""
        entry = self.cache.find(key) if self.cache else None
        if entry is None or self.cache is None:
            return
        if self.cache.is_idle(entry.block):
            self.cache.revive(entry)
        self.cache.unname(entry)
        if self.pool.refcount(entry.block) == 0:
            self.give_up(key[0], entry.block)

    def drop_name(self, block: int) -> CachedBlock | None:
        """Take an owned block's name away, because another block bears it now."""
        entry = self.cache.entry(block) if self.cache else None
        if entry is not None and self.cache is not None:
            self.cache.unname(entry)
        return entry

    def evict(self, chosen: list[tuple[CachedBlock, str]], *, lost: bool = True) -> None:
        """Free idle blocks that the policy chose. ``lost``: no other tier keeps their content."""
        if not chosen:
            return
        assert self.cache is not None
        cache, free, emit, name, step = self.cache, self.pool.free, self._emit, self.name, self.step
        policy = cache.policy_name
        for entry, why in chosen:
            group, content = entry.key
            cache.evict(entry)
            free(entry.block)
            emit(BlockEvicted(name, group, entry.block, content, policy, why, step - entry.used))
        if lost:
            self._remember([entry.key for entry, _ in chosen], policy)

    def victims(self, count: int) -> list[tuple[CachedBlock, str]]:
        """The policy's choice; see ``PrefixCache.victims``."""
        if count <= 0:
            return []
        assert self.cache is not None
        assert count <= self.cache.num_idle, "the scheduler plans with blocks that there are"
        return self.cache.victims(count)

    def lost(self, key: Key) -> tuple[int, str] | None:
        """In which step, and by which policy, this content was lost here, if that is not too long ago."""
        return self._lost.get(key)

    def _remember(self, keys: list[Key], policy: str) -> None:
        how = (self.step, policy)
        for key in keys:
            self._lost.pop(key, None)  # lost again, it goes to the end
            self._lost[key] = how
        if len(self._lost) > 4 * self.pool.num_blocks:
            # The oldest come first. Many go at a time, as a dict is slow to find its first entry when those before
            # it were deleted: it walks over their places.
            for key in list(islice(self._lost, self.pool.num_blocks)):
                del self._lost[key]

    def clear(self) -> int:
        """Free all idle blocks and forget all names, without an event for each; returns how many were freed."""
        if self.cache is None:
            return 0
        idle = self.cache.clear()
        for block in idle:
            self.pool.free(block)
        self._lost.clear()
        return len(idle)

    def check(self, owners: dict[int, int]) -> None:
        """Compare with the number of table entries that name each block.

        Raises:
            AuditError: they contradict each other.
        """
        idle = self.cache.idle if self.cache else set()
        self.pool.check(owners, idle)
        if self.cache is not None:
            self.cache.check(owners)
