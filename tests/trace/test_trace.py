import copy
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import ConfigError, TraceFormatError
from pagedviz.events import KINDS, Batch, BlockFreed, RequestAdded
from pagedviz.events.codec import VERSION
from pagedviz.trace import MemoryPoint, MemoryUse, Replay, State, Trace, apply_batch, memory_history
from pagedviz.trace.trace import EngineInfo

VERSION_1 = Path(__file__).with_name("version_1.pvtrace")


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), every=st.integers(1, 200), data=st.data())
def test_replay_from_keyframes_equals_replay_from_the_start(streams, seed, every, data):
    toy = streams.random_run(seed)
    replay = Replay(streams.start_of(toy), toy.batches, every)
    for count in data.draw(st.lists(st.integers(0, len(toy.batches)), max_size=6)):
        state = streams.start_of(toy)
        for batch in toy.batches[:count]:
            apply_batch(state, batch)
        assert replay.after(count) == state


def test_a_trace_of_version_1_is_read(streams):
    trace = Trace.load(VERSION_1)
    assert b'"version":1,' in VERSION_1.read_bytes()
    state = trace.state_at(trace.last_step)
    assert (state.counters.finished, state.counters.copied, state.counters.preempted) == (2, 1, 1)
    assert [point.use for point in memory_history(trace)] == [
        trace.state_at(point.step).memory() for point in memory_history(trace)
    ]
    again = Trace.from_bytes(trace.to_bytes())
    assert b'"version":3,' in trace.to_bytes()
    assert again.state_at(again.last_step) == state


def test_replay_sees_batches_that_come_later(streams):
    toy = streams.random_run(5)
    growing = list(toy.batches[:3])
    replay = Replay(streams.start_of(toy), growing, 10)
    replay.after(3)
    growing += toy.batches[3:]
    assert replay.after(len(growing)) == Replay(streams.start_of(toy), toy.batches).after(len(growing))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 2), num_host=st.sampled_from((0, 4, 16)))
def test_memory_history_is_what_each_state_says(streams, seed, groups, num_host):
    trace = streams.trace_of(streams.random_run(seed, groups=groups, num_host=num_host))
    counters = trace.state_at(trace.last_step).counters
    device, host = memory_history(trace), memory_history(trace, "host")
    for tier, points in (("device", device), ("host", host)):
        assert [point.use for point in points] == [trace.state_at(point.step).memory(tier) for point in points]
        for key in ("preempted", "swapped_out", "swapped_in"):
            assert sum(getattr(point, key) for point in points) == getattr(counters, key)
    for key in ("copied", "evicted"):
        assert sum(getattr(point, key) for point in (*device, *host)) == getattr(counters, key)


def test_a_history_that_begins_in_the_middle_counts_what_is_there(streams):
    toy = streams.random_run(9)
    cut = len(toy.batches) // 2
    start = streams.trace_of(toy)._replay.after(cut)
    late = Trace(streams.info_of(toy), start, toy.batches[cut:])
    for tier in ("device", "host"):
        points = memory_history(late, tier)
        assert points[0].use == start.memory(tier)
        assert [point.use for point in points] == [late.state_at(point.step).memory(tier) for point in points]


def test_a_point_is_marked_when_anything_but_work_happened():
    use = MemoryUse(0, 0, 0, 4)
    assert not MemoryPoint(3, use).marked
    assert all(MemoryPoint(3, use)._replace(**{key: 1}).marked for key in MemoryPoint._fields[2:])


def test_a_state_belongs_to_whoever_asked_for_it(streams):
    trace = streams.trace_of(streams.random_run(1))
    mine = trace.state_at(trace.last_step)
    mine.requests.clear()
    mine.blocks.clear()
    for sequence in mine.sequences.values():
        sequence.tokens.clear()
    assert trace.state_at(trace.last_step).requests
    assert all(sequence.tokens for sequence in trace.state_at(trace.last_step).sequences.values())


def test_steps_events_and_their_number(streams):
    toy = streams.random_run(8)
    trace = streams.trace_of(toy)
    assert (trace.first_step, trace.last_step) == (0, toy.batches[-1].step)
    assert trace.num_steps == trace.last_step
    assert trace.num_events == len(trace.events) == toy.seq
    assert trace.state_at(0).step == 0
    assert "toy" in repr(trace)


