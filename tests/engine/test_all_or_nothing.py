"""A step happens or it does not: exceptions and interrupts at every call-out leave everything as it was."""

import signal

import pytest
from driving import contents

import pagedviz as pv
from pagedviz.engine.core import EngineCore

OPTIONS = {"block_size": 4, "num_device_blocks": 24, "max_num_batched_tokens": 24, "max_num_seqs": 8}


class Injected(Exception):
    pass


def begin(byte_engine):
    """Three requests, one of them with three samples, in a pool that makes the newest give way."""
    engine = byte_engine(**OPTIONS)
    greedy = {"temperature": 0.0, "max_tokens": 14, "ignore_eos": True}
    ids = [
        engine.add_request("the first prompt", **greedy),
        engine.add_request("seven!!", n=3, seed=3, max_tokens=12, ignore_eos=True),
        engine.add_request("a third one that is a little longer", **greedy),
    ]
    return engine, ids


@pytest.fixture(scope="module")
def undisturbed(tiny, byte_tokenizer, run_audited):
    def make(**options):
        return pv.Engine(tiny("llama", vocab_size=256, num_hidden_layers=2), byte_tokenizer, **options)

    engine, ids = begin(make)
    outputs = run_audited(engine, ids)
    assert engine.stats()["num_preemptions"] > 0
    return contents(outputs)


def call_outs(engine):
    """name -> (object, attribute): everything that a step calls and that may fail."""
    core = engine._core
    kernels = core.runner.kernels
    return {
        "take": (core.manager.device.pool, "take"),
        "copy": (core.runner, "copy"),
        "run": (core.runner, "run"),
        "forward": (engine._paged.model, "forward"),
        "write_kv": (kernels, "write_kv"),
        "decode": (kernels, "decode"),
        "prefill": (kernels, "prefill"),
        "copy_blocks": (kernels, "copy_blocks"),
        "sample": (core.sampler, "sample"),
        "detokenize": (engine.tokenizer, "decode"),
    }


NAMES = ["take", "copy", "run", "forward", "write_kv", "decode", "prefill", "copy_blocks", "sample", "detokenize"]


@pytest.mark.parametrize("error", [Injected, KeyboardInterrupt])
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_at_any_call_out_undoes_the_step(byte_engine, undisturbed, monkeypatch, name, error):
    engine, ids = begin(byte_engine)
    owner, attribute = call_outs(engine)[name]
    original = getattr(owner, attribute)
    calls = failures = 0

    def sometimes(*args, **kwargs):
        nonlocal calls, failures
        calls += 1
        if calls % 7 in {1, 2, 5} and failures < 40:
            failures += 1
            raise error
        return original(*args, **kwargs)

    batches, last = [], {}
    engine.subscribe(batches.append)
    monkeypatch.setattr(owner, attribute, sometimes)
    while engine.has_unfinished_requests():
        before = (engine.stats()["steps"], engine._core.manager.device.pool.num_free)
        try:
            for output in engine.step():
                last[output.request_id] = output
        except error:
            assert engine.stats()["steps"] == before[0]
            assert engine._core.manager.device.pool.num_free >= before[1]
        engine.audit()
    assert failures > 1
    assert contents([last[i] for i in ids]) == undisturbed
    assert engine.stats()["num_free_blocks"] == OPTIONS["num_device_blocks"]
    assert engine.model.config._attn_implementation != "pagedviz"


@pytest.mark.parametrize("place", ["forward", "write_kv", "take", "fill", "publish", "decode text"])
def test_ctrl_c_is_raised_in_a_forward_and_held_back_while_tables_change(
    byte_engine, undisturbed, monkeypatch, place
):
    engine, ids = begin(byte_engine)
    core = engine._core
    owner, attribute = {
        "forward": (engine._paged.model.model.layers[1], "forward"),
        "write_kv": (core.runner.kernels, "write_kv"),
        "take": (core.manager.device.pool, "take"),
        "fill": (core.manager, "fill"),
        "publish": (core._bus, "publish"),
        "decode text": (engine.tokenizer, "decode"),
    }[place]
    original = getattr(owner, attribute)
    calls = 0

    def interrupted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls % 5 == 3:
            signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    monkeypatch.setattr(owner, attribute, interrupted)
    interrupts, happened, last = 0, 0, {}
    while engine.has_unfinished_requests():
        steps = engine.stats()["steps"]
        try:
            for output in engine.step():
                last[output.request_id] = output
        except KeyboardInterrupt:
            interrupts += 1
            happened += engine.stats()["steps"] - steps
            if interrupts > 30:
                monkeypatch.setattr(owner, attribute, original)
        assert signal.getsignal(signal.SIGINT) is handler
        engine.audit()
    assert interrupts > 1
    if place in {"fill", "publish"}:
        assert happened == interrupts, "held back until the step had happened"
    if place in {"forward", "write_kv", "decode text"}:
        assert happened == 0
    assert contents([last[i] for i in ids]) == undisturbed


