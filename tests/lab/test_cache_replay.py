"""What an engine served is told again by the same policy without it: same hits, same evictions, same reasons."""

import pytest
import torch

import pagedviz as pv
from pagedviz.errors import ConfigError
from pagedviz.events import BlockEvicted, PrefixHit, RequestAdded, SwappedIn
from pagedviz.lab import CacheReplay, TokenRequest, longest_step, recorded_requests
from pagedviz.memory import POLICIES

SIZE = 4


@pytest.fixture(autouse=True)
def one_thread():
    """Models as small as these wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def prompts(make_prompt):
    """Three beginnings, and questions that come back; some longer than a step's budget."""
    heads = [make_prompt(12 + 4 * i, seed=i) for i in range(3)]
    tails = [make_prompt(5 + 3 * i, seed=10 + i) for i in range(4)]
    order = [0, 5, 2, 0, 7, 9, 0, 5, 11, 3, 0, 8, 9, 2, 5, 0]
    return [heads[number % 3] + tails[number % 4] for number in order]


@pytest.fixture
def served(tiny, make_prompt):
    """``served(**options)``: the trace of an engine with a tight pool that serves one request at a time."""

    def run(each=lambda number: {}, **options):
        settings = {"block_size": SIZE, "num_device_blocks": 12, "max_num_batched_tokens": 16, "max_num_seqs": 3}
        settings["attention"] = "torch"
        engine = pv.Engine(tiny("llama", num_hidden_layers=1), None, **settings | options)
        with pv.record(engine) as recording:
            for number, prompt in enumerate(prompts(make_prompt)):
                engine.generate([prompt], **{"max_tokens": 1 + number % 5, "temperature": 0.0} | each(number))
        return recording.trace, engine.stats()

    return run


def told(trace, **options):
    """Serve a trace's requests again: the replay, the hits of each request, the evictions."""
    events = []
    replay = CacheReplay(
        trace.info.num_device_blocks,
        trace.info.block_size,
        num_groups=len(trace.info.groups),
        num_host_blocks=trace.info.num_host_blocks,
        max_num_batched_tokens=longest_step(trace),
        emit=events.append,
        **options,
    )
    hits = [replay.serve(request) for request in recorded_requests(trace)]
    replay.manager.check()
    return replay, hits, [event for event in events if isinstance(event, BlockEvicted)]


def of_trace(trace):
    found = {event.request: event.tokens for event in trace.events if isinstance(event, PrefixHit)}
    added = [event.request for event in trace.events if isinstance(event, RequestAdded)]
    evicted = [event for event in trace.events if isinstance(event, BlockEvicted)]
    return [found.get(request, 0) for request in added], evicted


@pytest.mark.parametrize("policy", [name for name, found in POLICIES.items() if found.live])
def test_a_policy_does_in_replay_what_it_did_live(policy, served):
    trace, stats = served(eviction=policy, seed=5)
    replay, hits, evicted = told(trace, eviction=policy, seed=5)
    live_hits, live_evicted = of_trace(trace)
    assert hits == live_hits
    assert evicted == live_evicted  # block, content, policy, its explanation, age
    assert len(evicted) > 20
    assert (replay.hit_tokens, replay.looked_for_tokens) == (
        stats["prefix_cache_hits"],
        stats["prefix_cache_queries"],
    )
    assert replay.evictions == len(evicted)


def test_an_object_serves_both(served):
    class Oldest(POLICIES["fifo"]):
        name = "mine"

    trace, _ = served(eviction=Oldest(12))
    _, hits, evicted = told(trace, eviction=Oldest(12))
    assert (hits, evicted) == of_trace(trace)
    assert {event.policy for event in evicted} == {"mine"}


def test_with_a_host_tier(served):
    trace, _ = served(num_host_blocks=6, eviction="lfu")
    assert any(isinstance(event, SwappedIn) for event in trace.events)
    _, hits, evicted = told(trace, eviction="lfu")
    assert (hits, evicted) == of_trace(trace)
    assert {event.tier for event in evicted} == {"device", "host"}


def test_samples_share_their_prompt(served):
    trace, _ = served(
        lambda number: {"n": 1 + number % 3, "temperature": 0.9, "seed": number}, num_device_blocks=16
    )
    _, hits, evicted = told(trace)
    assert (hits, evicted) == of_trace(trace)
    assert len(evicted) > 20


def test_salts_are_kept_apart_though_a_trace_does_not_tell_them(served):
    trace, _ = served(lambda number: {"cache_salt": "ab"[number % 2]})
    requests = recorded_requests(trace)
    assert {request.salt for request in requests} != {""}
    _, hits, evicted = told(trace)
    live_hits, live_evicted = of_trace(trace)
    assert hits == live_hits
    assert sum(hits)
    assert [event.block for event in evicted] == [event.block for event in live_evicted]
    assert hits != told(served()[0])[1]


def test_layer_groups(new_tiny, make_prompt):
    engine = pv.Engine(
        new_tiny("gemma2"), None, block_size=SIZE, num_device_blocks=26, eviction="lfu", attention="torch"
    )
    with pv.record(engine) as recording:
        for prompt in prompts(make_prompt)[:9]:
            engine.generate([prompt], max_tokens=2, temperature=0.0)
    assert len(recording.trace.info.groups) == 2
    _, hits, evicted = told(recording.trace, eviction="lfu")
    assert (hits, evicted) == of_trace(recording.trace)
    assert evicted


def test_what_ran_together_is_told_one_by_one(tiny, make_prompt):
    engine = pv.Engine(tiny("llama"), None, block_size=SIZE, num_device_blocks=24, attention="torch")
    engine.add_request(make_prompt(9), max_tokens=4, temperature=0.0)
    engine.step()
    with pv.record(engine) as recording:
        gone = engine.add_request(make_prompt(5, 1), max_tokens=4, temperature=0.0)
        engine.abort(gone)
        engine.generate([make_prompt(7, 2), make_prompt(7, 2)], max_tokens=3, temperature=0.0)
    requests = recorded_requests(recording.trace)
    assert [list(request.prompt) for request in requests] == [make_prompt(9), make_prompt(7, 2), make_prompt(7, 2)]
    assert [len(request.outputs[0]) for request in requests] == [4, 3, 3]
    _, hits, _ = told(recording.trace)
    assert hits == [0, 0, SIZE]


def test_a_request_that_does_not_fit_is_refused_before_it_begins():
    replay = CacheReplay(4, SIZE)
    request = TokenRequest(tuple(range(14)), ((1, 2, 3), (4, 5, 6, 7)))
    assert request.num_blocks(SIZE) == 3 + 1 + 2
    with pytest.raises(ConfigError, match="needs 6 blocks, and there are 4"):
        replay.serve(request)
    assert replay.serve(TokenRequest(tuple(range(16)), ((1,),))) == 0
    assert replay.serve(TokenRequest(tuple(range(16)))) == 12  # one token is left over
    assert replay.hit_rate == 12 / 32
