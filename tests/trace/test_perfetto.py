import gzip
import json
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import TraceFileError, TraceFormatError
from pagedviz.events import (
    Batch,
    BlockCopied,
    BlockEvicted,
    BlockFreed,
    KernelLaunched,
    RequestPreempted,
    SwappedIn,
)
from pagedviz.trace import Trace
from pagedviz.trace.analysis.lanes import request_stretches
from pagedviz.trace.export.perfetto import to_json


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.golden_run())


def events_of(trace):
    return json.loads(to_json(trace))["traceEvents"]


def of_phase(events, phase, **wanted):
    return [e for e in events if e["ph"] == phase and all(e.get(key) == value for key, value in wanted.items())]


def check_structure(events):
    """What ui.perfetto.dev and chrome://tracing need of a file."""
    assert {e["ph"] for e in events} <= {"M", "X", "C", "i", "s", "f"}
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert len(of_phase(events, "M", name="process_name")) == 1
    drawn = [e for e in events if e["ph"] != "M"]
    assert events[: len(events) - len(drawn)] == of_phase(events, "M")
    assert [e["ts"] for e in drawn] == sorted(e["ts"] for e in drawn)
    for event in drawn:
        assert event["pid"] == 1
        assert type(event["ts"]) is int
        assert event["ph"] == "C" or event["tid"] in names
    threads = defaultdict(list)
    for event in of_phase(events, "X"):
        assert event["dur"] >= 0
        threads[event["tid"]].append(event)
    for slices in threads.values():  # on a thread, slices are one behind the other or one inside the other
        around = []
        for event in slices:
            begin, end = event["ts"], event["ts"] + event["dur"]
            while around and around[-1] <= begin:
                around.pop()
            assert not around or end <= around[-1], event
            around.append(end)
    for event in of_phase(events, "C"):
        assert all(type(value) is int and value >= 0 for value in event["args"].values())
    begun = {e["id"]: e for e in of_phase(events, "s")}
    ended = {e["id"]: e for e in of_phase(events, "f")}
    assert begun.keys() == ended.keys()
    assert len(begun) == len(of_phase(events, "s")) == len(of_phase(events, "f"))
    for key, event in begun.items():
        assert event["ts"] <= ended[key]["ts"]
        assert (event["name"], event["cat"]) == (ended[key]["name"], ended[key]["cat"])
        assert ended[key]["bp"] == "e"
        assert of_phase(events, "X", ts=event["ts"], name="swap out")
        assert of_phase(events, "X", ts=ended[key]["ts"], name="swap in")
    return names


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), num_host=st.sampled_from((0, 8)))
def test_any_run_makes_a_sound_file(streams, seed, num_host):
    check_structure(events_of(streams.trace_of(streams.random_run(seed, num_host=num_host))))


def test_every_step_kernel_and_mark_is_there(trace):
    events = events_of(trace)
    names = check_structure(events)
    state = trace.state_at(trace.last_step)
    assert list(names.values()) == ["engine", *(f"request {name}" for name in state.requests)]
    told = Counter(type(event) for event in trace.events)
    assert len(of_phase(events, "X", cat="kernel")) == told[KernelLaunched]
    assert len(of_phase(events, "i", name="preempted")) == told[RequestPreempted] == state.counters.preempted
    assert len(of_phase(events, "i", name="copy-on-write")) == told[BlockCopied] == state.counters.copied
    evicted = of_phase(events, "i", name="evicted")
    assert [e["args"]["reason"] for e in evicted] == [e.why for e in trace.events if type(e) is BlockEvicted]
    assert all(e["args"]["reason"] for e in of_phase(events, "i"))
    steps = of_phase(events, "X", cat="step")
    assert [e["args"]["step"] for e in steps] == list(range(1, trace.last_step + 1))
    assert steps[0]["args"]["scheduled"] == {"r0, sequence 0": "positions 0 to 5"}


