"""Beam search through paged memory equals transformers', token for token, whatever the pool makes of its blocks."""

import functools
import math

import pytest
import torch
from driving import beams_of_transformers

import pagedviz as pv
from pagedviz.engine.schedule.plan import Preemption
from pagedviz.events import BlockCopied, RequestPreempted, SequenceDropped, SequenceForked

MAX = 14
PROMPTS = [
    (5, 17, 101, 3, 77, 42, 9, 150, 33),
    (64, 65),
    (5, 17, 101, 3, 77, 42, 9, 150, 12, 90, 4, 20, 21),
    tuple(range(30, 47)),
]
RULES = [
    {"width": 4, "length_penalty": 1.0, "early_stopping": False},
    {"width": 2, "length_penalty": 0.0, "early_stopping": True},
    {"width": 3, "length_penalty": 2.0, "early_stopping": "never"},
    {"width": 3, "length_penalty": -1.0, "early_stopping": False},
]
SETUPS = {
    "room for all": {"block_size": 4, "num_device_blocks": 200},
    "blocks of 1": {"block_size": 1, "num_device_blocks": 96, "num_host_blocks": 60},
    "blocks of 16": {"block_size": 16, "num_device_blocks": 8, "num_host_blocks": 12, "preemption": "swap"},
    "swap": {"block_size": 4, "num_device_blocks": 27, "num_host_blocks": 40, "preemption": "swap"},
    "recompute": {"block_size": 4, "num_device_blocks": 27, "preemption": "recompute"},
    "swap, no cache": {
        "block_size": 4, "num_device_blocks": 27, "num_host_blocks": 40, "preemption": "swap",
        "prefix_caching": False,
    },
    "recompute, no cache": {"block_size": 4, "num_device_blocks": 27, "prefix_caching": False},
    "a small host": {"block_size": 4, "num_device_blocks": 27, "num_host_blocks": 9, "preemption": "swap"},
    "chunks": {"block_size": 4, "num_device_blocks": 40, "max_num_batched_tokens": 8, "max_num_seqs": 8},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny):
    return tiny("llama", num_hidden_layers=2)


@pytest.fixture(scope="module")
def searched(model):
    """``searched(prompt, eos, width, ...)``: tokens and sums of log probabilities that transformers finds."""

    @functools.cache
    def search(prompt, eos, width, length_penalty, early_stopping):
        tokens, scores, _ = beams_of_transformers(
            model,
            prompt,
            width=width,
            max_tokens=MAX,
            eos=eos,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        )
        return [(row, score * len(row) ** length_penalty) for row, score in zip(tokens, scores, strict=True)]

    return search


def ends(searched, prompt, rules):
    """End tokens that this search meets."""
    free = searched(prompt, (), **rules)
    return tuple(sorted({free[0][0][4], free[-1][0][2], 5, 33}))


def params(rules, eos, **more):
    return {
        "beam_width": rules["width"],
        "length_penalty": rules["length_penalty"],
        "early_stopping": rules["early_stopping"],
        "n": rules["width"],
        "max_tokens": MAX,
        "stop_token_ids": list(eos),
        **more,
    }


def check(output, expected, eos):
    assert [sample.token_ids for sample in output.outputs] == [tokens for tokens, _ in expected]
    assert [sample.index for sample in output.outputs] == list(range(len(expected)))
    found = [sample.cumulative_logprob for sample in output.outputs]
    assert found == pytest.approx([total for _, total in expected], rel=1e-4, abs=1e-3)
    for sample in output.outputs:
        stopped = sample.token_ids[-1] in eos
        assert (sample.finish_reason, sample.stop_reason) == (
            ("stop", sample.token_ids[-1]) if stopped else ("length", None)
        )


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize(
    "rules", RULES, ids=lambda rules: "{width} {length_penalty} {early_stopping}".format(**rules)
)
def test_beams_are_those_of_transformers(model, searched, run_audited, setup, rules):
    engine = pv.Engine(model, **{"max_num_seqs": 16, "max_num_batched_tokens": 32, **SETUPS[setup]})
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    cases = [(prompt, ends(searched, prompt, rules) if index % 2 else ()) for index, prompt in enumerate(PROMPTS)]
    ids = [engine.add_request(list(prompt), **params(rules, eos)) for prompt, eos in cases]
    for (prompt, eos), output in zip(cases, run_audited(engine, ids), strict=True):
        check(output, searched(prompt, eos, **rules), eos)
    kinds = {type(event) for event in events}
    assert {SequenceForked, SequenceDropped} <= kinds
    if setup != "blocks of 1":
        assert BlockCopied in kinds
    modes = {event.mode for event in events if isinstance(event, RequestPreempted)}
    if rules["width"] > 2 and setup.split(",")[0] in {"swap", "recompute"}:
        assert modes == {setup.split(",")[0]}


@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_the_models_own_end_token_ends_beams(new_tiny, early_stopping, run_audited):
    model = new_tiny("llama", num_hidden_layers=1)
    prompt = PROMPTS[0]
    model.generation_config.eos_token_id = end = pv.Engine(model).generate(
        list(prompt), temperature=0.0, max_tokens=4, ignore_eos=True
    )[0].outputs[0].token_ids[3]  # fmt: skip
    engine = pv.Engine(model, block_size=4, num_device_blocks=60)
    options = {"beam_width": 3, "n": 3, "max_tokens": MAX, "early_stopping": early_stopping}
    ids = [engine.add_request(list(prompt), ignore_eos=ignore, **options) for ignore in (False, True)]
    ended, went_on = run_audited(engine, ids)
    out = model.generate(
        torch.tensor([prompt]), num_beams=3, num_return_sequences=3, early_stopping=early_stopping,
        max_new_tokens=MAX, do_sample=False, eos_token_id=end, pad_token_id=end,
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
    )  # fmt: skip
    rows = [row[len(prompt) :].tolist() for row in out]
    assert [list(s.token_ids) for s in ended.outputs] == [r[: r.index(end) + 1] if end in r else r for r in rows]
    assert any(sample.finish_reason == "stop" for sample in ended.outputs)
    assert all(len(sample.token_ids) == MAX for sample in went_on.outputs)


