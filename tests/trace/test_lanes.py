from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.events import RequestPreempted, StepStarted
from pagedviz.trace import Trace
from pagedviz.trace.analysis.lanes import ACTIVITIES, request_stretches


def random_trace(streams, seed, **options):
    return streams.trace_of(streams.random_run(seed, **options))


def per_step(trace):
    """What each request did in each step, from the plans and from states alone: (request, step) -> activities."""
    plans = {}
    for batch in trace.batches:
        for event in batch.events:
            if isinstance(event, StepStarted):
                plans[batch.step] = event.scheduled
    found = {}
    for step in range(trace.first_step + 1, trace.last_step + 1):
        before, after = trace.state_at(step - 1), trace.state_at(step)
        owners = {number: s.request for state in (after, before) for number, s in state.sequences.items()}
        computed = {owners[number] for number, _, _ in plans.get(step, ()) if number in owners}
        for name, request in before.requests.items():
            if request.status == "finished":
                continue
            then = after.requests[name].status
            if name in computed:
                found[name, step] = {"prefill", "decode", "recomputing"}
            elif then == "swapped":
                found[name, step] = {"swapped"}
            elif then in {"waiting", "preempted"}:
                found[name, step] = {"waiting"}
    return found


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), num_host=st.sampled_from((0, 8)))
def test_what_a_request_did_in_a_step_is_what_plans_and_states_say(streams, seed, num_host):
    trace = random_trace(streams, seed, num_host=num_host)
    lanes = request_stretches(trace)
    told = {
        (name, step): piece.what
        for name, pieces in lanes.items()
        for piece in pieces
        for step in range(piece.first, piece.last + 1)
    }
    for key, possible in per_step(trace).items():
        assert told[key] in possible, key


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), num_host=st.sampled_from((0, 8)))
def test_stretches_follow_each_other(streams, seed, num_host):
    trace = random_trace(streams, seed, num_host=num_host)
    end = trace.state_at(trace.last_step)
    lanes = request_stretches(trace)
    assert list(lanes) == list(end.requests)
    for name, pieces in lanes.items():
        for piece in pieces:
            assert piece.what in ACTIVITIES
            assert piece.begin_us <= piece.end_us
            assert piece.last - piece.first >= -1
        for before, after in pairwise(pieces):
            assert (before.last + 1, before.end_us) == (after.first, after.begin_us)
            assert before.what != after.what
        assert [piece.open for piece in pieces[:-1]] == [False] * (len(pieces) - 1)
        assert not pieces or pieces[-1].open == (end.requests[name].status != "finished")


def test_what_was_given_up_is_recomputed_before_anything_else(streams):
    seen = 0
    for seed in range(30):
        trace = random_trace(streams, seed)
        given_up = {e.request for e in trace.events if isinstance(e, RequestPreempted) and e.mode != "swap"}
        for name, pieces in request_stretches(trace).items():
            again = [piece for piece in pieces if piece.what == "recomputing"]
            assert not again or name in given_up
            seen += len(again)
    assert seen


def test_a_trace_from_the_middle_goes_on_like_the_whole(streams):
    toy = streams.random_run(9)
    whole = streams.trace_of(toy)
    cut = len(toy.batches) // 2
    late = Trace(whole.info, whole._replay.after(cut), toy.batches[cut:])
    begin = late.start.t_us
    for name, pieces in request_stretches(late).items():
        expected = [p for p in request_stretches(whole)[name] if p.end_us > begin]
        assert [p.what for p in pieces] == [p.what for p in expected]
        assert pieces[1:] == expected[1:]


@pytest.mark.parametrize("batches", [0, 1])
def test_a_trace_of_next_to_nothing(streams, batches):
    trace = streams.trace_of(streams.golden_run())
    lanes = request_stretches(Trace(trace.info, trace.start, trace.batches[:batches]))
    assert sum(map(len, lanes.values())) == 0  # both requests were added at the very end: no time has passed
    assert len(lanes) == 2 * batches