def test_lanes_are_the_stretches(trace):
    events = events_of(trace)
    names = check_structure(events)
    found = defaultdict(list)
    for event in of_phase(events, "X", cat="request"):
        found[names[event["tid"]]].append((event["name"], event["ts"], event["ts"] + event["dur"]))
    expected = {
        f"request {name}": [(piece.what, piece.begin_us, piece.end_us) for piece in pieces]
        for name, pieces in request_stretches(trace).items()
    }
    assert found == expected


def test_counters_are_what_states_say(trace):
    events = events_of(trace)
    for step in range(trace.first_step, trace.last_step + 1):
        state = trace.state_at(step)
        for tier in ("device", "host"):
            shown = [e["args"] for e in of_phase(events, "C", name=f"{tier} slots") if e["ts"] <= state.t_us][-1]
            use = state.memory(tier)
            assert shown == {key: getattr(use, key) for key in ("used", "cached", "internal", "free")}
        shown = [e["args"] for e in of_phase(events, "C", name="requests") if e["ts"] <= state.t_us][-1]
        statuses = Counter(request.status for request in state.requests.values())
        waiting = statuses["waiting"] + statuses["preempted"]
        assert shown == {"running": statuses["running"], "waiting": waiting, "swapped": statuses["swapped"]}


def test_every_swap_in_has_a_flow_from_where_its_content_went_down(trace):
    events = events_of(trace)
    told = [event for event in trace.events if isinstance(event, SwappedIn)]
    assert told
    assert len({e["ts"] for e in of_phase(events, "f")}) == len(
        {e["ts"] for e in of_phase(events, "X", name="swap in")}
    )


def test_what_was_lost_in_the_host_tier_has_no_flow(streams):
    for seed in range(20):
        trace = streams.trace_of(streams.random_run(seed, num_host=4))
        freed = any(isinstance(e, BlockFreed) and e.tier == "host" for e in trace.events)
        flows = of_phase(events_of(trace), "f")
        if freed and flows:
            assert len(flows) <= sum(len(e.pairs) for e in trace.events if isinstance(e, SwappedIn))
            return
    pytest.fail("no such run among these")


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_trace_of_next_to_nothing(trace, batches):
    check_structure(events_of(Trace(trace.info, trace.start, trace.batches[:batches])))


def test_a_trace_from_the_middle(streams):
    toy = streams.random_run(9)
    whole = streams.trace_of(toy)
    cut = len(toy.batches) // 2
    late = Trace(whole.info, whole._replay.after(cut), toy.batches[cut:])
    events = events_of(late)
    check_structure(events)
    assert min(e["ts"] for e in events if e["ph"] != "M") == late.start.t_us


def test_times_that_go_back_and_durations_that_are_too_long_stay_in_order(trace):
    odd = [Batch(batch.seq, batch.step, (7919 * batch.seq) % 3000, batch.events) for batch in trace.batches]
    check_structure(events_of(Trace(trace.info, trace.start, odd)))


def test_a_contradiction_says_where(trace):
    with pytest.raises(TraceFormatError, match="event 0 in step 0 contradicts"):
        to_json(Trace(trace.info, trace.start, [Batch(0, 0, 0, (BlockFreed("device", 0, 3),))]))
    with pytest.raises(TraceFormatError, match="which does not exist"):
        to_json(Trace(trace.info, trace.start, [Batch(0, 0, 0, (RequestPreempted("r9", "swap", "", 0, 0),))]))


def test_it_is_written_whole_or_not_at_all(trace, tmp_path):
    trace.to_perfetto(tmp_path / "run.json")
    trace.to_perfetto(tmp_path / "run.json.gz")
    plain = (tmp_path / "run.json").read_bytes()
    assert plain == to_json(trace)
    assert gzip.decompress((tmp_path / "run.json.gz").read_bytes()) == plain
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(TraceFileError, match="missing"):
        trace.to_perfetto(tmp_path / "missing" / "run.json")
