"""A request whose logits are broken ends with the reason; neighbours, cache and session do not notice."""

import math

import numpy as np
import pytest
import torch

import pagedviz as pv
from pagedviz.engine.sampling import beam_request
from pagedviz.engine.sampling import sampler as sampling
from pagedviz.events import BlockCached, SequenceFinished

KINDS = {
    "greedy": {"temperature": 0.0},
    "sampling": {"temperature": 0.8, "seed": 3},
    "samples": {"n": 3, "seed": 3},
    "best_of": {"n": 2, "best_of": 3, "seed": 3},
    "beams": {"n": 2, "beam_width": 3},
    "penalty": {"temperature": 0.0, "repetition_penalty": 1.2},
    "logprobs": {"temperature": 0.0, "logprobs": 2},
}
ROWS = {
    "NaN": lambda row: row.fill_(math.nan),
    "one NaN": lambda row: row[7:8].fill_(math.nan),
    "infinite": lambda row: row[7:8].fill_(math.inf),
    "-inf": lambda row: row.fill_(-math.inf),
}
OTHERS = {"max_tokens": 12, "ignore_eos": True, "temperature": 0.0}


def break_rows(engine, first, breaks, at):
    """Break the logits of sequences whose first token is ``first``, for the tokens from position ``at`` on."""
    run, tables = engine._core.runner.run, engine._core.manager.tables

    def broken(batch):
        logits, launches = run(batch)
        blocks = {
            tables(sequence.id)[0][0]
            for request in engine._core.requests.values()
            if request.prompt_token_ids[0] == first
            for sequence in request.sequences
            if tables(sequence.id)[0]
        }
        for row, token in zip(logits, batch.rows.tolist(), strict=True):
            position = int(batch.positions[token])
            owner = int((batch.query_starts[1:] <= token - batch.num_decodes).sum()) + batch.num_decodes
            owner = token if token < batch.num_decodes else owner
            if int(batch.groups[0].block_tables[owner][0]) in blocks and position + 1 >= at:
                breaks(row)
        return logits, launches

    engine._core.runner.run = broken


@pytest.mark.parametrize("at", [9, 13], ids=["at once", "later"])
@pytest.mark.parametrize(
    ("how", "kind"), [*((how, "greedy") for how in ROWS), *(("NaN", kind) for kind in KINDS), ("-inf", "beams")]
)
def test_it_ends_with_what_it_has_and_others_go_on(byte_engine, run_audited, how, kind, at):
    prompts = [[*b"neighbour"], [*b"x broken "], [*b"the other one"]]
    alone = [byte_engine().generate(prompt, **OTHERS)[0].outputs for prompt in (prompts[0], prompts[2])]
    engine, events = byte_engine(), []
    engine.subscribe(lambda batch: events.extend(batch.events))
    break_rows(engine, ord("x"), ROWS[how], at)
    params = {"max_tokens": 12, "ignore_eos": True, **KINDS[kind]}
    ids = [engine.add_request(prompt, **(params if i == 1 else OTHERS)) for i, prompt in enumerate(prompts)]
    first, broken, last = run_audited(engine, ids)
    assert [first.outputs, last.outputs] == alone
    assert broken.finished
    assert len(broken.outputs) == KINDS[kind].get("n", 1)
    for index, output in enumerate(broken.outputs):
        assert (output.index, output.finish_reason) == (index, "error")
        assert len(output.token_ids) == at - 9
        assert f"request {ids[1]}, position {at}" in output.error
        assert {"NaN": "NaN", "one NaN": "NaN", "infinite": "infinite", "-inf": "-inf"}[how] in output.error
    assert broken.error == broken.outputs[0].error
    assert first.error is None
    assert {e.reason for e in events if isinstance(e, SequenceFinished)} == {"length", "error"}
    engine._core.runner.run = type(engine._core.runner).run.__get__(engine._core.runner)
    again = engine.generate(prompts[1], **OTHERS)[0]
    assert again.outputs == byte_engine().generate(prompts[1], **OTHERS)[0].outputs
    engine.audit()


def test_generate_returns_all_of_them_in_order(byte_engine):
    engine = byte_engine()
    break_rows(engine, ord("x"), ROWS["NaN"], 0)
    outputs = engine.generate([[*b"fine"], [*b"x"], [*b"fine too"]], temperature=0.0, max_tokens=3, ignore_eos=True)
    assert [output.outputs[0].finish_reason for output in outputs] == ["length", "error", "length"]
    assert outputs[1].outputs[0].token_ids == ()
    seen = list(engine.stream([*b"xy"], max_tokens=3))
    assert [output.outputs[0].finish_reason for output in seen] == ["error"]


