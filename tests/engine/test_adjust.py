"""What requests and models ask of logits, against transformers' processors, vLLM's formulas and ``generate``."""

import math
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from transformers.generation import logits_process

import pagedviz as pv
from pagedviz.engine.sampling.adjust import Adjuster, Row
from pagedviz.engine.sampling.defaults import Defaults

VOCAB = 50
PROMPT, ANSWER = [3, 4, 3, 40, 7], [7, 9, 9, 12]
PLAIN = Defaults()


def logits_of(seed=0, rows=1):
    return torch.randn((rows, VOCAB), generator=torch.Generator().manual_seed(seed)) * 3


def row(answer=ANSWER, prompt=PROMPT, **params):
    return Row(pv.SamplingParams(**params), [*prompt, *answer], len(prompt))


def adjusted(row, defaults=PLAIN, eos=(), seed=0):
    assert Adjuster(defaults, eos).wanted(row)
    return Adjuster(defaults, eos)(logits_of(seed), [row])[0]


def processed(processor, tokens=(*PROMPT, *ANSWER), seed=0):
    return processor(torch.tensor([tokens]), logits_of(seed))[0]


@pytest.mark.parametrize("penalty", [0.5, 1.3])
def test_repetition_penalty_is_that_of_transformers(penalty):
    expected = processed(logits_process.RepetitionPenaltyLogitsProcessor(penalty))
    assert torch.equal(adjusted(row(repetition_penalty=penalty)), expected)
    assert torch.equal(adjusted(row(), Defaults(repetition_penalty=penalty)), expected)
    assert not Adjuster(Defaults(repetition_penalty=penalty), ()).wanted(row(repetition_penalty=1.0))


def test_logit_bias_is_that_of_transformers():
    bias = {3: 2.5, 44: -7.0, 0: 100.0}
    expected = processed(
        logits_process.SequenceBiasLogitsProcessor({(token,): value for token, value in bias.items()})
    )
    assert torch.equal(adjusted(row(logit_bias=bias)), expected)
    given = {"3": np.float32(2.5), np.int64(44): torch.tensor(-7), 0: 1e9}
    assert pv.SamplingParams(logit_bias=given) == pv.SamplingParams(logit_bias=bias)
    assert len({pv.SamplingParams(logit_bias=given), pv.SamplingParams(logit_bias=bias)}) == 1


@pytest.mark.parametrize("least", [4, 5])
def test_min_tokens_is_that_of_transformers(least):
    expected = processed(logits_process.MinNewTokensLengthLogitsProcessor(len(PROMPT), least, [5, 6]))
    asks = row(min_tokens=least)
    assert Adjuster(PLAIN, (5, 6)).wanted(asks) == (least > len(ANSWER))
    assert torch.equal(Adjuster(PLAIN, (5, 6))(logits_of(), [asks])[0], expected)
    assert torch.equal(Adjuster(Defaults(min_tokens=least), (5, 6))(logits_of(), [row()])[0], expected)


def test_suppressed_tokens_are_those_of_transformers():
    expected = processed(logits_process.SuppressTokensLogitsProcessor([4, 17]))
    assert torch.equal(adjusted(row(), Defaults(suppress=(4, 17))), expected)
    begins = Defaults(begin_suppress=(4, 17))
    processor = logits_process.SuppressTokensAtBeginLogitsProcessor([4, 17], len(PROMPT))
    assert torch.equal(adjusted(row(answer=[]), begins), processed(processor, PROMPT))
    assert not Adjuster(begins, ()).wanted(row())


def test_bad_words_are_those_of_transformers():
    words = [[8], [9, 12, 30], [12, 31], [11, 32], [40, 7, 7, 9, 9, 12, 33], [3] * 12]
    expected = processed(logits_process.NoBadWordsLogitsProcessor(words))
    found = adjusted(row(), Defaults(bad_words=tuple(map(tuple, words))))
    assert torch.equal(found, expected)
    assert found.isneginf().nonzero()[:, 0].tolist() == [8, 30, 31, 33]


