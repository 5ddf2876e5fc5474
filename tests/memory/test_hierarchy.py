"""Both tiers, the prefix cache, swaps and every policy against a model with real content, at random.

``Memory`` drives the block manager as the engine does, and its slots hold what was written into them, so a block
that is handed out too early, copied too late or named wrongly shows as a wrong content and not as a wrong count.
About 6 000 operations; with the environment variable PAGEDVIZ_NIGHTLY=1 about 250 000.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from memory_driver import TOKENS, Driver
from memory_model import Injected, Req, Seq

from pagedviz.errors import ConfigError, PolicyError
from pagedviz.events import (
    RequestAdded,
    SequenceForked,
)
from pagedviz.memory import PLACEMENTS, POLICIES, BlockManager, Swapper
from pagedviz.trace.state import State

NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)


class Memory(Driver):
    @initialize(
        size=st.integers(1, 4),
        groups=st.integers(1, 2),
        device=st.integers(6, 16),
        host=st.sampled_from([0, 1, 2, 4, 7, 12]),
        caching=st.sampled_from([True, True, True, False]),
        eviction=st.sampled_from(LIVE),
        placement=st.sampled_from(["always", *sorted(PLACEMENTS)]),
        seed=st.integers(0, 3),
        data=st.data(),
    )
    def make(self, size, groups, device, host, caching, eviction, placement, seed, data):
        self.pending = []
        self.size, self.groups, self.caching = size, groups, caching
        self.pools = {"device": device, "host": host}
        self.manager = BlockManager(
            device,
            size,
            groups,
            self.pending.append,
            num_host_blocks=host,
            caching=caching,
            eviction=eviction,
            seed=seed,
        )
        self.swapper = Swapper(self.manager, self.move, placement)
        self.state = State(size, dict(self.pools))
        self.slots = {"device": {}, "host": {}}
        self.requests = {}
        self.weights = 0
        self.meaning = {}  # name of a content -> (salt, all tokens up to its end)
        self.history = [[0] * 12, [0, 1] * 6]
        self.names = self.ids = self.step_number = 0
        self.fail_moves = 0
        self.moves = 0
        for _ in range(4):
            self.add(data, "")

    # -- what the engine does --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.of("waiting", "swapped")) < 4)
    @rule(data=st.data(), salt=st.sampled_from(["", "", "", "salt"]))
    def add(self, data, salt):
        before = data.draw(st.sampled_from(self.history))
        tail = data.draw(st.lists(TOKENS, min_size=1, max_size=3))
        tokens = [*before[: data.draw(st.integers(0, len(before)))], *tail]
        most = self.pools["device"] // self.groups * self.size
        tokens = tokens[: min(most, 14)]
        name, self.names = f"r{self.names}", self.names + 1
        request = self.requests[name] = Req(name, Seq(self.ids, tokens), salt)
        self.pending.append(RequestAdded(name, (self.ids,), tuple(tokens), (), 99))
        self.ids += 1
        assert request.status == "waiting"
        self.flush()

    @rule(data=st.data())
    def step(self, data):
        self.carry_out(data)
        self.flush()

    @rule(data=st.data())
    def another_step(self, data):
        """Twice as likely as what follows."""
        self.step(data)

    @rule(data=st.data(), stop=st.integers(0, 5))
    def step_that_fails_when_it_takes_blocks(self, data, stop):
        """What made room for it stands; its own blocks go back, in their order."""
        pool, taken, before = self.manager.device.pool, 0, None
        write, take = self.manager.write, pool.take

        def sometimes():
            nonlocal taken
            taken += 1
            if taken > stop:
                raise Injected
            return take()

        def begin():
            nonlocal before
            before = self.everything()
            pool.take = sometimes
            type(self.manager).begin(self.manager)

        self.manager.begin = begin
        try:
            self.carry_out(data)
        except Injected:
            assert self.everything() == before
        finally:
            del self.manager.begin
            vars(pool).pop("take", None)
        assert self.manager.write == write
        self.flush()

    @precondition(lambda self: self.pools["host"])
    @rule(data=st.data(), failures=st.integers(1, 2))
    def step_whose_copies_fail(self, data, failures):
        self.fail_moves = failures
        try:
            self.carry_out(data)
        except Injected:
            pass
        finally:
            self.fail_moves = 0
        self.flush()

    @precondition(lambda self: self.caching)
    @rule(data=st.data())
    def step_whose_policy_fails(self, data):
        def fails(count):
            raise Injected

        policy = self.manager.device.cache.policy
        try:
            self.carry_out(data, lambda: setattr(policy, "victims", fails))
        except PolicyError as error:
            told = str(error)
        else:
            told = policy.name
        finally:
            vars(policy).pop("victims", None)
        assert policy.name in told
        self.flush()

    def everything(self):
        """Of the device, also the order of its free blocks; of both, who has what."""
        manager, pool = self.manager, self.manager.device.pool
        return (
            {s: [list(table) for table in manager.tables(s)] for s in manager.sequences()},
            list(pool._free),
            list(pool._refcounts),
            {s: list(hashes) for s, hashes in manager.names._hashes.items()},
            manager.device.names(),
            manager.host.names(),
            list(manager.host.pool._free),
        )

    @precondition(lambda self: self.of("running"))
    @rule(data=st.data(), whole=st.booleans())
    def fork(self, data, whole):
        """As a beam, or as a sample whose leader is ahead: at the end, or at the end of a block."""
        request = data.draw(st.sampled_from(self.of("running")))
        parent = data.draw(st.sampled_from(request.sequences))
        if len(request.sequences) == 4:
            return
        child = Seq(self.ids, list(parent.tokens))
        self.ids += 1
        shared = parent.computed if whole else parent.computed // self.size * self.size
        free = self.manager.device.num_available
        self.pending.append(SequenceForked(request.name, parent.id, child.id, shared))
        self.manager.fork(parent.id, child.id, shared)
        child.computed, child.nameless = shared, parent.nameless and shared > 0
        request.sequences.append(child)
        assert self.manager.device.num_available == free, "sharing costs nothing"
        self.flush()

    @precondition(lambda self: len(self.requests) > 4)
    @rule(data=st.data(), whole=st.booleans())
    def release(self, data, whole):
        request = data.draw(st.sampled_from(self.of("waiting", "running", "swapped")))
        gone = list(request.sequences) if whole else [data.draw(st.sampled_from(request.sequences))]
        dry_run = self.manager.dry_run()
        tier = "host" if request.status == "swapped" else "device"
        if tier == "device":
            dry_run.release(sequence.id for sequence in gone)
        self.drop(request, gone)
        assert self.manager.device.num_available == dry_run.num_free
        self.flush()

    @precondition(lambda self: self.caching)
    @rule(data=st.data())
    def evict(self, data):
        count = data.draw(st.integers(0, self.manager.device.num_available))
        self.swapper.make_room(count)
        assert self.manager.device.pool.num_free >= count
        self.flush()

    @precondition(lambda self: self.step_number % 16 == 15)
    @rule()
    def reset_cache(self):
        idle = self.manager.device.num_idle + self.manager.host.num_idle
        assert self.manager.reset_cache() == idle
        self.weights += 1  # as if for that reason
        for request in self.requests.values():
            for sequence in request.sequences:
                sequence.nameless = sequence.computed > 0
        assert not self.manager.device.names()
        assert not self.manager.host.names()
        assert self.manager.device.num_idle == self.manager.host.num_idle == 0
        self.flush()

    @rule(eviction=st.sampled_from(LIVE))
    def change_eviction(self, eviction):
        if not self.caching:
            with pytest.raises(ConfigError, match="nothing is cached"):
                self.manager.change_eviction(eviction)
            return
        self.manager.change_eviction(eviction)
        assert self.manager.device.cache.policy_name == eviction
        assert self.candidates_are_the_idle_blocks("device")


# Without derandomization every run explores other operations.
Memory.TestCase.settings = settings(
    max_examples=30 if not __debug__ else 5000 if NIGHTLY else 120,  # few without asserts, also at night
    stateful_step_count=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestMemory = pytest.mark.timeout(3600)(Memory.TestCase) if NIGHTLY else Memory.TestCase


def test_a_sequence_without_blocks_is_in_neither_tier():
    """As a sample that begins again, and shares nothing with its leader: its prompt is shorter than a block."""
    manager = BlockManager(8, 4, num_host_blocks=8)
    swapper = Swapper(manager)
    manager.write(0, 0, 3, "prefill")
    manager.fork(0, 1, 0)
    swapper.swap_out("r0", [0, 1], lambda: None)
    assert manager.sequences() == [0]
    manager.begin()
    manager.rollback()
    assert manager.tier_of(1) is manager.device
    swapper.swap_in("r0", [0, 1], lambda: None)
    assert manager.sequences() == [0]
    manager.check()


def test_a_content_keeps_its_age_from_tier_to_tier():
    """First in, first out means first cached, wherever it was in between."""
    manager = BlockManager(3, 4, num_host_blocks=6, caching=True, eviction="fifo")
    swapper = Swapper(manager)

    def serve(sequence, content):
        tokens = [content] * 4 + [0]
        prefix = manager.finder.find(sequence, tokens)
        swapper.pin(prefix.names[: prefix.found])
        manager.attach(sequence, prefix, prefix.on_device)
        swapper.make_room(2)
        if prefix.found > prefix.on_device:
            swapper.promote("r", sequence, prefix)
        swapper.unpin()
        manager.begin()
        manager.write(sequence, 4 * prefix.found, 5 - 4 * prefix.found, "prefill")
        manager.fill(sequence, tokens, 5)
        name = manager.names.of(sequence)[0]
        manager.release(sequence)
        return name

    oldest, *_ = (serve(sequence, content) for sequence, content in enumerate((7, 8, 9)))
    assert manager.device.find((0, oldest)) is None, "it went down"
    assert serve(3, 7) == oldest
    serials = {entry.key[1]: entry.serial for tier in manager.tiers.values() for entry in entries(tier)}
    assert serials[oldest] == 1
    assert sorted(serials.values()) == [1, 2, 3]
    assert [entry.key[1] for entry, _ in manager.device.cache.victims(1)] == [oldest]


def entries(tier):
    return [tier.cache.find(key) for key in tier.names()]
