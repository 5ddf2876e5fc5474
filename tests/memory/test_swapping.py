"""What moves between the tiers, in which order, and what is still known of it afterwards."""

import pytest

from pagedviz.events import (
    BlockAllocated,
    BlockCached,
    BlockEvicted,
    BlockReleased,
    BlockShared,
    SwappedIn,
    SwappedOut,
)
from pagedviz.memory import BlockManager, Swapper

SIZE = 2


class Memory:
    """A manager and its swapper, and what they told and copied."""

    def __init__(self, device, host, placement="always", groups=1):
        self.events, self.copies = [], []
        self.manager = BlockManager(
            device, SIZE, groups, self.events.append, num_host_blocks=host, caching=True, eviction="lru"
        )
        self.swapper = Swapper(self.manager, self.move, placement)
        self.device, self.host = self.manager.device, self.manager.host

    def move(self, direction, pairs):
        self.copies.append((direction, list(pairs)))
        return Copied(len(pairs))

    def write(self, sequence, tokens, step):
        """Compute all of these tokens in this step."""
        self.manager.set_step(step)
        self.manager.begin()
        self.manager.write(sequence, 0, len(tokens), "prefill")
        self.manager.fill(sequence, tokens, len(tokens))

    def cache(self, sequence, tokens, step):
        """Compute them, and let go of them; the names of their blocks."""
        self.write(sequence, tokens, step)
        names = list(self.manager.names.of(sequence))
        self.manager.release(sequence)
        return names

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def entry(self, tier, name):
        return tier.cache.find((0, name))


class Copied:
    def __init__(self, blocks):
        self.num_bytes, self.duration_us = 100 * blocks, 7 * blocks


def find(memory, tokens):
    return memory.manager.finder.find(99, [*tokens, 0])


# -- room on the device -----------------------------------------------------------------------------------------


def test_no_more_is_evicted_than_is_missing():
    memory = Memory(device=5, host=4)
    memory.cache(0, [1, 2, 3, 4, 5, 6], step=1)
    memory.swapper.make_room(2)
    assert memory.told(BlockEvicted) == []
    memory.swapper.make_room(4)
    assert [event.tier for event in memory.told(BlockEvicted)] == ["device", "device"]
    assert memory.device.pool.num_free == 4


def test_what_goes_down_was_used_when_it_was_used_above():
    memory = Memory(device=4, host=4)
    (old,) = memory.cache(0, [1, 2], step=3)
    memory.manager.set_step(8)
    memory.swapper.make_room(4)
    assert memory.entry(memory.host, old).used == 3
    memory.manager.set_step(10)
    memory.swapper._host_room(4)
    (above, below) = memory.told(BlockEvicted)
    assert (above.tier, above.age, below.tier, below.age) == ("device", 5, "host", 7)


def test_the_host_tier_evicts_by_last_use_not_by_when_it_came_down():
    memory = Memory(device=4, host=2)
    (early,) = memory.cache(0, [1, 2], step=1)
    (late,) = memory.cache(1, [3, 4], step=2)
    memory.manager.set_step(3)
    memory.swapper.make_room(4)
    assert [entry.key[1] for entry, _ in memory.host.victims(2)] == [early, late]


def test_of_more_than_the_host_tier_holds_the_last_to_go_are_kept():
    memory = Memory(device=4, host=2)
    names = [memory.cache(sequence, [sequence, 9], step=sequence + 1)[0] for sequence in range(4)]
    memory.swapper.make_room(4)
    assert [memory.entry(memory.host, name) is not None for name in names] == [False, False, True, True]
    why = [event.why.partition("; ")[2] for event in memory.told(BlockEvicted)]
    down, full = "it goes down to the host tier, as all do", "it is given up: the host tier is full"
    assert why == [down, down, full, full]
    assert memory.copies == [("out", [(2, 0), (3, 1)])], "in the order in which they were chosen"
    assert [memory.device.lost((0, name)) is None for name in names] == [False, False, True, True]


