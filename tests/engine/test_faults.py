"""Exceptions and interrupts wherever a step calls out, in a tight pool with a host tier, a cache and beams.

A step that fails may have made room, but what it computed has not happened: the audit passes after each of them,
and the tokens are those of a run that nothing disturbed.
"""

import signal

import pytest
from driving import contents

import pagedviz as pv
from pagedviz.errors import PolicyError
from pagedviz.events import BlockEvicted, PrefixHit, PrefixMissed, RequestPreempted, SwappedIn, SwappedOut

OPTIONS = {
    "block_size": 4,
    "num_device_blocks": 23,
    "num_host_blocks": 12,
    "max_num_batched_tokens": 24,
    "max_num_seqs": 9,
    "preemption": "swap",
}


class Injected(Exception):
    pass


def begin(byte_engine, **options):
    """Beams, samples and plain requests; some are swapped and some computed again, some share a beginning."""
    engine = byte_engine(**OPTIONS, **options)
    greedy = {"temperature": 0.0, "max_tokens": 18, "ignore_eos": True}
    ids = [
        engine.add_request("the first prompt", **greedy),
        engine.add_request("the second", beam_width=3, n=2, max_tokens=12, stop_token_ids=[110, 200, 201]),
        engine.add_request("the first prompt, again", preemption="recompute", **greedy),
        engine.add_request("seven!!", n=3, seed=3, max_tokens=14, ignore_eos=True),
        engine.add_request("the first prompt", beam_width=2, max_tokens=12, ignore_eos=True),
        engine.add_request("the second to the last of them", **greedy),
        engine.add_request("the first prompt, again", preemption="recompute", **greedy),
    ]
    return engine, ids


@pytest.fixture(scope="module")
def undisturbed(tiny, byte_tokenizer, run_audited):
    def make(**options):
        return pv.Engine(tiny("llama", vocab_size=256, num_hidden_layers=2), byte_tokenizer, **options)

    engine, ids = begin(make)
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    outputs = run_audited(engine, ids)
    assert {event.mode for event in events if isinstance(event, RequestPreempted)} == {"swap", "recompute"}
    out = [event.request for event in events if isinstance(event, SwappedOut)]
    assert "" in out, "cached blocks go down"
    assert any(out), "requests do"
    assert any(isinstance(event, SwappedIn) for event in events)
    assert any(isinstance(event, PrefixHit) and event.from_host for event in events), "and cached blocks come up"
    assert {event.tier for event in events if isinstance(event, BlockEvicted)} == {"device", "host"}
    return contents(outputs)


def call_outs(engine):
    """name -> (object, attribute): everything that a step calls and that may fail."""
    core = engine._core
    kernels = core.runner.kernels
    policy, below = core.manager.device.cache.policy, core.manager.host.cache.policy
    return {
        "move": (core._admitter._swapper, "_move"),
        "take": (core.manager.device.pool, "take"),
        "copy": (core.runner, "copy"),
        "run": (core.runner, "run"),
        "decode": (kernels, "decode"),
        "sample": (core.sampler, "sample"),
        "detokenize": (engine.tokenizer, "decode"),
        "policy victims": (policy, "victims"),
        "policy explain": (policy, "explain"),
        "policy add": (policy, "add"),
        "policy remove": (policy, "remove"),
        "host policy victims": (below, "victims"),
        "host policy explain": (below, "explain"),
        "placement": (core._admitter._swapper.placement, "keeps"),
        "victim": (core.scheduler._preempting._victims, "choose"),
        "victim explain": (core.scheduler._preempting._victims, "explain"),
    }


NAMES = [
    "move", "take", "copy", "run", "decode", "sample", "detokenize", "policy victims", "policy explain",
    "policy add", "policy remove", "host policy victims", "host policy explain", "placement", "victim",
    "victim explain",
]  # fmt: skip


class Failing:
    """In place of a method: fails now and then, at most so many times, before or after it has done its work."""

    def __init__(self, original, error, pattern, after):
        self.original, self.error, self.pattern, self.after = original, error, pattern, after
        self.calls = self.failures = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        fails = self.calls % 7 in self.pattern and self.failures < 30
        self.failures += fails
        if fails and not self.after:
            raise self.error
        result = self.original(*args, **kwargs)
        if fails:
            raise self.error
        return result


def finish(engine, ids, error, repair=lambda: None):
    last, failed = {}, 0
    for _ in range(1000):
        if not engine.has_unfinished_requests():
            break
        steps = engine.stats()["steps"]
        try:
            last |= {output.request_id: output for output in engine.step()}
        except (error, PolicyError) as raised:
            failed += 1
            assert engine.stats()["steps"] == steps
            if "failed before" in str(raised):
                repair()
        engine.audit()
    assert not engine.has_unfinished_requests(), "they never finish"
    stats = engine.stats()
    assert stats["num_free_blocks"] == OPTIONS["num_device_blocks"]
    assert stats["num_free_host_blocks"] == OPTIONS["num_host_blocks"]
    return contents([last[name] for name in ids]), failed