@pytest.mark.parametrize("step", [-1, 10_000, "x", None, True, False, 1.0, float("nan"), [1], 10**25])
def test_a_step_that_is_not_there_names_those_that_are(streams, step):
    trace = streams.trace_of(streams.random_run(8))
    with pytest.raises(
        ConfigError,
        match=re.escape(f"step {step!r} is not in the trace, which has steps 0 to {trace.last_step}"),
    ):
        trace.state_at(step)


def test_a_step_may_be_a_number_of_numpy(streams):
    trace = streams.trace_of(streams.random_run(8))
    assert trace.state_at(np.int64(3)) == trace.state_at(3)


def test_an_empty_trace_has_its_start(streams):
    trace = streams.trace_of(streams.Toy(0))
    assert (trace.num_steps, trace.num_events, trace.events) == (0, 0, ())
    assert trace.state_at(0) == trace.start
    assert Trace.from_bytes(trace.to_bytes()).state_at(0) == trace.start
    assert len(memory_history(trace)) == 1


def test_a_trace_from_the_middle_of_a_run_equals_its_end(streams):
    toy = streams.random_run(9)
    whole = streams.trace_of(toy)
    cut = len(toy.batches) // 2
    middle = toy.batches[cut - 1].step
    state = whole._replay.after(cut)
    late = Trace.from_bytes(Trace(whole.info, state, toy.batches[cut:]).to_bytes())
    assert late.first_step == middle
    assert late.state_at(late.last_step) == whole.state_at(whole.last_step)
    with pytest.raises(ConfigError):
        late.state_at(middle - 1)


def test_what_is_sound_before_a_contradiction_can_be_seen(streams):
    toy = streams.random_run(2)
    last = toy.batches[-1]
    bad = Batch(toy.seq, last.step + 1, 0, (BlockFreed("device", 0, 999),))
    trace = Trace(streams.info_of(toy), streams.start_of(toy), [*toy.batches, bad])
    assert trace.state_at(last.step).step == last.step
    with pytest.raises(TraceFormatError, match=f"event {toy.seq} in step {last.step + 1}"):
        trace.state_at(last.step + 1)


def test_golden_trace_is_byte_stable_and_has_every_kind(streams, golden, request):
    data = streams.trace_of(streams.golden_run()).to_bytes()
    path = golden / "tiny_run.pvtrace"
    if request.config.getoption("--update-golden"):
        path.write_bytes(data)
    assert path.read_bytes() == data, "the format changed: pytest --update-golden, and say so in the changelog"
    assert {type(event).__name__ for event in Trace.load(path).events} == set(KINDS)


def test_states_and_info_are_plain_data(streams):
    state = streams.trace_of(streams.random_run(4)).state_at(3)
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state
    assert msgspec.structs.fields(EngineInfo)[0].name == "model"


def again_by_pickle(trace):
    return pickle.loads(pickle.dumps(trace))


@pytest.mark.parametrize("again", [again_by_pickle, copy.deepcopy, copy.copy])
def test_a_trace_can_be_pickled_and_copied(streams, again):
    trace = streams.trace_of(streams.random_run(3, steps=30))
    trace.state_at(9)

    other = again(trace)

    assert other is not trace
    assert other.to_bytes() == trace.to_bytes()
    assert other.events == trace.events
    assert (other.truncated, other.damage) == (trace.truncated, trace.damage)
    assert other.state_at(7) == trace.state_at(7)


@pytest.mark.parametrize("again", [again_by_pickle, copy.deepcopy])
def test_a_copy_starts_with_a_state_of_its_own_and_keeps_what_was_wrong(streams, again):
    whole = streams.trace_of(streams.random_run(3, steps=30))
    trace = Trace(whole.info, whole.state_at(4), (), truncated=True, damage="cut off")

    other = again(trace)
    other.start.requests.clear()

    assert trace.start.requests
    assert (other.truncated, other.damage) == (True, "cut off")


def test_a_trace_goes_to_another_process(streams):
    trace = streams.trace_of(streams.random_run(3, steps=30))

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(Trace.to_bytes, trace).result(timeout=120)

    assert there == trace.to_bytes()


@pytest.mark.parametrize("version", range(1, VERSION))
def test_what_an_older_trace_does_not_say_is_unknown(version):
    data = Path(__file__).with_name(f"version_{version}.pvtrace").read_bytes()
    assert b'"version":%d,' % version in data

    trace = Trace.from_bytes(data)

    assert trace.info.options is None
    added = [event for event in trace.events if isinstance(event, RequestAdded)]
    assert added
    assert {event.params for event in added} == {None}
    assert Trace.from_bytes(trace.to_bytes()).events == trace.events
    assert trace.state_at(trace.last_step).counters.finished > 0