def test_what_comes_down_displaces_what_is_there_for_longest():
    memory = Memory(device=2, host=2)
    first = [memory.cache(sequence, [sequence, 9], step=sequence + 1)[0] for sequence in range(2)]
    memory.swapper.make_room(2)
    (third,) = memory.cache(2, [2, 9], step=3)
    memory.swapper.make_room(2)
    here = [memory.entry(memory.host, name) is not None for name in [*first, third]]
    assert here == [False, True, True]
    assert memory.host.lost((0, first[0])) == (3, "lru")


def test_a_placement_that_keeps_little_leaves_room_in_the_host_tier():
    memory = Memory(device=3, host=3, placement="reused")
    (once,), (never,) = memory.cache(0, [1, 2], step=1), memory.cache(1, [3, 4], step=2)
    memory.manager.attach(2, find(memory, [1, 2]), 1)
    memory.manager.release(2)
    memory.swapper.make_room(3)
    assert memory.entry(memory.host, once) is not None
    assert memory.entry(memory.host, never) is None
    assert memory.device.lost((0, never)) is not None
    assert sorted(event.why.partition("; ")[2] for event in memory.told(BlockEvicted)) == [
        "it goes down to the host tier: it was found once",
        "it is given up: it was never found",
    ]


def test_a_failed_copy_evicts_nothing_of_the_device():
    memory = Memory(device=2, host=1)
    memory.cache(0, [1, 2, 3, 4], step=1)

    def fails(direction, pairs):
        raise ZeroDivisionError

    memory.swapper._move = fails
    with pytest.raises(ZeroDivisionError):
        memory.swapper.make_room(1)
    assert memory.device.num_idle == 2
    assert memory.told(BlockEvicted) == []
    memory.manager.check()


# -- sequences --------------------------------------------------------------------------------------------------


def test_a_swap_out_takes_names_along_but_for_what_others_have():
    memory = Memory(device=8, host=8)
    memory.write(0, [1, 2, 3, 4, 5], step=1)
    shared, own = memory.manager.names.of(0)
    memory.manager.fork(0, 1, 2)
    memory.entry(memory.device, own).hits = 4
    serial = memory.entry(memory.device, own).serial
    memory.manager.set_step(6)
    announced = []
    memory.swapper.swap_out("r", [0], lambda: announced.append(len(memory.told(SwappedOut))))
    assert announced == [0], "before any event"
    assert memory.manager.tables(0) == [[0, 1, 2]]
    assert memory.manager.tier_of(0) is memory.host
    assert memory.entry(memory.device, shared).block == 0
    assert memory.entry(memory.host, shared) is None
    moved = memory.entry(memory.host, own)
    assert (moved.block, moved.serial, moved.born, moved.hits, moved.depth) == (1, serial, 1, 4, SIZE)
    assert memory.told(SwappedOut) == [SwappedOut("r", ((0, 0), (1, 1), (2, 2)), 300, 21)]
    assert [event.logical for event in memory.told(BlockReleased)] == [2, 1, 0], "the last block first"
    memory.manager.check()


def test_what_samples_share_is_copied_once_and_shared_again():
    memory = Memory(device=8, host=8)
    memory.write(0, [1, 2, 3], step=1)
    memory.manager.fork(0, 1, 3)
    memory.swapper.swap_out("r", [0, 1], lambda: None)
    assert memory.copies == [("out", [(0, 0), (1, 1)])]
    assert memory.manager.tables(0) == memory.manager.tables(1) == [[0, 1]]
    assert [event.refcount for event in memory.told(BlockShared) if event.tier == "host"] == [2, 2]
    memory.swapper.swap_in("r", [0, 1], lambda: None)
    assert memory.copies[1:] == [("in", [(0, 2), (1, 3)])]
    assert memory.manager.tables(0) == memory.manager.tables(1) == [[2, 3]]
    assert memory.host.num_available == 8
    memory.manager.check()


