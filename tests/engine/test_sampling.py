"""Sampling against transformers' own processors, and what a token may depend on."""

import math

import pytest
import torch
from transformers.generation import logits_process

import pagedviz as pv
from pagedviz.engine.sampling.draw import distribution, draw, uniform
from pagedviz.engine.sampling.params import SamplingParams

WARPERS = {
    "temperature": lambda value: [logits_process.TemperatureLogitsWarper(value)],
    "top_k": lambda value: [logits_process.TopKLogitsWarper(value)],
    "top_p": lambda value: [logits_process.TopPLogitsWarper(value)],
    "min_p": lambda value: [logits_process.MinPLogitsWarper(value)],
}
CASES = [
    {"temperature": 0.3},
    {"temperature": 2.5},
    {"top_k": 1},
    {"top_k": 7},
    {"top_p": 0.05},
    {"top_p": 0.9},
    {"min_p": 0.1},
    {"min_p": 1.0},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.02},
    {"temperature": 1.8, "top_k": 50, "top_p": 0.95, "min_p": 0.2},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_distribution_is_that_of_transformers(case):
    for seed in range(20):
        logits = torch.randn(300, generator=torch.Generator().manual_seed(seed)) * 4
        expected = logits[None].clone()
        for name, make in WARPERS.items():
            if name in case:
                for warper in make(case[name]):
                    expected = warper(torch.tensor([[0]]), expected)
        found = distribution(logits, SamplingParams(**case))
        torch.testing.assert_close(found / found.sum(), expected[0].softmax(-1), rtol=1e-4, atol=1e-7)


def test_numbers_are_drawn_in_proportion():
    probabilities = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    counts = torch.zeros(6)
    for position in range(4000):
        counts[draw(probabilities, uniform(1, 0, position))] += 1
    assert counts[[0, 2, 5]].sum() == 0
    torch.testing.assert_close(counts / 4000, probabilities, atol=0.03, rtol=0)
    assert draw(probabilities, 0.0) == 1
    assert draw(probabilities, 1 - 2**-53) == 4


def test_seeds_of_any_size_give_numbers():
    numbers = {uniform(seed, sample, 3) for seed in (0, 1, 2**63, 2**64 - 1, 2**40) for sample in (0, 1)}
    assert len(numbers) == 10
    assert all(0 <= number < 1 for number in numbers)


@pytest.mark.parametrize("temperature", [1e-6, 1e-5, 1e-3])
def test_a_tiny_temperature_is_as_good_as_greedy(tiny, temperature):
    engine = pv.Engine(tiny("llama"), block_size=4, num_device_blocks=32)
    greedy = engine.generate([5, 6], temperature=0.0, max_tokens=8)[0].outputs[0].token_ids
    assert engine.generate([5, 6], temperature=temperature, max_tokens=8)[0].outputs[0].token_ids == greedy


@pytest.mark.parametrize("penalty", [0.8, 1.4])
def test_greedy_with_a_penalty_equals_generate(tiny, make_prompt, penalty):
    model = tiny("llama")
    prompt = make_prompt(13)
    ids = torch.tensor([prompt])
    options = {"attention_mask": torch.ones_like(ids), "pad_token_id": 0, "do_sample": False, "max_new_tokens": 40}
    expected = model.generate(ids, repetition_penalty=penalty, **options)[0, len(prompt) :].tolist()
    engine = pv.Engine(model, block_size=4, num_device_blocks=64)
    found = engine.generate(prompt, temperature=0.0, repetition_penalty=penalty, max_tokens=40)
    assert list(found[0].outputs[0].token_ids) == expected


def test_logprobs_are_those_of_a_plain_forward(byte_engine):
    engine = byte_engine()
    output = engine.generate("a prompt", temperature=0.8, seed=3, max_tokens=12, logprobs=3)[0]
    sample = output.outputs[0]
    tokens = torch.tensor([[*output.prompt_token_ids, *sample.token_ids]])
    with torch.inference_mode():
        expected = engine.model(tokens).logits[0].log_softmax(-1)
    total = 0.0
    for position, (token, entry) in enumerate(zip(sample.token_ids, sample.logprobs, strict=True)):
        row = expected[len(output.prompt_token_ids) - 1 + position]
        best = row.topk(3).indices.tolist()
        assert set(entry) == {token, *best}
        assert [entry[id_].rank for id_ in best] == [1, 2, 3]
        assert entry[token].rank == int((row > row[token]).sum()) + 1
        for id_, logprob in entry.items():
            assert math.isclose(logprob.logprob, row[id_].item(), abs_tol=1e-3)
            assert logprob.decoded_token == engine.tokenizer.decode([id_])
        total += entry[token].logprob
    assert math.isclose(sample.cumulative_logprob, total)


def test_logprobs_of_none_of_the_likeliest_are_those_of_the_token(byte_engine):
    sample = byte_engine().generate("a", max_tokens=3, logprobs=0, temperature=0.0)[0].outputs[0]
    assert [set(entry) for entry in sample.logprobs] == [{token} for token in sample.token_ids]
    assert byte_engine().generate("a", max_tokens=3)[0].outputs[0].logprobs is None


def tokens_of(output):
    return [sample.token_ids for sample in output.outputs]


@pytest.mark.parametrize(
    "options",
    [
        {"block_size": 1, "num_device_blocks": 600},
        {"block_size": 16, "num_device_blocks": 40},
        {"block_size": 4, "num_device_blocks": 38},  # preempts
        {"block_size": 4, "num_device_blocks": 200, "max_num_batched_tokens": 8, "max_num_seqs": 8},
        {"attention": "torch"},
    ],
    ids=str,
)
def test_a_seed_gives_the_same_tokens_whatever_runs_beside_it(tiny, make_prompt, run_audited, options):
    model = tiny("llama")
    params = {"temperature": 1.0, "seed": 11, "n": 2, "max_tokens": 24, "ignore_eos": True}
    alone = tokens_of(pv.Engine(model, block_size=8, num_device_blocks=64).generate(make_prompt(10), **params)[0])
    assert alone[0] != alone[1]
    engine = pv.Engine(model, **options)
    others = [
        engine.add_request(make_prompt(30, 9), max_tokens=30, ignore_eos=True),
        engine.add_request(make_prompt(10), **params),
        engine.add_request(make_prompt(17, 8), max_tokens=30, ignore_eos=True, n=3),
    ]
    assert tokens_of(run_audited(engine, others)[1]) == alone
    if options.get("num_device_blocks") == 38:
        assert engine.stats()["num_preemptions"] > 0


def test_requests_without_a_seed_differ_and_the_engines_seed_repeats_them(tiny):
    def answers(seed):
        engine = pv.Engine(tiny("llama"), block_size=4, num_device_blocks=64, seed=seed)
        return [tokens_of(output) for output in engine.generate([[5, 6]] * 2, max_tokens=12, n=2)]

    first, second = answers(0)
    assert len({*first, *second}) == 4
    assert answers(0) == [first, second]
    assert answers(1) != [first, second]
