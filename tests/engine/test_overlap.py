"""Swaps beside the kernels: copies that run late, in another thread, change nothing but when they are done."""

import itertools
import signal

import pytest
from driving import GREEDY, PROMPTS, SIZE, drive, of, same
from late import LateStream
from msgspec.structs import replace

import pagedviz as pv
from pagedviz.attention import transfer
from pagedviz.attention.transfer import Staged
from pagedviz.events import BlockAllocated, StepStarted, SwappedIn, SwappedOut

OPTIONS = {
    "block_size": SIZE,
    "num_device_blocks": 17,
    "num_host_blocks": 30,
    "max_num_batched_tokens": 33,
    "preemption": "swap",
}


class Injected(Exception):
    pass


@pytest.fixture
def late():
    """``late(engine)``: its copies run when somebody waits for them; returns the stream that they run on."""
    made = []

    def change(engine):
        runner = engine._core.runner
        made.append(LateStream())
        runner._transfer = Staged(runner.cache, runner._transfer._host, made[-1])
        return made[-1]

    yield change
    for stream in made:
        stream.close()


def begin(model, **options):
    """An engine with more requests than its pool holds, their ids, and the batches that it publishes."""
    engine = pv.Engine(model, **{**OPTIONS, **options})
    batches = []
    engine.subscribe(batches.append)
    ids = [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS]
    return engine, ids, batches


def events_of(batches):
    return [event for batch in batches for event in batch.events]


def swaps(batches):
    return [event for event in events_of(batches) if isinstance(event, (SwappedOut, SwappedIn))]


def check_tokens(outputs, model, reference):
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        assert same(list(output.outputs[0].token_ids), model, prompt, reference), prompt


def watch(engine, stream, monkeypatch):
    """How many copies were in flight at each forward."""
    seen = []
    forward = engine._paged.model.forward

    def watched(*args, **kwargs):
        seen.append(stream.in_flight)
        return forward(*args, **kwargs)

    monkeypatch.setattr(engine._paged.model, "forward", watched)
    return seen


def reused_at_once(batches):
    """Device blocks that were handed out in the step that swapped their content out."""
    for batch in batches:
        freed = set()
        for event in batch.events:
            if isinstance(event, SwappedOut):
                freed |= {source for source, _ in event.pairs}
            elif isinstance(event, BlockAllocated) and event.tier == "device" and event.block in freed:
                yield event


@pytest.mark.parametrize("prefix_caching", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_late_copies_change_no_token(tiny, reference, late, monkeypatch, family, prefix_caching):
    model = tiny(family)
    blocks = 17 * (2 if family == "gemma3" else 1)
    engine, ids, batches = begin(model, num_device_blocks=blocks, prefix_caching=prefix_caching)
    stream = late(engine)
    seen = watch(engine, stream, monkeypatch)

    def nothing_is_under_way(_):
        assert stream.in_flight == 0

    outputs, _ = drive(engine, ids, call=nothing_is_under_way)
    check_tokens(outputs, model, reference)
    assert max(seen) > 0, "copies were in flight beside a forward"
    assert any(reused_at_once(batches))
    assert of(events_of(batches), SwappedIn)
    stats = engine.stats()
    assert stats["num_free_blocks"] == blocks
    assert stats["num_free_host_blocks"] == OPTIONS["num_host_blocks"]


def test_events_come_in_the_same_order_as_with_copies_at_once(model, late):
    runs = []
    for change in (lambda engine: None, late):
        engine, ids, batches = begin(model)
        change(engine)
        drive(engine, ids)
        runs.append(
            [
                (batch.step, [replace(e, duration_us=0) if hasattr(e, "duration_us") else e for e in batch.events])
                for batch in batches
            ]
        )
    assert runs[0] == runs[1]


def test_events_and_cost_model_have_the_durations_that_were_measured(model, late, monkeypatch):
    monkeypatch.setattr(transfer, "_since", lambda began: 0)  # the host's own part
    engine, ids, batches = begin(model)
    stream = late(engine)
    costs = []
    monkeypatch.setattr(engine._core.costs, "saw_copy", lambda *seen: costs.append(seen))
    drive(engine, ids)
    found = swaps(batches)
    assert {type(event) for event in found} == {SwappedOut, SwappedIn}
    assert [event.duration_us for event in found] == [entry.duration_us for entry in stream.entries]
    per_block = engine._core.runner.cache.bytes_per_block
    assert [event.num_bytes for event in found] == [per_block * len(event.pairs) for event in found]
    assert costs == [(event.num_bytes, event.duration_us) for event in found]


def interrupt():
    signal.raise_signal(signal.SIGINT)


def fail(error):
    raise error


@pytest.mark.parametrize(
    "happens",
    [lambda: fail(Injected), lambda: fail(KeyboardInterrupt), interrupt],
    ids=["error", "interrupt", "^C"],
)
@pytest.mark.parametrize("after", [True, False], ids=["after the forward", "before"])
def test_a_step_that_fails_while_copies_are_in_flight_loses_nothing(
    model, reference, late, monkeypatch, happens, after
):
    engine, ids, batches = begin(model)
    stream = late(engine)
    forward, armed, failed = engine._paged.model.forward, set(range(len(stream.entries), 60)), 0

    def fails(*args, **kwargs):
        result = forward(*args, **kwargs) if after else None
        if stream.in_flight and len(stream.entries) in armed:
            armed.remove(len(stream.entries))
            happens()
        return forward(*args, **kwargs) if result is None else result

    monkeypatch.setattr(engine._paged.model, "forward", fails)
    last = {}
    while engine.has_unfinished_requests():
        steps, told = engine.stats()["steps"], len(batches)
        try:
            last |= {output.request_id: output for output in engine.step()}
        except (Injected, KeyboardInterrupt):
            failed += 1
            assert engine.stats()["steps"] == steps
            assert not of(events_of(batches[told:]), StepStarted)
            assert of(events_of(batches[told:]), SwappedOut), "what stands is told"
        assert stream.in_flight == 0
        engine.audit()
    assert failed > 2
    assert all(event.duration_us for event in swaps(batches))
    check_tokens([last[name] for name in ids], model, reference)


@pytest.mark.parametrize("times", [1, 2])
def test_a_copy_that_cannot_be_settled_undoes_the_step_and_is_settled_later(
    model, reference, late, monkeypatch, times
):
    """The second time is on the way out of the step: its copies' events have no duration then."""
    engine, ids, batches = begin(model)
    stream = late(engine)
    settle, failed = engine._core.runner.settle, 0
    turns = itertools.cycle([True] * times + [False])

    def fails():
        if stream.in_flight and failed < 4 and next(turns):
            raise Injected
        settle()

    monkeypatch.setattr(engine._core.runner, "settle", fails)
    last = {}
    while engine.has_unfinished_requests():
        steps = engine.stats()["steps"]
        try:
            last |= {output.request_id: output for output in engine.step()}
        except Injected:
            failed += 1
            assert engine.stats()["steps"] == steps
        engine.audit()
    assert failed == 4
    assert (not all(event.duration_us for event in swaps(batches))) == (times == 2)
    check_tokens([last[name] for name in ids], model, reference)
