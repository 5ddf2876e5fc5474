"""The blocks of the toy in ``streams``: two pools and block tables over bare lists, and who is evicted.

Emits every event about blocks, in the order in which the engine does. Knows what each block holds only by the
hash of its tokens. Independent of ``pagedviz.memory``, and simple instead of clever.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pagedviz.events import (
    AnyEvent,
    BlockAllocated,
    BlockCached,
    BlockCopied,
    BlockEvicted,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    SwappedOut,
)

Key = tuple[int, str]
"""(group, hash of the tokens up to the block's end)."""


@dataclass(eq=False)
class Stream:
    """One sequence of the toy; all of its blocks are in one tier."""

    id: int
    tokens: list[int]
    status: str = "waiting"
    computed: int = 0
    tables: dict[int, list[int]] = field(default_factory=dict)
    tier: str = "device"


class OutOfBlocks(Exception):
    """Nothing is free, and nothing can be evicted."""


@dataclass(eq=False)
class Pool:
    """One tier. ``idle`` maps a cached block to the step in which its last holder let go of it."""

    tier: str
    free: list[int]
    holders: dict[int, int] = field(default_factory=dict)
    idle: dict[int, int] = field(default_factory=dict)
    names: dict[int, Key] = field(default_factory=dict)
    blocks: dict[Key, int] = field(default_factory=dict)

    def own(self, block: int) -> int:
        """One more holder; how many there are now."""
        self.idle.pop(block, None)
        self.holders[block] = self.holders.get(block, 0) + 1
        return self.holders[block]

    def name(self, block: int, key: Key) -> None:
        self.names[block], self.blocks[key] = key, block

    def unname(self, block: int) -> None:
        if block in self.names:
            del self.blocks[self.names.pop(block)]


class Blocks:
    """Who has which block, and what is kept when nobody has it."""

    def __init__(
        self, dice: random.Random, emit: Callable[[AnyEvent], None], size: int, groups: int, *, caching: bool
    ) -> None:
        self.random, self.emit, self.size, self.groups, self.caching = dice, emit, size, groups, caching
        self.device, self.host = Pool("device", []), Pool("host", [])
        self.step = 0
        self.lost: dict[Key, int] = {}

    def num_bytes(self, blocks: int) -> int:
        """K and V in float32, of 3 heads of 64."""
        return blocks * self.size * 3 * 64 * 8

    def pool(self, tier: str) -> Pool:
        return self.device if tier == "device" else self.host

    def keys(self, tokens: list[int], count: int) -> list[list[Key]]:
        """The names of the first ``count`` blocks of tokens, per group."""
        names, chain = [], hashlib.blake2b(digest_size=8)
        for logical in range(count):
            chain.update(str(tokens[logical * self.size : (logical + 1) * self.size]).encode())
            names.append(chain.hexdigest())
        return [[(group, name) for group in range(self.groups)] for name in names]

    # -- room -------------------------------------------------------------------------------------------------

    def evictable(self, pool: Pool, keep: Iterable[int] = ()) -> list[int]:
        """Cached blocks, the longest idle first."""
        return sorted((block for block in pool.idle if block not in keep), key=lambda block: pool.idle[block])

    def has_room(self, pool: Pool, count: int, keep: Iterable[int] = ()) -> bool:
        return len(pool.free) + len(self.evictable(pool, keep)) >= count

    def make_room(self, pool: Pool, count: int, keep: Iterable[int] = ()) -> None:
        missing = count - len(pool.free)
        if missing > 0:
            self.evict(pool, missing, keep)

    def evict(self, pool: Pool, count: int, keep: Iterable[int] = ()) -> None:
        """Cached device blocks go down to the host now and then; ``keep`` are blocks of both tiers to spare."""
        victims = self.evictable(pool, keep)[:count]
        down: list[tuple[int, int]] = []
        if pool is self.device and self.random.random() < 0.9:
            room = len(self.host.free) + len(self.evictable(self.host, keep))
            chosen = victims[:room]
            self.make_room(self.host, len(chosen), keep)
            down = [(block, self.take(self.host)) for block in chosen]
        for block, target in down:
            group, name = pool.names[block]
            self.emit(BlockCached("host", group, target, name))
        if down:
            self.emit(SwappedOut("", tuple(down), self.num_bytes(len(down)), self.random.randrange(1000)))
        targets = dict(down)
        for block in victims:
            key = pool.names[block]
            used = pool.idle.pop(block)
            pool.unname(block)
            pool.free.append(block)
            why = f"nobody had it since step {used}"
            self.emit(BlockEvicted(pool.tier, key[0], block, key[1], "lru", why, self.step - used))
            if block in targets:
                self.host.name(targets[block], key)
                self.host.idle[targets[block]] = self.step
            else:
                self.lost[key] = self.step

    def take(self, pool: Pool) -> int:
        if not pool.free:
            self.evict(pool, self.random.randint(1, 3))
        if not pool.free:
            raise OutOfBlocks
        return pool.free.pop(self.random.randrange(len(pool.free)))

    # -- tables -----------------------------------------------------------------------------------------------

    def write(self, stream: Stream, count: int) -> None:
        """Blocks of its own for the next ``count`` positions of a sequence."""
        first = stream.computed // self.size
        last = (stream.computed + count - 1) // self.size
        for group in range(self.groups):
            table = stream.tables.setdefault(group, [])
            for logical in range(first, last + 1):
                if logical == len(table):
                    reason = "prefill" if count > 1 else "decode"
                    table.append(self.allocate(group, stream, logical, reason))
                elif self.device.holders[table[logical]] > 1:
                    source = table[logical]
                    table[logical] = self.allocate(group, stream, logical, "copy_on_write")
                    self.emit(BlockCopied("device", group, source, table[logical], stream.id, logical))
                    self.release(group, source, stream, logical)

    def allocate(self, group: int, stream: Stream, logical: int, reason: str, tier: str = "device") -> int:
        pool = self.pool(tier)
        block = self.take(pool)
        pool.own(block)
        self.emit(BlockAllocated(tier, group, block, stream.id, logical, reason))
        return block

    def share(self, group: int, block: int, stream: Stream, logical: int, tier: str = "device") -> None:
        count = self.pool(tier).own(block)
        self.emit(BlockShared(tier, group, block, stream.id, logical, count))

    def fork(self, parent: Stream, child: Stream, num_tokens: int) -> None:
        for group, table in parent.tables.items():
            child.tables[group] = table[: -(-num_tokens // self.size)]
            for logical, block in enumerate(child.tables[group]):
                self.share(group, block, child, logical)
        child.computed = num_tokens

    def release(self, group: int, block: int, stream: Stream, logical: int, tier: str = "device") -> None:
        pool = self.pool(tier)
        pool.holders[block] -= 1
        self.emit(BlockReleased(tier, group, block, stream.id, logical, pool.holders[block]))
        if pool.holders[block] == 0:
            del pool.holders[block]
            if block in pool.names:
                pool.idle[block] = self.step
                self.emit(BlockCached(tier, group, block, pool.names[block][1]))
            else:
                pool.free.append(block)
                self.emit(BlockFreed(tier, group, block))

    def release_all(self, stream: Stream) -> None:
        for group, table in stream.tables.items():
            while table:
                self.release(group, table.pop(), stream, len(table), stream.tier)
        stream.computed, stream.tier = 0, "device"

    def fill(self, stream: Stream, start: int) -> None:
        """Name the blocks that positions from ``start`` on made full; a device block of that name is shared."""
        keys = self.keys(stream.tokens, stream.computed // self.size)
        for logical in range(start // self.size, len(keys)):
            for key in keys[logical]:
                table = stream.tables[key[0]]
                block = table[logical]
                self.emit(BlockFilled("device", key[0], block, stream.id, logical, key[1]))
                twin = self.device.blocks.get(key)
                if self.caching and twin is None:
                    self.name(block, key)
                elif self.caching and twin is not None and twin != block:
                    table[logical] = twin
                    self.share(key[0], twin, stream, logical)
                    self.release(key[0], block, stream, logical)

    def name(self, block: int, key: Key) -> None:
        """A device block gets its name; the host does not keep the same content twice."""
        self.device.name(block, key)
        below = self.host.blocks.get(key)
        if below is not None:
            self.host.unname(below)
            if below in self.host.idle:
                del self.host.idle[below]
                self.host.free.append(below)
                self.emit(BlockFreed("host", key[0], below))
