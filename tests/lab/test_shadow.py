"""Rivals beside a recorded run, and beside an engine made of nothing but a block manager."""

from pathlib import Path

import pytest

import pagedviz
from pagedviz.errors import ConfigError
from pagedviz.events import (
    Batch,
    RequestAdded,
    RequestFinished,
    RequestScheduled,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.lab import RIVALS, Rivals
from pagedviz.lab.shadow import final_lengths
from pagedviz.memory import BlockManager
from pagedviz.trace import State, apply_batch

GOLDEN = Path(__file__).parents[1] / "trace" / "version_1.pvtrace"
SLOTS, SIZE = 32, 4


@pytest.fixture
def trace():
    return pagedviz.Trace.load(GOLDEN)


def series(rivals, name, field):
    return [getattr(record, field) for record in rivals.history if record.rival == name]


def test_beside_a_recorded_run(trace):
    rivals = Rivals(SLOTS, 16, SIZE)
    rivals.replay(trace)
    assert [record.step for record in rivals.history] == [step for step in range(14) for _ in RIVALS]
    assert all(record.split.total == SLOTS and min(record.split) >= 0 for record in rivals.history)
    # The run's three sequences need 13, 14 and 13 slots: 16 each in one piece, so two fit until one of them ends
    # with step 8. In blocks all three fit until their tokens need a ninth block, in step 6.
    two = [0] + [2] * 7 + [1, 1] + [1] * 3 + [0]
    assert series(rivals, "max", "held") == series(rivals, "oracle", "held") == two
    assert series(rivals, "paged", "held") == [0] + [3] * 5 + [2] * 2 + [1, 1] + [1] * 3 + [0]
    assert series(rivals, "paged", "preemptions")[5:7] == [0, 1]
    assert series(rivals, "max", "waiting") == [3] + [1] * 8 + [0] * 5


def test_splits_beside_a_recorded_run(trace):
    rivals = Rivals(SLOTS, 16, SIZE)
    rivals.replay(trace)
    first = {record.rival: record.split for record in rivals.history if record.step == 1}
    assert first == {
        "max": (12, 15, 5, 0, 0),
        "pow2": (12, 15, 3, 2, 0),  # 6 + 8 for 8 tokens, 6 + 16 but no more than 16 for 9
        "oracle": (12, 15, 0, 5, 0),
        "paged": (17, 7, 0, 0, 8),
    }


def test_live_nobody_knows_lengths(trace):
    live, replayed = Rivals(SLOTS, 16, SIZE), Rivals(SLOTS, 16, SIZE)
    for batch in trace.batches:
        live(batch)
    replayed.replay(trace)
    # max_tokens is 9 where 8 and 9 tokens come, so one slot more seems to be of use.
    assert series(live, "oracle", "split")[1] == (12, 16, 0, 4, 0)
    assert series(live, "max", "held") == series(replayed, "max", "held")


def test_the_lengths_of_a_trace(trace):
    assert final_lengths(trace) == {0: 14, 1: 15, 2: 14}
    short = pagedviz.Trace(trace.info, trace.start, trace.batches[:-5])
    assert final_lengths(short) == {0: 14}


def test_a_trace_that_begins_in_the_middle(trace):
    step = 5
    late = pagedviz.Trace(trace.info, trace.state_at(step), [b for b in trace.batches if b.step > step])
    rivals = Rivals(SLOTS, 16, SIZE)
    rivals.replay(late)
    assert final_lengths(late) == {0: 14, 1: 15, 2: 14}
    assert series(rivals, "max", "held") == [2] * 2 + [1, 1] + [1] * 3 + [0]


def test_standings(trace):
    rivals = Rivals(SLOTS, 16, SIZE, names=("oracle", "paged"))
    rivals.replay(trace)
    oracle, paged = rivals.standings()
    assert (oracle.rival, oracle.most_held, oracle.refused) == ("oracle", 2, 0)
    assert (paged.rival, paged.most_held, paged.preemptions) == ("paged", 3, 1)
    assert paged.used > oracle.used
    for row in (oracle, paged):
        assert row.used + row.reserved + row.internal + row.external + row.free == pytest.approx(100)
    nothing = Rivals(SLOTS, 16, SIZE).standings()
    assert {(row.free, row.mean_held) for row in nothing} == {(100, 0)}


def test_unknown_names():
    with pytest.raises(ConfigError, match="max, pow2, oracle, paged"):
        Rivals(SLOTS, 16, names=("slab",))
    with pytest.raises(ConfigError):
        Rivals(SLOTS, 16, names=())


class Tiny:
    """An engine without a model or limits: whole prompts, a token a step, and no sharing."""

    def __init__(self, num_blocks, size):
        self.events, self.seq, self.step_number = [], 0, 0
        self.manager = BlockManager(num_blocks, size, emit=self.events.append)
        self.state = State(size, {"device": num_blocks, "host": 0})
        self.tokens, self.limits, self.listeners = {}, {}, [lambda batch: apply_batch(self.state, batch)]

    def publish(self):
        batch = Batch(self.seq, self.step_number, 0, tuple(self.events))
        self.seq += len(self.events)
        self.events.clear()
        for listener in self.listeners:
            listener(batch)

    def add(self, key, prompt, length):
        self.tokens[key], self.limits[key] = prompt, prompt + length
        self.events.append(RequestAdded(f"r{key}", (key,), tuple(range(prompt)), (), length))
        self.publish()

    def step(self):
        self.step_number += 1
        work = []
        for key, count in self.tokens.items():
            start = self.state.sequences[key].computed
            if start == 0:
                self.events.append(RequestScheduled(f"r{key}", False))
            self.manager.begin()
            self.manager.write(key, start, count - start, "prefill")
            work.append((key, start, count - start))
        self.events += [StepStarted(tuple(work)), StepFinished(0, 0, 0)]
        for key in list(self.tokens):
            self.events.append(TokenAppended(key, self.tokens[key], 7, ""))
            self.tokens[key] += 1
            if self.tokens[key] == self.limits[key]:
                self.events.append(SequenceFinished(f"r{key}", key, "length"))
                self.manager.release(key)
                self.events.append(RequestFinished(f"r{key}", "length"))
                del self.tokens[key]
        self.publish()


def test_the_paged_rival_does_as_the_engine_does():
    engine = Tiny(40, 4)
    rivals = Rivals(160, 64, 4)
    engine.listeners.append(rivals)
    for step in range(30):
        if step in {0, 1, 2, 7, 8, 20}:
            engine.add(step, prompt=3 + step, length=1 + 2 * step)
        engine.step()
        record = rivals.history[-1]
        memory = engine.state.memory()
        assert (record.rival, record.step) == ("paged", step + 1)
        assert (record.split.used, record.split.free) == (memory.used, memory.free)
        assert record.held == len(engine.tokens)


def batch_of(step, *events):
    return Batch(0, step, 0, events)


def test_what_the_engine_ends_leaves_every_rival():
    rivals = Rivals(16, 16, 4)
    rivals(batch_of(0, RequestAdded("a", (0, 1), (5, 6), (), 4), RequestAdded("b", (2,), (5,), (), 4)))
    rivals(batch_of(1, StepStarted(())))
    assert series(rivals, "max", "held")[-1] == 1
    assert series(rivals, "max", "waiting")[-1] == 2
    rivals(batch_of(1, RequestFinished("a", "abort")))
    assert len(rivals.history) == 2 * len(RIVALS)  # the same step
    assert series(rivals, "max", "held")[-1] == 0
    rivals(batch_of(2, StepStarted(())))
    assert series(rivals, "max", "held")[-1] == 1


def test_beams_come_and_go():
    rivals = Rivals(64, 16, 4)
    rivals(batch_of(0, RequestAdded("a", (0,), (5, 6), (), 4)))
    rivals(batch_of(1, StepStarted(()), SequenceForked("a", 0, 1, 2), TokenAppended(0, 2, 7, "")))
    rivals(batch_of(2, StepStarted(())))
    assert [record.held for record in rivals.history[-4:]] == [2, 2, 2, 2]
    rivals(batch_of(2, SequenceDropped("a", 0), SequenceDropped("a", 99), TokenAppended(99, 2, 7, "")))
    assert [record.held for record in rivals.history[-4:]] == [1, 1, 1, 1]


def test_the_state_of_the_engine_and_its_rival_that_pages_have_one_split(tiny):
    """The same tail of a last block is not reserved here and internal waste there."""
    engine = pagedviz.Engine(
        tiny("llama", num_hidden_layers=1), block_size=16, num_device_blocks=16, attention="torch"
    )
    rivals = Rivals(256, 128, 16, names=["paged"])
    engine.subscribe(rivals)
    with pagedviz.record(engine) as recording:
        engine.generate([[5] * 20, [6] * 33], max_tokens=30, temperature=0, ignore_eos=True)
    (begun,) = [record for record in rivals.history if record.step == 1]
    assert begun.split == (20 + 33, 12 + 15, 0, 0, 256 - 5 * 16)
    alive = [record for record in rivals.history if record.held == 2]
    assert len(alive) == 29
    for record in alive:
        state = recording.trace.state_at(record.step)
        assert state.waste() == record.split
        assert state.waste().total == state.memory().total == 256
        assert state.memory().internal == record.split.reserved + record.split.internal
    # One more token for each: the first one needs a block for it, the second has two slots too many.
    assert alive[-1].split == (48 + 61, 0 + 1, 0 + 2, 0, 256 - 7 * 16)