def test_presence_and_frequency_are_vllms_formula():
    counts = torch.zeros(VOCAB)
    for token, count in Counter(ANSWER).items():
        counts[token] = count
    expected = logits_of()[0] - 0.75 * counts - 1.5 * (counts > 0)
    found = adjusted(row(frequency_penalty=0.75, presence_penalty=1.5))
    torch.testing.assert_close(found, expected)
    assert found[40] == logits_of()[0, 40], "tokens of the prompt do not count"


def test_only_allowed_tokens_are_left_and_the_order_is_vllms():
    asks = row(
        allowed_token_ids={3, 7, 9}, logit_bias={7: 4.0, 8: 50.0}, repetition_penalty=1.5, presence_penalty=1.0
    )
    raw = logits_of()[0]
    expected = torch.full((VOCAB,), -math.inf)
    for token in (3, 7, 9):
        value = raw[token] + (4.0 if token == 7 else 0.0)
        value = value / 1.5 if value > 0 else value * 1.5
        expected[token] = value - (1.0 if token in ANSWER else 0.0)
    torch.testing.assert_close(adjusted(asks), expected)


def test_a_row_does_not_depend_on_its_batch():
    rows = [
        row(logit_bias={3: 1.0}), row(answer=[9] * 5, frequency_penalty=1.0), row(allowed_token_ids=[1, 2]),
        row(min_tokens=9, stop_token_ids=[8, 900]), row(repetition_penalty=2.0), row(answer=[]),
    ]  # fmt: skip
    adjuster = Adjuster(Defaults(suppress=(5,)), (6,))
    together = adjuster(logits_of(rows=len(rows)), rows)
    for place, one in enumerate(rows):
        alone = adjuster(logits_of(rows=len(rows))[place : place + 1], [one])[0]
        assert torch.equal(together[place], alone)


def test_who_asks_for_nothing_is_left_alone():
    assert not Adjuster(PLAIN, (5,)).wanted(
        row(temperature=0.3, top_k=4, top_p=0.3, min_p=0.1, stop="x", logprobs=3)
    )


