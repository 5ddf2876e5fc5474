"""Steps of the block manager and the swapper in the order in which the engine takes them, from drawn plans."""

from hypothesis import strategies as st
from memory_model import Injected, Model

from pagedviz.events import (
    PrefixHit,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceFinished,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.memory.content import chained_hashes

TOKENS = st.sampled_from([0, 0, 0, 1])


class Driver(Model):
    """Plans as ``engine/schedule`` does, and carries plans out as its ``admission`` and ``engine/core`` do."""

    def plan_writes(self, data, dry_run, requests):
        """Some tokens of running sequences, as long as they fit."""
        kept = []
        for request in requests:
            for sequence in request.sequences:
                if not sequence.left:
                    self.append(sequence, data.draw(st.lists(TOKENS, min_size=1, max_size=4)))
                count = data.draw(st.integers(1, sequence.left))
                attempt = dry_run.copy()
                attempt.write(sequence.id, sequence.computed, count)
                if attempt.num_free >= 0:
                    dry_run = attempt
                    kept.append((request, sequence, count))
        return dry_run, kept

    def append(self, sequence, tokens):
        for token in tokens:
            self.pending.append(TokenAppended(sequence.id, len(sequence.tokens), token, ""))
            sequence.tokens.append(token)

    def plan_admissions(self, data, dry_run, requests):
        """Waiting and swapped requests that fit, and what each of them computes at once."""
        admitted, writes, brought, twice = [], [], set(), False
        for request in requests:
            attempt, own = dry_run.copy(), []
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
            dry_run = attempt
            admitted.append((request, prefix))
            writes += own
        return dry_run, admitted, writes, twice

    def preempt(self, request, mode, dry_run):
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
                sequence.computed, sequence.nameless = 0, False
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
        """As ``engine/schedule/admission``: whatever is raised in here, what came before it stands."""
        begun = []
        try:
            for request, prefix in admitted:
                if prefix is not None:
                    self.swapper.pin(prefix.names[: prefix.found])
                else:
                    for sequence in request.sequences:
                        self.swapper.pin(self.manager.names.of(sequence.id))
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
                    self.slots["device"][block, position % self.size] = self.weights, content
            sequence.computed += count
        for request, sequence, _ in writes:
            self.manager.fill(sequence.id, sequence.tokens, sequence.computed, request.salt)
            hashes = chained_hashes(sequence.tokens, self.size, sequence.computed, (), request.salt)
            assert list(self.manager.names.of(sequence.id)) == ([] if sequence.nameless else hashes)
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
        dry_run = self.manager.dry_run()
        running = self.of("running")
        victims = self.some(data, running) if data.draw(st.integers(0, 3)) == 3 else []
        preempted = []
        for request in victims:
            blocks = {b for id_ in self.ids_of(request) for t in self.manager.tables(id_) for b in t}
            if blocks and len(blocks) <= dry_run.num_host_free and data.draw(st.booleans()):
                dry_run.swap_out(self.ids_of(request))
                preempted.append((request, "swap"))
            else:
                dry_run.release(self.ids_of(request))
                preempted.append((request, "recompute"))
        self.expected_host = dry_run.num_host_free
        others = [request for request in running if request not in victims]
        dry_run, writes = self.plan_writes(data, dry_run, self.some(data, others))
        admitted, twice = [], False
        if not preempted:
            waiting = self.some(data, self.of("waiting", "swapped"))
            dry_run, admitted, more, twice = self.plan_admissions(data, dry_run, waiting)
            writes += more
        self.expected = dry_run.num_free, twice
        return dry_run, preempted, admitted, writes

    def carry_out(self, data, change=lambda: None):
        self.step_number += 1
        self.manager.set_step(self.step_number)
        dry_run, preempted, admitted, writes = self.plan(data)
        change()
        for request, mode in preempted:
            self.preempt(request, mode, dry_run)
        assert self.manager.host.num_available == self.expected_host
        self.prepare(admitted, dry_run.num_taken)
        order = data.draw(st.permutations(writes))
        stands = len(self.pending)
        try:
            self.compute(order)
        except Injected:
            self.manager.rollback()
            del self.pending[stands:]
            raise
