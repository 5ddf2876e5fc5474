"""Who owns which block: block tables, sharing, copy-on-write, prefix hits. Emits what happens to table entries.

It decides ownership only. Whether a step fits is asked with a ``DryRun``; who runs is decided in
``engine/schedule``; where a position lies in memory in ``engine/batch``; what moves between the tiers in
``swapping``; tensors are copied by the caller. What full blocks are called is kept in ``names``.

A sequence has one block table per group of layers, all in one tier. All tables of a tier draw from one pool,
as a process's mappings draw from one RAM.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pagedviz.errors import ConfigError
from pagedviz.events import (
    BlockAllocated,
    BlockCopied,
    BlockFilled,
    BlockReleased,
    BlockShared,
    Emit,
    PrefixCacheReset,
    discard,
)
from pagedviz.memory.consistency import check_consistency
from pagedviz.memory.dry_run import DryRun
from pagedviz.memory.eviction import EvictionPolicy, Key, make_policy
from pagedviz.memory.names import Names
from pagedviz.memory.prefix import Prefix, PrefixFinder
from pagedviz.memory.tier import Tier

BlockTable = list[int]
Copy = tuple[int, int]
"""(source block, target block)."""


class BlockManager:
    """Block tables over a device tier and, if ``num_host_blocks``, a host tier; ``block_size`` slots a block.

    Every method that changes tables either does all of its work or, where a caller undoes a step with
    ``rollback``, none of it.

    Args:
        caching: keep full blocks after their last owner is gone, until ``eviction`` chooses them.
    """

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        num_groups: int = 1,
        emit: Emit = discard,
        *,
        num_host_blocks: int = 0,
        caching: bool = False,
        eviction: str | EvictionPolicy = "lru",
        seed: int = 0,
    ) -> None:
        self.block_size = block_size
        self.num_groups = num_groups
        self.emit = emit
        self._seed = seed
        self.device = Tier("device", num_blocks, emit, eviction if caching else None, seed)
        # A plug-in object serves one tier; the other one has the default policy.
        below = eviction if isinstance(eviction, str) else "lru"
        self.host = Tier("host", num_host_blocks, emit, below if caching else None, seed)
        self.tiers = {tier.name: tier for tier in (self.device, self.host)}
        self.finder = PrefixFinder(self.device, self.host, block_size, num_groups)
        self._tables: dict[int, list[BlockTable]] = {}
        self._swapped: set[int] = set()
        self.names = Names(block_size)
        self._undo: list[tuple[int, int, tuple[int, int] | None]] = []

    # -- questions -------------------------------------------------------------------------------------------

    def tables(self, sequence: int) -> Sequence[BlockTable]:
        """The sequence's block tables, one per group; empty lists if it has no blocks."""
        return self._tables.get(sequence) or [[] for _ in range(self.num_groups)]

    def tier_of(self, sequence: int) -> Tier:
        """Where the blocks of the sequence are."""
        return self.host if sequence in self._swapped else self.device

    def sequences(self) -> list[int]:
        """The sequences that have blocks."""
        return list(self._tables)

    def num_tokens(self, computed: Mapping[int, int]) -> int:
        """How many tokens have their K and V in the blocks of these sequences; what they share counts once.

        ``computed``: sequence -> how many of its tokens are in memory.
        """
        size = self.block_size
        fills = {
            block: min(size, count - logical * size)
            for sequence, count in computed.items()
            for logical, block in enumerate(self.tables(sequence)[0])
        }
        return sum(fills.values())

    def dry_run(self) -> DryRun:
        """A dry run from the present state."""
        return DryRun(self)

    # -- growing: undone by rollback -------------------------------------------------------------------------

    def begin(self) -> None:
        """From here ``rollback`` undoes every ``write``."""
        self._undo.clear()

    def write(self, sequence: int, start: int, count: int, reason: str) -> list[Copy]:
        """Make positions ``start`` to ``start + count - 1`` writable by this sequence alone.

        Missing blocks are allocated; a shared block that would be written into is copied first. Returns
        the (source, target) pairs whose content the caller must copy before it writes. There must be enough
        free blocks (``DryRun`` counts them, ``swapping.make_room`` evicts for them).
        """
        size = self.block_size
        tables = self._tables.setdefault(sequence, [[] for _ in range(self.num_groups)])
        copies: list[Copy] = []
        first, end = start // size, -(-(start + count) // size)
        take, emit, undo = self.device.pool.take, self.emit, self._undo
        for group, table in enumerate(tables):
            if first < len(table) and self.device.pool.refcount(table[first]) > 1:
                copies.append(self._copy_on_write(sequence, group, first))
            for logical in range(len(table), end):
                block = take()
                table.append(block)
                undo.append((sequence, group, None))
                emit(BlockAllocated("device", group, block, sequence, logical, reason))
        return copies

    def _copy_on_write(self, sequence: int, group: int, logical: int) -> Copy:
        table = self._tables[sequence][group]
        source, target = table[logical], self.device.pool.take()
        table[logical] = target
        self._undo.append((sequence, group, (logical, source)))
        self.emit(BlockAllocated("device", group, target, sequence, logical, "copy_on_write"))
        self.emit(BlockCopied("device", group, source, target, sequence, logical))
        left = self.device.pool.drop(source)
        self.emit(BlockReleased("device", group, source, sequence, logical, left))
        return source, target

    def rollback(self) -> None:
        """Undo every ``write`` since ``begin``, the latest first. Emits nothing: nothing happened."""
        pool = self.device.pool
        while self._undo:
            sequence, group, replaced = self._undo.pop()
            table = self._tables[sequence][group]
            if replaced is None:
                pool.untake(table.pop())
            else:
                logical, source = replaced
                pool.untake(table[logical])
                table[logical] = source
                pool.share(source)
        for sequence in [s for s, tables in self._tables.items() if not any(tables)]:
            del self._tables[sequence]

    # -- changes that stand ----------------------------------------------------------------------------------

    def attach(self, sequence: int, prefix: Prefix, blocks: int) -> None:
        """Let a sequence without blocks begin with the first ``blocks`` of its prefix, which are on the device."""
        if not blocks:
            return
        self.open(sequence)
        for logical in range(blocks):
            for group in range(self.num_groups):
                block = self.device.find((group, prefix.names[logical]))
                assert block is not None, "what was found is still there"
                self.device.count_hit((group, prefix.names[logical]))
                self.share(sequence, group, logical, block)
        self.names.found(sequence, prefix.names[:blocks])

    def share(self, sequence: int, group: int, logical: int, block: int) -> None:
        """Put a device block that others own, or that is idle, into a table, at or before its end."""
        count = self.device.own(block)
        table = self._tables[sequence][group]
        table[logical : logical + 1] = [block]
        self.emit(BlockShared("device", group, block, sequence, logical, count))

    def fork(self, parent: int, child: int, num_tokens: int) -> None:
        """Let ``child`` share the parent's blocks that hold its first ``num_tokens`` tokens."""
        blocks = -(-num_tokens // self.block_size)
        if not blocks:
            return
        self.open(child)
        for group, table in enumerate(self._tables[parent]):
            for logical, block in enumerate(table[:blocks]):
                self.share(child, group, logical, block)
        self.names.fork(parent, child, num_tokens // self.block_size)

    def fill(self, sequence: int, tokens: Sequence[int], computed: int, salt: str = "") -> list[Key]:
        """Name the blocks that became full: K and V of ``tokens[:computed]`` are in memory. Returns these names.

        Where another device block has the same content already, the sequence takes that one and gives its own up.
        """
        named: list[Key] = []
        known = self.names.count(sequence)
        if (known + 1) * self.block_size > computed:
            return named
        hashes = self.names.extend(sequence, tokens, computed, salt)
        emit, cache = self.emit, None if self.names.withheld(sequence) else self.device.cache
        for group, table in enumerate(self._tables[sequence]):
            for logical in range(known, len(hashes)):
                block, content = table[logical], hashes[logical]
                emit(BlockFilled("device", group, block, sequence, logical, content))
                if cache is None:
                    continue
                twin = cache.find((group, content))
                if twin is None:
                    self.name(block, group, logical, content)
                    named.append((group, content))
                elif twin.block != block:
                    self.share(sequence, group, logical, twin.block)
                    self.release_entry(self.device, sequence, group, logical, block)
        return named

    def distrust(self, names: Collection[Key]) -> None:
        """Let nobody find this content any more: what was written there is wrong.

        Idle blocks are freed. Owned ones keep their owners, who name none any more: what follows builds on them.
        """
        for key in names:
            for tier in self.tiers.values():
                tier.forget(key)
        self.names.distrust({content for _, content in names})

    def name(self, block: int, group: int, logical: int, content: str) -> None:
        """Give an owned device block its name; the host tier does not keep the same content twice."""
        assert self.device.cache is not None
        assert self.host.cache is not None
        key = (group, content)
        below = self.host.cache.find(key)
        self.device.cache.name(block, key, logical * self.block_size, self.device.step, below)
        if below is not None:
            self.host.forget(key)

    def release(self, sequence: int) -> int:
        """Take all blocks from the sequence, the last first; returns how many nobody owns any more."""
        tier, ownerless = self.tier_of(sequence), 0
        for group, table in enumerate(self._tables.get(sequence, ())):
            for logical in range(len(table) - 1, -1, -1):
                ownerless += self.release_entry(tier, sequence, group, logical, table.pop())
        self.forget(sequence)
        return ownerless

    def release_entry(self, tier: Tier, sequence: int, group: int, logical: int, block: int) -> bool:
        """Take one block of a tier from a sequence, whose table has it no more; True if nobody owns it now."""
        left = tier.pool.drop(block)
        self.emit(BlockReleased(tier.name, group, block, sequence, logical, left))
        if left == 0:
            tier.let_go(group, block)
        return left == 0

    def forget(self, sequence: int) -> None:
        """The sequence has no blocks any more."""
        self._tables.pop(sequence, None)
        self._swapped.discard(sequence)
        self.names.forget(sequence)
        self.finder.forget(sequence)

    def open(self, sequence: int) -> None:
        """Give a sequence without blocks its empty tables."""
        self._tables[sequence] = [[] for _ in range(self.num_groups)]

    def extend(self, sequence: int, group: int, block: int) -> None:
        """Put a block at the end of a table."""
        self._tables[sequence][group].append(block)

    def place(self, sequence: int, tables: list[BlockTable], *, swapped: bool) -> None:
        """Replace all tables of a sequence: they are in the other tier now. Tables without blocks are in none."""
        if not any(tables):
            return
        self._tables[sequence] = tables
        (self._swapped.add if swapped else self._swapped.discard)(sequence)

    # -- the cache as a whole --------------------------------------------------------------------------------

    def set_step(self, step: int) -> None:
        """What happens from here on happens in this step; see ``Tier.set_step``."""
        for tier in self.tiers.values():
            tier.set_step(step)

    def reset_cache(self, reason: str = "") -> int:
        """Free all cached blocks and forget all names; returns how many were freed.

        Sequences that have blocks keep them, and name none any more: whoever resets may have changed the weights.
        """
        self.names.withhold(self._tables)
        cached = self.device.clear() + self.host.clear()
        self.emit(PrefixCacheReset(cached, reason))
        return cached

    def change_eviction(self, eviction: str | EvictionPolicy) -> None:
        """Let another policy decide which device blocks are evicted from now on.

        Raises:
            ConfigError: there is no such policy, or nothing is cached, so that nothing will be evicted.
        """
        policy = make_policy(eviction, self.device.pool.num_blocks, self._seed)
        if self.device.cache is None:
            raise ConfigError("without prefix_caching nothing is cached, so there is nothing to evict")
        self.device.cache.change_policy(policy)

    def check(self) -> None:
        """Compare tables, names and reference counts.

        Raises:
            AuditError: they contradict each other, or one block is in two groups, or one name in two tiers.
        """
        check_consistency(self)