BAD = {
    "presence_penalty": [2.1, -2.1, math.nan, "1", None],
    "frequency_penalty": [2.1, -2.1, True],
    "min_tokens": [-1, 1.0, 17, None],
    "logit_bias": [{-1: 1.0}, {3: math.nan}, {3: math.inf}, {"x": 1.0}, [3], {True: 1.0}],
    "allowed_token_ids": [[], [-1], 3, [1.0], {3: 4}],
    "prompt_logprobs": [-1, 1.5, True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(pv.RequestError, match=name):
        pv.SamplingParams(**{name: value})


@pytest.mark.parametrize("params", [{"logit_bias": {256: 1.0}}, {"allowed_token_ids": [3, 256]}], ids=str)
def test_tokens_that_the_model_lacks_are_refused_at_the_call(byte_engine, params):
    with pytest.raises(pv.RequestError, match="256: must be whole numbers from 0 to 255"):
        byte_engine().add_request("a", **params)


@pytest.mark.parametrize(
    "params",
    [{"presence_penalty": 1.0}, {"frequency_penalty": 1.0}, {"min_tokens": 1}, {"logit_bias": {3: 1.0}},
     {"allowed_token_ids": [3]}, {"prompt_logprobs": 0}],
    ids=str,
)  # fmt: skip
def test_a_beam_search_excludes_them(params):
    with pytest.raises(pv.RequestError, match=f"beam_width=2 excludes {next(iter(params))}"):
        pv.SamplingParams(beam_width=2, **params)


# -- in the engine ----------------------------------------------------------------------------------------------


def test_nothing_ends_before_min_tokens(byte_engine, run_audited):
    engine = byte_engine()
    run = engine._core.runner.run

    def ends(batch):
        logits, launches = run(batch)
        logits[:, 97], logits[:, 98], logits[:, 99] = 300.0, 200.0, 100.0
        return logits, launches

    engine._core.runner.run = ends
    params = {"temperature": 0.0, "max_tokens": 9, "stop_token_ids": [97]}
    outputs = engine.generate(["x", "y"], [pv.SamplingParams(min_tokens=4, **params), pv.SamplingParams(**params)])
    assert [(output.outputs[0].text, output.outputs[0].token_ids) for output in outputs] == [
        ("bbbb", tuple(b"bbbba")),
        ("", tuple(b"a")),
    ]
    stops = engine.generate("x", temperature=0.0, max_tokens=9, stop="a", min_tokens=4)[0].outputs[0]
    assert (stops.text, stops.stop_reason, len(stops.token_ids)) == ("aaaa", "a", 5)


def test_each_request_of_a_batch_gets_what_it_asks_for(byte_engine, run_audited):
    asked = [
        {}, {"allowed_token_ids": [100, 101, 102]}, {"logit_bias": {120: 100.0}}, {"presence_penalty": 2.0},
        {"frequency_penalty": -2.0, "n": 2, "seed": 4, "temperature": 1.0},
        {"min_tokens": 6, "stop_token_ids": [55]},
    ]  # fmt: skip
    params = [
        pv.SamplingParams(**{"temperature": 0.0, "max_tokens": 8, "ignore_eos": True, **own}) for own in asked
    ]
    engine = byte_engine()
    together = run_audited(engine, [engine.add_request(f"prompt {i}", own) for i, own in enumerate(params)])
    for place, own in enumerate(params):
        assert together[place].outputs == byte_engine().generate(f"prompt {place}", own)[0].outputs
    assert set(together[1].outputs[0].token_ids) <= {100, 101, 102}
    assert set(together[2].outputs[0].token_ids) == {120}


def test_a_token_that_nothing_allows_ends_the_request_alone(byte_engine):
    engine = byte_engine()
    params = pv.SamplingParams(allowed_token_ids=[97], stop_token_ids=[97], min_tokens=2, max_tokens=4)
    broken, fine = engine.generate(["x", "y"], [params, pv.SamplingParams(max_tokens=2, ignore_eos=True)])
    assert "position 1: no token is possible" in broken.error
    assert fine.outputs[0].finish_reason == "length"
    engine.audit()


def expected_logprobs(engine, tokens, count):
    with torch.inference_mode():
        rows = engine.model(torch.tensor([tokens])).logits[0].float().log_softmax(-1)
    made = [None]
    for place, token in enumerate(tokens[1:]):
        best = rows[place].topk(count).indices.tolist()
        made.append({id_: rows[place, id_].item() for id_ in [token, *best]})
    return made


def check_prompt_logprobs(engine, output, count):
    expected = expected_logprobs(engine, list(output.prompt_token_ids), count)
    assert len(output.prompt_logprobs) == len(expected)
    assert output.prompt_logprobs[0] is None
    for token, found, wanted in zip(
        output.prompt_token_ids[1:], output.prompt_logprobs[1:], expected[1:], strict=True
    ):
        assert set(found) == set(wanted)
        assert found[token].decoded_token == engine.tokenizer.decode([token])
        for id_, entry in found.items():
            assert math.isclose(entry.logprob, wanted[id_], abs_tol=1e-3)
        assert sorted(entry.rank for entry in found.values())[:count] == list(range(1, count + 1))


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("n", [1, 3])
def test_prompt_logprobs_are_those_of_a_plain_forward_and_read_no_cache(byte_engine, run_audited, count, n):
    """In chunks, beside others, after the same prompt was cached."""
    engine = byte_engine(max_num_batched_tokens=40)
    prompt = "a prompt of some thirty tokens, twice " * 2
    engine.generate(prompt, max_tokens=1)
    others = [engine.add_request(f"{i} neighbour", max_tokens=20, ignore_eos=True) for i in range(3)]
    name = engine.add_request(prompt, prompt_logprobs=count, max_tokens=3, n=n, seed=1, ignore_eos=True)
    output, *_ = run_audited(engine, [name, *others])
    check_prompt_logprobs(engine, output, count)
    assert len(output.outputs) == n
    assert engine.stats()["prefix_cache_hits"] == 0
    plain = engine.generate(prompt, max_tokens=1)[0]
    assert plain.prompt_logprobs is None
    assert engine.stats()["prefix_cache_hits"] > 0, "and others find what it wrote"


@pytest.mark.parametrize("preemption", ["swap", "recompute"])
def test_prompt_logprobs_survive_preemption(byte_engine, run_audited, preemption):
    engine = byte_engine(num_device_blocks=16, num_host_blocks=16, preemption=preemption, prefix_caching=True)
    params = {"temperature": 0.0, "max_tokens": 30, "ignore_eos": True, "prompt_logprobs": 2}
    ids = [engine.add_request(f"the prompt {i} of three", **params) for i in range(2)]
    for output in run_audited(engine, ids):
        check_prompt_logprobs(engine, output, 2)
    assert engine.stats()["num_preemptions"] > 0


# -- the model's generation_config ------------------------------------------------------------------------------

ASKED = {
    "repetition_penalty": {"repetition_penalty": 1.6},
    "suppress": {"suppress_tokens": list(range(3, 120)), "begin_suppress_tokens": [150, 151, 152]},
    "bad words": {"bad_words_ids": [[token] for token in range(120, 190)]},
    "min_new_tokens": {"min_new_tokens": 12, "eos_token_id": list(range(2, 140))},
}


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("kind", ASKED)
def test_what_the_model_asks_for_is_done_as_generate_does_it(new_tiny, make_prompt, run_audited, kind, beams):
    model = new_tiny("llama", num_hidden_layers=2)
    model.generation_config.eos_token_id = [2]
    for name, value in ASKED[kind].items():
        setattr(model.generation_config, name, value)
    for seed in range(2):
        ids = torch.tensor([make_prompt(11, seed)])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            pad_token_id=0,
            do_sample=False,
            num_beams=beams,
            max_new_tokens=20,
        )[0, 11:].tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            engine = pv.Engine(model, block_size=4, num_device_blocks=128)
        width = {"beam_width": beams} if beams > 1 else {}
        name = engine.add_request(make_prompt(11, seed), temperature=0.0, max_tokens=20, **width)
        found = list(run_audited(engine, [name])[0].outputs[0].token_ids)
        assert found == expected[: len(found)]
        assert set(expected[len(found) :]) <= {0}, "what transformers pads with"


def test_a_request_may_turn_the_models_penalty_off(new_tiny, reference, make_prompt):
    model = new_tiny("llama", num_hidden_layers=2)
    expected, _ = reference(model, make_prompt(11), 16)
    model.generation_config.repetition_penalty = 1.6
    engine = pv.Engine(model, block_size=4, num_device_blocks=64)
    found = [
        list(engine.generate(make_prompt(11), temperature=0.0, max_tokens=16, **own)[0].outputs[0].token_ids)
        for own in ({"repetition_penalty": 1.0}, {})
    ]
    assert found[0] == expected
    assert found[1] != expected


def test_what_is_not_done_is_named_once(new_tiny):
    model = new_tiny("llama", num_hidden_layers=1)
    model.generation_config.no_repeat_ngram_size = 3
    model.generation_config.forced_eos_token_id = 5
    with pytest.warns(pv.IgnoredSettingWarning, match="no_repeat_ngram_size, forced_eos_token_id") as told:
        engine = pv.Engine(model, num_device_blocks=16)
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.generate([3, 4], max_tokens=2)
