"""One tier's blocks: which are free, and how many owners the others have.

Knows nothing of sequences, tables, names or events; ``tier`` and ``block_manager`` do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from pagedviz.errors import AuditError


class BlockPool:
    """``num_blocks`` blocks with reference counts. Freed blocks are handed out again oldest first.

    Oldest first, as in vLLM's free queue, so that the map stays legible. A block whose last owner is gone is
    free only once ``free`` says so: until then it may be cached.
    """

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self._free = deque(range(num_blocks))
        self._refcounts = [0] * num_blocks

    @property
    def num_free(self) -> int:
        """How many blocks can be taken."""
        return len(self._free)

    def refcount(self, block: int) -> int:
        """How many owners the block has."""
        return self._refcounts[block]

    def upcoming(self, count: int) -> list[int]:
        """The blocks that the next ``count`` calls of ``take`` will hand out."""
        return list(islice(self._free, count))

    def take(self) -> int:
        """Hand out a free block, with one owner. The caller has made sure that there is one."""
        block = self._free.popleft()
        self._refcounts[block] = 1
        return block

    def take_these(self, blocks: Sequence[int]) -> None:
        """Hand out the blocks that ``upcoming`` named, each with one owner."""
        taken = [self.take() for _ in blocks]
        assert taken == list(blocks), "nobody took or freed a block since they were named"

    def untake(self, block: int) -> None:
        """Undo the latest ``take``, so that the next one hands out the same block."""
        self._refcounts[block] = 0
        self._free.appendleft(block)

    def share(self, block: int) -> int:
        """Add an owner; returns how many there are now."""
        self._refcounts[block] += 1
        return self._refcounts[block]

    def drop(self, block: int) -> int:
        """Take an owner away; returns how many are left."""
        left = self._refcounts[block] - 1
        self._refcounts[block] = left
        return left

    def free(self, block: int) -> None:
        """Put a block without owners at the end of the free queue."""
        self._free.append(block)

    def check(self, owners: dict[int, int], cached: set[int]) -> None:
        """Compare with the number of table entries that name each block, and with the cached blocks.

        Raises:
            AuditError: a reference count is wrong, or a block is not exactly one of owned, cached and free.
        """
        free = set(self._free)
        if len(free) != len(self._free):
            raise AuditError(f"the free queue names a block twice: {sorted(self._free)}")
        for block, count in enumerate(self._refcounts):
            if count != owners.get(block, 0):
                raise AuditError(f"block {block}: refcount {count}, but {owners.get(block, 0)} entries name it")
            if (count > 0) + (block in cached) + (block in free) != 1:
                raise AuditError(
                    f"block {block}: refcount {count}, cached: {block in cached}, free: {block in free}"
                )
