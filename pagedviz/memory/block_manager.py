"""Who owns which block: block tables, sharing, copy-on-write. Emits every Block* event.

It decides ownership only. Whether a step fits is asked with a ``Trial``; who runs is decided in
``engine/scheduler``; where a position lies in memory in ``engine/batch``; tensors are copied by the caller.

A sequence has one block table per group of layers. All tables draw from one pool, as a process's
mappings draw from one RAM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pagedviz.errors import AuditError
from pagedviz.events import (
    BlockAllocated,
    BlockCopied,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    Emit,
    discard,
)
from pagedviz.memory.content import chained_hashes
from pagedviz.memory.pool import BlockPool
from pagedviz.memory.trial import Trial

BlockTable = list[int]
Copy = tuple[int, int]
"""(source block, target block)."""

TIER = "device"


class BlockManager:
    """Block tables over one pool of ``num_blocks`` blocks of ``block_size`` token slots.

    Every method that changes tables either does all of its work or, where a caller undoes a step with
    ``rollback``, none of it.
    """

    def __init__(self, num_blocks: int, block_size: int, num_groups: int = 1, emit: Emit = discard) -> None:
        self.block_size = block_size
        self.num_groups = num_groups
        self.pool = BlockPool(num_blocks)
        self._emit = emit
        self._tables: dict[int, list[BlockTable]] = {}
        self._hashes: dict[int, list[str]] = {}
        self._undo: list[tuple[int, int, int, int | None]] = []

    # -- questions -------------------------------------------------------------------------------------------

    def tables(self, sequence: int) -> Sequence[BlockTable]:
        """The sequence's block tables, one per group; empty lists if it has no blocks."""
        return self._tables.get(sequence) or [[] for _ in range(self.num_groups)]

    def sequences(self) -> list[int]:
        """The sequences that have blocks."""
        return list(self._tables)

    def trial(self) -> Trial:
        """A dry run from the present state."""
        return Trial(self)

    # -- growing: undone by rollback -------------------------------------------------------------------------

    def begin(self) -> None:
        """From here ``rollback`` undoes every ``write``."""
        self._undo.clear()

    def write(self, sequence: int, start: int, count: int, reason: str) -> list[Copy]:
        """Make positions ``start`` to ``start + count - 1`` writable by this sequence alone.

        Missing blocks are allocated; a shared block that would be written into is copied first. Returns
        the (source, target) pairs whose content the caller must copy before it writes. A ``Trial`` has
        said that the pool has enough blocks.
        """
        size = self.block_size
        tables = self._tables.setdefault(sequence, [[] for _ in range(self.num_groups)])
        copies: list[Copy] = []
        for group, table in enumerate(tables):
            first = start // size
            if first < len(table) and self.pool.refcount(table[first]) > 1:
                copies.append(self._copy_on_write(sequence, group, first))
            for logical in range(len(table), -(-(start + count) // size)):
                self._allocate(sequence, group, logical, reason)
        return copies

    def _allocate(self, sequence: int, group: int, logical: int, reason: str) -> int:
        block = self.pool.take()
        self._set_entry(sequence, group, logical, block)
        self._emit(BlockAllocated(TIER, group, block, sequence, logical, reason))
        return block

    def _copy_on_write(self, sequence: int, group: int, logical: int) -> Copy:
        source = self._tables[sequence][group][logical]
        target = self._allocate(sequence, group, logical, "copy_on_write")
        self._emit(BlockCopied(TIER, group, source, target, sequence, logical))
        left = self.pool.drop(source)
        self._emit(BlockReleased(TIER, group, source, sequence, logical, left))
        return source, target

    def _set_entry(self, sequence: int, group: int, logical: int, block: int) -> None:
        table = self._tables[sequence][group]
        previous = table[logical] if logical < len(table) else None
        self._undo.append((sequence, group, logical, previous))
        if previous is None:
            table.append(block)
        else:
            table[logical] = block

    def rollback(self) -> None:
        """Undo every ``write`` since ``begin``, the latest first. Emits nothing: nothing happened."""
        while self._undo:
            sequence, group, logical, previous = self._undo.pop()
            table = self._tables[sequence][group]
            self.pool.untake(table[logical])
            if previous is None:
                table.pop()
            else:
                table[logical] = previous
                self.pool.share(previous)
        for sequence in [s for s, tables in self._tables.items() if not any(tables)]:
            del self._tables[sequence]

    # -- changes that stand ----------------------------------------------------------------------------------

    def fork(self, parent: int, child: int, num_tokens: int) -> None:
        """Let ``child`` share the parent's blocks that hold its first ``num_tokens`` tokens."""
        self._tables[child] = [[] for _ in range(self.num_groups)]
        for group, table in enumerate(self._tables[parent]):
            for logical, block in enumerate(table[: -(-num_tokens // self.block_size)]):
                self._tables[child][group].append(block)
                count = self.pool.share(block)
                self._emit(BlockShared(TIER, group, block, child, logical, count))
        self._hashes[child] = self._hashes.get(parent, [])[: num_tokens // self.block_size]

    def fill(self, sequence: int, tokens: Sequence[int], computed: int) -> None:
        """Name the blocks that became full: the K and V of ``tokens[:computed]`` are in memory."""
        hashes = self._hashes.setdefault(sequence, [])
        known = len(hashes)
        hashes += chained_hashes(tokens, self.block_size, computed, hashes)
        for logical in range(known, len(hashes)):
            for group, table in enumerate(self._tables[sequence]):
                self._emit(BlockFilled(TIER, group, table[logical], sequence, logical, hashes[logical]))

    def release(self, sequence: int) -> int:
        """Take all blocks from the sequence, the last first; returns how many became free."""
        freed = 0
        for group, table in enumerate(self._tables.get(sequence, ())):
            for logical in range(len(table) - 1, -1, -1):
                block = table.pop()
                left = self.pool.drop(block)
                self._emit(BlockReleased(TIER, group, block, sequence, logical, left))
                if left == 0:
                    freed += 1
                    self._emit(BlockFreed(TIER, group, block))
        self._tables.pop(sequence, None)
        self._hashes.pop(sequence, None)
        return freed

    def check(self) -> None:
        """Compare tables and reference counts.

        Raises:
            AuditError: they contradict each other, or one block is in tables of two groups.
        """
        owners: Counter[int] = Counter()
        group_of: dict[int, int] = {}
        for sequence, tables in self._tables.items():
            for group, table in enumerate(tables):
                owners.update(table)
                for block in table:
                    if group_of.setdefault(block, group) != group:
                        raise AuditError(f"block {block} of sequence {sequence} is in tables of two groups")
        self.pool.check(owners)
