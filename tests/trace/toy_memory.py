"""What the toy in ``streams`` finds again and moves: hits, resets, swapping. Tables are in ``toy_blocks``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from toy_blocks import Blocks, Stream

from pagedviz.events import BlockFilled, PrefixCacheReset, PrefixHit, PrefixMissed, SwappedIn, SwappedOut


class Memory(Blocks):
    """Blocks that are found again, and sequences that move to the host and back."""

    # -- the cache --------------------------------------------------------------------------------------------

    def attach(self, request: str, stream: Stream, *, resumed: bool) -> None:
        """Begin with what is in memory of a sequence's tokens, but for the last one."""
        if not self.caching:
            return
        keys = self.keys(stream.tokens, (len(stream.tokens) - 1) // self.size)
        known = [[self.device.blocks.get(key) is not None for key in row] for row in keys]
        below = [[self.host.blocks.get(key) is not None for key in row] for row in keys]
        here = _leading(all(row) for row in known)
        found = _leading(all(a or b for a, b in zip(*rows, strict=True)) for rows in zip(known, below, strict=True))
        up = [key for row in keys[here:found] for key in row if key not in self.device.blocks]
        keep = {self.device.blocks.get(key, -1) for row in keys[:found] for key in row}
        keep |= {self.host.blocks[key] for key in up}
        if not self.has_room(self.device, len(up), keep):
            found, up = here, []
        self.make_room(self.device, len(up), keep)
        pairs = []
        for logical, row in enumerate(keys[:found]):
            for group, name in row:
                table = stream.tables.setdefault(group, [])
                if (group, name) in up:
                    table.append(self.allocate(group, stream, logical, "prefix_hit"))
                    pairs.append((self.host.blocks[group, name], table[-1]))
                else:
                    table.append(self.device.blocks[group, name])
                    self.share(group, table[-1], stream, logical)
        if pairs:
            self.emit(SwappedIn(request, tuple(pairs), self.num_bytes(len(pairs)), self.random.randrange(1000)))
        for key, (_, block) in zip(up, pairs, strict=True):
            logical = stream.tables[key[0]].index(block)
            self.emit(BlockFilled("device", key[0], block, stream.id, logical, key[1]))
            self.name(block, key)
        stream.computed = found * self.size
        if found:
            from_host = sum(any(key in up for key in row) for row in keys[:found])
            self.emit(PrefixHit(request, stream.id, found, stream.computed, from_host, resumed))
        if found < len(keys) or not keys:
            gone = [self.lost[key] for row in keys[found : found + 1] for key in row if key in self.lost]
            reason = f"evicted at step {gone[0]} by lru" if gone else "no such prefix"
            missed = len(stream.tokens) - stream.computed
            self.emit(PrefixMissed(request, stream.id, missed, reason if keys else "shorter than a block", resumed))

    def reset(self) -> None:
        """Forget all names."""
        cached = 0
        for pool in (self.device, self.host):
            cached += len(pool.idle)
            pool.free += pool.idle
            for names in (pool.idle, pool.names, pool.blocks):
                names.clear()
        self.emit(PrefixCacheReset(cached))

    # -- swapping ---------------------------------------------------------------------------------------------

    def ownerless(self, streams: list[Stream]) -> int:
        """How many device blocks only these sequences have."""
        held = Counter(block for stream in streams for _, _, block in _entries(stream.tables))
        return sum(self.device.holders[block] == count for block, count in held.items())

    def can_swap_out(self, streams: list[Stream]) -> bool:
        blocks = _distinct(streams)
        return bool(blocks) and self.has_room(self.host, len(blocks))

    def swap_out(self, request: str, streams: list[Stream]) -> None:
        self.make_room(self.host, len(_distinct(streams)))
        target: dict[int, int] = {}
        before = [(stream, {group: [*table] for group, table in stream.tables.items()}) for stream in streams]
        for stream, tables in before:
            for group, logical, block in _entries(tables):
                if block in target:
                    self.share(group, target[block], stream, logical, "host")
                else:
                    target[block] = self.allocate(group, stream, logical, "swap_out", "host")
                stream.tables[group][logical] = target[block]
            stream.tier = "host"
        pairs = tuple(target.items())
        self.emit(SwappedOut(request, pairs, self.num_bytes(len(pairs)), self.random.randrange(1000)))
        for stream, tables in before:
            for group, logical, block in reversed(_entries(tables)):
                if self.device.holders[block] == 1 and block in self.device.names:
                    key = self.device.names[block]
                    self.device.unname(block)
                    self.host.name(target[block], key)
                self.release(group, block, stream, logical)

    def twins(self, streams: list[Stream]) -> dict[int, int]:
        """Host blocks of swapped sequences whose content is on the device, and where."""
        found = {}
        for stream in streams:
            keys = self.keys(stream.tokens, stream.computed // self.size if self.caching else 0)
            for group, logical, block in _entries(stream.tables):
                if logical < len(keys) and keys[logical][group] in self.device.blocks:
                    found[block] = self.device.blocks[keys[logical][group]]
        return found

    def can_swap_in(self, streams: list[Stream]) -> bool:
        twins = self.twins(streams)
        return self.has_room(self.device, len(set(_distinct(streams)) - set(twins)), set(twins.values()))

    def swap_in(self, request: str, streams: list[Stream]) -> None:
        target = self.twins(streams)
        self.make_room(self.device, len(set(_distinct(streams)) - set(target)), set(target.values()))
        before = [(stream, {group: [*table] for group, table in stream.tables.items()}) for stream in streams]
        pairs = []
        for stream, tables in before:
            for group, logical, block in _entries(tables):
                if block in target:
                    self.share(group, target[block], stream, logical)
                else:
                    target[block] = self.allocate(group, stream, logical, "swap_in")
                    pairs.append((block, target[block]))
                stream.tables[group][logical] = target[block]
            stream.tier = "device"
        if pairs:
            self.emit(SwappedIn(request, tuple(pairs), self.num_bytes(len(pairs)), self.random.randrange(1000)))
        for stream, tables in before:
            for group, logical, block in reversed(_entries(tables)):
                key = self.host.names.get(block)
                self.host.unname(block)
                if key is not None and key not in self.device.blocks:
                    self.device.name(target[block], key)
                self.release(group, block, stream, logical, "host")


def _leading(flags: Iterable[bool]) -> int:
    """How many are true before the first that is not."""
    count = 0
    for flag in flags:
        if not flag:
            break
        count += 1
    return count


def _entries(tables: dict[int, list[int]]) -> list[tuple[int, int, int]]:
    return [(group, logical, block) for group, table in tables.items() for logical, block in enumerate(table)]


def _distinct(streams: list[Stream]) -> list[int]:
    return list(dict.fromkeys(block for stream in streams for _, _, block in _entries(stream.tables)))
