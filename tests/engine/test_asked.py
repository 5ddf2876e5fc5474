"""What a trace says of what was asked for: enough to ask for the same again."""

import json

import numpy as np

import pagedviz as pv
from pagedviz.events import RequestAdded


class Odd:
    def choose(self, candidates):
        return candidates[-1]

    def explain(self, candidate):
        return "odd"


def test_a_trace_says_what_each_request_asked_for(watched):
    engine, events = watched(num_host_blocks=8)
    params = pv.SamplingParams(
        max_tokens=3,
        temperature=0.75,
        top_k=np.int64(5),
        stop=["\ud800"],
        preemption="swap",
        priority=2,
        cache_salt="s",
    )
    engine.add_request([1, 2, 3], params)
    engine.add_request([1, 2, 3], pv.SamplingParams(max_tokens=4))

    first, plain = (event for event in events if isinstance(event, RequestAdded))

    told = {name: json.loads(value) for name, value in first.params}
    assert told == {
        "temperature": 0.75, "top_k": 5, "stop": ["\ud800"], "preemption": "swap", "priority": 2, "cache_salt": "s",
    }  # fmt: skip
    assert pv.SamplingParams(max_tokens=first.max_tokens, **told) == params
    assert (plain.params, plain.max_tokens) == ((), 4)


def test_a_trace_says_what_the_engine_was_made_with(watched):
    engine, _ = watched(num_host_blocks=8, victim=Odd(), seed=7)
    with pv.record(engine) as recording:
        engine.generate([[1, 2, 3]], pv.SamplingParams(max_tokens=2, temperature=0.5))

    trace = pv.Trace.from_bytes(recording.trace.to_bytes())

    told = {name: json.loads(value) for name, value in trace.info.options.items()}
    assert told["num_host_blocks"] == 8
    assert told["seed"] == 7
    assert told["victim"] == "Odd"
    assert told["prefix_caching"] is True
    assert trace.events == recording.trace.events