def test_a_swap_in_shares_what_the_device_has_and_copies_the_rest():
    memory = Memory(device=8, host=8)
    memory.write(0, [1, 2, 3, 4, 5], step=1)
    memory.swapper.swap_out("r", [0], lambda: None)
    memory.write(1, [1, 2], step=2)  # takes the name of the first block: it is on the device again
    del memory.copies[:], memory.events[:]
    memory.swapper.swap_in("r", [0], lambda: None)
    there = memory.manager.tables(1)[0][0]
    (table,) = memory.manager.tables(0)
    assert table[0] == there
    assert memory.copies == [("in", [(1, table[1]), (2, table[2])])]
    assert memory.told(SwappedIn) == [SwappedIn("r", ((1, table[1]), (2, table[2])), 200, 14)]
    assert [event.reason for event in memory.told(BlockAllocated)] == ["swap_in"] * 2
    assert memory.entry(memory.device, memory.manager.names.of(0)[1]).block == table[1], "its name came up"
    memory.manager.check()


def test_a_swap_out_evicts_from_the_host_tier_only_what_it_needs():
    memory = Memory(device=4, host=3)
    memory.cache(0, [1, 2, 3, 4], step=1)
    memory.swapper.make_room(4)
    assert memory.host.num_idle == 2
    memory.write(1, [5, 6, 7], step=2)
    memory.swapper.swap_out("r", [1], lambda: None)
    assert memory.host.num_idle == 1
    assert memory.host.pool.num_free == 0


# -- hits -------------------------------------------------------------------------------------------------------


def test_a_hit_brings_up_what_is_below_and_counts_in_both_tiers():
    memory = Memory(device=3, host=4)
    tokens = [1, 2, 3, 4, 5, 6]
    names = memory.cache(0, tokens, step=1)
    memory.swapper.make_room(2)  # the end of the sequence goes first
    assert [memory.entry(memory.device, name) is not None for name in names] == [True, False, False]
    prefix = find(memory, tokens)
    assert (prefix.on_device, prefix.found, prefix.missed) == (1, 3, None)
    del memory.copies[:], memory.events[:]
    memory.manager.set_step(5)
    memory.manager.attach(7, prefix, prefix.on_device)
    memory.swapper.promote("r", 7, prefix)
    entries = [memory.entry(memory.device, name) for name in names]
    assert memory.manager.tables(7) == [[entry.block for entry in entries]]
    assert [entry.hits for entry in entries] == [1, 1, 1]
    assert [entry.born for entry in entries] == [1, 1, 1]
    assert [entry.depth for entry in entries] == [0, 2, 4]
    assert [len(pairs) for _, pairs in memory.copies] == [2], "in one copy"
    assert [event.reason for event in memory.told(BlockAllocated)] == ["prefix_hit"] * 2
    assert list(memory.manager.names.of(7)) == names
    assert memory.host.num_available == 4
    memory.manager.check()


def test_what_is_pinned_below_is_not_evicted_for_what_comes_down():
    memory = Memory(device=3, host=2)
    old, newer = memory.cache(0, [1, 2], step=1), memory.cache(1, [3, 4], step=2)
    memory.swapper.make_room(3)
    memory.cache(2, [5, 6], step=3)
    memory.swapper.pin(old)
    memory.swapper.make_room(3)
    memory.swapper.unpin()
    assert memory.entry(memory.host, old[0]) is not None
    assert memory.entry(memory.host, newer[0]) is None


def test_a_pinned_prefix_survives_the_room_that_is_made_for_it():
    memory = Memory(device=3, host=0)
    old = memory.cache(0, [1, 2, 3, 4], step=1)
    new = memory.cache(1, [9, 9], step=2)
    memory.swapper.pin(old)
    memory.swapper.make_room(1)
    memory.swapper.unpin()
    assert all(memory.entry(memory.device, name) for name in old)
    assert not memory.entry(memory.device, new[0])
    assert [event.hash for event in memory.told(BlockCached)] == [old[1], old[0], new[0]], "the end goes first"
