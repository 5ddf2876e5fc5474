"""Both tiers, the prefix cache, swaps and every policy against a model with real content, at random.

``Memory`` drives the block manager as the engine does, and its slots hold what was written into them, so a block
that is handed out too early, copied too late or named wrongly shows as a wrong content and not as a wrong count.
About 10 000 operations; with the environment variable PAGEDVIZ_NIGHTLY=1 about 250 000.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pagedviz.errors import PolicyError
from pagedviz.events import (
    Batch,
    PrefixHit,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.memory import PLACEMENTS, POLICIES, BlockManager, Moved, Swapper
from pagedviz.memory.content import chained_hashes
from pagedviz.trace.invariants import contradictions
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)
TOKENS = st.sampled_from([0, 0, 0, 1])


class Injected(Exception):
    pass


class Seq:
    """What the model knows of a sequence: its tokens, and how many of them were written."""

    def __init__(self, id_, tokens):
        self.id, self.tokens, self.computed = id_, tokens, 0

    @property
    def left(self):
        return len(self.tokens) - self.computed


class Req:
    """``status``: waiting, swapped or running."""

    def __init__(self, name, sequence, salt):
        self.name, self.sequences, self.salt = name, [sequence], salt
        self.status = "waiting"


class Memory(RuleBasedStateMachine):
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
        self.meaning = {}  # name of a content -> (salt, all tokens up to its end)
        self.history = [[0] * 12, [0, 1] * 6]
        self.names = self.ids = self.step_number = 0
        self.fail_moves = 0
        self.moves = 0
        for _ in range(4):
            self.add(data, "")

    # -- the tensors -----------------------------------------------------------------------------------------

    def move(self, direction, pairs):
        assert pairs, "nothing to copy is no copy"
        assert len({target for _, target in pairs}) == len(pairs)
        source, target = ("device", "host") if direction == "out" else ("host", "device")
        self.moves += 1
        if self.fail_moves and self.moves % 2 == self.fail_moves % 2:
            self.fail_moves -= 1
            raise Injected
        assert all(self.manager.tiers[target].pool.refcount(new) == 0 for _, new in pairs)
        found = [[self.slots[source].get((old, offset)) for offset in range(self.size)] for old, _ in pairs]
        for (_, new), content in zip(pairs, found, strict=True):
            for offset, value in enumerate(content):
                self.slots[target][new, offset] = value
        return Moved(len(pairs), 1)

    def copy(self, copies):
        for source, target in copies:
            for offset in range(self.size):
                self.slots["device"][target, offset] = self.slots["device"].get((source, offset))

    def value(self, group, salt, tokens, position):
        """What the K and V of a token depend on."""
        return group, salt, tuple(tokens[: position + 1])

    # -- helpers ---------------------------------------------------------------------------------------------

    def flush(self):
        batch = Batch(self.state.seq, self.step_number, 0, tuple(self.pending))
        self.pending.clear()
        apply_batch(self.state, batch)
        for name in [name for name, request in self.state.requests.items() if request.status == "finished"]:
            for sequence in self.state.requests.pop(name).sequences:
                del self.state.sequences[sequence]

    def of(self, *statuses):
        return [request for _, request in sorted(self.requests.items()) if request.status in statuses]

    def some(self, data, things):
        """Any of them, each as likely as not."""
        chosen = data.draw(st.integers(0, 2 ** len(things) - 1))
        return [thing for index, thing in enumerate(things) if not chosen >> index & 1]

    def ids_of(self, request):
        return [sequence.id for sequence in request.sequences]

    def counted(self, request):
        """The content that a return of this request brings up; what two bring up is counted twice by the trial."""
        find = self.manager.device.find
        if request.status == "swapped":
            names = {
                (group, name)
                for id_ in self.ids_of(request)
                for group in range(self.groups)
                for name in self.manager.hashes(id_)
            }
        else:
            leader = request.sequences[0]
            prefix = self.manager.finder.find(leader.id, leader.tokens, request.salt)
            names = {(group, name) for group in range(self.groups) for name in prefix.names[: prefix.found]}
        return {key for key in names if find(key) is None}

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

    def plan_writes(self, data, trial, requests):
        """Some tokens of running sequences, as long as they fit."""
        kept = []
        for request in requests:
            for sequence in request.sequences:
                if not sequence.left:
                    self.append(sequence, data.draw(st.lists(TOKENS, min_size=1, max_size=4)))
                count = data.draw(st.integers(1, sequence.left))
                attempt = trial.copy()
                attempt.write(sequence.id, sequence.computed, count)
                if attempt.num_free >= 0:
                    trial = attempt
                    kept.append((request, sequence, count))
        return trial, kept

    def append(self, sequence, tokens):
        for token in tokens:
            self.pending.append(TokenAppended(sequence.id, len(sequence.tokens), token, ""))
            sequence.tokens.append(token)

    def plan_admissions(self, data, trial, requests):
        """Waiting and swapped requests that fit, and what each of them computes at once."""
        admitted, writes, brought, twice = [], [], set(), False
        for request in requests:
            attempt, own = trial.copy(), []
            if request.status == "swapped":
                prefix = None
                attempt.swap_in(self.ids_of(request))
                for sequence in request.sequences:
                    if sequence.left:
                        count = data.draw(st.integers(1, sequence.left))
                        attempt.write(sequence.id, sequence.computed, count)
                        own.append((request, sequence, count))
            else:
                leader = request.sequences[0]
                prefix = self.manager.finder.find(leader.id, leader.tokens, request.salt)
                attempt.hit(prefix)
                have = prefix.found * self.size
                count = data.draw(st.integers(1, len(leader.tokens) - have))
                attempt.write(leader.id, have, count, prefix.found)
                own.append((request, leader, count))
            if attempt.num_free < 0:
                continue
            up = self.counted(request)
            twice |= bool(up & brought)
            brought |= up
            trial = attempt
            admitted.append((request, prefix))
            writes += own
        return trial, admitted, writes, twice

    def preempt(self, request, mode, trial):
        device_before, ids = self.manager.device.num_available, self.ids_of(request)

        def announce():
            self.pending.append(RequestPreempted(request.name, mode, "", 0, 0))

        if mode == "swap":
            self.swapper.swap_out(request.name, ids, announce)
            request.status = "swapped"
        else:
            announce()
            for sequence in request.sequences:
                self.manager.release(sequence.id)
                sequence.computed = 0
            self.drop(request, request.sequences[1:])
            request.status = "waiting"
        assert self.manager.device.num_available >= device_before

    def drop(self, request, gone):
        for sequence in gone:
            self.pending.append(SequenceFinished(request.name, sequence.id, "stop"))
            self.manager.release(sequence.id)
            request.sequences.remove(sequence)
        if not request.sequences:
            self.pending.append(RequestFinished(request.name, "stop"))
            del self.requests[request.name]

    def prepare(self, admitted, count):
        """As ``engine/residency``: whatever is raised in here, what came before it stands."""
        begun = []
        try:
            for request, prefix in admitted:
                if prefix is not None:
                    self.swapper.pin(prefix.names[: prefix.found])
                else:
                    for sequence in request.sequences:
                        self.swapper.pin(self.manager.hashes(sequence.id))
            for request, prefix in admitted:
                if prefix is not None:
                    request.status = "running"
                    self.pending.append(RequestScheduled(request.name, resumed=False))
                    self.manager.attach(request.sequences[0].id, prefix, prefix.on_device)
                    begun.append(request)
            self.swapper.make_room(count)
            assert self.manager.device.pool.num_free >= count
            for request, prefix in admitted:
                if prefix is None:
                    self.swapper.swap_in(
                        request.name,
                        self.ids_of(request),
                        lambda request=request: self.pending.append(RequestScheduled(request.name, resumed=True)),
                    )
                    request.status = "running"
                elif prefix.found > prefix.on_device:
                    self.swapper.promote(request.name, request.sequences[0].id, prefix)
        finally:
            for request in begun:
                leader = request.sequences[0]
                blocks = len(self.manager.tables(leader.id)[0])
                leader.computed = blocks * self.size
                if blocks:
                    hit = PrefixHit(request.name, leader.id, blocks, leader.computed, 0, resumed=False)
                    self.pending.append(hit)
            self.swapper.unpin()

    def compute(self, writes):
        """Take the blocks, write, and name what became full."""
        self.manager.begin()
        for _, sequence, count in writes:
            self.copy(self.manager.write(sequence.id, sequence.computed, count, "prefill"))
        self.after_writing()
        scheduled = tuple((sequence.id, sequence.computed, count) for _, sequence, count in writes)
        self.pending += [StepStarted(scheduled), StepFinished(0, 0, 0)]
        for request, sequence, count in writes:
            for position in range(sequence.computed, sequence.computed + count):
                for group, table in enumerate(self.manager.tables(sequence.id)):
                    block = table[position // self.size]
                    assert self.manager.device.pool.refcount(block) == 1, "a shared block is written into"
                    assert not self.manager.device.cache or not self.manager.device.cache.entry(block)
                    content = self.value(group, request.salt, sequence.tokens, position)
                    self.slots["device"][block, position % self.size] = content
            sequence.computed += count
        for request, sequence, _ in writes:
            self.manager.fill(sequence.id, sequence.tokens, sequence.computed, request.salt)
            hashes = chained_hashes(sequence.tokens, self.size, sequence.computed, (), request.salt)
            assert list(self.manager.hashes(sequence.id)) == hashes
            for logical, name in enumerate(hashes):
                meant = request.salt, tuple(sequence.tokens[: (logical + 1) * self.size])
                assert self.meaning.setdefault(name, meant) == meant
            self.history = [*self.history[-6:], sequence.tokens[:12]]

    def after_writing(self):
        found = self.manager.device.num_available
        assert found >= self.expected[0]
        assert found == self.expected[0] or self.expected[1]

    def plan(self, data):
        """A step that preempts, or one that admits."""
        trial = self.manager.trial()
        running = self.of("running")
        victims = self.some(data, running) if data.draw(st.integers(0, 3)) == 3 else []
        preempted = []
        for request in victims:
            blocks = {b for id_ in self.ids_of(request) for t in self.manager.tables(id_) for b in t}
            if blocks and len(blocks) <= trial.num_host_free and data.draw(st.booleans()):
                trial.swap_out(self.ids_of(request))
                preempted.append((request, "swap"))
            else:
                trial.release(self.ids_of(request))
                preempted.append((request, "recompute"))
        self.expected_host = trial.num_host_free
        others = [request for request in running if request not in victims]
        trial, writes = self.plan_writes(data, trial, self.some(data, others))
        admitted, twice = [], False
        if not preempted:
            waiting = self.some(data, self.of("waiting", "swapped"))
            trial, admitted, more, twice = self.plan_admissions(data, trial, waiting)
            writes += more
        self.expected = trial.num_free, twice
        return trial, preempted, admitted, writes

    def carry_out(self, data, change=lambda: None):
        self.step_number += 1
        self.manager.set_step(self.step_number)
        trial, preempted, admitted, writes = self.plan(data)
        change()
        for request, mode in preempted:
            self.preempt(request, mode, trial)
        assert self.manager.host.num_available == self.expected_host
        self.prepare(admitted, trial.num_taken)
        order = data.draw(st.permutations(writes))
        stands = len(self.pending)
        try:
            self.compute(order)
        except Injected:
            self.manager.rollback()
            del self.pending[stands:]
            raise

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
            {s: list(hashes) for s, hashes in manager._hashes.items()},
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
        child.computed = shared
        request.sequences.append(child)
        assert self.manager.device.num_available == free, "sharing costs nothing"
        self.flush()

    @precondition(lambda self: len(self.requests) > 4)
    @rule(data=st.data(), whole=st.booleans())
    def release(self, data, whole):
        request = data.draw(st.sampled_from(self.of("waiting", "running", "swapped")))
        gone = list(request.sequences) if whole else [data.draw(st.sampled_from(request.sequences))]
        trial = self.manager.trial()
        tier = "host" if request.status == "swapped" else "device"
        if tier == "device":
            trial.release(sequence.id for sequence in gone)
        self.drop(request, gone)
        assert self.manager.device.num_available == trial.num_free
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
        assert not self.manager.device.names()
        assert not self.manager.host.names()
        assert self.manager.device.num_idle == self.manager.host.num_idle == 0
        self.flush()

    @rule(eviction=st.sampled_from(LIVE))
    def change_eviction(self, eviction):
        self.manager.change_eviction(eviction)
        if self.caching:
            assert self.manager.device.cache.policy_name == eviction
            assert self.candidates_are_the_idle_blocks("device")

    # -- what holds at all times -----------------------------------------------------------------------------

    def candidates_are_the_idle_blocks(self, tier):
        cache = self.manager.tiers[tier].cache
        return {entry.block for entry, _ in cache.victims(cache.num_idle)} == cache.idle

    @invariant()
    def tables_and_counts_are_those_of_the_model(self):
        self.manager.check()
        sequences = {s.id: (r, s) for r in self.requests.values() for s in r.sequences}
        assert set(self.manager.sequences()) == {id_ for id_, (_, s) in sequences.items() if s.computed}
        owners = {"device": Counter(), "host": Counter()}
        for id_, (request, sequence) in sequences.items():
            tables = self.manager.tables(id_)
            assert [len(table) for table in tables] == [-(-sequence.computed // self.size)] * self.groups
            tier = self.manager.tier_of(id_).name
            if sequence.computed:
                assert tier == ("host" if request.status == "swapped" else "device")
            for group, table in enumerate(tables):
                assert len(set(table)) == len(table)
                owners[tier].update(table)
                slots = self.slots[tier]
                for position in range(sequence.computed):
                    held = slots.get((table[position // self.size], position % self.size))
                    assert held == self.value(group, request.salt, sequence.tokens, position)
        for name, tier in self.manager.tiers.items():
            pool, idle = tier.pool, tier.cache.idle if tier.cache else set()
            blocks = range(self.pools[name])
            assert [pool.refcount(block) for block in blocks] == [owners[name][block] for block in blocks]
            assert sorted([*pool._free, *idle, *owners[name]]) == list(blocks), "every block is in one place"

    @invariant()
    def a_name_stands_for_its_content_and_is_in_one_tier(self):
        assert not self.manager.device.names() & self.manager.host.names()
        for name, tier in self.manager.tiers.items():
            for key in tier.names():
                group, content = key
                salt, tokens = self.meaning[content]
                entry = tier.cache.find(key)
                assert entry.depth == len(tokens) - self.size
                for offset in range(self.size):
                    expected = self.value(group, salt, tokens, entry.depth + offset)
                    assert self.slots[name][entry.block, offset] == expected
                assert entry.born <= self.step_number

    @invariant()
    def the_events_say_the_same(self):
        assert not self.pending
        assert list(contradictions(self.state)) == []
        told = {
            (name, id_): (sequence.tokens, sequence.computed, sequence.tables)
            for name, request in self.state.requests.items()
            for id_ in request.sequences
            if (sequence := self.state.sequences[id_]).status != "finished"
        }
        own = {}
        for request in self.requests.values():
            for sequence in request.sequences:
                tier = self.manager.tier_of(sequence.id).name
                tables = enumerate(self.manager.tables(sequence.id))
                tables = {group: [(tier, block) for block in table] for group, table in tables if table}
                own[request.name, sequence.id] = sequence.tokens, sequence.computed, tables
        told = {
            key: (t, c, {g: table for g, table in tables.items() if table}) for key, (t, c, tables) in told.items()
        }
        assert told == own
        for name, tier in self.manager.tiers.items():
            blocks = self.state.blocks.get(name, {})
            cached = {id_: (block.group, block.hash) for id_, block in blocks.items() if not block.holders}
            idle = {} if tier.cache is None else {id_: tier.cache.entry(id_).key for id_ in tier.cache.idle}
            assert cached == idle
            assert self.state.num_free(name) == tier.pool.num_free
            if tier.cache is not None:
                for id_, block in blocks.items():
                    entry = tier.cache.entry(id_)
                    if entry is not None:
                        assert block.hash in {"", entry.key[1]}, (
                            "a named block has that name, or lost it at a reset"
                        )

    def teardown(self):
        """At the end nothing is left, and the policies have forgotten every block."""
        if not hasattr(self, "manager"):
            return
        for tier in ("device", "host"):
            assert not self.caching or self.candidates_are_the_idle_blocks(tier)
        for request in self.of("waiting", "running", "swapped"):
            self.drop(request, list(request.sequences))
        self.manager.reset_cache()
        self.flush()
        for name, tier in self.manager.tiers.items():
            assert tier.pool.num_free == self.pools[name]
            assert self.state.num_free(name) == self.pools[name]
            assert not tier._pinned
        manager = self.manager
        assert not manager.sequences()
        assert not manager._hashes
        assert not manager._swapped
        assert not manager.finder._names


# Without derandomization every run explores other operations.
Memory.TestCase.settings = settings(
    max_examples=5000 if NIGHTLY else 200,
    stateful_step_count=80,
    deadline=None,
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