def test_a_subscriber_that_fails_loses_no_output(byte_engine, undisturbed):
    engine, ids = begin(byte_engine)
    heard, last = [], {}

    def fails(batch):
        raise Injected

    engine.subscribe(fails)
    engine.subscribe(heard.append)
    failures = 0
    while engine.has_unfinished_requests():
        try:
            last |= {output.request_id: output for output in engine.step()}
        except Injected:
            failures += 1
        engine.audit()
    assert failures == engine.stats()["steps"]
    assert contents([last[i] for i in ids]) == undisturbed
    assert [batch.seq for batch in heard] == sorted(batch.seq for batch in heard)


def test_a_last_output_that_an_exception_hid_comes_with_the_next_step(byte_engine, script):
    engine = byte_engine()
    script(engine, "abc", 2)
    engine.add_request("xy", temperature=0.0, max_tokens=1)

    def fails(batch):
        raise Injected

    forget = engine.subscribe(fails)
    with pytest.raises(Injected):
        engine.step()
    forget()
    assert engine.has_unfinished_requests()
    (output,) = engine.step()
    assert (output.finished, output.outputs[0].text) == (True, "a")
    assert not engine.has_unfinished_requests()


def test_generate_that_fails_takes_its_own_requests_back_only(byte_engine, monkeypatch):
    engine = byte_engine()
    other = engine.add_request("other", temperature=0.0, max_tokens=5, ignore_eos=True)
    calls = 0
    original = EngineCore.step

    def step(core):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Injected
        return original(core)

    monkeypatch.setattr(EngineCore, "step", step)
    with pytest.raises(Injected):
        engine.generate(["mine", "mine too"], max_tokens=10, n=2)
    engine.audit()
    assert engine.unfinished_request_ids() == [other]
    outputs = []
    while engine.has_unfinished_requests():
        outputs += engine.step()
        engine.audit()
    assert {output.request_id for output in outputs} == {other}
    assert outputs[-1].finished


def test_generate_whose_subscriber_fails_leaves_nothing_behind(byte_engine):
    engine = byte_engine()

    def fails(batch):
        raise Injected

    forget = engine.subscribe(fails)
    with pytest.raises(Injected):
        engine.generate(["mine", "mine too"], max_tokens=10)
    forget()
    engine.audit()
    assert not engine.has_unfinished_requests()
    assert engine.stats()["num_free_blocks"] == 128


def test_a_stream_left_early_aborts_its_own_and_loses_no_others_output(byte_engine):
    engine = byte_engine()
    other = engine.add_request("other", temperature=0.0, max_tokens=2, ignore_eos=True)
    for output in engine.stream(["mine", "mine too"], max_tokens=30, temperature=0.0, ignore_eos=True):
        assert output.request_id != other
        if len(output.outputs[0].token_ids) == 2:
            break
    del output
    engine.audit()
    assert engine.unfinished_request_ids() == []
    assert [(o.request_id, o.finished) for o in engine.step()] == [(other, True)]


def test_a_stream_that_is_never_begun_leaves_no_request(byte_engine):
    engine = byte_engine()
    stream = engine.stream("mine", max_tokens=5)
    del stream
    assert not engine.has_unfinished_requests()
    with pytest.raises(pv.RequestError):
        engine.stream("")  # told at the call, not in the loop


def test_two_streams_side_by_side_both_get_all_of_their_outputs(byte_engine):
    engine = byte_engine()
    params = {"temperature": 0.0, "max_tokens": 6, "ignore_eos": True}
    alone = [engine.generate(prompt, **params)[0].outputs for prompt in ("one", "and two")]
    streams = [engine.stream("one", **params), engine.stream("and two", **params)]
    last = {}
    while len(last) < 2 or streams != [None, None]:
        for index, stream in enumerate(streams):
            if stream is not None:
                output = next(stream, None)
                last[index] = output or last[index]
                streams[index] = stream if output else None
        engine.audit()
    assert [last[0].outputs, last[1].outputs] == alone


def test_a_request_aborted_while_generate_waits_for_it_is_told_as_aborted(byte_engine):
    engine = byte_engine()

    def abort_second(batch):
        if batch.step == 3 and len(engine.unfinished_request_ids()) == 2:
            engine.abort(engine.unfinished_request_ids()[1])

    engine.subscribe(abort_second)
    outputs = engine.generate(["one", "and two"], temperature=0.0, max_tokens=6, ignore_eos=True)
    engine.audit()
    assert [output.outputs[0].finish_reason for output in outputs] == ["length", "abort"]
