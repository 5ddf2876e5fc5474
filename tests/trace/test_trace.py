import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import ConfigError, TraceFormatError
from pagedviz.events import KINDS, Batch, BlockFreed
from pagedviz.trace import Replay, State, Trace, apply_batch, memory_history
from pagedviz.trace.trace import EngineInfo


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), every=st.integers(1, 200), data=st.data())
def test_replay_from_keyframes_equals_replay_from_the_start(streams, seed, every, data):
    toy = streams.random_run(seed)
    replay = Replay(streams.start_of(toy), toy.batches, every)
    for count in data.draw(st.lists(st.integers(0, len(toy.batches)), max_size=6)):
        state = streams.start_of(toy)
        for batch in toy.batches[:count]:
            apply_batch(state, batch)
        assert replay.after(count) == state


def test_replay_sees_batches_that_come_later(streams):
    toy = streams.random_run(5)
    growing = list(toy.batches[:3])
    replay = Replay(streams.start_of(toy), growing, 10)
    replay.after(3)
    growing += toy.batches[3:]
    assert replay.after(len(growing)) == Replay(streams.start_of(toy), toy.batches).after(len(growing))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 2))
def test_memory_history_is_what_each_state_says(streams, seed, groups):
    trace = streams.trace_of(streams.random_run(seed, groups=groups))
    points = memory_history(trace)
    assert [point.use for point in points] == [trace.state_at(point.step).memory() for point in points]
    assert sum(point.copied for point in points) == trace.state_at(trace.last_step).counters.copied
    assert sum(point.preempted for point in points) == trace.state_at(trace.last_step).counters.preempted


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


@pytest.mark.parametrize("step", [-1, 10_000])
def test_a_step_that_is_not_there_names_those_that_are(streams, step):
    trace = streams.trace_of(streams.random_run(8))
    with pytest.raises(
        ConfigError, match=f"step {step} is not in the trace, which has steps 0 to {trace.last_step}"
    ):
        trace.state_at(step)


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


def golden_run(streams):
    """A run of a few steps in which everything happens: sharing, copying, preemption, odd texts."""
    toy = streams.Toy(4, block_size=4, num_blocks=8)
    toy.add(prompt=6, limit=9, samples=2)
    toy.add(prompt=5, limit=12)
    toy.publish()
    while any(job.status != "finished" for job in toy.jobs):
        toy.step(budget=8)
    return toy


def test_golden_trace_is_byte_stable_and_has_every_kind(streams, golden, request):
    data = streams.trace_of(golden_run(streams)).to_bytes()
    path = golden / "tiny_run.pvtrace"
    if request.config.getoption("--update-golden"):
        path.write_bytes(data)
    assert path.read_bytes() == data, "the format changed: pytest --update-golden, and say so in the changelog"
    assert {type(event).__name__ for event in Trace.load(path).events} == set(KINDS)


def test_states_and_info_are_plain_data(streams):
    state = streams.trace_of(streams.random_run(4)).state_at(3)
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state
    assert msgspec.structs.fields(EngineInfo)[0].name == "model"
