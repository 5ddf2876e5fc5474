"""What moves between the tiers: swapped sequences, evicted blocks on their way down, hits on their way up.

Every move copies first and changes tables afterwards, so a copy that fails leaves every table as it was. Cached
host blocks that made room for it are evicted before: a copy that fails may have been written over them. A name
moves with its content: it is never in both tiers. Which tier an evicted block goes to is asked of a placement
policy. Tensors are copied by ``move``, which this module knows as a function only; a copy may still be
under way when its tables change, as everybody who uses its target waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pagedviz.events import (
    BlockAllocated,
    BlockCached,
    BlockFilled,
    BlockShared,
    SwappedIn,
    SwappedOut,
)
from pagedviz.memory.block_manager import BlockManager
from pagedviz.memory.eviction import CachedBlock
from pagedviz.memory.moving import Move, Moved, Moving, Pairs, Tell, no_tensors
from pagedviz.memory.placement import Placement, divide, make_placement
from pagedviz.memory.prefix import Prefix


class Swapper:
    """Moves content between the tiers of a block manager."""

    def __init__(
        self,
        manager: BlockManager,
        move: Move = no_tensors,
        placement: str | Placement = "always",
        tell: Tell | None = None,
    ) -> None:
        self._manager = manager
        self._move = move
        self.placement = make_placement(placement)
        self._tell: Tell = tell or (lambda event, _: manager.emit(event))

    def _copy(self, direction: str, pairs: Pairs) -> Moving:
        return self._move(direction, pairs) if pairs else Moved(0, 0)

    # -- room on the device ----------------------------------------------------------------------------------

    def make_room(self, count: int) -> None:
        """Evict as many cached device blocks as it takes to have ``count`` free ones.

        Raises:
            PolicyError: a policy made no valid choice; that tier, and the device, have evicted nothing then.
            BaseException: whatever the copy raised; the device has evicted nothing then.
        """
        device = self._manager.device
        chosen = device.victims(count - device.pool.num_free)
        if not chosen:
            return
        host = self._manager.host
        kept, lost = divide(chosen, self.placement, host.num_available) if host.pool.num_blocks else ([], chosen)
        down = [entry for entry, _ in kept]
        self._host_room(len(down))
        targets = host.pool.upcoming(len(down))
        pairs = tuple((entry.block, target) for entry, target in zip(down, targets, strict=True))
        moving = self._copy("out", pairs)
        # The device gives the names up before the host takes them over.
        emit = self._manager.emit
        for entry, target in zip(down, targets, strict=True):
            host.pool.take_these([target])
            emit(BlockCached("host", entry.key[0], target, entry.key[1]))
        if pairs:
            self._tell(SwappedOut("", pairs, moving.num_bytes, moving.duration_us), moving)
        device.evict(kept, lost=False)
        device.evict(lost)
        for entry, target in zip(down, targets, strict=True):
            host.pool.drop(target)
            self._name_goes(entry, target)
            host.keep(target, entry.used)

    def _host_room(self, count: int) -> None:
        host = self._manager.host
        host.evict(host.victims(count - host.pool.num_free))

    # -- sequences -------------------------------------------------------------------------------------------

    def swap_out(self, request: str, sequences: Sequence[int], announce: Callable[[], None]) -> None:
        """Move all blocks of a request's sequences to the host tier.

        A block that others own too is copied, and keeps its name on the device. ``announce`` is called once the
        copy has succeeded, before any event.

        Raises:
            PolicyError: the host tier's policy made no valid choice.
            BaseException: whatever the copy raised. Either way the sequences are where they were.
        """
        manager, host, device = self._manager, self._manager.host, self._manager.device
        sources = self._distinct(sequences)
        self._host_room(len(sources))
        pairs = tuple(zip(sources, host.pool.upcoming(len(sources)), strict=True))
        moving = self._copy("out", pairs)
        announce()
        target_of = dict(pairs)
        host.pool.take_these(list(target_of.values()))
        before = {sequence: manager.tables(sequence) for sequence in sequences}
        seen: set[int] = set()
        for sequence in sequences:
            tables = [[target_of[block] for block in table] for table in before[sequence]]
            for group, table in enumerate(tables):
                for logical, block in enumerate(table):
                    if block in seen:
                        count = host.pool.share(block)
                        manager.emit(BlockShared("host", group, block, sequence, logical, count))
                    else:
                        seen.add(block)
                        manager.emit(BlockAllocated("host", group, block, sequence, logical, "swap_out"))
            manager.place(sequence, tables, swapped=True)
        self._tell(SwappedOut(request, pairs, moving.num_bytes, moving.duration_us), moving)
        for sequence in sequences:
            for group, table in enumerate(before[sequence]):
                for logical in range(len(table) - 1, -1, -1):
                    block = table[logical]
                    if device.pool.refcount(block) == 1:
                        self._name_goes(device.drop_name(block), target_of[block])
                    manager.release_entry(device, sequence, group, logical, block)

    def _name_goes(self, entry: CachedBlock | None, target: int) -> None:
        host = self._manager.host
        if entry is not None and host.cache is not None:
            host.cache.name(target, entry.key, entry.depth, host.step, entry)

    def swap_in(self, request: str, sequences: Sequence[int], announce: Callable[[], None]) -> None:
        """Bring all blocks of a request's sequences back; content that the device has is shared instead of copied.

        ``make_room`` has seen to it that there are enough free device blocks. ``announce`` as in ``swap_out``.

        Raises:
            BaseException: whatever the copy raised; the sequences are where they were.
        """
        manager, device = self._manager, self._manager.device
        before = {sequence: manager.tables(sequence) for sequence in sequences}
        shared, copied = self._whence(sequences)
        pairs = tuple(zip(copied, device.pool.upcoming(len(copied)), strict=True))
        moving = self._copy("in", pairs)
        announce()
        target_of = {**shared, **dict(pairs)}
        unowned = {device.pool.take() for _ in pairs}
        fresh = frozenset(unowned)
        for sequence in sequences:
            tables = [[target_of[block] for block in table] for table in before[sequence]]
            for group, table in enumerate(tables):
                for logical, block in enumerate(table):
                    if block in unowned:
                        unowned.remove(block)
                        manager.emit(BlockAllocated("device", group, block, sequence, logical, "swap_in"))
                    else:
                        count = device.own(block)
                        manager.emit(BlockShared("device", group, block, sequence, logical, count))
            manager.place(sequence, tables, swapped=False)
        if pairs:
            self._tell(SwappedIn(request, pairs, moving.num_bytes, moving.duration_us), moving)
        for sequence in sequences:
            self._leave_host(sequence, before[sequence], target_of, fresh)

    def _whence(self, sequences: Sequence[int]) -> tuple[dict[int, int], list[int]]:
        """For the host blocks of sequences: device blocks with the same content, and those that must be copied."""
        shared: dict[int, int] = {}
        copied: dict[int, None] = {}
        for sequence in sequences:
            hashes = self._manager.names.of(sequence)
            for group, table in enumerate(self._manager.tables(sequence)):
                for logical, block in enumerate(table):
                    content = hashes[logical] if logical < len(hashes) else None
                    there = None if content is None else self._manager.device.find((group, content))
                    if there is None:
                        copied[block] = None
                    else:
                        shared[block] = there
        return shared, list(copied)

    def _leave_host(
        self, sequence: int, tables: Sequence[list[int]], target_of: dict[int, int], fresh: frozenset[int]
    ) -> None:
        """Take a sequence's host blocks away; the names of its full blocks come up with their content."""
        manager, host, device = self._manager, self._manager.host, self._manager.device
        hashes = manager.names.of(sequence)
        for group, table in enumerate(tables):
            for logical in range(len(table) - 1, -1, -1):
                block, target = table[logical], target_of[table[logical]]
                full = logical < len(hashes) and device.cache is not None
                if full and target in fresh and device.find((group, hashes[logical])) is None:
                    manager.name(target, group, logical, hashes[logical])
                manager.release_entry(host, sequence, group, logical, block)

    def _distinct(self, sequences: Sequence[int]) -> list[int]:
        return list(dict.fromkeys(b for s in sequences for table in self._manager.tables(s) for b in table))

    # -- pins ------------------------------------------------------------------------------------------------

    def pin(self, names: Sequence[str]) -> None:
        """Keep cached blocks with this content where they are until ``unpin``: somebody is about to use them."""
        for content in names:
            for group in range(self._manager.num_groups):
                for tier in self._manager.tiers.values():
                    tier.pin((group, content))

    def unpin(self) -> None:
        """What was pinned and not used may be evicted again."""
        for tier in self._manager.tiers.values():
            tier.unpin()

    # -- hits ------------------------------------------------------------------------------------------------

    def promote(self, request: str, sequence: int, prefix: Prefix) -> None:
        """Extend a sequence's tables to all of its prefix: blocks in the host tier come up, in one copy.

        Raises:
            BaseException: whatever the copy raised; the tables are as they were.
        """
        manager, host, device = self._manager, self._manager.host, self._manager.device
        begun = len(manager.tables(sequence)[0])
        keys = [
            (logical, group, prefix.names[logical])
            for logical in range(begun, prefix.found)
            for group in range(manager.num_groups)
        ]
        below = [(group, content) for _, group, content in keys if device.find((group, content)) is None]
        entries = [host.cache.find(key) for key in below] if host.cache else []
        sources = [entry.block for entry in entries if entry is not None]
        assert len(sources) == len(below), "what was found is still there"
        pairs = tuple(zip(sources, device.pool.upcoming(len(sources)), strict=True))
        moving = self._copy("in", pairs)
        if keys and not begun:
            manager.open(sequence)
        waiting = iter(pairs)
        for logical, group, content in keys:
            for tier in manager.tiers.values():
                tier.count_hit((group, content))
            there = device.find((group, content))
            if there is not None:
                manager.share(sequence, group, logical, there)
            else:
                _, target = next(waiting)
                device.pool.take_these([target])
                manager.extend(sequence, group, target)
                manager.emit(BlockAllocated("device", group, target, sequence, logical, "prefix_hit"))
        if pairs:
            self._tell(SwappedIn(request, pairs, moving.num_bytes, moving.duration_us), moving)
        up = dict(zip(below, pairs, strict=True))
        for logical, group, content in keys:
            if (group, content) in up:
                target = up[group, content][1]
                manager.emit(BlockFilled("device", group, target, sequence, logical, content))
                manager.name(target, group, logical, content)
        manager.names.found(sequence, prefix.names[: prefix.found])