@pytest.mark.parametrize("options", [{}, {"num_host_blocks": 8, "num_device_blocks": 12}], ids=["roomy", "tight"])
def test_no_block_that_it_wrote_is_found_afterwards(byte_engine, options):
    """In several chunks, with a prefix of somebody else's, and beside a sharer that goes on."""
    engine, events = byte_engine(max_num_batched_tokens=32, **options), []
    sound = [*b"x a prefix!!"]
    engine.generate(sound, max_tokens=1, temperature=0.0)
    prompt = [*sound, *b" of the broken one"]
    assert len(prompt) > 28
    break_rows(engine, ord("x"), ROWS["NaN"], len(prompt) + 2)
    engine.subscribe(lambda batch: events.extend(batch.events))
    output = engine.generate(prompt, max_tokens=8, temperature=0.0)[0].outputs[0]
    assert (output.finish_reason, len(output.token_ids)) == ("error", 2)
    engine.audit()
    names = engine._core.manager.finder.find(99, [*prompt, 1, 1, 1, 1])
    assert names.found == len(sound) // 4, "what somebody else wrote stays"
    unfound = names.names[names.found :]
    assert len(unfound) > 3
    assert not [e for e in events if isinstance(e, BlockCached) and e.hash in unfound]


def test_a_sharer_of_its_blocks_goes_on_and_names_none(byte_engine, run_audited):
    engine = byte_engine()
    prompt = [*b"x is shared by both"]
    first = engine.add_request(prompt, request_id="first", temperature=0.0, max_tokens=9, ignore_eos=True)
    engine.step()
    second = engine.add_request([*prompt, 66], temperature=0.0, max_tokens=9, ignore_eos=True)
    engine.step()
    assert engine._core.manager.device.pool.refcount(engine._core.manager.tables(0)[0][0]) == 2
    run = engine._core.runner.run

    def broken(batch):
        logits, launches = run(batch)
        logits[0] = math.nan
        return logits, launches

    engine._core.runner.run = broken
    engine.step()
    engine._core.runner.run = run
    outputs = run_audited(engine, [second])
    assert outputs[0].outputs[0].finish_reason == "length"
    assert engine._core.manager.finder.find(99, prompt).found == 0
    assert first not in engine.unfinished_request_ids()


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AssertionError])
@pytest.mark.parametrize("kind", ["sampling", "beams"])
def test_an_exception_in_one_requests_drawing_ends_it_alone(byte_engine, run_audited, monkeypatch, kind, error):
    where, name = (beam_request, "advance") if kind == "beams" else (sampling, "uniform")

    def raises(*args, **options):
        raise error("a defect")

    monkeypatch.setattr(where, name, raises)
    engine = byte_engine()
    ids = [
        engine.add_request("neighbour", temperature=0.0, max_tokens=3, ignore_eos=True),
        engine.add_request("x", max_tokens=3, **KINDS[kind]),
    ]
    fine, broken = run_audited(engine, ids)
    assert fine.outputs[0].finish_reason == "length"
    assert broken.error == f"request {ids[1]}, position 1: {error.__name__}: a defect"


def test_a_token_that_the_tokenizer_does_not_know_ends_its_request_alone(
    byte_engine, script, run_audited, monkeypatch
):
    engine = byte_engine()
    decode = engine.tokenizer.decode

    def refuses(tokens, **options):
        if 200 in tokens:
            raise IndexError("piece id is out of range")
        return decode(tokens, **options)

    monkeypatch.setattr(engine.tokenizer, "decode", refuses, raising=False)
    script(engine, b"ab\xc8", 2)
    ids = [
        engine.add_request(prompt, temperature=0.0, max_tokens=8, stop_token_ids=[0]) for prompt in ("xy", "vwxyz")
    ]
    broken, fine = run_audited(engine, ids)
    assert (broken.outputs[0].text, broken.outputs[0].token_ids) == ("ab", tuple(b"ab"))
    assert "position 4: IndexError: piece id is out of range" in broken.error
    assert fine.outputs[0].finish_reason == "stop"


def test_the_memory_of_the_machine_is_no_requests_fault(byte_engine, run_audited, monkeypatch):
    engine = byte_engine()
    name = engine.add_request("ab", seed=1, max_tokens=3, ignore_eos=True)

    def raises(*args):
        raise torch.OutOfMemoryError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(sampling, "uniform", raises)
        with pytest.raises(torch.OutOfMemoryError):
            engine.step()
    assert run_audited(engine, [name])[0].outputs[0].finish_reason == "length"


def test_a_session_goes_on(byte_engine):
    engine = byte_engine()
    break_rows(engine, ord("x"), ROWS["NaN"], 4)
    with pv.Session(engine) as session:
        names = [session.submit(text, seed=np.int64(5), max_tokens=6, ignore_eos=True) for text in ("ab", "xy")]
        status = session.run().status
        assert status.state == "finished"
        assert [session.outputs[name].outputs[0].finish_reason for name in names] == ["length", "error"]
        trace = session.trace
    assert pv.Trace.from_bytes(trace.to_bytes()).state_at(trace.last_step).requests
    assert trace.state_at(trace.last_step).requests[names[1]].reason == "error"


def test_a_huge_logit_at_a_tiny_temperature_is_no_fault(byte_engine, script):
    engine = byte_engine()
    run = engine._core.runner.run

    def huge(batch):
        logits, launches = run(batch)
        logits[:] = 0
        logits[:, 97] = 3e38
        return logits, launches

    engine._core.runner.run = huge
    output = engine.generate("ab", temperature=2e-5, max_tokens=2)[0].outputs[0]
    assert (output.text, output.error) == ("aa", None)