@pytest.mark.parametrize("error", [Injected, KeyboardInterrupt])
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_at_any_call_out_undoes_the_step(byte_engine, undisturbed, monkeypatch, name, error):
    engine, ids = begin(byte_engine)
    owner, attribute = call_outs(engine)[name]
    failing = Failing(getattr(owner, attribute), error, {1, 2, 5}, after=name in {"move", "copy", "run"})
    monkeypatch.setattr(owner, attribute, failing)
    manager = engine._core.manager

    def repair():
        manager.change_eviction("lru")
        policy = manager.device.cache.policy
        again = Failing(getattr(policy, attribute), error, {5}, after=True)
        if failing.failures < 5:
            failing.failures += 1
            monkeypatch.setattr(policy, attribute, again)

    found, failed = finish(engine, ids, error, repair)
    assert found == undisturbed
    assert failed > 0
    assert failing.failures > 1


def test_copies_that_fail_before_they_begin_change_nothing(byte_engine, undisturbed, monkeypatch):
    engine, ids = begin(byte_engine)
    failing = Failing(engine._core.runner.move, Injected, {1, 3, 4, 6}, after=False)
    directions = set()

    def move(direction, pairs):
        directions.add(direction)
        return failing(direction, pairs)

    monkeypatch.setattr(engine._core._admitter._swapper, "_move", move)
    found, failed = finish(engine, ids, Injected)
    assert found == undisturbed
    assert failed == failing.failures > 3
    assert directions == {"out", "in"}


@pytest.mark.parametrize("place", ["emit", "move", "policy victims", "placement", "victim", "publish", "fill"])
def test_ctrl_c_waits_while_tables_change(byte_engine, undisturbed, monkeypatch, place):
    engine, ids = begin(byte_engine)
    core = engine._core
    owners = call_outs(engine) | {
        "emit": (core.manager, "emit"),
        "publish": (core._bus, "publish"),
        "fill": (core.manager, "fill"),
    }
    owner, attribute = owners[place]
    original = getattr(owner, attribute)
    calls = 0

    def interrupted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls % 5 == 3:
            signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, attribute, interrupted)
    handler, interrupts, last = signal.getsignal(signal.SIGINT), 0, {}
    for _ in range(1000):
        if not engine.has_unfinished_requests():
            break
        try:
            last |= {output.request_id: output for output in engine.step()}
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 40:
                monkeypatch.setattr(owner, attribute, original)
        assert signal.getsignal(signal.SIGINT) is handler
        engine.audit()
    assert interrupts > 0
    assert contents([last[name] for name in ids]) == undisturbed


@pytest.mark.parametrize("when", range(0, 40, 5))
def test_all_may_be_aborted_after_any_step(byte_engine, when):
    engine, ids = begin(byte_engine)
    for _ in range(when):
        engine.step()
    for name in ids:
        engine.abort(name)
        engine.audit()
    stats = engine.stats()
    assert stats["num_requests_running"] == stats["num_requests_waiting"] == stats["num_requests_swapped"] == 0
    assert stats["num_free_blocks"] == OPTIONS["num_device_blocks"]
    assert stats["num_free_host_blocks"] == OPTIONS["num_host_blocks"]
    engine.reset_prefix_cache()
    engine.audit()
    assert engine._core.manager.device.pool.num_free == OPTIONS["num_device_blocks"]
    assert engine._core.manager.host.pool.num_free == OPTIONS["num_host_blocks"]


def test_what_a_failed_step_evicted_has_one_step_number(watched, make_prompt, monkeypatch):
    """Its events come with the number of the step before it, and so do the reasons that refer to them."""
    engine, _ = watched(num_device_blocks=6)
    batches = []
    engine.subscribe(batches.append)
    first, params = make_prompt(17), {"max_tokens": 1, "temperature": 0.0}
    engine.generate([first], **params)

    def fails(batch):
        raise RuntimeError("no kernel")

    with monkeypatch.context() as patch:
        patch.setattr(engine._core.runner, "run", fails)
        engine.add_request(make_prompt(17, 1), **params)
        with pytest.raises(RuntimeError, match="no kernel"):
            engine.step()
    told = [(batch.step, event) for batch in batches for event in batch.events]
    evicted = {event.hash: step for step, event in told if isinstance(event, BlockEvicted)}
    assert set(evicted.values()) == {1}
    while engine.has_unfinished_requests():
        engine.step()
    del batches[:]
    engine.generate([first], **params)
    (missed,) = [event for batch in batches for event in batch.events if isinstance(event, PrefixMissed)]
    assert missed.reason == "evicted at step 1 by lru"
