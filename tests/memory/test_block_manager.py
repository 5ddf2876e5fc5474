"""The block manager against a model made of dicts and sets, under random operations."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pagedviz.errors import AuditError
from pagedviz.events import BlockAllocated, BlockCopied, BlockFreed, BlockReleased, BlockShared
from pagedviz.memory import BlockManager
from pagedviz.memory.eviction import make_policy

NUM_BLOCKS = 14


def everything(manager):
    """All of a manager's state, the order of free blocks included."""
    return (
        {s: [list(table) for table in manager.tables(s)] for s in manager.sequences()},
        list(manager.device.pool._free),
        list(manager.device.pool._refcounts),
        {s: list(hashes) for s, hashes in manager.names._hashes.items()},
    )


class Memory(RuleBasedStateMachine):
    """``content`` is the model: what each slot of a sequence should hold; ``slots`` is the fake tensor."""

    @initialize(size=st.integers(1, 4), groups=st.integers(1, 2))
    def make(self, size, groups):
        self.events = []
        self.size, self.groups = size, groups
        self.manager = BlockManager(NUM_BLOCKS, size, groups, self.events.append)
        self.content = {}
        self.slots = {}
        self.next_id = 0
        self.stamp = 0

    # -- what the engine does ------------------------------------------------------------------------------

    def plan(self, data, most):
        """Some sequences, new and old, and how far each is to be written."""
        known = data.draw(
            st.lists(st.sampled_from(sorted(self.content)), unique=True) if self.content else st.just([])
        )
        fresh = [self.next_id + i for i in range(data.draw(st.integers(0, 2)))]
        return [(s, len(self.content.get(s, ())), data.draw(st.integers(1, most))) for s in [*known, *fresh]]

    def fitting(self, writes):
        """The dry run of the writes that fit, each asked for on a copy as the scheduler does."""
        dry_run, kept = self.manager.dry_run(), []
        for write in writes:
            attempt = dry_run.copy()
            attempt.write(*write)
            if attempt.num_free >= 0:
                dry_run = attempt
                kept.append(write)
        return dry_run, kept

    def write_all(self, writes):
        self.manager.begin()
        for sequence, start, count in writes:
            for source, target in self.manager.write(sequence, start, count, "prefill"):
                for offset in range(self.size):
                    self.slots[target, offset] = self.slots.get((source, offset))

    @rule(data=st.data())
    def step(self, data):
        dry_run, writes = self.fitting(self.plan(data, 6))
        order = data.draw(st.permutations(writes))
        self.write_all(order)
        assert self.manager.device.pool.num_free == dry_run.num_free
        for sequence, start, count in order:
            self.next_id = max(self.next_id, sequence + 1)
            for position in range(start, start + count):
                self.stamp += 1
                self.content.setdefault(sequence, []).append(self.stamp)
                for table in self.manager.tables(sequence):
                    block = table[position // self.size]
                    assert self.manager.device.pool.refcount(block) == 1, "a shared block is written into"
                    self.slots[block, position % self.size] = self.stamp
        for sequence, _, _ in order:
            self.manager.fill(sequence, self.content[sequence], len(self.content[sequence]))

    @rule(data=st.data())
    def failed_step(self, data):
        before = everything(self.manager)
        _, writes = self.fitting(self.plan(data, 6))
        stop = data.draw(st.integers(0, 8))
        taken = 0
        original = self.manager.device.pool.take

        def take():
            nonlocal taken
            taken += 1
            if taken > stop:
                raise RuntimeError("injected")
            return original()

        self.manager.device.pool.take = take
        try:
            self.write_all(writes)
        except RuntimeError:
            pass
        finally:
            del self.manager.device.pool.take
            self.manager.rollback()
        assert everything(self.manager) == before

    @precondition(lambda self: self.content)
    @rule(data=st.data())
    def fork(self, data):
        parent = data.draw(st.sampled_from(sorted(self.content)))
        shared = data.draw(st.integers(1, len(self.content[parent])))
        child, self.next_id = self.next_id, self.next_id + 1
        free = self.manager.device.pool.num_free
        self.manager.fork(parent, child, shared)
        self.content[child] = self.content[parent][:shared]
        assert self.manager.device.pool.num_free == free, "sharing costs nothing"

    @precondition(lambda self: self.content)
    @rule(data=st.data())
    def release(self, data):
        gone = data.draw(st.lists(st.sampled_from(sorted(self.content)), min_size=1, unique=True))
        dry_run = self.manager.dry_run()
        dry_run.release(gone)
        free = self.manager.device.pool.num_free
        freed = sum(self.manager.release(sequence) for sequence in gone)
        assert self.manager.device.pool.num_free == free + freed == dry_run.num_free
        for sequence in gone:
            del self.content[sequence]

    @precondition(lambda self: len(self.content) > 1)
    @rule(data=st.data())
    def preempt_then_write(self, data):
        """As in a step that preempts: releases are counted first, then other sequences write."""
        victim = data.draw(st.sampled_from(sorted(self.content)))
        writer = data.draw(st.sampled_from(sorted(set(self.content) - {victim})))
        dry_run = self.manager.dry_run()
        dry_run.release([victim])
        write = (writer, len(self.content[writer]), data.draw(st.integers(1, 5)))
        dry_run.write(*write)
        if dry_run.num_free < 0:
            return
        self.manager.release(victim)
        del self.content[victim]
        self.write_all([write])
        assert self.manager.device.pool.num_free == dry_run.num_free
        self.manager.rollback()

    # -- what holds at all times ---------------------------------------------------------------------------

    @invariant()
    def tables_are_those_of_the_model(self):
        self.manager.check()
        assert set(self.manager.sequences()) == set(self.content)
        owners = Counter()
        for sequence, tokens in self.content.items():
            tables = self.manager.tables(sequence)
            assert [len(table) for table in tables] == [-(-len(tokens) // self.size)] * self.groups
            for table in tables:
                assert len(set(table)) == len(table)
                owners.update(table)
                held = [self.slots[table[i // self.size], i % self.size] for i in range(len(tokens))]
                assert held == tokens, "a sequence no longer finds what it wrote"
        assert [self.manager.device.pool.refcount(b) for b in range(NUM_BLOCKS)] == [
            owners[b] for b in range(NUM_BLOCKS)
        ]
        assert self.manager.device.pool.num_free == NUM_BLOCKS - len(owners)

    @invariant()
    def every_block_is_shared_from_its_first_slot_on(self):
        for sequence, tokens in self.content.items():
            for other, others in self.content.items():
                for table, another in zip(self.manager.tables(sequence), self.manager.tables(other), strict=True):
                    for logical, (one, two) in enumerate(zip(table, another, strict=False)):
                        if one == two:
                            end = min((logical + 1) * self.size, len(tokens), len(others))
                            assert tokens[logical * self.size : end] == others[logical * self.size : end]


# Without derandomization every run explores other operations; 70 runs of up to 30 are about 2 000.
Memory.TestCase.settings = settings(
    max_examples=70,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestMemory = Memory.TestCase


def test_a_forked_sequence_copies_the_partly_filled_block_when_it_writes():
    events = []
    manager = BlockManager(8, 4, emit=events.append)
    manager.write(0, 0, 6, "prefill")
    manager.fork(0, 1, 6)
    manager.fork(0, 2, 6)
    assert [e.refcount for e in events if isinstance(e, BlockShared)] == [2, 2, 3, 3]
    assert manager.write(0, 6, 1, "decode") == [(1, 2)]
    assert manager.write(1, 6, 1, "decode") == [(1, 3)]
    assert manager.write(2, 6, 1, "decode") == []
    assert [manager.tables(s)[0] for s in (0, 1, 2)] == [[0, 2], [0, 3], [0, 1]]
    assert [(e.source, e.target) for e in events if isinstance(e, BlockCopied)] == [(1, 2), (1, 3)]


def test_freed_blocks_are_handed_out_again_oldest_first():
    manager = BlockManager(4, 1)
    manager.write(0, 0, 3, "prefill")
    manager.release(0)
    manager.write(1, 0, 4, "prefill")
    assert manager.tables(1) == [[3, 2, 1, 0]]


def test_release_tells_each_block_and_frees_what_nobody_else_has():
    events = []
    manager = BlockManager(4, 2, emit=events.append)
    manager.write(0, 0, 4, "prefill")
    manager.fork(0, 1, 2)
    del events[:]
    assert manager.release(0) == 1
    assert [type(e) for e in events] == [BlockReleased, BlockFreed, BlockReleased]
    assert [e.refcount for e in events if isinstance(e, BlockReleased)] == [0, 1]
    assert manager.release(0) == 0, "a sequence without blocks has none to give"
    assert manager.release(1) == 1


def test_groups_of_layers_have_tables_of_their_own_in_one_pool():
    events = []
    manager = BlockManager(6, 2, num_groups=2, emit=events.append)
    manager.write(0, 0, 3, "prefill")
    assert manager.tables(0) == [[0, 1], [2, 3]]
    assert [(e.group, e.logical) for e in events if isinstance(e, BlockAllocated)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    manager.fork(0, 1, 3)
    assert manager.write(1, 3, 1, "decode") == [(1, 4), (3, 5)]


@pytest.mark.parametrize("damage", ["refcount", "lost", "twice", "groups"])
def test_check_finds_tables_that_contradict_the_pool(damage):
    manager = BlockManager(6, 2, num_groups=2)
    manager.write(0, 0, 2, "prefill")
    manager.check()
    if damage == "refcount":
        manager.device.pool._refcounts[0] += 1
    elif damage == "lost":
        manager.device.pool._free.pop()
    elif damage == "twice":
        manager.device.pool._free.append(5)
    else:
        manager._tables[0][1].append(0)
        manager.device.pool._refcounts[0] += 1
    with pytest.raises(AuditError):
        manager.check()


def filled(tokens, sequence=0, **options):
    manager = BlockManager(8, 2, caching=True, **options)
    manager.write(sequence, 0, len(tokens), "prefill")
    manager.fill(sequence, tokens, len(tokens))
    return manager


def test_tokens_in_memory_are_counted_once_where_they_are_shared():
    manager = filled([1, 2, 3])
    assert manager.num_tokens({0: 3}) == 3
    manager.fork(0, 1, 2)
    manager.write(1, 2, 1, "decode")
    assert manager.num_tokens({0: 3, 1: 3}) == 4
    manager.write(0, 3, 1, "decode")
    assert manager.num_tokens({0: 3}) == 3, "a block with room for more counts for what is in it"


def test_a_fork_takes_the_names_of_the_full_blocks_that_it_shares():
    manager = filled([1, 2, 3, 4])
    first, _ = manager.names.of(0)
    manager.fork(0, 1, 3)
    assert list(manager.names.of(1)) == [first]


def test_what_was_computed_before_a_reset_is_given_no_name_afterwards_nor_are_its_forks():
    manager = filled([1, 2])
    manager.reset_cache()
    manager.fork(0, 1, 2)
    for sequence in (0, 1):
        manager.write(sequence, 2, 2, "decode")
        manager.fill(sequence, [1, 2, 3, 4], 4)
        assert manager.names.of(sequence) == ()
        manager.release(sequence)
    assert manager.device.num_idle == 0


def test_who_fills_a_block_that_is_there_already_takes_that_one():
    manager = filled([1, 2])
    manager.write(1, 0, 2, "prefill")
    assert manager.tables(1) != manager.tables(0)
    manager.fill(1, [1, 2], 2)
    assert manager.tables(1) == manager.tables(0)
    assert manager.device.pool.num_free == 7


def test_a_policy_by_name_serves_both_tiers_and_an_object_the_device_alone():
    own = make_policy("fifo", 8)
    assert [tier.cache.policy_name for tier in filled([1], eviction="mru").tiers.values()] == ["mru", "mru"]
    assert [tier.cache.policy_name for tier in filled([1], eviction=own).tiers.values()] == ["fifo", "lru"]
