"""The real model: SmolLM2's greedy tokens equal those of generate, and text comes out of them.

``generate`` takes minutes for all of it, so here it writes three of the texts; the others are held against one
forward over the whole text, which says what greedy search takes at each place. With PAGEDVIZ_NIGHTLY=1 the texts
are 200 tokens long. ``pagedviz bench equality`` compares all with ``generate``, batched and alone, with each
block size.
"""

import os

import pytest
import torch

import pagedviz as pv

pytestmark = pytest.mark.model

NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
COUNT = 200 if NIGHTLY else 30
TIE = 1e-4
TEXTS = [
    "Hi",
    "The capital of France is",
    "Explain in one sentence what a page table is.",
    "Once upon a time, in a village by the sea, there lived",
    "1, 1, 2, 3, 5, 8, 13,",
    "def fibonacci(n):\n    ",
    "Write a short poem about memory that is handed out in blocks. " * 3,
    "It was the best of times, it was the worst of times, it was the age of wisdom, " * 5,
]
WRITTEN_BY_GENERATE = {0, 4, 7}
BLOCKS = {1: 3072 if NIGHTLY else 1024, 16: 192, 32: 96}


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return [tokenizer(text)["input_ids"] for text in TEXTS]


def forced(model, prompt, tokens):
    """What greedy search takes after each beginning of a text, and its lead."""
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    best = logits.topk(2)
    return best.indices[:, 0].tolist(), (best.values[:, 0] - best.values[:, 1]).tolist()


def difference(output, index, prompts, model, reference):
    """The first place that counts: (position, lead of the reference), or None."""
    tokens = output.outputs[0].token_ids
    assert len(tokens) == COUNT
    if index in WRITTEN_BY_GENERATE:
        expected, leads = reference(model, prompts[index], COUNT)
        first = next((i for i in range(COUNT) if tokens[i] != expected[i]), None)
        return None if first is None or leads[first] <= TIE else (first, leads[first])
    expected, leads = forced(model, prompts[index], tokens)
    return next(((i, leads[i]) for i in range(COUNT) if tokens[i] != expected[i] and leads[i] > TIE), None)


GREEDY = {"temperature": 0.0, "max_tokens": COUNT, "ignore_eos": True}


@pytest.mark.parametrize("block_size", BLOCKS if NIGHTLY else [1, 16])  # 32 is tried alone, below
def test_a_batch_of_eight_gives_the_tokens_of_generate(smollm2, prompts, reference, run_audited, block_size):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=block_size, num_device_blocks=BLOCKS[block_size])
    ids = [engine.add_request(prompt, **GREEDY) for prompt in prompts]
    for index, output in enumerate(run_audited(engine, ids)):
        assert difference(output, index, prompts, model, reference) is None, index


@pytest.mark.parametrize(("block_size", "index"), [(1, 0), (16, 4), (32, 7)])
def test_a_prompt_alone_gives_the_tokens_of_generate(smollm2, prompts, reference, run_audited, block_size, index):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=block_size, num_device_blocks=BLOCKS[block_size])
    (output,) = run_audited(engine, [engine.add_request(prompts[index], **GREEDY)])
    assert difference(output, index, prompts, model, reference) is None


def test_the_stream_of_a_text_adds_up_to_its_decoded_tokens(smollm2):
    model, tokenizer = smollm2
    engine = pv.Engine(model, tokenizer, block_size=16, num_device_blocks=32)
    prompt = "Write an emoji for each: cat, dog, sun, rocket, pizza, heart:"
    shown = [""]
    for output in engine.stream(prompt, temperature=1.0, seed=4, max_tokens=40):
        engine.audit()
        text = output.outputs[0].text
        assert text.startswith(shown[-1])
        shown.append(text)
    final = tokenizer.decode(output.outputs[0].token_ids, skip_special_tokens=True)
    assert final.startswith(text)
    assert final.removeprefix(text).strip("\ufffd") == ""