@pytest.mark.parametrize("preemption", ["swap", "recompute"])
def test_beams_run_beside_ordinary_requests(model, searched, reference, run_audited, make_prompt, preemption):
    engine = pv.Engine(model, block_size=4, num_device_blocks=30, num_host_blocks=40, preemption=preemption)
    greedy = {"temperature": 0.0, "max_tokens": 16, "ignore_eos": True}
    ids = [engine.add_request(make_prompt(19, 1), **greedy)]
    ids += [engine.add_request(list(PROMPTS[0]), **params(RULES[0], ()))]
    ids += [engine.add_request(make_prompt(9, 2), n=2, **greedy)]
    ids += [engine.add_request(list(PROMPTS[3]), **params(RULES[2], ()))]
    outputs = run_audited(engine, ids)
    check(outputs[1], searched(PROMPTS[0], (), **RULES[0]), ())
    check(outputs[3], searched(PROMPTS[3], (), **RULES[2]), ())
    for output, prompt in ((outputs[0], make_prompt(19, 1)), (outputs[2], make_prompt(9, 2))):
        expected, _ = reference(model, prompt, 16)
        assert [list(sample.token_ids) for sample in output.outputs] == [expected] * len(output.outputs)
    assert engine.stats()["num_preemptions"] > 0


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 9])
def test_a_search_can_be_aborted(model, searched, run_audited, steps):
    engine = pv.Engine(model, block_size=4, num_device_blocks=40, num_host_blocks=20, preemption="swap")
    gone = engine.add_request(list(PROMPTS[3]), **params(RULES[0], ()))
    name = engine.add_request(list(PROMPTS[0]), **params(RULES[0], ()))
    for _ in range(steps):
        engine.step()
    assert engine.abort(gone)
    engine.audit()
    check(run_audited(engine, [name])[0], searched(PROMPTS[0], (), **RULES[0]), ())
    assert engine.stats()["num_free_host_blocks"] == 20


def test_beams_that_are_found_whole_go_on_after_a_step_that_failed(model, searched, run_audited, monkeypatch):
    """All but their last tokens are found, and then the step fails before they have forked."""
    engine = pv.Engine(model, block_size=4, num_device_blocks=60)
    prompt = PROMPTS[0]
    name = engine.add_request(list(prompt), **params(RULES[0], ()))
    for _ in range(5):
        engine.step()  # 9 tokens of the prompt and 5 others: 13 are in memory, 12 in full blocks
    core = engine._core
    (request,) = core.requests.values()
    assert request.leader().computed == 13
    admitter = core._admitter
    admitter._preempt(Preemption(request, "recompute", "a test"))
    core._publish()
    engine.audit()

    class Injected(Exception):
        pass

    def fails(count):
        raise Injected

    with monkeypatch.context() as patch:
        patch.setattr(admitter._swapper, "make_room", fails)
        for _ in range(2):
            with pytest.raises(Injected):
                engine.step()
            engine.audit()
    check(run_audited(engine, [name])[0], searched(prompt, (), **RULES[0]), ())


@pytest.mark.parametrize("computed", range(9, 21))
def test_beams_are_preempted_at_any_length(model, searched, run_audited, monkeypatch, computed):
    engine = pv.Engine(model, block_size=4, num_device_blocks=60, num_host_blocks=30)
    prompt, core = PROMPTS[0], engine._core
    name = engine.add_request(list(prompt), **params(RULES[0], ()))
    (request,) = core.requests.values()
    while request.leader().computed < computed:
        engine.step()

    def fails(count):
        raise ZeroDivisionError

    for mode in ("recompute", "swap"):
        core._admitter._preempt(Preemption(request, mode, "a test"))
        core._publish()
        engine.audit()
        with monkeypatch.context() as patch:
            patch.setattr(core._admitter._swapper, "make_room", fails)
            with pytest.raises(ZeroDivisionError):
                engine.step()
        engine.audit()
        engine.step()
        engine.audit()
    check(run_audited(engine, [name])[0], searched(prompt, (), **RULES[0]), ())


def test_the_likeliest_of_more_samples_come_first(model, run_audited):
    engine = pv.Engine(model, block_size=4, num_device_blocks=26, num_host_blocks=12)
    drawn = {"seed": 3, "temperature": 1.0, "max_tokens": 10, "ignore_eos": True}
    ids = [
        engine.add_request(list(PROMPTS[3]), n=5, logprobs=0, **drawn),
        engine.add_request(list(PROMPTS[3]), n=2, best_of=5, **drawn),
        engine.add_request(list(PROMPTS[3]), n=5, best_of=5, **drawn),
    ]
    all_, two, five = run_audited(engine, ids)
    ranked = sorted(all_.outputs, key=lambda sample: -sample.cumulative_logprob)
    assert len({sample.token_ids for sample in ranked}) == 5
    assert [sample.token_ids for sample in five.outputs] == [sample.token_ids for sample in ranked]
    assert [sample.token_ids for sample in two.outputs] == [sample.token_ids for sample in ranked[:2]]
    assert [sample.index for sample in two.outputs] == [0, 1]
    for own, other in zip(five.outputs, ranked, strict=True):
        assert math.isclose(own.cumulative_logprob, other.cumulative_logprob, rel_tol=1e-5)
        assert own.logprobs is None
