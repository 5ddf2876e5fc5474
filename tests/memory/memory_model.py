"""A model of both tiers with real content, and what holds between it, the block manager and the events."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from pagedviz.events import (
    Batch,
)
from pagedviz.memory import Moved
from pagedviz.trace.invariants import contradictions
from pagedviz.trace.reducer import apply_batch


class Injected(Exception):
    pass


class Seq:
    """What the model knows of a sequence: its tokens, how many were written, and if before a reset."""

    def __init__(self, id_, tokens):
        self.id, self.tokens, self.computed = id_, tokens, 0
        self.nameless = False

    @property
    def left(self):
        return len(self.tokens) - self.computed


class Req:
    """``status``: waiting, swapped or running."""

    def __init__(self, name, sequence, salt):
        self.name, self.sequences, self.salt = name, [sequence], salt
        self.status = "waiting"


class Model(RuleBasedStateMachine):
    """The manager's state by a simpler account: requests, and slots that hold what was written into them.

    A machine sets ``manager``, ``swapper`` and the rest, and adds its operations as rules.
    """

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
        """The content that a return of this request brings up; the dry run counts twice what two bring up."""
        find = self.manager.device.find
        if request.status == "swapped":
            names = {
                (group, name)
                for id_ in self.ids_of(request)
                for group in range(self.groups)
                for name in self.manager.names.of(id_)
            }
        else:
            leader = request.sequences[0]
            prefix = self.manager.finder.find(leader.id, leader.tokens, request.salt)
            names = {(group, name) for group in range(self.groups) for name in prefix.names[: prefix.found]}
        return {key for key in names if find(key) is None}

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
                    assert held[1] == self.value(group, request.salt, sequence.tokens, position)
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
                    found = self.slots[name][entry.block, offset]
                    assert found == (self.weights, expected), "nothing from before a reset has a name"
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
        assert not len(manager.names)
        assert not manager._swapped
        assert not manager.finder._names
